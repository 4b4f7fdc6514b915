"""A kill while a checkpoint is being written in the background: the one before it counts, and the run goes on bitwise."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import commands
import pytest
from test_training import Kmask, assert_same_weights, train, values, wait_for_no_rank
from tiny import ROOT


@pytest.fixture
def slow_run(tiny_run: Path) -> Path:
    """The tiny run with a task that can make a save slow (toys/slow_saves.py)."""
    text = tiny_run.read_text().replace("kind: knowledge_masking", "kind: toys.slow_saves")
    tiny_run.write_text(text)
    return tiny_run


def train_lines(run: Path) -> list[int]:
    """Steps with a line of training."""
    if not (run / "metrics.jsonl").exists():
        return []
    lines = [line for line in (run / "metrics.jsonl").read_text().splitlines(keepends=True) if line.endswith("\n")]
    return [item["step"] for item in map(json.loads, lines) if item["event"] == "train"]


@pytest.fixture
def plugged(monkeypatch: pytest.MonkeyPatch) -> Iterator[pytest.MonkeyPatch]:
    monkeypatch.setenv("PYTHONPATH", str(ROOT / "tests/pretrain"))
    yield monkeypatch


def test_a_kill_while_the_writer_writes_leaves_the_checkpoint_before_and_a_run_that_goes_on_bitwise(
    kmask: Kmask, slow_run: Path, tmp_path: Path, plugged: pytest.MonkeyPatch
) -> None:
    settings = ["stages.0.steps=8", "evaluation.every=0", "checkpoints.keep=100", "engine.zero_stage=0"]
    train(kmask, slow_run, tmp_path / "whole", *settings)
    killed = tmp_path / "killed"
    plugged.setenv("KMASK_SLOW_SAVE", "4")
    start = ("train", slow_run, f"output={killed}", *settings, "--processes", 1)
    commands.killed(*start, when=lambda: 6 in train_lines(killed))  # two steps on, where the next save waits
    assert wait_for_no_rank(killed), "a rank survived its launcher"
    plugged.delenv("KMASK_SLOW_SAVE")
    assert train_lines(killed)[-1] == 6
    names = sorted(path.name for path in (killed / "checkpoints").iterdir())
    assert names[1:] == ["step-00000002"] and names[0].startswith(".staging-step-00000004@")
    again = train(kmask, slow_run, killed, *settings)
    assert "continuing at step 2 of 12" in again.stderr
    assert values(killed) == values(tmp_path / "whole")
    assert_same_weights(tmp_path / "whole", killed)
    assert all(path.name.startswith("step-") for path in (killed / "checkpoints").iterdir())
