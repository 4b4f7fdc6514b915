"""The section of the report with sample passages: words underlined, phrases and entities on a ground of their own.

Levels may overlap in any way, so the text is cut at every edge of every unit, and each piece says what it is part of:

    北京大学 entity [0, 4), words [0, 2) [2, 4)
        ->  pieces 北京 (entity, opens it; word) and 大学 (entity, closes it; word)
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from html import escape
from itertools import pairwise
from typing import Any

from launch.reports.prepared.facts import Facts
from launch.views.words import kind_of

TAGS = {"zh": "zh-Hans", "other": "und"}
"""What a browser calls a language, where it is not its code."""
LEGEND = (
    '<div class="legend"><span><span class="word open close">word</span></span>'
    '<span><span class="phrase open close">phrase</span></span>'
    '<span><span class="entity open close">entity</span><i class="kind entity-name">TYPE</i></span>'
    '<span><span class="both">both at once</span></span></div>'
)


def passages(facts: Facts) -> str:
    """A few passages with their units drawn."""
    if not facts.tally or not facts.tally["samples"]:
        return ""
    numbers: Counter[str] = Counter()
    parts = [
        "<p class=quiet>Chosen by a hash of the document's id, "
        "so the same ones appear however the work was divided.</p>",
        LEGEND,
    ]
    for sample in facts.tally["samples"]:
        numbers[sample["language"]] += 1
        place = f"<small>{escape(sample['source'])} · {escape(sample['id'])}</small>"
        heading = f"<div><b>{escape(sample['title'] or sample['id'])}</b> {place}</div>"
        text = passage_html(sample["text"], sample["units"])
        language = TAGS.get(sample["language"], sample["language"])
        parts.append(f'<div class="passage">{heading}<p lang="{escape(language)}">{text}</p></div>')
    return "".join(parts)


def passage_html(text: str, units: Mapping[str, Sequence[Sequence[Any]]]) -> str:
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
            if kind == "both" or (
                kind in inside[start] and not (kind != "word" and {"phrase", "entity"} <= inside[start])
            ):
                ends = (" open" if kind in opens.get(start, []) else "") + (
                    " close" if kind in closes.get(end, []) else ""
                )
                piece = f'<span class="{kind}{ends}">{piece}</span>'
        label = "".join(names.get(end, []))
        result.append(f'<span class="whole">{piece}{label}</span>' if label else piece)
    return "".join(result)
