"""The sections of the report about units and lengths: how many of which kind, the most frequent, histograms."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from html import escape
from typing import Any

from launch.reports.prepared.facts import Facts
from launch.reports.prepared.inputs import SHOWN_SOURCES, language_tag
from launch.shell.formatting import percent, short
from launch.views.page import table
from launch.views.plots import bar, count_histogram, length_histogram
from launch.views.words import kind_of

SHOWN_TYPES, SHOWN_SURFACES, SHOWN_CARDS, LONGEST_SHOWN = 24, 15, 12, 12
ORDER = ("entity", "phrase")
"""Levels that masking prefers."""
NONE_FOUND = "None was found. Do the lexicons or the pipeline speak of what the corpus is about?"
SAMPLED_WORDS = "Of two characters and more; in large corpora estimated from every sixteenth word."


def levels_of(facts: Facts) -> list[str]:
    """Levels, those that masking prefers first, words last."""
    found = [level for level in facts.manifest["levels"] if level != "word"]
    return [*(level for level in ORDER if level in found), *(level for level in found if level not in ORDER), "word"]


def units(facts: Facts) -> str:
    """By level: how many, of which type, from where, how long."""
    return "".join(level_section(facts, level) for level in levels_of(facts))


def level_section(facts: Facts, level: str) -> str:
    """One level."""
    colour = f"var(--{kind_of(level)})"
    found = facts.under(f"units.{level}.")
    whole = sum(count for _, count in found)
    covered = facts.tally["unit_lengths"].get(level, []) if facts.tally else []
    inside = sum(length * count for length, count in enumerate(covered))
    tokens = sum(shard["tokens"] for shard in facts.manifest["shards"])
    about = f"{whole:,} units" + (f" over {percent(inside, tokens)} of all tokens" if covered else "")
    note = ". A word of one token is that token and is not listed" if level == "word" else ""
    heading = f"<h3>{escape(level.capitalize())} <small>{about}{note}</small></h3>"
    if not whole:
        return f"{heading}<p class=quiet>{NONE_FOUND}</p>"
    rows = type_rows(found, whole, colour)
    types = len(rows) > 1 or level != "word"
    plot = count_histogram(covered, 2 if level == "word" else 1, LONGEST_SHOWN, colour)
    found_types = table(["type", "origin", "units", "share", ""], rows, "ssnnw") if types else ""
    lengths_note = "<p class=quiet>Length in tokens, with its share in per cent</p>"
    return f"{heading}{found_types}" + (f"{lengths_note}<div class=scroll>{plot}</div>" if plot else "")


def type_rows(found: Sequence[tuple[str, int]], whole: int, colour: str) -> list[list[str]]:
    """The most frequent types of a level with their origin, and a row for the rest."""
    most = found[0][1]

    def row(name: str, origin: str, count: int) -> list[str]:
        return [name, origin, f"{count:,}", percent(count, whole), bar(count / most, colour)]

    rows = []
    for label, count in found[:SHOWN_TYPES]:
        kind, _, origin = label.rpartition(".")
        rows.append(row(escape("" if kind == "-" else kind) or "–", escape(origin), count))
    if rest := found[SHOWN_TYPES:]:
        rows.append(row(f'<span class="quiet">{len(rest)} more</span>', "", sum(count for _, count in rest)))
    return rows


def frequent(facts: Facts) -> str:
    """The most frequent surfaces by level and type."""
    if not facts.tally:
        return ""
    parts = []
    for level in levels_of(facts):
        found = [item for item in facts.tally["surfaces"] if item["level"] == level and item["surfaces"]]
        sizes: Counter[str] = Counter()
        for item in found:
            sizes[item["type"]] += sum(count for _, count in item["surfaces"])
        found.sort(key=lambda item: (-sizes[item["type"]], item["type"], item["language"]))
        if not found:
            continue
        cards = "".join(surfaces_card(item, f"var(--{kind_of(level)})") for item in found[:SHOWN_CARDS])
        more = f" <small>{len(found) - SHOWN_CARDS} smaller lists left out</small>" if len(found) > SHOWN_CARDS else ""
        note = f"<p class=quiet>{SAMPLED_WORDS}</p>" if level == "word" else ""
        parts.append(f'<h3>{escape(level.capitalize())}{more}</h3>{note}<div class="cards">{cards}</div>')
    return "".join(parts)


def surfaces_card(item: dict[str, Any], colour: str) -> str:
    """The most frequent units of one type in one language."""
    top = item["surfaces"][:SHOWN_SURFACES]
    span = f'<span lang="{escape(item["language"])}">'
    rows = [[f"{span}{escape(surface)}</span>", f"{count:,}", bar(count / top[0][1], colour)] for surface, count in top]
    doubtful = item["level"] != "word" and item["error"] * 50 > top[-1][1]
    known = (
        '<br><small title="counting keeps the most frequent of each part">'
        f"each may be up to {short(item['error'])} more</small>"
        if doubtful
        else ""
    )
    name = escape(item["type"] or item["level"])
    heading = f"<h4>{name} {language_tag(item['language'])}{known}</h4>"
    return f'<div class="card">{heading}{table(["", "", ""], rows, "snw")}</div>'


def lengths(facts: Facts) -> str:
    """Histograms of documents and sentences by source, all of a column over the same axis."""
    if not facts.tally:
        return ""
    from data_prep.counting.tallies import EDGES, HISTOGRAMS

    edges = EDGES.tolist()
    keys = [key for key in facts.sources[:SHOWN_SOURCES] if key in facts.groups]
    columns = [[facts.groups[key][name] for key in keys] for name in HISTOGRAMS]
    ends = []
    for column in columns:
        filled = [number for counts in column for number, count in enumerate(counts) if count]
        ends.append((min(filled, default=0), max(filled, default=0)))
    rows = []
    for number, (source, language) in enumerate(keys):
        plots = [length_histogram(column[number], edges, *end) for column, end in zip(columns, ends, strict=True)]
        rows.append([f"{escape(source).replace('_', '_<wbr>')}<br>{language_tag(language)}", *plots])
    heads = ["source", "characters of a document", "tokens of a document", "tokens of a sentence"]
    note = "Logarithmic axes, equal within a column; the line marks the median."
    some = len(facts.sources) > SHOWN_SOURCES
    left = f" The {SHOWN_SOURCES} largest of {len(facts.sources)} sources." if some else ""
    return f"<p class=quiet>{note}{left}</p>{table(heads, rows, 'ssss')}"
