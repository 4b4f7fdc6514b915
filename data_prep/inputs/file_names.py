"""Names of files: patterns -> files, each once; and what a pattern names that cannot be read.

    ["wiki/*.txt", "wiki/../wiki/a.txt"]  ->  files [wiki/a.txt]   left out [wiki/gone.txt: no file]   again [(wiki/../wiki/a.txt, wiki/a.txt)]

A name that is not UTF-8 reaches Python with lone surrogates in the place of its bytes; it can stand in no plan, report or shard.
"""

from __future__ import annotations

import glob
import os
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

MISNAMED, ABSENT, CLOSED = "name not UTF-8", "no file", "not readable"
"""Reasons of what is left out."""


class LeftOut(NamedTuple):
    """Something that a pattern names and that is not read."""

    path: str
    """As it can be shown."""
    reason: str
    detail: str


class Found(NamedTuple):
    """What paths and patterns name."""

    files: list[Path]
    left_out: list[LeftOut]
    again: list[tuple[Path, Path]]
    """Other names of a file, and the name under which it is read: links, and ways round through other folders."""


def find_files(patterns: Sequence[str]) -> Found:
    """The files of paths and patterns, in a stable order.

    Raises:
        FileNotFoundError: a path or pattern names no file that can be read.
    """
    files: dict[Path, None] = {}
    first: dict[tuple[int, ...], Path] = {}
    left_out: dict[LeftOut, None] = {}
    again: dict[tuple[Path, Path], None] = {}
    for pattern in patterns:
        matches, unread = matching_files(pattern), left_out_by(pattern)
        if not matches:
            raise FileNotFoundError(f"corpus path {shown_name(pattern)}: {_nothing(pattern, unread)}")
        left_out.update(dict.fromkeys(unread))
        for match in matches:
            earlier = first.setdefault(_content(match), match)
            if earlier == match:
                files[match] = None
            else:
                again[match, earlier] = None
    return Found(list(files), list(left_out), list(again))


def matching_files(pattern: str) -> list[Path]:
    """The files of a path or pattern that can be read, in a stable order."""
    return [path for path in _names(pattern) if _left_out(path) is None and path.is_file()]


def left_out_by(pattern: str) -> list[LeftOut]:
    """What a path or pattern names beside them: links that lead nowhere, files and folders that may not be read, names that are not UTF-8."""
    closed = [path for path in _folders(pattern) if not os.access(path, os.R_OK | os.X_OK)]
    folders = [LeftOut(shown_name(path), CLOSED, "a folder whose files may not be listed") for path in closed]
    return folders + [found for path in _names(pattern) if (found := _left_out(path)) is not None]


def is_utf8_name(path: Path) -> bool:
    """Can the path be written in UTF-8?"""
    return not any("\ud800" <= character <= "\udfff" for character in str(path))


def shown_name(path: Path | str) -> str:
    """A path with its bytes that are no UTF-8 as ``\\xb1``."""
    return os.fsencode(path).decode("utf-8", "backslashreplace")


def _names(pattern: str) -> list[Path]:
    """Everything of that name; a path that is there is no pattern, even with brackets in it."""
    return [Path(pattern)] if os.path.lexists(pattern) else sorted(Path(name) for name in glob.glob(pattern, recursive=True))  # noqa: PTH207


def _folders(pattern: str) -> list[Path]:
    """The folders that must be listed to find what a pattern names."""
    parts = Path(pattern).parts
    places = [number for number, part in enumerate(parts) if glob.has_magic(part)]
    if os.path.lexists(pattern) or not places:
        return []
    above = [Path(*parts[:number]) / ("**/" if parts[number] == "**" else "") for number in places]
    return sorted({Path(name) for folder in above for name in glob.glob(f"{folder}/", recursive=True)})  # noqa: PTH207


def _left_out(path: Path) -> LeftOut | None:
    """Why a name leads to no text; None when it does, or is a folder's."""
    shown = shown_name(path)
    try:
        path.stat()
    except PermissionError:
        return LeftOut(shown, CLOSED, "in a folder that may not be entered")
    except OSError:
        return LeftOut(shown, ABSENT, f"a link to {shown_name(path.readlink())}, where there is nothing" if path.is_symlink() else "nothing is there")
    if path.is_dir():
        return None
    if not path.is_file():
        return LeftOut(shown, ABSENT, "a pipe, a socket or a device")
    if not is_utf8_name(path):
        return LeftOut(shown, MISNAMED, "rename it")
    return None if os.access(path, os.R_OK) else LeftOut(shown, CLOSED, "no permission to read it")


def _content(path: Path) -> tuple[int, ...]:
    """Equal for two names of one file."""
    state = path.stat()
    return state.st_dev, state.st_ino, state.st_size, state.st_mtime_ns


def _nothing(pattern: str, unread: Sequence[LeftOut]) -> str:
    """Why a pattern names no file."""
    here = f"(looked from {Path.cwd()})"
    if not unread:
        return f"{'it is a folder; add a pattern such as /*.jsonl' if Path(pattern).is_dir() else 'no such file'} {here}"
    example = unread[0]
    if all(item.reason == MISNAMED for item in unread):
        return f"only files whose names are not UTF-8, such as {example.path}. Rename them."
    return f"nothing that can be read, such as {example.path}: {example.reason} ({example.detail}) {here}"
