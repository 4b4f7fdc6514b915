"""Lines of words on a terminal: in colours where there are any, with marks in their place where there are none."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from launch.shell.console import rich_console
from launch.views.words import Line

STYLES = {
    "": "",
    "title": "bold",
    "dim": "dim",
    "word": "cyan",
    "phrase": "green",
    "entity": "magenta",
    "special": "dim",
    "mask": "bold white on red",
    "random": "bold black on yellow",
    "kept": "bold white on blue",
    "similar": "bold black on green",
    "good": "green",
    "bad": "yellow",
}
"""rich's style of every style of a word."""


def print_lines(lines: Iterable[Line]) -> None:
    """Print them as they are, without breaking any."""
    from rich.text import Text

    console = rich_console(highlight=False, soft_wrap=True)
    colours = has_colours(console)
    for line in lines:
        text = Text()
        for word in line:
            text.append(word.text if colours or not word.plain else word.plain, STYLES[word.style])
        console.print(text)


def has_colours(console: Any) -> bool:
    """Does this rich console show colours?"""
    return console.color_system is not None and not console.no_color
