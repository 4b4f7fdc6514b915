"""Files that are either complete or absent: write to a temporary name, fsync, rename.

    write_atomic(path, bytes)            one file
    with staged_folder(path) as tmp:     a folder that appears under its name only when the block succeeded
    remove_staging(folder)               what killed processes left behind
    sha256_file(path)                    content hash

A reader that sees the final name sees the whole content, whatever was killed meanwhile. Losing the race to publish a
folder is a success: contents here are pure functions of their inputs.

    .staging-plan.json@node3@4711@815@0123456789ab      name, machine, process, its start in the kernel's unit, a random
                                                        number

A temporary name tells who made it, so that the left-overs of a process of this machine go as soon as it has ended. What
another machine left (or an earlier version, which named them otherwise) goes when nothing in it was modified for a day.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import re
import shutil
import socket
import sys
import time
import uuid
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

STAGING_PREFIX = ".staging-"
ABANDONED_SECONDS = 24 * 3600.0
"""What a machine that cannot be asked left unmodified for so long is nobody's work any more."""
LONGEST_NAME = 80
"""Bytes of the name that a temporary name repeats: all of it must fit into the 255 that file systems allow."""
_STAGED = re.compile(re.escape(STAGING_PREFIX) + r"(.*)@([^@]+)@(\d+)@(\d*)@[0-9a-f]{12}", re.DOTALL)


class Maker(NamedTuple):
    """Who made a temporary file or folder, as its name tells."""

    name: str
    """What it is to become."""
    host: str
    process: int
    start: str
    """When the process began, as ``started`` has it: a number is soon used again for another process."""

    @property
    def is_here(self) -> bool:
        """Was it made on this machine?"""
        return self.host == _host()

    @property
    def lives(self) -> bool:
        """Does the process still run? Known on its own machine only."""
        return started(self.process) == self.start


def staging_name(name: str) -> str:
    """A temporary name that tells which process made it, so that only the left-overs of dead ones are removed."""
    short = name.replace("@", "_").encode()[:LONGEST_NAME].decode(errors="ignore")
    process = os.getpid()
    return f"{STAGING_PREFIX}{short}@{_host()}@{process}@{started(process) or ''}@{uuid.uuid4().hex[:12]}"


def maker_of(staging: str) -> Maker | None:
    """Who made a temporary name; None when ``staging_name`` did not."""
    found = _STAGED.fullmatch(staging)
    return Maker(found[1], found[2], int(found[3]), found[4]) if found else None


def _host() -> str:
    return re.sub(r"[@/]", "_", socket.gethostname()) or "_"


def started(process: int) -> str | None:
    """When a process of this machine began, in the kernel's own unit; None when it has ended."""
    if sys.platform == "linux":
        try:
            fields = Path(f"/proc/{process}/stat").read_text(errors="replace").rpartition(")")[2].split()
        except OSError:
            return None
        return None if fields[0] in "ZX" else fields[19]
    try:
        os.kill(process, 0)
    except (ProcessLookupError, OverflowError):
        return None
    except PermissionError:
        pass
    return ""


def file_clock(folder: Path) -> float:
    """The time by the clock that stamps files in ``folder``, which may differ from this machine's."""
    probe = folder / staging_name("now")
    try:
        probe.touch()
        return probe.stat().st_mtime
    except OSError:
        return time.time()
    finally:
        with contextlib.suppress(OSError):
            probe.unlink(missing_ok=True)


def fsync_folder(folder: Path) -> None:
    """Make the names inside ``folder`` durable."""
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def fsync_file(path: Path) -> None:
    """Make the content of ``path`` durable."""
    with path.open("rb") as handle:
        os.fsync(handle.fileno())


def write_atomic(path: Path, content: bytes | str) -> None:
    """Write ``content`` to ``path`` so that a reader sees the old file or the new one, never a part of it."""
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(staging_name(path.name))
    try:
        with temporary.open("wb") as handle:
            handle.write(content.encode() if isinstance(content, str) else content)
            handle.flush()
            os.fsync(handle.fileno())
        temporary.replace(path)
    except BaseException:
        temporary.unlink(missing_ok=True)
        raise
    fsync_folder(path.parent)


def write_json(path: Path, value: Any) -> None:
    """Write ``value`` as indented JSON in the order of its keys, atomically."""
    write_atomic(path, json.dumps(value, indent=1, ensure_ascii=False) + "\n")


def read_json(path: Path) -> Any:
    """Read a JSON file written by us.

    Raises:
        ValueError: the file is not JSON; says which file and what to do.
    """
    try:
        return json.loads(path.read_bytes())
    except ValueError as error:
        raise ValueError(
            f"{path} is damaged ({error}). Restore it, or delete its folder and run the step again."
        ) from None


@contextlib.contextmanager
def staged_folder(path: Path) -> Iterator[Path]:
    """A temporary folder beside ``path`` that is renamed to ``path`` when the block ends without an exception.

    When ``path`` already exists by then, another process finished the same work first, and ours is discarded.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(staging_name(path.name))
    temporary.mkdir()
    try:
        yield temporary
        for file in temporary.rglob("*"):
            if file.is_file():
                fsync_file(file)
        fsync_folder(temporary)
        try:
            temporary.rename(path)
        except OSError:
            if not path.is_dir():
                raise
        fsync_folder(path.parent)
    finally:
        shutil.rmtree(temporary, ignore_errors=True)


def remove_staging(folder: Path) -> None:
    """Delete what killed processes left behind in ``folder``; the work of living ones stays."""
    now: float | None = None
    for left_over in folder.glob(f"{STAGING_PREFIX}*"):
        maker = maker_of(left_over.name)
        if maker and maker.is_here:
            if maker.lives:
                continue
        else:
            now = file_clock(folder) if now is None else now
            if now - _last_modified(left_over) < ABANDONED_SECONDS:
                continue
        if left_over.is_dir() and not left_over.is_symlink():
            shutil.rmtree(left_over, ignore_errors=True)
        else:
            with contextlib.suppress(OSError):
                left_over.unlink(missing_ok=True)


def _last_modified(path: Path) -> float:
    """The newest modification of a file, or of a folder and everything in it; now and later when it is gone or cannot
    be read."""
    newest = 0.0
    try:
        for place in (path, *path.rglob("*")):
            newest = max(newest, place.lstat().st_mtime)
    except OSError:  # it is being worked on, or removed by another
        return float("inf")
    return newest


def sha256_file(path: Path) -> str:
    """Hex sha256 of the content of ``path``."""
    with path.open("rb") as handle:
        return hashlib.file_digest(handle, "sha256").hexdigest()


def sha256_json(value: Any) -> str:
    """Hex sha256 of ``value`` written as canonical JSON: the fingerprint of settings."""
    return hashlib.sha256(json.dumps(value, sort_keys=True, ensure_ascii=False).encode()).hexdigest()
