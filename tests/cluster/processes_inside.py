"""Commands and processes inside a host, seen from outside: the same process has another id there."""

from __future__ import annotations

import contextlib
import os
import re
import signal
import subprocess
import time
from pathlib import Path
from typing import NamedTuple

HOLD = """
import os, signal, sys
if pid := os.fork():
    code = os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])
    if code < 0:
        signal.signal(-code, signal.SIG_DFL) if -code != signal.SIGKILL else None
        os.kill(os.getpid(), -code)
    os._exit(code)
os.setsid()
for number in (signal.SIGPIPE, signal.SIGXFSZ):
    signal.signal(number, signal.SIG_DFL)
try:
    os.chdir(sys.argv[1])
    os.execvp(sys.argv[2], sys.argv[2:])
except OSError as error:
    print(f"{sys.argv[2]}: {error}", file=sys.stderr, flush=True)
    os._exit(127)
"""
"""Holds a command from outside its host, ends as it ends, and unlike `nsenter` does not stop when it is stopped."""


class Inner(NamedTuple):
    """A process of a host."""

    pid: int
    """Its id inside the host."""
    rank: int | None
    """Its rank in training (`RANK`, or `SLURM_PROCID` of a task of srun)."""
    command: str
    """Its command line, joined by blanks."""
    outer: int
    """Its id outside; never use one for the other."""


class Command(subprocess.Popen[str]):
    """A command running in a host. Signals reach the command itself, not the process that holds it from outside;
    its return code is the command's, negative for a signal."""

    def outer(self) -> int:
        """The command's id outside the host; 0 when it has ended."""
        deadline = time.monotonic() + 10
        while self.poll() is None and time.monotonic() < deadline:
            if children := children_of(self.pid):
                return children[0]
            time.sleep(0.005)
        return 0

    def send_signal(self, sig: int) -> None:
        """To the command alone."""
        if pid := self.outer():
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, sig)

    def interrupt(self) -> None:
        """What Ctrl-C does: SIGINT to the command and all its children that have not left its group."""
        if pid := self.outer():
            with contextlib.suppress(ProcessLookupError):
                os.killpg(pid, signal.SIGINT)

    def kill_group(self) -> None:
        """SIGKILL to the command and all its children that have not left its group."""
        if pid := self.outer():
            with contextlib.suppress(ProcessLookupError):
                os.killpg(pid, signal.SIGKILL)


def children_of(pid: int) -> list[int]:
    """Ids of the children of a process's main thread."""
    try:
        return [int(child) for child in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]
    except OSError:
        return []


def list_processes(init: int, pattern: str = "") -> list[Inner]:
    """The living processes of the host whose first process is ``init`` (outside), that one left out."""
    space = Path(f"/proc/{init}/ns/pid").readlink()
    found = []
    for folder in Path("/proc").iterdir():
        if not folder.name.isdigit() or int(folder.name) == init:
            continue
        with contextlib.suppress(OSError, IndexError):  # it has just ended
            if (folder / "ns/pid").readlink() != space:
                continue
            command = (folder / "cmdline").read_text(errors="replace").replace("\0", " ").strip()
            if command and re.search(pattern, command):
                pid = int(re.findall(r"^NSpid:.*\t(\d+)$", (folder / "status").read_text(), re.MULTILINE)[0])
                found.append(Inner(pid, rank_of(folder), command, int(folder.name)))
    return sorted(found)


def rank_of(folder: Path) -> int | None:
    """The rank in the environment of the process of a folder in /proc."""
    text = (folder / "environ").read_text(errors="replace")
    values = dict(entry.partition("=")[::2] for entry in text.split("\0"))
    rank = values.get("RANK") or values.get("SLURM_PROCID")
    return int(rank) if rank is not None else None
