"""Who is at what: launches that share a folder divide the work instead of doubling it.

    PREPARED/claims/parts-000017     made exclusively by the process that works on it, touched every few seconds,
                                     removed afterwards

A claim is a courtesy, never a lock: every piece of work is a pure function published by one rename, so two processes
that hold the same claim (after a frozen machine came back, say) end in the same bytes. A claim whose process has ended
is taken over at once on the same machine, and after a minute without a touch on another one; time is the file system's
own, so clocks may differ.
"""

from __future__ import annotations

import contextlib
import json
import os
import socket
import threading
import time
import uuid
from collections.abc import Iterator
from pathlib import Path

from data_prep.files import file_clock, started

BEAT_SECONDS, STALE_SECONDS = 5.0, 60.0
_held: set[Path] = set()
_guard = threading.Lock()


@contextlib.contextmanager
def claim(path: Path) -> Iterator[bool]:
    """Hold ``path`` while the block runs, or yield False when a living process holds it."""
    mine = _take(path) or (not is_claimed(path) and _take_over(path))
    if not mine:
        yield False
        return
    with _guard:
        _held.add(path)
        _beating()
    try:
        yield True
    finally:
        with _guard:
            _held.discard(path)
        if _owner(path) == _self():
            path.unlink(missing_ok=True)


def is_claimed(path: Path) -> bool:
    """Does a living process hold ``path``?"""
    owner = _owner(path)
    if owner is not None and owner[0] == socket.gethostname():
        return started(int(owner[1])) == owner[2]
    try:
        return file_clock(path.parent) - path.stat().st_mtime < STALE_SECONDS
    except FileNotFoundError:
        return False


def tidy(folder: Path) -> None:
    """Remove the claims of processes that have ended, and the folder when nothing is left in it."""
    for path in folder.glob("*"):
        if path.name.startswith(".") or not is_claimed(path):
            path.unlink(missing_ok=True)
    with contextlib.suppress(OSError):
        folder.rmdir()


def _self() -> list[str]:
    return [socket.gethostname(), str(os.getpid()), started(os.getpid()) or ""]


def _owner(path: Path) -> list[str] | None:
    """Machine, process and its start; None when nothing readable is there (yet)."""
    try:
        value = json.loads(path.read_bytes())
    except (OSError, ValueError):
        return None
    return [str(item) for item in value] if isinstance(value, list) and len(value) == 3 else None


def _take(path: Path) -> bool:
    for _ in range(3):
        try:
            descriptor = os.open(path, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o666)
        except FileExistsError:
            return False
        except FileNotFoundError:  # another launch has finished and tidied up
            path.parent.mkdir(parents=True, exist_ok=True)
            continue
        try:
            os.write(descriptor, json.dumps(_self()).encode())
        except OSError:
            path.unlink(missing_ok=True)
            raise
        finally:
            os.close(descriptor)
        return True
    return False


def _take_over(path: Path) -> bool:
    stale = path.with_name(f".stale-{uuid.uuid4().hex}")
    with contextlib.suppress(FileNotFoundError):
        path.rename(stale)
    stale.unlink(missing_ok=True)
    return _take(path)


def _beating() -> None:
    """Start the thread that touches what this process holds, unless it runs."""
    if not any(thread.name == "claims" for thread in threading.enumerate()):
        threading.Thread(target=_beat, name="claims", daemon=True).start()


def _beat() -> None:
    while True:
        time.sleep(BEAT_SECONDS)
        with _guard:
            held = list(_held)
        for path in held:
            with contextlib.suppress(OSError):
                os.utime(path)
