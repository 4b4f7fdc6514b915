"""Make all processes of a host slow: by a CPU quota of the kernel (cgroup v1), else by stopping them in turns."""

from __future__ import annotations

import contextlib
import os
import signal
import threading
from collections.abc import Callable, Sequence
from pathlib import Path

from machine import CPU_GROUPS, remove_groups

PERIOD_SECONDS = 0.1
WEIGHT = 4096
"""What all hosts together count beside other processes of a busy machine, each of which counts 1024."""


class Quota:
    """A CPU group of the kernel. Every process of the host begins in it."""

    how = "CPU quota (cgroup v1)"

    def __init__(self, group: Path) -> None:
        self.group = group
        group.mkdir(parents=True, exist_ok=True)
        (group.parent / "cpu.shares").write_text(str(WEIGHT))
        (group / "cpu.cfs_period_us").write_text(str(int(PERIOD_SECONDS * 1e6)))

    def inside(self, argv: Sequence[str]) -> list[str]:
        """The command line that runs ``argv`` within the group."""
        return ["sh", "-c", 'echo $$ > "$0" && exec "$@"', str(self.group / "cgroup.procs"), *argv]

    def set(self, processors: float | None) -> None:
        """Processors that all processes have together; None for all there are."""
        micros = -1 if processors is None else max(1000, int(processors * PERIOD_SECONDS * 1e6))
        (self.group / "cpu.cfs_quota_us").write_text(str(micros))

    def close(self) -> None:
        """End what is left in the group and remove it."""
        remove_groups(self.group)
        with contextlib.suppress(OSError):  # the last host removes the folder of all
            self.group.parent.rmdir()


class Turns:
    """SIGSTOP and SIGCONT in turns to all processes: each runs for a share of the time."""

    how = "SIGSTOP and SIGCONT in turns"

    def __init__(self, pids: Callable[[], list[int]]) -> None:
        """``pids`` tells the ids of the host's processes as this process sees them."""
        self.pids = pids
        self.share = 1.0
        self.done = threading.Event()
        self.thread: threading.Thread | None = None

    def inside(self, argv: Sequence[str]) -> list[str]:
        """``argv`` as it is."""
        return list(argv)

    def set(self, processors: float | None) -> None:
        """The share of the time in which each process runs; None for always."""
        self.close()
        self.share = 1.0 if processors is None else processors
        if self.share < 1:
            self.done.clear()
            self.thread = threading.Thread(target=self.turn, daemon=True)
            self.thread.start()

    def turn(self) -> None:
        """Stop, wait, go on, wait."""
        while not self.done.is_set():
            stopped = self.pids()
            send(stopped, signal.SIGSTOP)
            self.done.wait((1 - self.share) * PERIOD_SECONDS)
            send(stopped, signal.SIGCONT)
            self.done.wait(self.share * PERIOD_SECONDS)

    def close(self) -> None:
        """Let all run."""
        self.done.set()
        if self.thread is not None:
            self.thread.join()
            self.thread = None


def send(pids: list[int], number: signal.Signals) -> None:
    """One signal to processes of which some may have ended."""
    for pid in pids:
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, number)


def slowness(folder: str, host: str, pids: Callable[[], list[int]]) -> Quota | Turns:
    """What this machine allows."""
    try:
        return Quota(CPU_GROUPS / folder / host)
    except OSError:
        return Turns(pids)
