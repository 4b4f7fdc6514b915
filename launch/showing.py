"""`kmask show`: what preparation found and what training will see, in the terminal and as a self-contained page.

Every view is a list of Lines of coloured Words first; the terminal and the page only render those.
"""

from __future__ import annotations

import html as escape
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from launch.config import ConfigError
from launch.drawn_tokens import Line
from launch.views import show_batch, show_document, show_schedule, show_shard

STYLES = {
    "": ("", ""),
    "title": ("bold", "font-weight:700"),
    "dim": ("dim", "color:#777"),
    "word": ("cyan", "color:#0a7d8c"),
    "phrase": ("green", "color:#217a21"),
    "entity": ("magenta", "color:#a3198f"),
    "special": ("dim", "color:#999"),
    "mask": ("bold white on red", "background:#c62828;color:#fff;border-radius:3px;padding:0 2px"),
    "random": ("bold black on yellow", "background:#f9c80e;border-radius:3px;padding:0 2px"),
    "kept": ("bold white on blue", "background:#1e66c5;color:#fff;border-radius:3px;padding:0 2px"),
    "similar": ("bold black on green", "background:#8fd694;border-radius:3px;padding:0 2px"),
}


def show_command(what: str, target: Path, overrides: list[str], number: int, html: Path | None) -> None:
    """Print a view, and write it as a page when asked."""
    views = {"document": show_document, "shard": show_shard, "batch": show_batch, "schedule": show_schedule}
    if what not in views:
        raise ConfigError(f"show {what}: one of {', '.join(views)}")
    lines = list(views[what](target, overrides, number))
    print_lines(lines)
    if html:
        from data_prep.files import write_atomic

        write_atomic(html, page(f"kmask show {what} {target}", lines))
        print(f"written to {html}")


def print_lines(lines: Iterable[Line]) -> None:
    """Render on the terminal (colours only where there are any)."""
    from rich.text import Text

    from launch.console import rich_console

    console = rich_console(highlight=False, soft_wrap=True)
    colours = has_colours(console)
    for line in lines:
        text = Text()
        for word in line:
            text.append(word.text if colours or not word.plain else word.plain, STYLES[word.style][0])
        console.print(text)


def has_colours(console: Any) -> bool:
    """Does this rich console show colours?"""
    return console.color_system is not None and not console.no_color


def page(title: str, lines: Iterable[Line]) -> str:
    """Render as one HTML file without any outside resource."""
    rows = []
    for line in lines:
        spans = "".join(f'<span style="{STYLES[word.style][1]}">{escape.escape(word.text)}</span>' if word.style else escape.escape(word.text) for word in line)
        rows.append(f"<div>{spans or '&nbsp;'}</div>")
    style = "body{font:15px/1.9 'Noto Sans Mono CJK SC','Noto Sans CJK SC',monospace;margin:2em auto;max-width:72em;padding:0 1em}div{white-space:pre-wrap}"
    head = f'<!doctype html><html lang="zh"><meta charset="utf-8"><title>{escape.escape(title)}</title><style>{style}</style>'
    return f"{head}<h1 style='font-size:1.2em'>{escape.escape(title)}</h1>{''.join(rows)}</html>\n"
