"""The section of the report about what was read: sources, languages, bytes and writing systems."""

from __future__ import annotations

from collections import Counter
from html import escape

from launch.reports.prepared.facts import Facts
from launch.shell.formatting import percent, short
from launch.views.page import table
from launch.views.plots import bar

SHOWN_SOURCES = 14


def read(facts: Facts) -> str:
    """Documents, characters and tokens by source and language, and the writing systems."""
    whole = facts.total("characters.")
    sizes = Counter(facts.plan.source_bytes())
    rows = []
    for source, language in facts.sources[:SHOWN_SOURCES]:
        characters = facts.counts[f"characters.{source}.{language}"]
        documents = facts.counts.get(f"documents.{source}.{language}", 0)
        tokens = facts.groups.get((source, language), {}).get("tokens", 0)
        cells = [
            escape(source),
            f'<span class="tag">{escape(language)}</span>',
            f"{documents:,}",
            f"{characters:,}",
            f"{tokens:,}",
        ]
        rows.append([*cells, percent(characters, whole), bar(characters / whole)])
    rest = facts.sources[SHOWN_SOURCES:]
    if rest:
        characters = sum(facts.counts[f"characters.{source}.{language}"] for source, language in rest)
        documents = sum(facts.counts.get(f"documents.{source}.{language}", 0) for source, language in rest)
        tokens = sum(facts.groups.get(key, {}).get("tokens", 0) for key in rest)
        cells = [f'<span class="quiet">{len(rest)} more</span>', "", f"{documents:,}", f"{characters:,}", f"{tokens:,}"]
        rows.append([*cells, percent(characters, whole), bar(characters / whole)])
    heads = ["source", "language", "documents", "characters", "tokens", "share", ""]
    files = (
        f"<p>{facts.plan.files:,} file(s), {short(sum(sizes.values()))}B of text, in {facts.plan.parts:,} part(s).</p>"
    )
    return files + table(heads, rows, "ssnnnnw") + volumes(sizes) + scripts(facts)


def volumes(sizes: Counter[str]) -> str:
    """Bytes of text by source."""
    whole = sum(sizes.values())
    rows = [
        [escape(name), f"{size:,}", percent(size, whole), bar(size / max(whole, 1))]
        for name, size in sizes.most_common(SHOWN_SOURCES)
    ]
    heading = f"<summary>Bytes of text by source{' (the largest)' if len(sizes) > SHOWN_SOURCES else ''}</summary>"
    return f"<details>{heading}{table(['source', 'bytes', 'share', ''], rows, 'snnw')}</details>"


def scripts(facts: Facts) -> str:
    """Which writing systems the text is in."""
    if not facts.tally or not facts.tally["scripts"]:
        return ""
    found = facts.tally["scripts"]
    whole = sum(found.values())
    rows = [[escape(name), percent(count, whole), bar(count / whole)] for name, count in found.items()]
    note = "<p class=quiet>Share of characters, from every sixteenth one.</p>"
    return f"<h3>Writing systems</h3>{note}{table(['', '', ''], rows, 'snw')}"
