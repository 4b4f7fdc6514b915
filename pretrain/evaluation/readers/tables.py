"""Tables of texts and labels: columns between separators, or keys of JSON objects.

    columns {text: 1, label: 0}             numbers of columns from 0; the file has no header
    columns {text: text_a, label: label}    names in the header, which is the first line; keys of JSON objects

Fields are taken as they stand: nothing is quoted. Empty lines are left out.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import NamedTuple

from pretrain.evaluation.readers.json_objects import json_objects
from pretrain.evaluation.readers.lines import is_json, text_lines

Columns = Mapping[str, str | int]


class Row(NamedTuple):
    """One example of a table."""

    place: str
    """FILE:LINE."""
    values: dict[str, str]
    """By the names that the task gives them."""


def rows(path: Path, columns: Columns, separator: str) -> Iterator[Row]:
    """The rows of a table.

    Args:
        columns: the name or number of each value that is wanted.
        separator: between the columns of a file that is no JSON.

    Raises:
        ValueError: a column is missing, or a line has another number of columns than the first; with file and line.
    """
    yield from _of_json(path, columns) if is_json(path) else _of_lines(path, columns, separator)


def _of_json(path: Path, columns: Columns) -> Iterator[Row]:
    for line, item in json_objects(path):
        values = {}
        for name, key in columns.items():
            if key not in item:
                raise ValueError(f"{path}:{line}: no key {key!r} ({name}); it has {', '.join(map(repr, item))}")
            value = item[key]
            if not isinstance(value, str | int | float):
                raise ValueError(f"{path}:{line}: {key!r} ({name}) is {value!r}, not a text or a number")
            values[name] = value if isinstance(value, str) else str(value)
        yield Row(f"{path}:{line}", values)


def _of_lines(path: Path, columns: Columns, separator: str) -> Iterator[Row]:
    places: dict[str, int] = {}
    first, width = 0, 0
    for number, line in text_lines(path):
        if not line.strip():
            continue
        fields = line.split(separator)
        if not places:
            first, width = number, len(fields)
            places = _places(f"{path}:{number}", columns, fields, separator)
            if any(isinstance(column, str) for column in columns.values()):
                continue
        if len(fields) != width:
            raise ValueError(
                f"{path}:{number}: {len(fields)} columns between {separator!r}, where line {first} has {width}"
            )
        yield Row(f"{path}:{number}", {name: fields[place] for name, place in places.items()})


def _places(place: str, columns: Columns, fields: list[str], separator: str) -> dict[str, int]:
    """Where each value stands."""
    found = {}
    for name, column in columns.items():
        if isinstance(column, str):
            if column not in fields:
                raise ValueError(
                    f"{place}: no column {column!r} ({name}) in the header, which has {', '.join(map(repr, fields))} "
                    f"between {separator!r}. A file without a header: give numbers of columns, from 0"
                )
            found[name] = fields.index(column)
        elif column >= len(fields):
            raise ValueError(f"{place}: no column {column} ({name}): {len(fields)} columns between {separator!r}")
        else:
            found[name] = column
    return found
