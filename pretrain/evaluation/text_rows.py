"""Lines and JSON objects of evaluation files, each with its place for error messages; `.gz` files are read as they are.

a.jsonl, line 2: {"q": "北京"}   ->   Row("a.jsonl:2", {"q": "北京"})
"""

from __future__ import annotations

import gzip
import json
import zlib
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, NamedTuple


class Row(NamedTuple):
    """A JSON object and where it stands."""

    place: str
    """FILE:LINE."""
    values: dict[str, Any]

    def text(self, name: str) -> str:
        """A text that must be there.

        Raises:
            ValueError: it is missing, empty or no text.
        """
        value = self.values.get(name)
        if not isinstance(value, str) or not value.strip():
            what = f"`{name}` is {json.dumps(value, ensure_ascii=False)}" if name in self.values else f"lacks `{name}`"
            raise ValueError(f"{self.place}: {what}, where a text is needed; it has {', '.join(self.values) or 'none'}")
        return value

    def name(self, name: str) -> str:
        """A text that must be there and can be part of the name of a figure.

        Raises:
            ValueError: as ``text``, or it holds characters that cannot be printed.
        """
        value = self.text(name)
        if not value.isprintable():
            raise ValueError(f"{self.place}: `{name}` is {value!r}, which cannot be printed")
        return value

    def texts(self, name: str) -> list[str]:
        """A list of texts that must be there.

        Raises:
            ValueError: it is missing, empty, or not all are texts.
        """
        value = self.values.get(name)
        if not isinstance(value, list) or not value or not all(isinstance(item, str) and item for item in value):
            raise ValueError(f"{self.place}: `{name}` must be a list of texts, found {json.dumps(value)[:80]}")
        return value


def check_files(setting: str, paths: Sequence[str]) -> list[Path]:
    """The files of a setting.

    Raises:
        ValueError: there is none, one is named twice, or is not there.
    """
    if not paths:
        raise ValueError(f"{setting}: at least one file is needed")
    if len(set(paths)) < len(paths):
        raise ValueError(f"{setting}: {', '.join(paths)} names a file twice")
    files = [Path(path) for path in paths]
    for file in files:
        if not file.is_file():
            raise ValueError(f"{setting}: {file}: no such file (looked from {Path.cwd()})")
    return files


def lines(file: Path) -> Iterator[tuple[str, str]]:
    """(FILE:LINE, line) of all lines that hold anything; lines end in \\n only.

    Raises:
        ValueError: not UTF-8, not gzip though its name says so, or nothing in it.
    """
    opener = gzip.open if file.suffix == ".gz" else open
    empty, number = True, 0
    try:
        with opener(file, "rb") as stream:
            for number, raw in enumerate(stream, 1):
                line = raw.decode("utf-8-sig" if number == 1 else "utf-8").rstrip("\r\n")
                if line.strip():
                    empty = False
                    yield f"{file}:{number}", line
    except UnicodeDecodeError as error:
        raise ValueError(f"{file}:{number}: not UTF-8 ({error.reason} at byte {error.start} of the line)") from None
    except (gzip.BadGzipFile, zlib.error, EOFError) as error:
        raise ValueError(f"{file}: cannot be decompressed ({error}); copy it again") from None
    if empty:
        raise ValueError(f"{file}: there is nothing in it")


def json_rows(file: Path) -> Iterator[Row]:
    """The objects of a file with one on each line.

    Raises:
        ValueError: as ``lines``, or a line is no JSON object.
    """
    for place, line in lines(file):
        try:
            value = json.loads(line)
            if "\\ud" in line.lower():  # half of a character that takes two is no text
                json.dumps(value, ensure_ascii=False).encode()
        except (ValueError, RecursionError) as error:
            raise ValueError(f"{place}: not JSON ({error})") from None
        if not isinstance(value, dict):
            raise ValueError(f"{place}: a JSON object is needed, found {type(value).__name__}")
        yield Row(place, value)
