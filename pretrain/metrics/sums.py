"""Sums of losses, hits and targets between two lines of metrics, and the means that are read from them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import torch

Groups = Mapping[str, Sequence[str]]
"""By task, in order: the groups that its figures are split by (Objective.groups)."""


def row_count(groups: Groups) -> int:
    """Rows of the stats of these tasks."""
    return sum(1 + len(names) for names in groups.values())


def rows_of(stats_R3: torch.Tensor, groups: Groups) -> dict[str, torch.Tensor]:
    """The stats of each task (1 + groups, 3), which lie one behind the other: (loss sum, hits, targets) of all, then of
    each group."""
    parts = torch.split(stats_R3, [1 + len(names) for names in groups.values()])
    return dict(zip(groups, parts, strict=True))


def totals(stats_R3: torch.Tensor, groups: Groups) -> dict[str, tuple[float, float, float]]:
    """(loss sum, hits, targets) of each task."""
    return {
        task: (float(rows[0, 0]), float(rows[0, 1]), float(rows[0, 2]))
        for task, rows in rows_of(stats_R3, groups).items()
    }


def check_groups(stats_R3: torch.Tensor, groups: Groups) -> None:
    """Raise ValueError when a target was in none of its task's groups: they would not sum to all."""
    for task, rows in rows_of(stats_R3, groups).items():
        stray = int(rows[0, 2] - rows[1:, 2].sum()) if len(rows) > 1 else 0
        if stray:
            names = ", ".join(f"{index} {name}" for index, name in enumerate(groups[task]))
            raise ValueError(
                f"task {task!r}: its loss puts {stray:,} of {int(rows[0, 2]):,} targets into groups that it does not "
                f"have ({names})"
            )


def readable(stats_R3: torch.Tensor, groups: Groups) -> dict[str, float]:
    """Summed stats as named means: `loss/TASK`, `accuracy/TASK`, `targets/TASK`, and the same of each group as
    `loss/TASK/GROUP`."""
    result: dict[str, float] = {}
    for task, rows in rows_of(stats_R3, groups).items():
        for name, (loss, hits, count) in zip(
            [task, *(f"{task}/{group}" for group in groups[task])], rows.tolist(), strict=True
        ):
            if count:
                result[f"loss/{name}"] = loss / count
                result[f"accuracy/{name}"] = hits / count
            result[f"targets/{name}"] = count
    return result


class Sums:
    """What is added up between two lines of metrics, over all ranks. Part of a checkpoint, so that lines are equal
    after a resume."""

    COUNTS = ("seconds", "waited", "real", "masked", "maskable", "slots", "given_up", "skipped", "flops")

    def __init__(self, groups: Groups, kept: Mapping[str, Any]) -> None:
        self.groups = groups
        self.clear()
        stats = kept.get("stats", {})
        if isinstance(
            stats, Mapping
        ):  # a list: of a checkpoint from before tasks had groups; its next line of metrics is partial
            for task, rows in rows_of(self.stats, groups).items():
                if len(stats.get(task, [])) == len(rows):
                    rows.copy_(torch.tensor(stats[task], dtype=torch.float64))
        self.counts |= {name: float(kept[name]) for name in self.COUNTS if name in kept}

    def clear(self) -> None:
        """Begin anew."""
        self.stats = torch.zeros(row_count(self.groups), 3, dtype=torch.float64)
        self.counts = dict.fromkeys(self.COUNTS, 0.0)

    def count(self, **more: float) -> None:
        """Add to the counts of tokens, seconds, units or steps."""
        for name, value in more.items():
            self.counts[name] += value

    def kept(self) -> dict[str, Any]:
        """As a checkpoint keeps it."""
        return {
            "stats": {task: rows.tolist() for task, rows in rows_of(self.stats, self.groups).items()},
            **self.counts,
        }

    def values(self) -> dict[str, float]:
        """Means and shares."""
        counts = self.counts
        values = readable(self.stats, self.groups)
        values |= {
            "tokens_per_second": counts["real"] / max(counts["seconds"], 1e-9),
            "loader_wait": counts["waited"] / max(counts["seconds"], 1e-9),
            "real_share": counts["real"] / max(counts["slots"], 1.0),
        }
        values |= {"masked_share": counts["masked"] / max(counts["maskable"], 1.0), "skipped": counts["skipped"]}
        return values
