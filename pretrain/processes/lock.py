"""One training at a time in a run's folder: a lock that names its holder and dies with it.

    with held(RUN, wait_seconds, note):  ...      RUN/lock holds host, process and time while the block runs

The lock is the kernel's (flock), so it is gone the moment its process is, however it ended, and it reaches across
machines on file systems that pass it on (NFS 4, Lustre with -o flock). The file only tells who holds it.

A machine that is lost gives nothing back: the file server takes its locks when their lease has passed (NFS 4: 90 s),
and a process that still runs there, cut off, ends when it has missed its launcher for 120 s. So a holder on another
machine that gives no sign of life (heartbeat.py) is waited for until both have passed.
"""

from __future__ import annotations

import contextlib
import fcntl
import json
import os
import socket
import time
from collections.abc import Callable, Iterator
from pathlib import Path

NAME = "lock"
POLL_SECONDS = 0.2
LEASE_SECONDS = 180.0
"""How long a machine that says nothing may hold a lock: 120 s until its processes miss their launcher, and a minute in
which they save; a lease of NFS 4 is shorter."""


@contextlib.contextmanager
def held(folder: Path, wait_seconds: float, note: Callable[[str], None], what: str = "training") -> Iterator[None]:
    """Hold the lock of a run, or of another folder that a ``what`` writes into. A process that is just ending (after a
    kill of its launcher, say) is waited for.

    Raises:
        ValueError: another process writes into this folder; names it.
    """
    folder.mkdir(parents=True, exist_ok=True)
    descriptor = os.open(folder / NAME, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o666)
    try:
        _wait(descriptor, folder, wait_seconds, note, what)
        os.ftruncate(descriptor, 0)
        value = {"host": socket.gethostname(), "process": os.getpid(), "since": time.strftime("%Y-%m-%d %H:%M:%S")}
        os.pwrite(descriptor, json.dumps(value).encode(), 0)
        yield
        os.ftruncate(descriptor, 0)
    finally:
        os.close(descriptor)


def _wait(descriptor: int, folder: Path, seconds: float, note: Callable[[str], None], what: str) -> None:
    """Until the lock is ours.

    Raises:
        ValueError: its holder lives, or its machine has held it for longer than a lost one can.
    """
    begun, sign, told = time.monotonic(), _life(folder), 0
    while not _taken(descriptor, folder, note, what):
        holder, waited = describe(folder), time.monotonic() - begun
        lost = sign is not None and _life(folder) == sign and seconds > 0
        if waited > (max(seconds, LEASE_SECONDS) if lost else seconds):
            raise refusal(folder, holder, what)
        if told == 0 or (told == 1 and waited > seconds):
            limit = LEASE_SECONDS if told else seconds
            why = ", whose machine says nothing" if told else ""
            note(f"{folder} is held by {holder}{why}; waiting up to {limit:.0f} s for its end")
            told += 1
        time.sleep(POLL_SECONDS)


def _life(folder: Path) -> object:
    """Changes while the holder lives; None where it is on this machine, whose kernel knows, or tells nothing."""
    from pretrain.processes.heartbeat import pulse_of

    try:
        value = json.loads((folder / NAME).read_bytes())
        return None if value["host"] == socket.gethostname() else pulse_of(folder, value["host"], value["process"])
    except (OSError, ValueError, KeyError, TypeError):
        return None


def refusal(folder: Path, who: str, what: str = "training") -> ValueError:
    """What to tell the user whose output is held by somebody else."""
    return ValueError(
        f"{folder}: another {what} writes into this folder ({who}). Stop that one, wait for its end, or choose "
        "another output."
    )


def describe(folder: Path) -> str:
    """Who says to hold the lock."""
    try:
        value = json.loads((folder / NAME).read_bytes())
        return f"process {value['process']} on {value['host']}, since {value['since']}"
    except (OSError, ValueError, KeyError, TypeError):
        return "a process that has not told its name"


def holder(folder: Path) -> str | None:
    """Who trains into ``folder`` now, or None: for a look from outside, nothing is changed."""
    if not (folder / NAME).is_file():
        return None
    with (folder / NAME).open("rb") as handle:
        try:
            fcntl.flock(handle, fcntl.LOCK_SH | fcntl.LOCK_NB)
        except BlockingIOError:
            return describe(folder)
        except OSError:
            return None
    return None


def _taken(descriptor: int, folder: Path, note: Callable[[str], None], what: str) -> bool:
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    except OSError as error:  # a file system without locks
        note(f"{folder}: the file system takes no locks ({error.strerror}); see to it that only one {what} writes here")
    return True
