"""Steps of different lengths on two processes: equal losses to one, and bitwise continuation after kill -9."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import commands
import pytest
from test_training import Kmask, assert_same_weights, saved

SHORT = "{max_sample_tokens: 40, row_tokens: 160, rows_per_step: 8, rows_per_process: 2, warmup: {rows: 4, steps: 4}}"
SETTINGS = (
    f"stages=[{{name: short, steps: 6, tasks: {{knowledge_masking: 1, span_boundary: 0}}, batch: {SHORT}}},"
    "{name: long, steps: 5, tasks: {knowledge_masking: 1, span_boundary: 0, sentence_reordering: 2}}]",
    "checkpoints={every: 2, keep: 100}",
    "evaluation.every=0",
)
"""4, 4, 4, 4, 8, 8 rows of 160 tokens, then five times 4 rows of 256: a process takes 1, 2, then 2 micro-batches."""


def trained(output: Path) -> dict[int, dict[str, Any]]:
    """The lines of training, without what hangs on the clock."""
    wanted = ("loss/", "accuracy/", "targets/", "grad_norm", "lr", "tokens", "epoch/", "cursors")
    lines = [json.loads(line) for line in (output / "metrics.jsonl").read_text().splitlines()]
    return {
        line["step"]: {key: line[key] for key in line if key.startswith(wanted) and key != "tokens_per_second"}
        for line in lines
        if line["event"] == "train"
    }


def start(kmask: Kmask, file: Path, output: Path, *overrides: str, processes: int) -> None:
    done = kmask("train", file, *SETTINGS, f"output={output}", *overrides, "--processes", processes)
    assert done.returncode == 0, done.stderr[-3000:]


def test_zero_0_to_3_on_two_processes_equal_a_single_one(kmask: Kmask, tiny_run: Path, tmp_path: Path) -> None:
    start(kmask, tiny_run, tmp_path / "single", "engine.zero_stage=0", processes=1)
    single = trained(tmp_path / "single")
    assert len(single) == 11 and single[6]["loss/knowledge_masking"] < single[1]["loss/knowledge_masking"]
    for zero in range(4):
        start(kmask, tiny_run, tmp_path / f"zero{zero}", f"engine.zero_stage={zero}", processes=2)
        found = trained(tmp_path / f"zero{zero}")
        assert found.keys() == single.keys()
        for step, values in single.items():
            for key, value in values.items():
                if key.startswith("loss/"):
                    assert abs(found[step][key] - value) < 1e-6, (zero, step, key)
                elif key == "grad_norm":
                    assert found[step][key] == pytest.approx(value, rel=1e-5), (zero, step)
                elif not key.startswith("accuracy/"):
                    assert found[step][key] == value, (zero, step, key)


@pytest.mark.parametrize(("zero", "precision", "at"), [(2, "bf16_parameters", 8), (3, "fp32", 4)])
def test_continuing_after_kill_9_is_bitwise_equal(
    kmask: Kmask, tiny_run: Path, tmp_path: Path, zero: int, precision: str, at: int
) -> None:
    settings = (f"engine.zero_stage={zero}", f"engine.precision={precision}")
    start(kmask, tiny_run, tmp_path / "whole", *settings, processes=2)
    killed = tmp_path / "killed"
    given = ("train", tiny_run, *SETTINGS, f"output={killed}", *settings, "--processes", 2)
    commands.killed(*given, when=lambda: saved(killed, at), whole=True)
    start(kmask, tiny_run, killed, *settings, processes=2)
    assert trained(killed) == trained(tmp_path / "whole")
    assert_same_weights(tmp_path / "whole", killed)
