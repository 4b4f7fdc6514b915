"""Lines of a text file in UTF-8, plain or gzipped, with their numbers."""

from __future__ import annotations

import gzip
import zlib
from collections.abc import Iterator
from pathlib import Path

JSON_SUFFIXES = (".json", ".jsonl")


def text_lines(path: Path) -> Iterator[tuple[int, str]]:
    """Number (from 1) and text of every line, without its end; a byte order mark is left out.

    Raises:
        ValueError: the file cannot be read, or a line is not UTF-8.
    """
    try:
        with gzip.open(path) if path.suffix == ".gz" else path.open("rb") as stream:
            for number, line in enumerate(stream, 1):
                try:
                    text = line.decode("utf-8-sig" if number == 1 else "utf-8")
                except UnicodeDecodeError as error:
                    raise ValueError(f"{path}:{number}: not UTF-8 ({error.reason})") from None
                yield number, text.rstrip("\r\n")
    except (OSError, EOFError, zlib.error) as error:
        raise ValueError(f"{path}: cannot be read ({error})") from None


def is_json(path: Path) -> bool:
    """Does the name say JSON (.json, .jsonl, each also with .gz)?"""
    return Path(path.name.removesuffix(".gz")).suffix.lower() in JSON_SUFFIXES
