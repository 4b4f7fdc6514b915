"""A table of words for a terminal: a column of names and columns of figures, broken into blocks where it is too wide.

    grid(["a", "b"], [Column("one", [Word("1"), Word("2")])], 80)   ->   lines:  "     one", "a      1", "b      2"

Widths are columns of a terminal: a Han character takes two.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import groupby
from typing import NamedTuple

from launch.views.words import Line, Word

BETWEEN = 2
HEADS = (16, 12, 10, 8, 6)
"""Columns of the longest heading, the widest that fits."""
LONGEST_NAME = 28


class Column(NamedTuple):
    """A column of figures."""

    head: str
    cells: Sequence[Word]
    above: str = ""
    """A heading over several columns in a row that have the same."""


def grid(names: Sequence[str], columns: Sequence[Column], width: int, indent: int = 2) -> Iterator[Line]:
    """Lines of the table. Headings are cut where that makes it fit; else it is broken into blocks, and each repeats
    the names. Columns with one heading above them stay together where they can."""
    left = indent + min(max(map(cell_len, names), default=0), LONGEST_NAME)
    groups = [list(group) for _, group in groupby(columns, key=lambda column: column.above)]
    for longest in HEADS:
        sizes = [[_width(column, longest) for column in group] for group in groups]
        if left + max(map(sum, sizes), default=0) <= width:
            break
    for number, block in enumerate(_blocks(groups, sizes, width - left)):
        if number:
            yield []
        yield from _block(names, [column for column, _ in block], [size for _, size in block], left, indent)


def _blocks(
    groups: Sequence[Sequence[Column]], sizes: Sequence[Sequence[int]], room: int
) -> Iterator[list[tuple[Column, int]]]:
    """Columns with their widths that stand side by side."""
    block: list[tuple[Column, int]] = []
    used = 0
    for group, widths in zip(groups, sizes, strict=True):
        if block and used + sum(widths) > room:
            yield block
            block, used = [], 0
        for column, width in zip(group, widths, strict=True):
            if block and used + width > room:
                yield block
                block, used = [], 0
            block.append((column, width))
            used += width
    if block:
        yield block


def _width(column: Column, longest: int) -> int:
    cells = max((cell_len(cell.text) for cell in column.cells), default=0)
    return BETWEEN + max(cells, min(cell_len(column.head), longest))


def _block(
    names: Sequence[str], columns: Sequence[Column], widths: Sequence[int], left: int, indent: int
) -> Iterator[Line]:
    if any(column.above for column in columns):
        yield [Word(" " * left), *_above(columns, widths)]
    heads = "".join(
        padded(cut(column.head, width - BETWEEN), width, right=True)
        for column, width in zip(columns, widths, strict=True)
    )
    yield [Word(" " * left + heads, "dim")]
    for number, name in enumerate(names):
        line = [Word(" " * indent + padded(cut(name, left - indent), left - indent))]
        for column, width in zip(columns, widths, strict=True):
            cell = column.cells[number]
            line += [Word(" " * (width - cell_len(cell.text))), cell]
        yield line


def _above(columns: Sequence[Column], widths: Sequence[int]) -> Iterator[Word]:
    """Headings over runs of columns: `-- name --`."""
    number = 0
    while number < len(columns):
        name, room = columns[number].above, 0
        while number < len(columns) and columns[number].above == name:
            room += widths[number]
            number += 1
        text = f" {cut(name, max(room - 4, 1))} " if name else ""
        free = max(room - BETWEEN - cell_len(text), 0) if name else 0
        line = "─" * (free // 2) + text + "─" * (free - free // 2)
        yield Word(padded(line, room, right=True), "title" if name else "")


def cell_len(text: str) -> int:
    """Columns of a terminal that a text takes."""
    from rich import cells

    return cells.cell_len(text)


def cut(text: str, room: int) -> str:
    """The text, or its beginning and `…` where it is longer."""
    if cell_len(text) <= room:
        return text
    while text and cell_len(text) > room - 1:
        text = text[:-1]
    return text + "…"


def padded(text: str, room: int, right: bool = False) -> str:
    """The text with spaces up to ``room`` columns, behind it or (``right``) before it."""
    spaces = " " * (room - cell_len(text))
    return spaces + text if right else text + spaces


def wrapped(text: str, width: int, indent: int) -> list[str]:
    """A text as lines, the later ones indented by two more; a word that is too long for a line is cut into pieces."""
    found, line = [], " " * indent
    empty = True
    for word in text.split():
        while True:
            joined = line + ("" if empty else " ") + word
            if cell_len(joined) <= width:
                line, empty = joined, False
                break
            if empty:
                kept = cut(joined, width + 1)[:-1]
                word = word[len(kept) - len(line) :]
                line = kept
            found.append(line)
            line, empty = " " * (indent + 2), True
    return [*found, line]
