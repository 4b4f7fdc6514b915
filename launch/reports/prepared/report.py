"""`kmask prepare report`: what preparation read, left out and found, as one self-contained page.

    PREPARED/manifest.json, plan.json, rejected.jsonl, tally.json  ->  Facts  ->  sections of HTML  ->  report.html

Every figure was counted while the corpus was prepared; no shard is opened here.
"""

from __future__ import annotations

import json
from html import escape
from pathlib import Path

from launch.reports.prepared.facts import Facts
from launch.reports.prepared.inputs import inputs
from launch.reports.prepared.left_out import left_out
from launch.reports.prepared.passages import passages
from launch.reports.prepared.units import frequent, lengths, units
from launch.reports.prepared.vocabulary import unknown
from launch.shell.formatting import percent, short
from launch.views.page import page, table, write_page

SHOWN_SHARDS = 200
NO_TALLY = (
    "This folder was prepared without a tally: histograms, frequent units and samples are missing. Prepare it again."
)


def write_report(folder: Path, file: Path) -> None:
    """Write the page about a prepared folder, and tell where."""
    write_page(file, report(Facts.read(folder)))


def report(facts: Facts) -> str:
    """The page."""
    from data_prep.vocabularies import unknowns

    sections = [
        ("read", "What was read", inputs(facts)),
        ("left-out", "What was left out", left_out(facts)),
        ("units", "Words, phrases and entities", units(facts)),
        ("frequent", "Most frequent units", frequent(facts)),
        ("lengths", "Lengths", lengths(facts)),
        ("vocabulary", "Vocabulary", unknown(facts)),
        ("samples", "Sample passages", passages(facts)),
        ("settings", "Settings", settings(facts)),
    ]
    shown = [section for section in sections if section[2]]
    links = "".join(f'<a href="#{name}">{title}</a>' for name, title, _ in shown)
    body = "".join(f'<h2 id="{name}">{title}</h2>{content}' for name, title, content in shown)
    warning = "" if facts.tally else f"<p>{NO_TALLY}</p>"
    for text in unknowns.warnings(facts.tally) if facts.tally else []:
        warning += f'<p class="warning">Warning: {escape(text)}</p>'
    name = facts.folder.resolve()
    heading = f'<h1>{escape(name.name)}</h1><div class="quiet">prepared corpus · {escape(str(facts.folder))}</div>'
    return page(f"{name.name} · prepared corpus", f"{heading}<nav>{links}</nav>{tiles(facts)}{warning}{body}")


def tiles(facts: Facts) -> str:
    """The few numbers everyone asks for."""
    tokens = {
        split: sum(shard["tokens"] for shard in facts.manifest["shards"] if shard["split"] == split)
        for split in ("train", "heldout")
    }
    whole, unknown = sum(tokens.values()), facts.counts.get("tokens.unknown", 0)
    documents, aside = facts.total("documents."), facts.total("rejected.")
    found = [
        (short(documents), "documents"),
        (short(facts.total("characters.")), "characters"),
        (short(whole), f"tokens, {percent(tokens['heldout'], whole)} held out"),
        (short(facts.total("units.")), "units"),
        (percent(unknown, whole), f"[UNK] ({unknown:,} tokens)"),
        (short(aside), f"documents set aside ({percent(aside, documents + aside)})"),
    ]
    return (
        '<div class="tiles">'
        + "".join(f'<div class="tile"><b>{number}</b><span>{escape(name)}</span></div>' for number, name in found)
        + "</div>"
    )


def settings(facts: Facts) -> str:
    """What decides the result, and the hashes that name it."""
    tokenizer = facts.manifest["tokenizer"]
    rows = [
        ["plan", f"<code>{facts.manifest['fingerprint']}</code>"],
        ["vocabulary", f"<code>{tokenizer['vocabulary_sha256']}</code> {tokenizer['size']:,} tokens"],
        ["tokenizer rules", f"<code>{tokenizer['rules_sha256']}</code>"],
        ["schema", str(facts.manifest["schema"])],
    ]
    shards = facts.manifest["shards"]
    lines = [
        [escape(s["path"]), f"{s['documents']:,}", f"{s['tokens']:,}", f"<code>{s['sha256'][:16]}</code>"]
        for s in shards[:SHOWN_SHARDS]
    ]
    more = f"<p class=quiet>The first {SHOWN_SHARDS} of {len(shards):,}.</p>" if len(shards) > SHOWN_SHARDS else ""
    shown = json.dumps(facts.manifest["settings"], indent=2, ensure_ascii=False)
    settings = f"<details><summary>All settings</summary><pre>{escape(shown)}</pre></details>"
    files = table(["file", "documents", "tokens", "sha256"], lines, "snns")
    listed = f"<details><summary>{len(shards):,} shard(s)</summary>{more}{files}</details>"
    return table(["", ""], rows, "ss") + settings + listed
