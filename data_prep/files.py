"""Files that are either complete or absent: write to a temporary name, fsync, rename.

    write_atomic(path, bytes)            one file
    with staged_folder(path) as tmp:     a folder that appears under its name only when the block succeeded
    sha256_file(path)                    content hash

A reader that sees the final name sees the whole content, whatever was killed meanwhile. Losing the race to publish a folder
is a success: contents here are pure functions of their inputs.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import shutil
import socket
import uuid
from collections.abc import Iterator
from pathlib import Path
from typing import Any

STAGING_PREFIX = ".staging-"


def staging_name(name: str) -> str:
    """A temporary name that tells which process made it, so that only the left-overs of dead ones are removed."""
    return f"{STAGING_PREFIX}{name}-{socket.gethostname()}-{os.getpid()}-{uuid.uuid4().hex[:12]}"


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
        raise ValueError(f"{path} is damaged ({error}). Restore it, or delete its folder and run the step again.") from None


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
    """Delete what killed processes of this machine left behind in ``folder``; the work of living ones stays."""
    for left_over in folder.glob(f"{STAGING_PREFIX}*-{socket.gethostname()}-*"):
        process = left_over.name.rsplit("-", 2)[1]
        if process.isdigit() and _lives(int(process)):
            continue
        if left_over.is_dir():
            shutil.rmtree(left_over, ignore_errors=True)
        else:
            left_over.unlink(missing_ok=True)


def _lives(process: int) -> bool:
    try:
        os.kill(process, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return True


def sha256_file(path: Path) -> str:
    """Hex sha256 of the content of ``path``."""
    with path.open("rb") as handle:
        return hashlib.file_digest(handle, "sha256").hexdigest()


def sha256_json(value: Any) -> str:
    """Hex sha256 of ``value`` written as canonical JSON: the fingerprint of settings."""
    return hashlib.sha256(json.dumps(value, sort_keys=True, ensure_ascii=False).encode()).hexdigest()
