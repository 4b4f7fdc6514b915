"""Sorted tables on disk: their merge is the sum, whatever the number and the size of the tables."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

import numpy as np
import pyarrow
import pytest

from data_prep.counting import counted_tables
from data_prep.counting.counted_tables import fold, merged, write_sorted_table


def write_counts(path: Path, counts: dict[int, int]) -> Path:
    keys = sorted(counts)
    columns = {
        "key": pyarrow.array(keys, pyarrow.uint64()),
        "count": pyarrow.array([counts[key] for key in keys], pyarrow.int64()),
    }
    write_sorted_table(
        path, pyarrow.table({**columns, "from": pyarrow.array([path.stem] * len(keys), pyarrow.string())})
    )
    return path


@pytest.mark.parametrize(("tables", "rows"), [(1, 50), (3, 2000), (150, 40)])
def test_a_merge_adds_up_what_has_the_same_key_and_keeps_the_rest_of_the_first_table(
    tables: int, rows: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(counted_tables, "BATCH_ROWS", 64)
    random = np.random.default_rng(tables)
    parts = [
        dict(zip(random.integers(0, 3 * rows, rows).tolist(), random.integers(1, 9, rows).tolist(), strict=True))
        for _ in range(tables)
    ]
    paths = [write_counts(tmp_path / f"{number:04d}.arrow", part) for number, part in enumerate(parts)]
    expected = sum((Counter(part) for part in parts), Counter[int]())
    first = {key: f"{number:04d}" for number, part in reversed(list(enumerate(parts))) for key in part}
    result = pyarrow.concat_tables(merged(paths, ["count"], tmp_path)).to_pydict()
    assert result["key"] == sorted(expected)
    assert dict(zip(result["key"], result["count"], strict=True)) == expected
    assert dict(zip(result["key"], result["from"], strict=True)) == first
    assert sorted(tmp_path.iterdir()) == paths, "intermediate tables are removed"


def test_empty_tables_merge_to_an_empty_table_with_the_same_columns(tmp_path: Path) -> None:
    paths = [write_counts(tmp_path / name, {}) for name in ("a.arrow", "b.arrow")]
    (piece,) = merged(paths, ["count"], tmp_path)
    assert piece.num_rows == 0
    assert piece.column_names == ["key", "count", "from"]


def test_keys_of_ngrams_depend_on_words_their_order_and_how_they_are_joined() -> None:
    a, b = np.array([11], np.uint64), np.array([22], np.uint64)
    keys = {int(fold(*pair, np.array([join], np.uint8))[0]) for pair in ((a, b), (b, a), (a, a)) for join in (1, 2)}
    assert len(keys) == 6
