"""Stages: which tasks are trained when (continual multi-task learning, ERNIE 2.0, Sun et al. 2020, section 3.2).

    stages:
      - {name: knowledge, steps: 1000, tasks: {knowledge_masking: 1, span_boundary: 0}}
      - {name: order, steps: 1000, tasks: {knowledge_masking: 3, span_boundary: 0, sentence_reordering: 1}}

A stage starts from the parameters of the one before, trains its new tasks together with the old ones, and may list any task of
the run. Numbers are shares of rows: token-level tasks ride on every row, so theirs count rows without a sentence-level task
(0: it only rides along).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple


@dataclass(frozen=True, kw_only=True)
class Stage:
    """A stretch of training with a fixed set of tasks."""

    name: str
    """Name for logs."""
    steps: int
    """Optimiser steps."""
    tasks: dict[str, float]
    """Active tasks and the share of rows built for each."""

    def __post_init__(self) -> None:
        if self.steps < 1:
            raise ValueError(f"steps: {self.steps} must be at least 1")
        if not self.tasks or min(self.tasks.values()) < 0 or sum(self.tasks.values()) <= 0:
            raise ValueError("tasks: shares must be non-negative with a positive sum")
        if "knowledge_masking" not in self.tasks:
            raise ValueError("tasks: knowledge_masking must be part of every stage (auxiliary tasks rotate beside it)")


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
