"""The user's evaluation files as a list of texts with their places: what must not be found in the training corpus.

    .txt             every line
    .jsonl .json     texts under the given keys, at any depth; every text when no keys are given (.json: one value, or a
                     value a line)
    .csv .tsv        the given columns by their names in the first line; every column of every line when none are given

All may be .gz, .zst, .bz2 or .xz.  test.jsonl, line 2: {"q": "...", "choices": ["...", "..."]}
    ->  ("test.jsonl:2", "...") three times
"""

from __future__ import annotations

import csv
import io
from collections.abc import Collection, Iterator
from pathlib import Path
from typing import Any

from data_prep.inputs.file_names import LeftOut, matching
from data_prep.inputs.streams import COMPRESSED, lines_within, open_bytes

FORMATS = (".txt", ".jsonl", ".json", ".csv", ".tsv")
BOM = b"\xef\xbb\xbf"
csv.field_size_limit(1 << 30)


def file_format(path: Path) -> str:
    """The suffix without the compression's.

    Raises:
        ValueError: a format that is not read here.
    """
    name = path.name
    for suffix in COMPRESSED:
        name = name.removesuffix(suffix)
    if Path(name).suffix not in FORMATS:
        raise ValueError(
            f"{path}: {Path(name).suffix or 'no suffix'} is not one of {', '.join(FORMATS)} (each may be "
            f"{', '.join(COMPRESSED)})"
        )
    return Path(name).suffix


def find_evaluation_files(paths: Collection[str]) -> list[Path]:
    """All files, patterns expanded, in a stable order.

    Raises:
        FileNotFoundError: a path or pattern matches nothing.
        ValueError: one of the files cannot be read.
    """
    found: dict[Path, None] = {}
    for pattern in paths:
        unread: list[LeftOut] = []
        files = [Path(name) for name, _ in matching(pattern, unread)]
        if unread:
            raise ValueError(
                f"evaluation file {unread[0].path}: {unread[0].reason} ({unread[0].detail}); its texts would stay in "
                "the corpus"
            )
        if not files:
            raise FileNotFoundError(f"evaluation file {pattern}: no such file (looked from {Path.cwd()})")
        found.update(dict.fromkeys(files))
    return list(found)


def read_texts(path: Path, keys: Collection[str]) -> Iterator[tuple[str, str]]:
    """(place, text) for every text of a file.

    Raises:
        ValueError: something in the file cannot be read, or none of the keys occurs; names file and line.
    """
    kind = file_format(path)
    with open_bytes(path) as stream:
        try:
            if kind == ".txt":
                for number, line in enumerate(lines_within(stream, path), 1):
                    yield f"{path.name}:{number}", line.decode("utf-8-sig" if number == 1 else "utf-8")
            elif kind in (".csv", ".tsv"):
                yield from _table(
                    path, io.TextIOWrapper(stream, "utf-8-sig", newline=""), "," if kind == ".csv" else "\t", keys
                )
            else:
                yield from _json(
                    path,
                    enumerate(_one_value(stream.read()) if kind == ".json" else lines_within(stream, path), 1),
                    keys,
                )
        except UnicodeDecodeError as error:
            raise ValueError(
                f"{path} is not UTF-8 ({error.reason} at byte {error.start} of a line). Convert it, or leave it out."
            ) from None


def _one_value(content: bytes) -> list[bytes]:
    """The content of a .json file as one value; many are lists of lines under the wrong name."""
    import orjson

    try:
        orjson.loads(content.removeprefix(BOM))
    except orjson.JSONDecodeError:
        return content.splitlines()
    return [content]


def _json(path: Path, lines: Iterator[tuple[int, bytes]], keys: Collection[str]) -> Iterator[tuple[str, str]]:
    import orjson

    found = False
    for number, line in lines:
        if not line.strip():
            continue
        try:
            value = orjson.loads(line.removeprefix(BOM))
        except orjson.JSONDecodeError as error:
            raise ValueError(f"{path}:{number}: not JSON ({error})") from None
        for text in _texts(value, keys, not keys):
            found = True
            yield f"{path.name}:{number}", text
    if not found:
        raise ValueError(f"{path}: no text {'under the keys ' + ', '.join(sorted(keys)) if keys else 'in it'}")


def _texts(value: Any, keys: Collection[str], wanted: bool) -> Iterator[str]:
    if isinstance(value, str):
        if wanted:
            yield value
    elif isinstance(value, list):
        for item in value:
            yield from _texts(item, keys, wanted)
    elif isinstance(value, dict):
        for key, item in value.items():
            yield from _texts(item, keys, wanted or key in keys)


def _table(path: Path, stream: io.TextIOWrapper, delimiter: str, keys: Collection[str]) -> Iterator[tuple[str, str]]:
    # Quotation marks have no meaning in most .tsv files: "5 o'clock" must not swallow the rest of the file.
    rows = csv.reader(stream, delimiter=delimiter, quoting=csv.QUOTE_MINIMAL if delimiter == "," else csv.QUOTE_NONE)
    columns: list[int] | None = None
    try:
        for row in rows:
            if columns is None and keys:
                if missing := sorted(set(keys) - set(row)):
                    raise ValueError(f"{path}:1: no column {', '.join(missing)}; columns here: {', '.join(row)}")
                columns = [index for index, name in enumerate(row) if name in keys]
                continue
            for cell in row if columns is None else [row[index] for index in columns if index < len(row)]:
                yield f"{path.name}:{rows.line_num}", cell
    except csv.Error as error:
        raise ValueError(f"{path}:{rows.line_num}: {error}") from None
