"""A passage with its units drawn into the text: words underlined, phrases and entities on a ground of their own colour.

Levels may overlap in any way, so the text is cut at every edge of every unit, and each piece says what it is part of:

    北京大学 entity [0, 4), words [0, 2) [2, 4)  ->  pieces 北京 (entity, opens it; word) and 大学 (entity, closes it; word)
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from html import escape
from itertools import pairwise
from typing import Any


def kind_of(level: str) -> str:
    """How a level is drawn: other levels than the three usual ones look like phrases."""
    return level if level in ("word", "phrase", "entity") else "phrase"


def drawn(text: str, units: Mapping[str, Sequence[Sequence[Any]]]) -> str:
    """``text`` as HTML. ``units`` has [start, end, type] by level, in characters of ``text``."""
    edges = {0, len(text)}
    opens: dict[int, list[str]] = {}
    closes: dict[int, list[str]] = {}
    inside: list[set[str]] = [set() for _ in text]
    names: dict[int, list[str]] = {}
    for level, found in sorted(units.items()):
        kind = kind_of(level)
        for start, end, name in found:
            edges |= {start, end}
            opens.setdefault(start, []).append(kind)
            closes.setdefault(end, []).append(kind)
            for position in range(start, end):
                inside[position].add(kind)
            shown = name or ("" if level in ("word", "phrase", "entity") else level)
            if shown and not (level == "phrase" and shown == "phrase"):
                names.setdefault(end, []).append(f'<i class="kind {kind}-name">{escape(shown)}</i>')
    places = sorted(edges)
    result = []
    for start, end in pairwise(places):
        piece = escape(text[start:end].replace("\n\n", "\n"))
        for kind in ("word", *(["both"] if {"phrase", "entity"} <= inside[start] else []), "phrase", "entity"):
            if kind == "both" or (kind in inside[start] and not (kind != "word" and {"phrase", "entity"} <= inside[start])):
                ends = (" open" if kind in opens.get(start, []) else "") + (" close" if kind in closes.get(end, []) else "")
                piece = f'<span class="{kind}{ends}">{piece}</span>'
        label = "".join(names.get(end, []))
        result.append(f'<span class="whole">{piece}{label}</span>' if label else piece)
    return "".join(result)


LEGEND = (
    '<div class="legend"><span><span class="word open close">word</span></span><span><span class="phrase open close">phrase</span></span>'
    '<span><span class="entity open close">entity</span><i class="kind entity-name">TYPE</i></span>'
    '<span><span class="both">both at once</span></span></div>'
)
