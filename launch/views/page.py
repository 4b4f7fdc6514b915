"""Self-contained HTML pages: the frame of every page, tables, lines of words as a page. Nothing is fetched."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from html import escape
from pathlib import Path

from launch.views.stylesheet import stylesheet
from launch.views.words import Line, Word


def page(title: str, body: str, wide: bool = False) -> str:
    """A whole page; ``body`` is HTML."""
    view = '<meta name="viewport" content="width=device-width,initial-scale=1">'
    head = f'<meta charset="utf-8">{view}<title>{escape(title)}</title><style>{stylesheet()}</style>'
    main = f"<main{' class=wide' if wide else ''}>{body}</main>"
    return f'<!doctype html><html lang="en"><head>{head}</head><body>{main}</body></html>\n'


def lines_page(title: str, lines: Iterable[Line]) -> str:
    """A view as a page."""
    rows = "".join(f"<div>{''.join(map(word_html, line)) or '&nbsp;'}</div>" for line in lines)
    return page(title, f'<h1>{escape(title)}</h1><div class="lines" lang="zh">{rows}</div>', wide=True)


def word_html(word: Word) -> str:
    """A word in its style."""
    return f'<span class="s-{word.style}">{escape(word.text)}</span>' if word.style else escape(word.text)


def table(heads: Sequence[str], rows: Iterable[Sequence[str]], columns: Sequence[str]) -> str:
    """A table of HTML cells.

    Args:
        columns: the class of each: s text, n number, w bar, v number with a bar below it, name.
    """
    head = "".join(f'<th class="{column}">{escape(name)}</th>' for column, name in zip(columns, heads, strict=True))
    lines = [
        "".join(f'<td class="{column}">{cell}</td>' for column, cell in zip(columns, row, strict=True)) for row in rows
    ]
    body = "".join(f"<tr>{line}</tr>" for line in lines)
    return f'<div class="scroll"><table>{f"<tr>{head}</tr>" if any(heads) else ""}{body}</table></div>'


def write_page(file: Path, text: str) -> None:
    """Write a page and tell where."""
    from data_prep.files import write_atomic

    write_atomic(file, text)
    print(f"written to {file}")
