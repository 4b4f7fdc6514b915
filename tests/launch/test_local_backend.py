"""The processes of one machine: what the launcher says when a rank dies, and how it stops them."""

from __future__ import annotations

import signal
import sys
import threading
import time
from pathlib import Path

import pytest

from launch.backends import Command, Start
from launch.backends.local import Local
from launch.cluster.starts import run


def ranks(monkeypatch: pytest.MonkeyPatch, *codes: str) -> Local:
    def commands(self: Local, start: Start) -> list[Command]:
        return [Command([sys.executable, "-c", code], {"RANK": str(rank)}) for rank, code in enumerate(codes)]

    monkeypatch.setattr(Local, "commands", commands)
    return Local(processes=len(codes))


def ended(backend: Local, output: Path) -> int:
    return run(backend, [], output, {}, 600.0)


def die(number: signal.Signals) -> str:
    return f"import os; os.kill(os.getpid(), {int(number)})"


@pytest.mark.parametrize(
    ("number", "advice", "other"),
    [
        (signal.SIGSEGV, "run `kmask prepare verify`", 60),
        (signal.SIGBUS, "run `kmask prepare verify`", 1),
        (signal.SIGKILL, "out of memory", 1),
        (signal.SIGABRT, "continue from the last checkpoint", 1),
    ],
)
def test_a_rank_that_a_signal_ended_is_named_with_advice(
    number: signal.Signals,
    advice: str,
    other: int,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    """The other one, which would go on for ``other`` seconds, is waited for or stopped."""
    assert ended(ranks(monkeypatch, f"import time; time.sleep({other})", die(number)), tmp_path) == 1
    told = capsys.readouterr().err
    assert f"rank 1 was killed by signal {number.name}" in told and advice in told and "last lines of" in told


def test_ranks_hear_a_signal_that_came_while_they_started(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """They inherit it as blocked; without that, the rank below would die in its first second and the launcher say 1."""
    slow = "import time; time.sleep(1.5); from pretrain.processes import stopping; stopping.listen(); time.sleep(.2); raise SystemExit(5 * stopping.asked())"
    backend = ranks(monkeypatch, slow, slow)
    timer = threading.Timer(0.5, lambda: signal.raise_signal(signal.SIGUSR1))
    timer.start()
    begun = time.monotonic()
    assert ended(backend, tmp_path) == 5
    assert time.monotonic() - begun < 30
    assert signal.getsignal(signal.SIGUSR1) == signal.SIG_DFL
