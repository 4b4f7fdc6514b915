"""End the processes of one start that live on this machine, by the numbers that they wrote into the run's folder.

    python -m launch.cluster.end_ranks RUN 0002-9f3c         (over ssh, on every machine)

A number that belongs to another process by now is left alone: the time at which it was started must agree as well.
"""

from __future__ import annotations

import contextlib
import os
import signal
import socket
import sys
import time
from pathlib import Path

from launch.cluster.ranks import read_ranks

WAIT_SECONDS = 20.0


def children(process: int) -> list[int]:
    """Processes that ``process`` has started, and theirs."""
    found = []
    for file in Path(f"/proc/{process}/task").glob("*/children"):
        with contextlib.suppress(OSError):
            found += [int(number) for number in file.read_text().split()]
    return [*found, *(lower for child in found for lower in children(child))]


def end_ranks(output: Path, attempt: str) -> list[int]:
    """Kill them and those that they started, and wait until they are gone; returns those that are not."""
    from pretrain.processes.heartbeat import FOLDER, start_of

    name = socket.gethostname()
    here = [rank for rank in read_ranks(output / FOLDER / attempt) if rank.host == name]
    living = [rank.process for rank in here if start_of(rank.process) == rank.started > 0]
    doomed = [(number, start_of(number)) for process in living for number in (process, *children(process))]
    for number, started in doomed:
        with contextlib.suppress(ProcessLookupError):
            if start_of(number) == started:
                os.kill(number, signal.SIGKILL)
    deadline = time.monotonic() + WAIT_SECONDS
    while time.monotonic() < deadline and any(alive(*item) for item in doomed):
        time.sleep(0.1)
    return [number for number, started in doomed if alive(number, started)]


def alive(process: int, started: int) -> bool:
    """Does this very process still run? One that waits to be collected by its parent does not."""
    from pretrain.processes.heartbeat import start_of

    if start_of(process) != started:
        return False
    with contextlib.suppress(OSError, IndexError):
        return Path(f"/proc/{process}/stat").read_text(encoding="utf-8").rpartition(")")[2].split()[0] != "Z"
    return False


if __name__ == "__main__":
    left = end_ranks(Path(sys.argv[1]), sys.argv[2])
    if left:
        print(f"processes {left} on {socket.gethostname()} cannot be ended", file=sys.stderr)
    sys.exit(bool(left))
