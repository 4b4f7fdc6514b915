"""What the files of a prepared folder say: manifest.json, plan.json, rejected.jsonl and tally.json, read once."""

from __future__ import annotations

import json
from collections import Counter, defaultdict
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from data_prep.planned import Plan

SHOWN_EXAMPLES = 3
"""Documents set aside for one reason of which the page shows as many."""


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
            hint = (
                "preparation has not finished (`kmask prepare status` tells how far it is)"
                if begun
                else "give the `output` of a data configuration"
            )
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
        sizes = {
            tuple(name.removeprefix("characters.").rsplit(".", 1)): count
            for name, count in self.counts.items()
            if name.startswith("characters.")
        }
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
        return {
            reason: (count, examples[reason])
            for reason, count in sorted(numbers.items(), key=lambda item: (-item[1], item[0]))
        }
