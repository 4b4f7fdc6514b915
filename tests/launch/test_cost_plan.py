"""`kmask train --plan` on a terminal: the table fits, the error comes at the end, nothing is written."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest
from in_process import Result, command

Kmask = Callable[..., Result]


@pytest.fixture
def kmask(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Kmask:
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "")
    monkeypatch.setenv("COLUMNS", "80")
    return command(monkeypatch, capsys)


def test_a_plan_tells_memory_operations_time_and_disk_and_writes_nothing(
    kmask: Kmask, tiny_run: Path, tmp_path: Path
) -> None:
    done = kmask("train", tiny_run, "--plan", "--processes", 2, "--rate", 2000)
    assert done.code == 0, done.err
    text = " ".join(done.out.split())
    for part in (
        "run new, 8 steps",
        "processes 2 on this machine",
        "weights gradients Adam activation vocabulary a process",
        "* ZeRO 1",
        "memory not known; --memory GIB checks it",
        "in 8 steps of 1,024 positions (9",
        "FLOP,",
        "0:00:04 at 2,000 tokens/s: as given (--rate)",
        "up to 3 at a time",
    ):
        assert part in text, part
    assert max(len(line) for line in done.out.splitlines() if str(tmp_path) not in line) <= 80
    assert not (tmp_path / "run").exists()


def test_the_rate_of_the_run_itself_is_taken_and_too_little_memory_is_an_error(
    kmask: Kmask, tiny_run: Path, tmp_path: Path
) -> None:
    (tmp_path / "run").mkdir()
    line = {"event": "train", "step": 1, "tokens_per_second": 100.0}
    (tmp_path / "run/metrics.jsonl").write_text(json.dumps(line) + '\n{"event": "tr')
    done = kmask("train", tiny_run, "--plan", "--processes", 1, "--memory", 0.001)
    assert done.code == 2 and "error: memory cannot suffice" in done.err
    assert "the median of the last 1 lines of metrics.jsonl" in " ".join(done.out.split()) and "1.07 MB" in done.out
    done = kmask("train", tiny_run, "--plan", "--processes", 1, "--memory", 4)
    assert done.code == 0 and "4.29 GB, as given (--memory)" in done.out


def test_odd_requests_are_refused(kmask: Kmask, tiny_run: Path) -> None:
    for arguments, part in (
        (["--rate", 5], "--rate and --memory belong to --plan"),
        (["--plan", "--rate", -5], "--rate: -5 must be positive"),
        (["--plan", "optimization.lr=-1"], "lr: -1"),
        (["--plan", "--processes", 3], "cannot be divided by 3 processes"),
    ):
        done = kmask("train", tiny_run, *arguments)
        assert done.code == 2 and part in done.err and done.out == ""
