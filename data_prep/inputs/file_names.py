"""Names of files: patterns -> files, each once; and what a pattern names that cannot be read.

    ["wiki/*.txt", "wiki/../wiki/a.txt"]  ->  files [wiki/a.txt]   left out [wiki/gone.txt: no file]
        again [(wiki/../wiki/a.txt, wiki/a.txt)]

A name that is not UTF-8 reaches Python with lone surrogates in the place of its bytes; it can stand in no plan, report
or shard.
"""

from __future__ import annotations

import glob
import os
import stat
from collections.abc import Iterator, Sequence
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


class FoundFiles(NamedTuple):
    """What paths and patterns name."""

    names: list[str]
    sizes: list[int]
    """In bytes on the disk, of each file; 0 when it lies elsewhere."""
    left_out: list[LeftOut]
    again: list[tuple[str, str]]
    """Other names of a file, and the name under which it is read: links, and ways round through other folders."""

    @property
    def files(self) -> list[Path]:
        """The names as paths."""
        return [Path(name) for name in self.names]


def find_files(patterns: Sequence[str]) -> FoundFiles:
    """The files of paths and patterns, in a stable order. A million of them is looked at with one call for each.

    Raises:
        FileNotFoundError: a path or pattern names no file that can be read.
    """
    sizes: dict[str, int] = {}
    first: dict[tuple[int, int], str] = {}
    left_out: dict[LeftOut, None] = {}
    again: dict[tuple[str, str], None] = {}
    for pattern in patterns:
        unread: list[LeftOut] = []
        matches = 0
        for name, state in matching(pattern, unread):
            matches += 1
            earlier = first.setdefault((state.st_dev, state.st_ino), name)
            if earlier == name:
                sizes[name] = state.st_size
            else:
                again[name, earlier] = None
        if not matches:
            raise FileNotFoundError(f"corpus path {shown_name(pattern)}: {_nothing(pattern, unread)}")
        left_out.update(dict.fromkeys(unread))
    return FoundFiles(list(sizes), list(sizes.values()), list(left_out), list(again))


def matching(pattern: str, left_out: list[LeftOut]) -> Iterator[tuple[str, os.stat_result]]:
    """The files of a path or pattern that can be read, in a stable order, with what they are now.

    The others are added to ``left_out``: links that lead nowhere, files and folders that may not be read, and names
    that are not UTF-8.
    """
    closed = [path for path in _folders(pattern) if not os.access(path, os.R_OK | os.X_OK)]
    left_out += [LeftOut(shown_name(path), CLOSED, "a folder whose files may not be listed") for path in closed]
    for name in _names(pattern):
        seen = _look(name)
        if isinstance(seen, LeftOut):
            left_out.append(seen)
        elif seen is not None:
            yield name, seen


def is_utf8_name(name: str) -> bool:
    """Can the path be written in UTF-8?"""
    return name.isascii() or not any("\ud800" <= character <= "\udfff" for character in name)


def shown_name(path: Path | str) -> str:
    """A path with its bytes that are no UTF-8 as ``\\xb1``."""
    return os.fsencode(path).decode("utf-8", "backslashreplace")


def _names(pattern: str) -> list[str]:
    """Everything of that name; a path that is there is no pattern, even with brackets in it."""
    if os.path.lexists(pattern):
        return [str(Path(pattern))]
    found = glob.glob(pattern, recursive=True)  # noqa: PTH207
    plain = [str(Path(name)) if "//" in name or "./" in name or name.endswith("/") else name for name in found]
    return sorted(plain, key=lambda name: name.split("/"))


def _folders(pattern: str) -> list[Path]:
    """The folders that must be listed to find what a pattern names."""
    parts = Path(pattern).parts
    places = [number for number, part in enumerate(parts) if glob.has_magic(part)]
    if os.path.lexists(pattern) or not places:
        return []
    above = [Path(*parts[:number]) / ("**/" if parts[number] == "**" else "") for number in places]
    return sorted({Path(name) for folder in above for name in glob.glob(f"{folder}/", recursive=True)})  # noqa: PTH207


def _look(name: str) -> os.stat_result | LeftOut | None:
    """A file as it is now; why a name leads to no text; None for a folder."""
    try:
        state = os.stat(name)  # noqa: PTH116 (a Path for each of a million names takes more time than all the rest)
    except PermissionError:
        return LeftOut(shown_name(name), CLOSED, "in a folder that may not be entered")
    except OSError:
        path = Path(name)
        detail = (
            f"a link to {shown_name(path.readlink())}, where there is nothing"
            if path.is_symlink()
            else "nothing is there"
        )
        return LeftOut(shown_name(name), ABSENT, detail)
    if stat.S_ISDIR(state.st_mode):
        return None
    if not stat.S_ISREG(state.st_mode):
        return LeftOut(shown_name(name), ABSENT, "a pipe, a socket or a device")
    if not is_utf8_name(name):
        return LeftOut(shown_name(name), MISNAMED, "rename it")
    return state if os.access(name, os.R_OK) else LeftOut(shown_name(name), CLOSED, "no permission to read it")


def _nothing(pattern: str, unread: Sequence[LeftOut]) -> str:
    """Why a pattern names no file."""
    here = f"(looked from {Path.cwd()})"
    if not unread:
        return (
            f"{'it is a folder; add a pattern such as /*.jsonl' if Path(pattern).is_dir() else 'no such file'} {here}"
        )
    example = unread[0]
    if all(item.reason == MISNAMED for item in unread):
        return f"only files whose names are not UTF-8, such as {example.path}. Rename them."
    return f"nothing that can be read, such as {example.path}: {example.reason} ({example.detail}) {here}"
