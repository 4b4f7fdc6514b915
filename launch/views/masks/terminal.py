"""A comparison of masks on the terminal: the sample under each scheme in the same layout, then the tables.

whole_unit                                 19 of 126 tokens hidden, 15.1 %
  他 1998 年 考 入 {哈 尔 滨 工 业 大 学}    equal line breaks under every scheme: rows are broken between tokens
  15 % of the tokens ...; 80 % [MASK] ...
"""

from __future__ import annotations

import textwrap
from collections.abc import Iterator, Sequence
from typing import Any

from launch.shell.console import rich_console
from launch.views.masks.comparison import Comparison, Shown
from launch.views.masks.tables import Table, description, hidden_words, reading, tables
from launch.views.terminal import has_colours, print_lines
from launch.views.words import Line, Word, cells, legend

INDENT = 2
WIDEST, NARROW = 120, 100
SHORT = {"hidden": "all", "phrase": "phr.", "entity": "ent."}
"""Column titles where there is little room."""


def print_comparison(comparison: Comparison) -> None:
    """The whole view, as wide as the terminal (at most 120 columns)."""
    console = rich_console(highlight=False)
    width = min(console.width, WIDEST)
    print_lines(comparison_lines(comparison, width, has_colours(console)))
    for table in tables(comparison):
        print_lines([[], *dim_lines(table.title, width)])
        console.print(rich_table(table, narrow=width < NARROW))
    print_lines(closing_lines(comparison, width))


def comparison_lines(comparison: Comparison, width: int, colours: bool) -> Iterator[Line]:
    """The sample under every scheme."""
    yield [Word(comparison.title, "title")]
    yield from dim_lines(comparison.where, width)
    yield legend()
    drawn = [cells(shown.pieces) for shown in comparison.shown]
    widths = [max(cell_width(cell, colours) for cell in column) for column in zip(*drawn, strict=True)]
    for shown, own in zip(comparison.shown, drawn, strict=True):
        yield []
        yield [Word(shown.scheme.name, "title"), Word(f"   {hidden_words(shown)}", "dim")]
        yield from wrapped(own, widths, width - INDENT)
        if colours and (replaced := replacements(shown)):
            yield from dim_lines("put in: " + replaced, width)
        yield from dim_lines(description(shown), width)


def replacements(shown: Shown) -> str:
    """The random tokens and similar words of the sample, where colours alone tell that there are some."""
    signs = {"random": "→", "similar": "≈"}
    return "  ".join(
        f"{piece.token}{signs[piece.action]}{piece.replaced_by}" for piece in shown.pieces if piece.action in signs
    )


def wrapped(tokens: Sequence[Line], widths: Sequence[int], width: int) -> Iterator[Line]:
    """Rows of tokens, each of at most ``width`` columns, indented; equal ``widths`` of the tokens break equally."""
    row: Line = []
    used = 0
    for cell, size in zip(tokens, widths, strict=True):
        if row and used + size > width:
            yield [Word(" " * INDENT), *row]
            row, used = [], 0
        row, used = [*row, *(cell if row or cell[0].text != " " else cell[1:])], used + size
    yield [Word(" " * INDENT), *row]


def cell_width(cell: Line, colours: bool) -> int:
    """Columns that a token takes."""
    from rich.cells import cell_len

    return sum(cell_len(word.text if colours or not word.plain else word.plain) for word in cell)


def dim_lines(text: str, width: int) -> Iterator[Line]:
    """Quiet text in rows, indented."""
    return ([Word(" " * INDENT + part, "dim")] for part in textwrap.wrap(text, width - INDENT))


def closing_lines(comparison: Comparison, width: int) -> Iterator[Line]:
    """How to read the tables, and the schemes that are not in them."""
    yield []
    yield from dim_lines(reading(comparison), width)
    for name, reason in comparison.missing.items():
        yield [Word(f"not drawn: {name} ", "title"), Word(reason, "dim")]


def rich_table(content: Table, narrow: bool) -> Any:
    """A table whose numbers stand on the right."""
    from rich import table
    from rich.box import SIMPLE_HEAD

    made = table.Table(box=SIMPLE_HEAD, pad_edge=False, padding=(0, 0 if narrow else 1, 0, 0), show_edge=False)
    for index, name in enumerate(content.heads):
        title = SHORT.get(name, name) if narrow else name
        made.add_column(title.replace("[", r"\["), justify="right" if index else "left", no_wrap=True)
    for row in content.rows:
        made.add_row(*row)
    return made
