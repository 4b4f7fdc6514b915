"""Arrow arrays made of buffers equal pyarrow's own, and no process of a preparation imports pandas for them."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest
from tiny import ROOT

from data_prep.arrow_arrays import numbers, texts, values_of

KINDS = ("uint8", "int16", "uint16", "int32", "uint32", "int64", "uint64", "float32", "float64")


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("count", [0, 1, 7])
def test_numbers_are_pyarrows_and_come_back(kind: str, count: int) -> None:
    values = np.arange(2 * count, dtype=kind)[::2]
    made = numbers(values)
    made.validate(full=True)
    assert made.equals(pa.array(values))
    assert np.array_equal(values_of(made), values) and values_of(made).dtype == values.dtype
    cut = pa.chunked_array([made.slice(1), made.slice(0, 3)], made.type)
    assert np.array_equal(values_of(cut), np.concatenate([values[1:], values[:3]]))


@pytest.mark.parametrize("large", [False, True])
@pytest.mark.parametrize("values", [[], [""], ["北京", "", "a\n", "𠮷"]])
def test_texts_are_pyarrows(values: list[str], large: bool) -> None:
    made = texts(values, large)
    made.validate(full=True)
    assert made.equals(pa.array(values, pa.large_string() if large else pa.string()))


def test_truths_and_columns_that_lack_values() -> None:
    assert values_of(pa.chunked_array([[True, False], [True]])).tolist() == [True, False, True]
    with pytest.raises(ValueError, match="lacks values"):
        values_of(pa.array([1, None]))


WATCH = """
import sys
class Refuse:
    def find_spec(self, name, path=None, target=None):
        if name == "pandas":
            raise SystemExit("pandas is imported")
sys.meta_path.insert(0, Refuse())
if __name__ == "__main__":
    sys.path.insert(0, sys.argv.pop(1))
    from launch.cli import main
    main()
"""


def test_no_process_of_a_preparation_imports_pandas(tmp_path: Path) -> None:
    script = tmp_path / "watched.py"
    script.write_text(WATCH, encoding="utf-8")
    arguments = ["prepare", "configs/data/demo.yaml", f"output={tmp_path / 'out'}", "engine.workers=1"]
    done = subprocess.run(
        [sys.executable, script, ROOT, *arguments], capture_output=True, text=True, cwd=ROOT, check=False, timeout=240
    )
    assert done.returncode == 0, done.stderr[-2000:]
    assert (tmp_path / "out/manifest.json").exists() and "pandas" not in done.stderr
