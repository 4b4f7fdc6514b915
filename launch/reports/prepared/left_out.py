"""The section of the report about what was left out: documents set aside, units dropped, and every other counter."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator
from html import escape

from launch.reports.prepared.facts import Facts
from launch.reports.prepared.warning_lines import cut_lines
from launch.shell.formatting import percent
from launch.views.page import table
from launch.views.plots import bar

SHOWN_REASONS = 60
KNOWN = ("documents", "characters", "units", "dropped", "rejected", "tokens", "words", "words cut")
"""Counters that have a section of their own, by the beginning of their name."""


def left_out(facts: Facts) -> str:
    """Documents set aside with examples, units dropped, and every other counter."""
    parts = []
    if facts.rejected:
        whole = facts.total("documents.") + facts.total("rejected.")
        rows = []
        for reason, (count, examples) in list(facts.rejected.items())[:SHOWN_REASONS]:
            places = "<br>".join(
                f"<code>{escape(item['path'])}:{item['line']}</code> <small>{escape(str(item['detail']))}</small>"
                for item in examples
            )
            rows.append([escape(reason), f"{count:,}", percent(count, whole), places])
        parts.append(
            f"<h3>Documents set aside</h3>{table(['reason', 'documents', 'of all', 'first ones'], rows, 'snns')}"
        )
        parts.append("<p class=quiet>All of them are listed in <code>rejected.jsonl</code>.</p>")
    else:
        parts.append("<p>No document was set aside.</p>")
    parts += [f'<p style="color:var(--warn)">{escape(line)}</p>' for line in cut_lines(facts.counts)]
    dropped = facts.under("dropped.")
    if dropped:
        most = dropped[0][1]
        rows = [[escape(reason), f"{count:,}", bar(count / most)] for reason, count in dropped[:SHOWN_REASONS]]
        explained = (
            "Units that met another of higher precedence, a sentence end, a part of a word or the inside of a token; "
            "words that a higher unit cuts stay, "
            "in two pieces."
        )
        parts.append(
            f"<h3>Units cut or dropped</h3><p class=quiet>{explained}</p>{table(['', 'units', ''], rows, 'snw')}"
        )
    return "".join([*parts, *others(facts)])


def others(facts: Facts) -> Iterator[str]:
    """Counters of rules that have no section of their own: cleaning, quality, duplicates and whatever comes later."""
    grouped: dict[str, list[tuple[str, int]]] = defaultdict(list)
    for name, count in facts.counts.items():
        group, _, rest = name.partition(".")
        if group not in KNOWN:
            grouped[group].append((rest or group, count))
    for group, found in sorted(grouped.items()):
        found.sort(key=lambda item: (-item[1], item[0]))
        most = max(found[0][1], 1)
        rows = [[escape(name), f"{count:,}", bar(count / most)] for name, count in found[:SHOWN_REASONS]]
        yield f"<h3>{escape(group.replace('_', ' ').capitalize())}</h3>{table(['', '', ''], rows, 'snw')}"
