"""What `kmask prepare` tells when it has finished: counts on stdout, warnings and documents set aside on stderr."""

from __future__ import annotations

import json
import sys
from collections import Counter
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from launch.reports.prepared.warning_lines import SHOWN_EXAMPLES, cut_lines, manifest_warnings, other_lines
from launch.shell.exit_codes import DONE, SET_ASIDE

SHOWN_LABELS = 6


def summarise(manifest: Mapping[str, Any], folder: Path, seconds: float) -> int:
    """Tell what was prepared; the exit code says whether documents were set aside."""
    counts = manifest["counts"]
    documents, characters = under(counts, "documents."), under(counts, "characters.")
    print(f"{folder}: {documents.total():,} documents, {characters.total():,} characters, {seconds:.1f} s")
    for line in [*count_lines(manifest), *other_lines(counts), *cut_lines(counts)]:
        print(f"  {line}")
    for warning in manifest_warnings(manifest, folder):
        print(f"warning: {warning}", file=sys.stderr)
    rejected = under(counts, "rejected.")
    if not rejected.total():
        return DONE
    for line in rejected_lines(rejected, folder / "rejected.jsonl"):
        print(line, file=sys.stderr)
    return SET_ASIDE


def under(counts: Mapping[str, int], prefix: str) -> Counter[str]:
    """The counters whose names begin with ``prefix``, without it."""
    return Counter({name.removeprefix(prefix): count for name, count in counts.items() if name.startswith(prefix)})


def count_lines(manifest: Mapping[str, Any]) -> Iterator[str]:
    """Tokens, units by level, and what was left out."""
    counts, shards = manifest["counts"], manifest["shards"]
    train, heldout = (
        sum(shard["tokens"] for shard in shards if shard["split"] == split) for split in ("train", "heldout")
    )
    unknown, size = counts.get("tokens.unknown", 0), manifest["tokenizer"]["size"]
    yield f"tokens: {train:,} to train on, {heldout:,} held out; {unknown:,} are [UNK]; vocabulary {size:,}"
    for level in manifest["levels"]:
        labels: Counter[str] = Counter()
        for name, count in under(counts, f"units.{level}.").items():
            labels[name.rpartition(".")[0]] += count
        most = sorted(labels.items(), key=lambda item: -item[1])[:SHOWN_LABELS]
        detail = ", ".join(f"{label} {count:,}" for label, count in most if label != "-")
        yield f"{level}: {labels.total():,} units{' (' + detail + ')' if detail else ''}"
    if dropped := under(counts, "dropped."):
        yield "left out: " + "; ".join(f"{reason}: {count:,}" for reason, count in dropped.items())


def rejected_lines(rejected: Counter[str], file: Path) -> Iterator[str]:
    """How many documents were set aside, why, and the first of them."""
    yield f"{rejected.total():,} document(s) set aside, listed in {file}:"
    yield "  " + "; ".join(f"{reason}: {count:,}" for reason, count in rejected.most_common())
    with file.open(encoding="utf-8") as lines:
        for _, line in zip(range(SHOWN_EXAMPLES), lines, strict=False):
            item = json.loads(line)
            yield f"  {item['path']}:{item['line']}: {item['reason']} ({item['detail']})"
