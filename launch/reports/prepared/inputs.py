"""The section of the report about what was read: sources, languages, bytes and writing systems."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from html import escape

from launch.reports.prepared.facts import Facts
from launch.shell.formatting import percent, short
from launch.views.page import table
from launch.views.plots import bar

SHOWN_SOURCES = 14


def inputs(facts: Facts) -> str:
    """Documents, characters and tokens by source and language, and the writing systems."""
    sizes = Counter(facts.plan.source_bytes())
    rows = [source_row(facts, [key], escape(key[0]), language_tag(key[1])) for key in facts.sources[:SHOWN_SOURCES]]
    if rest := facts.sources[SHOWN_SOURCES:]:
        rows.append(source_row(facts, rest, f'<span class="quiet">{len(rest)} more</span>', ""))
    heads = ["source", "language", "documents", "characters", "tokens", "share", ""]
    text = f"{short(sum(sizes.values()))}B of text"
    files = f"<p>{facts.plan.files:,} file(s), {text}, in {facts.plan.parts:,} part(s).</p>"
    return files + table(heads, rows, "ssnnnnw") + volumes(sizes) + scripts(facts)


def source_row(facts: Facts, keys: Sequence[tuple[str, str]], name: str, language: str) -> list[str]:
    """The figures of some (source, language) as one row."""
    whole = facts.total("characters.")
    characters = sum(facts.counts[f"characters.{source}.{language}"] for source, language in keys)
    documents = sum(facts.counts.get(f"documents.{source}.{language}", 0) for source, language in keys)
    tokens = sum(facts.groups.get(key, {}).get("tokens", 0) for key in keys)
    counts = [f"{count:,}" for count in (documents, characters, tokens)]
    return [name, language, *counts, percent(characters, whole), bar(characters / whole)]


def language_tag(language: str) -> str:
    """A language beside a source."""
    return f'<span class="tag">{escape(language)}</span>'


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
