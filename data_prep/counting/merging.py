"""Several tallies as one: sums of counts, the most frequent of all surfaces, the samples with the smallest keys."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from itertools import zip_longest
from typing import Any

from data_prep.counting.passages import smallest
from data_prep.counting.surfaces import Top, largest, merge_tops

MERGED, HELD, UNKNOWN = 1000, 256, 200
"""Frequent surfaces of a class that a merged tally keeps, lists of them that are held before they are joined; unknown
characters."""


def merge(tallies: Iterable[dict[str, Any]]) -> dict[str, Any]:
    """Several tallies as one, whatever their order; merged tallies may be merged again."""
    groups: dict[tuple[str, str], dict[str, Any]] = {}
    lengths: dict[str, list[int]] = {}
    tops: dict[tuple[str, str, str], list[Top]] = {}
    scripts: Counter[str] = Counter()
    unknown: Counter[str] = Counter()
    samples: list[dict[str, Any]] = []
    alone = 0
    for tally in tallies:
        for group in tally["groups"]:
            present = groups.setdefault((group["source"], group["language"]), {})
            for name, value in group.items():
                present[name] = value if isinstance(value, str) else _sum(present.get(name, type(value)()), value)
        for level, counts in tally["unit_lengths"].items():
            lengths[level] = _sum(lengths.get(level, []), counts)
        for item in tally["surfaces"]:
            held = tops.setdefault((item["level"], item["type"], item["language"]), [])
            held.append(Top(item["surfaces"], item["floor"], item["error"]))
            if len(held) > HELD:
                held[:] = [merge_tops(held, MERGED)]
        scripts.update(tally["scripts"])
        unknown.update(dict(tally["unknown_characters"]))
        alone += tally["unknown_alone"]
        samples = smallest([*samples, *tally["samples"]])
    return {
        "groups": [groups[key] for key in sorted(groups)],
        "unit_lengths": dict(sorted(lengths.items())),
        "surfaces": [
            dict(zip(("level", "type", "language"), key, strict=True)) | _plain(merge_tops(held, MERGED))
            for key, held in sorted(tops.items())
        ],
        "scripts": dict(sorted(scripts.items(), key=lambda item: (-item[1], item[0]))),
        "unknown_characters": [list(item) for item in largest(unknown, 0, 0, UNKNOWN).surfaces],
        "unknown_alone": alone,
        "samples": samples,
    }


def _plain(top: Top) -> dict[str, Any]:
    return {**top._asdict(), "surfaces": [list(item) for item in top.surfaces]}


def _sum(left: Any, right: Any) -> Any:
    """Numbers added; lists of numbers added place by place, the shorter one as if it ended in zeros."""
    if not isinstance(right, list):
        return left + right
    return [a + b for a, b in zip_longest(left, right, fillvalue=0)]
