"""Sums of losses, hits and targets between two lines of metrics, and the means that are read from them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch

from masking.spans import KINDS


def readable(stats: torch.Tensor, tasks: list[str]) -> dict[str, float]:
    """Summed stats (tasks, 1 + kinds, 3) as named means: loss and accuracy per task, and per kind of unit for knowledge masking."""
    result: dict[str, float] = {}
    for row, task in zip(stats.tolist(), tasks, strict=True):
        total, *kinds = row
        if total[2]:
            result[f"loss/{task}"] = total[0] / total[2]
            result[f"accuracy/{task}"] = total[1] / total[2]
        result[f"targets/{task}"] = total[2]
        if task == "knowledge_masking":
            for kind, (loss, hits, count) in zip(KINDS, kinds, strict=True):
                if count:
                    result[f"loss/{kind}"] = loss / count
                    result[f"accuracy/{kind}"] = hits / count
                result[f"targets/{kind}"] = count
    return result


class Sums:
    """What is added up between two lines of metrics, over all ranks. Part of a checkpoint, so that lines are equal after a resume."""

    COUNTS = ("seconds", "real", "masked", "maskable", "slots", "given_up", "skipped")

    def __init__(self, tasks: list[str], kept: Mapping[str, Any]) -> None:
        self.tasks = tasks
        self.clear()
        for task, row in zip(kept.get("tasks", []), kept.get("stats", []), strict=True):
            if task in tasks:
                self.stats[tasks.index(task)] = torch.tensor(row, dtype=torch.float64)
        self.counts |= {name: float(kept[name]) for name in self.COUNTS if name in kept}

    def clear(self) -> None:
        """Begin anew."""
        self.stats = torch.zeros(len(self.tasks), 1 + len(KINDS), 3, dtype=torch.float64)
        self.counts = dict.fromkeys(self.COUNTS, 0.0)

    def count(self, **more: float) -> None:
        """Add to the counts of tokens, seconds, units or steps."""
        for name, value in more.items():
            self.counts[name] += value

    def kept(self) -> dict[str, Any]:
        """As a checkpoint keeps it."""
        return {"tasks": self.tasks, "stats": self.stats.tolist(), **self.counts}

    def values(self) -> dict[str, float]:
        """Means and shares."""
        counts = self.counts
        values = readable(self.stats, self.tasks)
        values |= {"tokens_per_second": counts["real"] / max(counts["seconds"], 1e-9), "real_share": counts["real"] / max(counts["slots"], 1.0)}
        values |= {"masked_share": counts["masked"] / max(counts["maskable"], 1.0), "skipped": counts["skipped"]}
        return values
