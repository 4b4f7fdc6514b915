"""One training at a time in a run's folder: a lock that names its holder and dies with it.

    with held(RUN, wait_seconds, note):  ...      RUN/lock holds host, process and time while the block runs

The lock is the kernel's (flock), so it is gone the moment its process is, however it ended, and it reaches across
machines on file systems that pass it on (NFS 4, Lustre with -o flock). The file only tells who holds it.
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
        deadline, told = time.monotonic() + wait_seconds, False
        while not _taken(descriptor, folder, note, what):
            holder = describe(folder)
            if time.monotonic() > deadline:
                raise refusal(folder, holder, what)
            if not told:
                note(f"{folder} is held by {holder}; waiting up to {wait_seconds:.0f} s for its end")
                told = True
            time.sleep(POLL_SECONDS)
        os.ftruncate(descriptor, 0)
        value = {"host": socket.gethostname(), "process": os.getpid(), "since": time.strftime("%Y-%m-%d %H:%M:%S")}
        os.pwrite(descriptor, json.dumps(value).encode(), 0)
        yield
        os.ftruncate(descriptor, 0)
    finally:
        os.close(descriptor)


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
