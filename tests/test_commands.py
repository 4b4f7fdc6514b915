"""Forked commands are processes like any other: what tests rely on when they do not start the interpreter anew."""

from __future__ import annotations

import os
import signal
import subprocess
import time
from pathlib import Path

import commands
import pytest


def test_a_forked_command_prints_and_ends_as_a_started_one(tmp_path: Path) -> None:
    for arguments in (["--help"], ["show", "document", tmp_path], ["nonsense"], ["config", "schema", "data"]):
        forked, started = (commands.run(*arguments, started=started) for started in (False, True))
        assert (forked.returncode, forked.stdout, forked.stderr) == (
            started.returncode,
            started.stdout,
            started.stderr,
        )


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGTERM])
def test_a_forked_command_is_a_child_with_its_own_session_and_ends_by_signals(
    tiny_run: Path, tmp_path: Path, number: signal.Signals
) -> None:
    folder = tmp_path / "run"
    process = commands.start(
        *("train", tiny_run, f"output={folder}", "stages.0.steps=100000", "--processes", 1),
        env={**os.environ, "KMASK_MARK": "here"},
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        start_new_session=True,
    )
    proc, deadline = Path(f"/proc/{process.pid}"), time.monotonic() + 120
    while not (folder / "metrics.jsonl").exists() and process.poll() is None and time.monotonic() < deadline:
        time.sleep(0.02)
    ranks = [int(pid) for pid in (proc / f"task/{process.pid}/children").read_text().split()]
    for pid in (process.pid, *ranks):
        line = Path(f"/proc/{pid}/cmdline").read_bytes()
        assert b"-m\0launch.cli\0train\0" in line and os.fsencode(folder) in line
        assert b"KMASK_MARK=here" in Path(f"/proc/{pid}/environ").read_bytes().split(b"\0")
    assert len(ranks) == 1 and b"RANK=0" in Path(f"/proc/{ranks[0]}/environ").read_bytes().split(b"\0")
    assert f"PPid:\t{os.getpid()}\n" in (proc / "status").read_text()
    assert os.getsid(process.pid) == process.pid == os.getsid(ranks[0])
    process.send_signal(number)
    assert process.wait(120) == (-signal.SIGKILL if number == signal.SIGKILL else 5)
    while Path(f"/proc/{ranks[0]}/cmdline").exists() and time.monotonic() < deadline:
        time.sleep(0.02)
    assert not Path(f"/proc/{ranks[0]}").exists() or "zombie" in Path(f"/proc/{ranks[0]}/status").read_text()


def test_a_variable_that_modules_read_when_they_are_imported_may_not_change(tiny_run: Path) -> None:
    with pytest.raises(AssertionError, match="OMP_NUM_THREADS has changed"):
        commands.run("--help", env={**os.environ, "OMP_NUM_THREADS": "7"})
