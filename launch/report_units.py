"""The sections of the report about units, lengths, the vocabulary and sample passages; see report.py."""

from __future__ import annotations

from collections import Counter
from html import escape
from typing import TYPE_CHECKING, Any

from launch.drawn_units import LEGEND, drawn, kind_of
from launch.plots import bar, count_histogram, length_histogram, percent, short, table

if TYPE_CHECKING:
    from launch.report import Facts

SHOWN_TYPES, SHOWN_SURFACES, SHOWN_CARDS, SHOWN_GLYPHS, SHOWN_SOURCES = 24, 15, 12, 60, 14
LONGEST_SHOWN = 12
ORDER = ("entity", "phrase")
TAGS = {"zh": "zh-Hans", "other": "und"}
"""What a browser calls a language, where it is not its code."""


def levels_of(facts: Facts) -> list[str]:
    """Levels, those that masking prefers first, words last."""
    found = [level for level in facts.manifest["levels"] if level != "word"]
    return [*(level for level in ORDER if level in found), *(level for level in found if level not in ORDER), "word"]


def units(facts: Facts) -> str:
    """By level: how many, of which type, from where, how long."""
    tokens = sum(shard["tokens"] for shard in facts.manifest["shards"])
    parts = []
    for level in levels_of(facts):
        colour = f"var(--{kind_of(level)})"
        found = facts.under(f"units.{level}.")
        whole = sum(count for _, count in found)
        covered = facts.tally["unit_lengths"].get(level, []) if facts.tally else []
        inside = sum(length * count for length, count in enumerate(covered))
        about = f"{whole:,} units" + (f" over {percent(inside, tokens)} of all tokens" if covered else "")
        note = ". A word of one token is that token and is not listed" if level == "word" else ""
        parts.append(f"<h3>{escape(level.capitalize())} <small>{about}{note}</small></h3>")
        if not whole:
            parts.append("<p class=quiet>None was found. Do the lexicons or the pipeline speak of what the corpus is about?</p>")
            continue
        rows = []
        for name, count in found[:SHOWN_TYPES]:
            kind, _, origin = name.rpartition(".")
            rows.append([escape("" if kind == "-" else kind) or "–", escape(origin), f"{count:,}", percent(count, whole), bar(count / found[0][1], colour)])
        if len(found) > SHOWN_TYPES:
            rest = sum(count for _, count in found[SHOWN_TYPES:])
            rows.append([f'<span class="quiet">{len(found) - SHOWN_TYPES} more</span>', "", f"{rest:,}", percent(rest, whole), bar(rest / found[0][1], colour)])
        if len(rows) > 1 or level != "word":
            parts.append(table(["type", "origin", "units", "share", ""], rows, "ssnnw"))
        plot = count_histogram(covered, 2 if level == "word" else 1, LONGEST_SHOWN, colour)
        parts.append(f"<p class=quiet>Length in tokens, with its share in per cent</p><div class=scroll>{plot}</div>" if plot else "")
    return "".join(parts)


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
        cards = "".join(card(item, f"var(--{kind_of(level)})") for item in found[:SHOWN_CARDS])
        more = f" <small>{len(found) - SHOWN_CARDS} smaller lists left out</small>" if len(found) > SHOWN_CARDS else ""
        note = "<p class=quiet>Of two characters and more; in large corpora estimated from every sixteenth word.</p>" if level == "word" else ""
        parts.append(f'<h3>{escape(level.capitalize())}{more}</h3>{note}<div class="cards">{cards}</div>')
    return "".join(parts)


def card(item: dict[str, Any], colour: str) -> str:
    """The most frequent units of one type in one language."""
    top = item["surfaces"][:SHOWN_SURFACES]
    rows = [[f'<span lang="{escape(item["language"])}">{escape(surface)}</span>', f"{count:,}", bar(count / top[0][1], colour)] for surface, count in top]
    doubtful = item["level"] != "word" and item["error"] * 50 > top[-1][1]
    known = f'<br><small title="counting keeps the most frequent of each part">each may be up to {short(item["error"])} more</small>' if doubtful else ""
    name = escape(item["type"] or item["level"])
    return f'<div class="card"><h4>{name} <span class="tag">{escape(item["language"])}</span>{known}</h4>{table(["", "", ""], rows, "snw")}</div>'


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
        rows.append([f'{escape(source).replace("_", "_<wbr>")}<br><span class="tag">{escape(language)}</span>', *plots])
    heads = ["source", "characters of a document", "tokens of a document", "tokens of a sentence"]
    note = "Logarithmic axes, equal within a column; the line marks the median."
    left = f" The {SHOWN_SOURCES} largest of {len(facts.sources)} sources." if len(facts.sources) > SHOWN_SOURCES else ""
    return f"<p class=quiet>{note}{left}</p>{table(heads, rows, 'ssss')}"


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
        cells = [escape(source), f'<span class="tag">{escape(language)}</span>', f"{group['tokens']:,}", density, f"{group['unknown']:,}"]
        rows.append([*cells, percent(group["unknown"], group["tokens"]), bar(rate / most if most else 0, "var(--warn)")])
    heads = ["source", "language", "tokens", "characters a token", "[UNK]", "rate", ""]
    return table(heads, rows, "ssnnnnw") + glyphs(facts)


def glyphs(facts: Facts) -> str:
    """The unknown characters, drawn large."""
    characters = (facts.tally or {})["unknown_characters"]
    whole = facts.counts.get("tokens.unknown", 0)
    if not characters:
        return "<p>Every character of the corpus is in the vocabulary.</p>" if not whole else ""
    boxes = "".join(
        f'<div class="glyph" title="U+{ord(character):04X}"><b>{escape(character)}</b><small>{short(count)}</small><small>{ord(character):04X}</small></div>'
        for character, count in characters[:SHOWN_GLYPHS]
    )
    known = (facts.tally or {})["unknown_alone"]
    note = f"The {min(len(characters), SHOWN_GLYPHS)} most frequent characters that become [UNK], with their counts and code points."
    rest = " The other [UNK] are words with a piece that is missing, or of more than a hundred characters." if known < whole else ""
    return f'<h3>Unknown characters</h3><p class="quiet">{note}{rest}</p><div class="glyphs">{boxes}</div>'


def passages(facts: Facts) -> str:
    """A few passages with their units drawn."""
    if not facts.tally or not facts.tally["samples"]:
        return ""
    numbers: Counter[str] = Counter()
    parts = ["<p class=quiet>Chosen by a hash of the document's id, so the same ones appear however the work was divided.</p>", LEGEND]
    for sample in facts.tally["samples"]:
        numbers[sample["language"]] += 1
        heading = f"<b>{escape(sample['title'] or sample['id'])}</b> <small>{escape(sample['source'])} · {escape(sample['id'])}</small>"
        language = TAGS.get(sample["language"], sample["language"])
        parts.append(f'<div class="passage"><div>{heading}</div><p lang="{escape(language)}">{drawn(sample["text"], sample["units"])}</p></div>')
    return "".join(parts)
