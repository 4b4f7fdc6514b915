"""`kmask prepare report`: what preparation read, left out and found, as one self-contained page.

    PREPARED/manifest.json, plan.json, rejected.jsonl, tally.json  ->  Facts  ->  sections of HTML  ->  report.html

Every figure was counted while the corpus was prepared; no shard is opened here.
"""

from __future__ import annotations

import json
from collections import Counter, defaultdict
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from html import escape
from pathlib import Path
from typing import TYPE_CHECKING, Any

from launch.page_style import framed
from launch.plots import bar, percent, short, table
from launch.warnings_of import cut_lines

if TYPE_CHECKING:
    from data_prep.planned import Plan

SHOWN_SOURCES, SHOWN_EXAMPLES, SHOWN_REASONS = 14, 3, 60
KNOWN = ("documents", "characters", "units", "dropped", "rejected", "tokens", "words", "words cut")
"""Counters that have a section of their own, by the beginning of their name."""


@dataclass(frozen=True, kw_only=True)
class Facts:
    """What the files of a prepared folder say."""

    folder: Path
    manifest: dict[str, Any]
    plan: Plan
    tally: dict[str, Any] | None
    """None in folders that were prepared by a version without tallies."""

    @staticmethod
    def read(folder: Path) -> Facts:
        """Read them.

        Raises:
            ValueError: the folder is not prepared, or not to the end.
        """
        from data_prep.counting.tallies import TALLY
        from data_prep.files import read_json
        from data_prep.planned import Plan
        from data_prep.shards import MANIFEST

        if not (folder / MANIFEST).is_file():
            begun = (folder / "plan.json").is_file()
            hint = "preparation has not finished (`kmask prepare status` tells how far it is)" if begun else "give the `output` of a data configuration"
            raise ValueError(f"{folder} holds no {MANIFEST}: {hint}")
        tally = read_json(folder / TALLY) if (folder / TALLY).is_file() else None
        return Facts(folder=folder, manifest=read_json(folder / MANIFEST), plan=Plan.read(folder), tally=tally)

    @property
    def counts(self) -> dict[str, int]:
        """All counters."""
        found: dict[str, int] = self.manifest["counts"]
        return found

    def total(self, prefix: str) -> int:
        """Sum of the counters whose names begin with ``prefix``."""
        return sum(count for name, count in self.counts.items() if name.startswith(prefix))

    def under(self, prefix: str) -> list[tuple[str, int]]:
        """Counters whose names begin with ``prefix``, without it, the largest first."""
        found = [(name.removeprefix(prefix), count) for name, count in self.counts.items() if name.startswith(prefix)]
        return sorted(found, key=lambda item: (-item[1], item[0]))

    @cached_property
    def groups(self) -> dict[tuple[str, str], dict[str, Any]]:
        """The tally's numbers by source and language."""
        return {(group["source"], group["language"]): group for group in (self.tally or {"groups": []})["groups"]}

    @cached_property
    def sources(self) -> list[tuple[str, str]]:
        """(source, language), most characters first."""
        sizes = {tuple(name.removeprefix("characters.").rsplit(".", 1)): count for name, count in self.counts.items() if name.startswith("characters.")}
        return [(source, language) for source, language in sorted(sizes, key=lambda key: (-sizes[key], key))]

    @cached_property
    def rejected(self) -> dict[str, tuple[int, list[dict[str, Any]]]]:
        """Documents set aside: by reason their number and the first few, most frequent first."""
        numbers: Counter[str] = Counter()
        examples: dict[str, list[dict[str, Any]]] = defaultdict(list)
        file = self.folder / "rejected.jsonl"
        if file.is_file():
            with file.open(encoding="utf-8") as lines:
                for item in map(json.loads, lines):
                    numbers[item["reason"]] += 1
                    if len(examples[item["reason"]]) < SHOWN_EXAMPLES:
                        examples[item["reason"]].append(item)
        return {reason: (count, examples[reason]) for reason, count in sorted(numbers.items(), key=lambda item: (-item[1], item[0]))}


def write_report(folder: Path, file: Path) -> None:
    """Write the page about a prepared folder."""
    from data_prep.files import write_atomic

    write_atomic(file, report(Facts.read(folder)))


