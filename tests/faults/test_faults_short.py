"""Three of the faults of inject.py in one run: kill -9 of the launcher, a flipped bit, SIGTERM to the process group."""

from __future__ import annotations

import random
import signal
from collections.abc import Iterator
from pathlib import Path

import commands
import pytest
from compare import runs_differ, step_folders
from damage import flip
from kills import launch_and_strike
from moments import KILLS, STEP, Event, Moment
from plan import Bench

MODE = "zero1"
KILL = {kill.name: kill for kill in KILLS}


@pytest.fixture
def bench(prepared: Path, tmp_path: Path) -> Iterator[Bench]:
    """A working folder whose processes do not outlive the test."""
    made = Bench(work=tmp_path, data=prepared, popen=commands.Forked)
    yield made
    made.close()


def test_a_run_that_is_killed_damaged_and_stopped_ends_equal_to_an_undisturbed_one(bench: Bench) -> None:
    draw = random.Random(1)
    run = bench.fresh("short")
    killed = Event(kill=KILL["kill -9 launcher"], moment=Moment(kind=STEP, step=10, fraction=draw.random()))
    first = launch_and_strike(bench, MODE, run, killed)
    assert first.hit and first.outcome.code == -signal.SIGKILL, first.outcome.text[-2000:]
    assert first.outcome.survivors == 0

    newest = step_folders(run)[-1]
    assert newest.name == "step-00000009"  # the end of a stage
    flip(newest / "optimizer.safetensors", draw)
    stopped = Event(kill=KILL["SIGTERM group"], moment=Moment(kind=STEP, step=7, fraction=draw.random()))
    second = launch_and_strike(bench, MODE, run, stopped)
    assert second.hit and second.detected, f"{second.remark}\n{second.outcome.text[-2000:]}"
    assert second.trained and second.trained[0] == 7  # the damaged step was passed over for the one before
    assert "step-00000009" in second.outcome.text

    last = launch_and_strike(bench, MODE, run, None)
    assert last.outcome.code == 0, last.outcome.text[-2000:]
    assert last.trained and last.trained[0] == second.trained[1] + 1  # the last step had been saved
    assert runs_differ(run, bench.reference(MODE).run) == ""
