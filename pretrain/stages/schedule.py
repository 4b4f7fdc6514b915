"""Stages: which tasks are trained when (continual multi-task learning, ERNIE 2.0, Sun et al. 2020, section 3.2).

    stages:
      - {name: knowledge, steps: 1000, tasks: {knowledge_masking: 1, span_boundary: 0}}
      - {name: order, steps: 1000, tasks: {knowledge_masking: 3, span_boundary: 0, sentence_reordering: 1}}
      - {name: counted, tasks: {knowledge_masking: {iterations: 2000}, sentence_reordering: {tokens: 10_000_000}}}

A stage starts from the parameters of the one before, trains its new tasks together with the old ones, and may list any
task of the run. A plain number is a share of the rows that no count takes; tasks that only ride on rows of others have
the share 0.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, NamedTuple

from pretrain.feed.step_rows import StepRows
from pretrain.stages.batching import Batching


@dataclass(frozen=True, kw_only=True)
class Amount:
    """How many rows of a stage are built for a task: exactly one of these."""

    share: float | None = None
    """Its part of the rows that no count takes, relative to the other shares; a plain number means the same. 0: it only
    rides along."""
    iterations: int | None = None
    """Rows of so many optimiser steps of `rows_per_step` rows; under a warm-up of the batch they fill more steps."""
    tokens: int | None = None
    """Rows of so many positions in all, rounded up to whole rows."""

    def __post_init__(self) -> None:
        given = [name for name in ("share", "iterations", "tokens") if getattr(self, name) is not None]
        if len(given) != 1:
            raise ValueError(f"give exactly one of share, iterations and tokens (found {', '.join(given) or 'none'})")
        if self.value < (1 if self.counted else 0):
            raise ValueError(f"{given[0]}: {self.value:g} must be {'at least 1' if self.counted else 'non-negative'}")

    @property
    def value(self) -> float:
        """The one that is given."""
        return next(value for value in (self.share, self.iterations, self.tokens) if value is not None)

    @property
    def counted(self) -> bool:
        """Is it a number of rows, not a share of them?"""
        return self.share is None

    @property
    def recorded(self) -> Any:
        """As plain values: a share is a number."""
        return (
            self.share
            if not self.counted
            else {"tokens": self.tokens}
            if self.iterations is None
            else {"iterations": self.iterations}
        )

    def rows(self, rows_per_step: int, row_tokens: int) -> int:
        """Rows of a count."""
        return self.iterations * rows_per_step if self.iterations is not None else -(-(self.tokens or 0) // row_tokens)


def amount_of(value: float | Amount) -> Amount:
    """A plain number is a share."""
    return value if isinstance(value, Amount) else Amount(share=value)


@dataclass(frozen=True, kw_only=True)
class Stage:
    """A stretch of training with a fixed set of tasks."""

    name: str
    """Name for logs."""
    steps: int = 0
    """Optimiser steps. May be left out where all rows are counted: then as many as these rows fill."""
    tasks: dict[str, float | Amount]
    """Active tasks and the rows built for each: a share, `{iterations: N}` or `{tokens: N}`."""
    batch: Batching | None = None
    """How much text a step of this stage sees; the run's `batch` where left out. Complete in itself: what it leaves out
    has the default, not the run's value. Where its lengths are not those of the stage before, every stream goes on at
    the next block of its epoch: the rest of the block (under 1,024 slots of 512 tokens) waits for the next one."""

    def __post_init__(self) -> None:
        if self.steps < 0:
            raise ValueError(f"steps: {self.steps} must be at least 1")
        given = [value.value if isinstance(value, Amount) else value for value in self.tasks.values()]
        if not given or min(given) < 0 or sum(given) <= 0:
            raise ValueError("tasks: shares must be non-negative with a positive sum")

    @property
    def counted(self) -> bool:
        """Does it count the rows of a task?"""
        return any(amount_of(amount).counted for amount in self.tasks.values())


class Room(NamedTuple):
    """What the steps of a stage have room for."""

    rows: StepRows
    begin: int
    """The step of the run at which the stage begins."""
    row_tokens: int

    def whole(self, steps: int) -> int:
        """Rows of so many steps."""
        return self.rows.between(self.begin, self.begin + steps)

    def told(self, steps: int) -> str:
        """1,000 steps x 8 rows = 8,000 rows"""
        first, last = (self.rows.of(self.begin + step) for step in (0, steps - 1))
        rows = f"x {last:,}" if first == last else f"of {first:,} to {last:,}"
        return f"{steps:,} steps {rows} rows = {self.whole(steps):,} rows"


def with_steps(stage: Stage, builders: Sequence[str], room: Room) -> Stage:
    """The stage with its number of steps, checked against the rows that it counts.

    Args:
        builders: its tasks that build rows and get some.

    Raises:
        ValueError: steps are missing, or the counts do not fit into them.
    """
    shared = [task for task in builders if not amount_of(stage.tasks[task]).counted]
    counts = _counts(stage, builders, room)
    taken = sum(counts.values())
    told = " + ".join(f"{task} {rows:,}" for task, rows in counts.items())
    if not stage.steps:
        if shared:
            raise ValueError(
                f"stages: {stage.name} needs `steps`: {', '.join(shared)} gets a share of what they leave, not a "
                "number of rows"
            )
        return replace(stage, steps=room.rows.filled(room.begin, taken))
    whole = room.whole(stage.steps)
    size = f"stages: {stage.name} has {room.told(stage.steps)}"
    if shared and taken >= whole:
        raise ValueError(
            f"{size}, its counts take {told} = {taken:,}: none are left for {', '.join(shared)}; raise steps or lower "
            "the counts"
        )
    if not shared and not room.whole(stage.steps - 1) < taken <= whole:
        raise ValueError(
            f"{size}, its counts take {told} = {taken:,}; leave `steps` out, or give a task a share of the rest"
        )
    return stage


def _counts(stage: Stage, builders: Sequence[str], room: Room) -> dict[str, int]:
    return {
        task: amount.rows(room.rows.rows, room.row_tokens)
        for task in builders
        if (amount := amount_of(stage.tasks[task])).counted
    }


def rows_of(stage: Stage, builders: Sequence[str], room: Room) -> dict[str, float]:
    """Rows of each building task: whole numbers that sum to all rows of the stage where it counts any, else shares of
    them."""
    whole = room.whole(stage.steps)
    counts = _counts(stage, builders, room)
    shares = {task: amount_of(stage.tasks[task]).value for task in builders if task not in counts}
    if not counts:
        return {task: share * (whole / sum(shares.values())) for task, share in shares.items()}
    left = whole - sum(counts.values())
    more = apportion(shares or {task: float(count) for task, count in counts.items()}, left)
    return {task: float(counts.get(task, 0) + more.get(task, 0)) for task in builders}


def apportion(weights: Mapping[str, float], whole: int) -> dict[str, int]:
    """``whole`` divided by weights into whole numbers, by largest remainders; the first of equals wins.

    weights a 1, b 1, c 2 of 5  ->  a 1, b 1, c 3        (1.25, 1.25, 2.5)
    """
    total = sum(weights.values())
    exact = {name: weight * whole / total for name, weight in weights.items()}
    found = {name: math.floor(value) for name, value in exact.items()}
    for name in sorted(exact, key=lambda name: found[name] - exact[name])[: whole - sum(found.values())]:
        found[name] += 1
    return found


class Position(NamedTuple):
    """Where a step lies."""

    stage: int
    step: int
    """Steps done in this stage."""
    steps: int
    """Steps of this stage."""


def position(stages: Sequence[Stage], step: int) -> Position:
    """Stage of a global 0-based step; the end of the run belongs to the last stage."""
    before = 0
    for index, stage in enumerate(stages):
        if step < before + stage.steps or index == len(stages) - 1:
            return Position(index, step - before, stage.steps)
        before += stage.steps
    raise ValueError("no stages")


def total_steps(stages: Sequence[Stage]) -> int:
    """Optimiser steps of the whole run."""
    return sum(stage.steps for stage in stages)


def planned_tasks(stages: Sequence[Stage], stage: int) -> list[str]:
    """Tasks introduced up to and including ``stage``, in order of introduction."""
    return list(dict.fromkeys(task for item in stages[: stage + 1] for task in item.tasks))