def report(facts: Facts) -> str:
    """The page."""
    from data_prep.vocabularies import unknowns
    from launch.report_units import frequent, lengths, passages, units, unknown

    sections = [
        ("read", "What was read", read(facts)),
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
    warning = "" if facts.tally else "<p>This folder was prepared without a tally: histograms, frequent units and samples are missing. Prepare it again.</p>"
    warning += "".join(f'<p class="warning">Warning: {escape(text)}</p>' for text in (unknowns.warnings(facts.tally) if facts.tally else []))
    name = facts.folder.resolve()
    heading = f'<h1>{escape(name.name)}</h1><div class="quiet">prepared corpus · {escape(str(facts.folder))}</div>'
    return framed(f"{name.name} · prepared corpus", f"{heading}<nav>{links}</nav>{tiles(facts)}{warning}{body}")


def tiles(facts: Facts) -> str:
    """The few numbers everyone asks for."""
    tokens = {split: sum(shard["tokens"] for shard in facts.manifest["shards"] if shard["split"] == split) for split in ("train", "heldout")}
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
    return '<div class="tiles">' + "".join(f'<div class="tile"><b>{number}</b><span>{escape(name)}</span></div>' for number, name in found) + "</div>"


def read(facts: Facts) -> str:
    """Documents, characters and tokens by source and language, and the writing systems."""
    whole = facts.total("characters.")
    sizes = Counter(facts.plan.source_bytes())
    rows = []
    for source, language in facts.sources[:SHOWN_SOURCES]:
        characters = facts.counts[f"characters.{source}.{language}"]
        documents = facts.counts.get(f"documents.{source}.{language}", 0)
        tokens = facts.groups.get((source, language), {}).get("tokens", 0)
        cells = [escape(source), f'<span class="tag">{escape(language)}</span>', f"{documents:,}", f"{characters:,}", f"{tokens:,}"]
        rows.append([*cells, percent(characters, whole), bar(characters / whole)])
    rest = facts.sources[SHOWN_SOURCES:]
    if rest:
        characters = sum(facts.counts[f"characters.{source}.{language}"] for source, language in rest)
        documents = sum(facts.counts.get(f"documents.{source}.{language}", 0) for source, language in rest)
        tokens = sum(facts.groups.get(key, {}).get("tokens", 0) for key in rest)
        cells = [f'<span class="quiet">{len(rest)} more</span>', "", f"{documents:,}", f"{characters:,}", f"{tokens:,}"]
        rows.append([*cells, percent(characters, whole), bar(characters / whole)])
    heads = ["source", "language", "documents", "characters", "tokens", "share", ""]
    files = f"<p>{facts.plan.files:,} file(s), {short(sum(sizes.values()))}B of text, in {facts.plan.parts:,} part(s).</p>"
    return files + table(heads, rows, "ssnnnnw") + volumes(sizes) + scripts(facts)


def volumes(sizes: Counter[str]) -> str:
    """Bytes of text by source."""
    whole = sum(sizes.values())
    rows = [[escape(name), f"{size:,}", percent(size, whole), bar(size / max(whole, 1))] for name, size in sizes.most_common(SHOWN_SOURCES)]
    heading = f"<summary>Bytes of text by source{' (the largest)' if len(sizes) > SHOWN_SOURCES else ''}</summary>"
    return f"<details>{heading}{table(['source', 'bytes', 'share', ''], rows, 'snnw')}</details>"


def scripts(facts: Facts) -> str:
    """Which writing systems the text is in."""
    if not facts.tally or not facts.tally["scripts"]:
        return ""
    found = facts.tally["scripts"]
    whole = sum(found.values())
    rows = [[escape(name), percent(count, whole), bar(count / whole)] for name, count in found.items()]
    return f"<h3>Writing systems</h3><p class=quiet>Share of characters, from every sixteenth one.</p>{table(['', '', ''], rows, 'snw')}"


def left_out(facts: Facts) -> str:
    """Documents set aside with examples, units dropped, and every other counter."""
    parts = []
    if facts.rejected:
        whole = facts.total("documents.") + facts.total("rejected.")
        rows = []
        for reason, (count, examples) in list(facts.rejected.items())[:SHOWN_REASONS]:
            places = "<br>".join(f"<code>{escape(item['path'])}:{item['line']}</code> <small>{escape(str(item['detail']))}</small>" for item in examples)
            rows.append([escape(reason), f"{count:,}", percent(count, whole), places])
        parts.append(f"<h3>Documents set aside</h3>{table(['reason', 'documents', 'of all', 'first ones'], rows, 'snns')}")
        parts.append("<p class=quiet>All of them are listed in <code>rejected.jsonl</code>.</p>")
    else:
        parts.append("<p>No document was set aside.</p>")
    parts += [f'<p style="color:var(--warn)">{escape(line)}</p>' for line in cut_lines(facts.counts)]
    dropped = facts.under("dropped.")
    if dropped:
        most = dropped[0][1]
        rows = [[escape(reason), f"{count:,}", bar(count / most)] for reason, count in dropped[:SHOWN_REASONS]]
        explained = (
            "Units that met another of higher precedence, a sentence end, a part of a word or the inside of a token; words that a higher unit cuts stay, "
            "in two pieces."
        )
        parts.append(f"<h3>Units cut or dropped</h3><p class=quiet>{explained}</p>{table(['', 'units', ''], rows, 'snw')}")
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
    lines = [[escape(s["path"]), f"{s['documents']:,}", f"{s['tokens']:,}", f"<code>{s['sha256'][:16]}</code>"] for s in shards[:200]]
    more = f"<p class=quiet>The first 200 of {len(shards):,}.</p>" if len(shards) > 200 else ""
    shown = json.dumps(facts.manifest["settings"], indent=2, ensure_ascii=False)
    settings = f"<details><summary>All settings</summary><pre>{escape(shown)}</pre></details>"
    listed = f"<details><summary>{len(shards):,} shard(s)</summary>{more}{table(['file', 'documents', 'tokens', 'sha256'], lines, 'snns')}</details>"
    return table(["", ""], rows, "ss") + settings + listed
