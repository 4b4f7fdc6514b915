"""Names of files: patterns -> files, and names that are not UTF-8.

A name that is not UTF-8 reaches Python with lone surrogates in the place of its bytes; it can stand in no plan, report or shard.
"""

from __future__ import annotations

import glob
import os
from pathlib import Path


def matching_files(pattern: str) -> list[Path]:
    """The files of a path or pattern, in a stable order."""
    path = Path(pattern)
    found = [path] if path.is_file() else sorted(Path(name) for name in glob.glob(pattern, recursive=True))  # noqa: PTH207 (absolute patterns)
    return [match for match in found if match.is_file()]


def is_utf8_name(path: Path) -> bool:
    """Can the path be written in UTF-8?"""
    return not any("\ud800" <= character <= "\udfff" for character in str(path))


def shown_name(path: Path | str) -> str:
    """A path with its bytes that are no UTF-8 as ``\\xb1``."""
    return os.fsencode(path).decode("utf-8", "backslashreplace")
