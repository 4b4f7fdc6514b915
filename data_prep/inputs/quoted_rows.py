"""The rows of a CSV file, whose quoted fields may hold line breaks."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterator
from typing import IO

from data_prep.inputs.streams import LONGEST_DOCUMENT

MAX_ROW_LINES = 1000
"""A quote that is not closed within so many lines is taken for a stray one: its line stands alone."""


def quoted_rows(stream: IO[bytes]) -> Iterator[bytes]:
    """The rows of a CSV file: lines, joined while a quoted field is open. Where that leads to no row, the first line
    stands alone."""
    waiting: list[bytes] = []
    while line := waiting.pop(0) if waiting else stream.readline(LONGEST_DOCUMENT):
        row, lines = line, [line]
        state = _state(row) if b'"' in line else "row"
        while state == "open" and len(lines) < MAX_ROW_LINES and len(row) < LONGEST_DOCUMENT:
            more = waiting.pop(0) if waiting else stream.readline(LONGEST_DOCUMENT)
            if not more:
                break
            lines.append(more)
            row += more
            state = _state(row) if b'"' in more else "open"
        if len(lines) > 1 and state != "row":
            waiting[:0] = lines[1:]
            row = line
        yield row


def _state(row: bytes) -> str:
    """`row`; `open` when the text ends inside a quoted field; `malformed`."""
    try:
        list(csv.reader(io.StringIO(row.decode("utf-8", "replace"), newline=""), strict=True))
    except csv.Error as error:
        return "open" if "unexpected end of data" in str(error) else "malformed"
    return "row"
