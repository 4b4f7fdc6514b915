"""A comparison of masks (masks.py) on the terminal: the sample under each scheme in the same layout, then two tables over many samples.

whole_unit                                 19 of 126 tokens hidden, 15.1 %
  他 1998 年 考 入 {哈 尔 滨 工 业 大 学}    equal line breaks under every scheme: rows are broken between tokens
  15 % of the tokens ...; 80 % [MASK] ...
"""

from __future__ import annotations

import textwrap
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any

from launch.drawn_tokens import Line, Word, cells, legend
from launch.schemes import budget_words, corruption_words
from launch.showing import has_colours, print_lines

if TYPE_CHECKING:
    from launch.masks import Comparison, Shown
    from masking.audit import Audit

INDENT = 2
WIDEST, NARROW = 120, 100
SHORT = {"hidden": "all", "phrase": "phr.", "entity": "ent."}
"""Column titles where there is little room."""


def print_comparison(comparison: Comparison) -> None:
    """The whole view, as wide as the terminal (at most 120 columns)."""
    from launch.console import rich_console

    console = rich_console(highlight=False)
    width = min(console.width, WIDEST)
    print_lines(lines(comparison, width, has_colours(console)))
    for title, header, rows in tables(comparison):
        print_lines([[], *dim(title, width)])
        console.print(rich_table(header, rows, narrow=width < NARROW))
    print_lines(closing(comparison, width))


def lines(comparison: Comparison, width: int, colours: bool) -> Iterator[Line]:
    """The sample under every scheme."""
    yield [Word(comparison.title, "title")]
    yield from dim(comparison.where, width)
    yield legend()
    drawn = [cells(shown.pieces) for shown in comparison.shown]
    sizes = [max(size_of(cell, colours) for cell in column) for column in zip(*drawn, strict=True)]
    for shown, own in zip(comparison.shown, drawn, strict=True):
        yield []
        yield [Word(shown.scheme.name, "title"), Word(f"   {share_words(shown)}", "dim")]
        yield from broken(own, sizes, width - INDENT)
        if colours and (replaced := replacements(shown)):
            yield from dim("put in: " + replaced, width)
        yield from dim(about(shown), width)


def share_words(shown: Shown) -> str:
    """How much of the drawn sample is hidden."""
    return f"{shown.own.hidden} of {shown.own.maskable} tokens hidden, {shown.own.rate:.1%}".replace("%", " %")


def about(shown: Shown) -> str:
    """Budget, corruption, paper and note of a scheme."""
    masking = shown.scheme.masking
    budgets = masking.strategy.own_budgets() or [masking.hidden_share]
    parts = [" or ".join(map(budget_words, budgets)), " or ".join(map(corruption_words, masking.laws)), masking.strategy.PAPER, shown.scheme.note]
    return "; ".join(part for part in parts if part) + "."


def replacements(shown: Shown) -> str:
    """The random tokens and similar words of the drawn sample, where colours alone tell that there are some."""
    signs = {"random": "→", "similar": "≈"}
    return "  ".join(f"{piece.token}{signs[piece.action]}{piece.replaced_by}" for piece in shown.pieces if piece.action in signs)


def broken(drawn: Sequence[Line], sizes: Sequence[int], width: int) -> Iterator[Line]:
    """Rows of tokens, each of at most ``width`` columns by these sizes of the tokens, indented; equal sizes break equally."""
    row: Line = []
    used = 0
    for cell, size in zip(drawn, sizes, strict=True):
        if row and used + size > width:
            yield [Word(" " * INDENT), *row]
            row, used = [], 0
        row, used = [*row, *(cell if row or cell[0].text != " " else cell[1:])], used + size
    yield [Word(" " * INDENT), *row]


def size_of(cell: Line, colours: bool) -> int:
    """Columns that a token takes."""
    from rich.cells import cell_len

    return sum(cell_len(word.text if colours or not word.plain else word.plain) for word in cell)


def dim(text: str, width: int) -> Iterator[Line]:
    """Quiet text in rows, indented."""
    return ([Word(" " * INDENT + part, "dim")] for part in textwrap.wrap(text, width - INDENT))


def closing(comparison: Comparison, width: int) -> Iterator[Line]:
    """How to read the tables, and the schemes that are not in them."""
    yield []
    yield from dim(READING + crossed_words(comparison), width)
    for name, reason in comparison.missing.items():
        yield [Word(f"not drawn: {name} ", "title"), Word(reason, "dim")]


READING = (
    "A unit counts as hidden when all of it is; char.: single tokens in no unit of several. partly: units of which only some tokens are hidden, "
    "of all that are touched. run: mean length of adjacent hidden tokens. empty: samples without a target. given up: units beyond budget.row_targets. "
    "SBO: span boundary targets per 1,000 tokens."
)


def crossed_words(comparison: Comparison) -> str:
    """How many units of the data a higher level takes apart."""
    from masking.spans import KINDS

    audit = comparison.shown[0].audit
    shares = zip(KINDS, audit.crossed_K, audit.crossed_share_K, strict=True)
    told = [f"{count:,} {kind} units ({percent(share)} %)" for kind, count, share in shares if count]
    return f" Crossed by a unit of a higher level, so that they are none: {', '.join(told) or 'none'}."


def tables(comparison: Comparison) -> list[tuple[str, list[str], list[list[str]]]]:
    """(title, header, rows) of both tables."""
    from masking.audit import LENGTHS

    audits = [(shown.scheme.name, shown.audit) for shown in comparison.shown]
    samples, tokens = (audits[0][1].samples, audits[0][1].maskable) if audits else (0, 0)
    first = ["scheme", "hidden", "char.", "word", "phrase", "entity", *LENGTHS]
    second = ["scheme", "[MASK]", "random", "kept", "similar", "partly", "run", "empty", "given up", "SBO"]
    what = f"{samples:,} samples, {tokens:,} tokens; in %: tokens hidden, units hidden by kind and by length in tokens"
    how = "in %: what replaced hidden tokens, units hidden in part"
    return [(what, first, [[name, *hidden_row(audit)] for name, audit in audits]), (how, second, [[name, *replaced_row(audit)] for name, audit in audits])]


def hidden_row(audit: Audit) -> list[str]:
    """Share of tokens, of units by kind and of units by length."""
    return [percent(audit.rate), *(percent(rate) for rate in (*audit.rate_K, *audit.rate_L))]


def replaced_row(audit: Audit) -> list[str]:
    """Shares of the replacements, and what else there is to know."""
    counts = [f"{audit.without_target:,}", f"{audit.given_up:,}", f"{1000 * audit.boundary_rate:.0f}"]
    return [*(percent(share) for share in audit.action_shares_A), percent(audit.parted), f"{audit.mean_run:.2f}", *counts]


def percent(share: float | None) -> str:
    """With one decimal; `-` where there is nothing to take a share of."""
    return "-" if share is None else f"{100 * share:.1f}"


def rich_table(header: Sequence[str], rows: Sequence[Sequence[str]], narrow: bool) -> Any:
    """A table whose numbers stand on the right."""
    from rich.box import SIMPLE_HEAD
    from rich.table import Table

    table = Table(box=SIMPLE_HEAD, pad_edge=False, padding=(0, 0 if narrow else 1, 0, 0), show_edge=False)
    for index, name in enumerate(header):
        shown = SHORT.get(name, name) if narrow else name
        table.add_column(shown.replace("[", r"\["), justify="right" if index else "left", no_wrap=True)
    for row in rows:
        table.add_row(*row)
    return table
