"""The section of the report about the vocabulary: how much of the text it does not know, and which characters."""

from __future__ import annotations

from html import escape

from launch.reports.prepared.facts import Facts
from launch.reports.prepared.inputs import SHOWN_SOURCES, language_tag
from launch.shell.formatting import percent, short
from launch.views.page import table
from launch.views.plots import bar

SHOWN_GLYPHS = 60


def unknown(facts: Facts) -> str:
    """How much of the text the vocabulary does not know, where, and which characters."""
    if not facts.tally:
        return ""
    found = [(key, facts.groups[key]) for key in facts.sources if key in facts.groups]
    most = max((group["unknown"] / max(group["tokens"], 1) for _, group in found), default=0)
    rows = []
    for (source, language), group in found[:SHOWN_SOURCES]:
        rate = group["unknown"] / max(group["tokens"], 1)
        density = f"{group['characters'] / max(group['tokens'], 1):.2f}"
        cells = [
            escape(source),
            language_tag(language),
            f"{group['tokens']:,}",
            density,
            f"{group['unknown']:,}",
        ]
        rows.append(
            [*cells, percent(group["unknown"], group["tokens"]), bar(rate / most if most else 0, "var(--warn)")]
        )
    heads = ["source", "language", "tokens", "characters a token", "[UNK]", "rate", ""]
    return table(heads, rows, "ssnnnnw") + glyphs(facts)


def glyphs(facts: Facts) -> str:
    """The unknown characters, drawn large."""
    characters = (facts.tally or {})["unknown_characters"]
    whole = facts.counts.get("tokens.unknown", 0)
    if not characters:
        return "<p>Every character of the corpus is in the vocabulary.</p>" if not whole else ""
    boxes = "".join(
        f'<div class="glyph" title="U+{ord(character):04X}"><b>{escape(character)}</b>'
        f"<small>{short(count)}</small><small>{ord(character):04X}</small></div>"
        for character, count in characters[:SHOWN_GLYPHS]
    )
    known = (facts.tally or {})["unknown_alone"]
    shown = min(len(characters), SHOWN_GLYPHS)
    note = f"The {shown} most frequent characters that become [UNK], with their counts and code points."
    rest = (
        " The other [UNK] are words with a piece that is missing, or of more than a hundred characters."
        if known < whole
        else ""
    )
    return f'<h3>Unknown characters</h3><p class="quiet">{note}{rest}</p><div class="glyphs">{boxes}</div>'
