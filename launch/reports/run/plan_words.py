"""The plan beside what was done, as columns of words: steps and tasks of every stage; planned and realised rows."""

from __future__ import annotations

from typing import Any

from launch.reports.run.curves import is_number
from launch.reports.run.facts import RunFacts
from launch.reports.run.history import StageSpan
from launch.shell.formatting import short
from launch.views.grid import Column
from launch.views.words import Word

FIRST = ("planned", "realised")
LEFT_OUT = ("iterations",)
"""Rows in another unit."""


def stage_columns(facts: RunFacts) -> tuple[list[str], list[Column]]:
    """Names and columns of the table of stages; where rows of tasks were counted, a line for each task of a stage."""
    names: list[str] = []
    steps: list[Word] = []
    counted: list[dict[str, float]] = []
    for name, done, planned, span in facts.stage_steps():
        names.append(name)
        steps.append(Word(f"{done:,} of {planned:,}" if planned else f"{done:,}"))
        counted.append({})
        tasks = stage_tasks(facts, name, span)
        for task, amount in tasks.items():
            names.append(f"  {task}")
            steps.append(Word(amount))
            counted.append(counts_of(span, task) if span else {})
    kinds = list(dict.fromkeys(kind for row in counted for kind in row if kind not in LEFT_OUT))
    kinds.sort(key=lambda kind: FIRST.index(kind) if kind in FIRST else len(FIRST))
    columns = [Column("steps, shares", steps)]
    for kind in kinds:
        cells = [Word(rows_text(row[kind]) if kind in row else "") for row in counted]
        columns.append(Column(kind, cells))
    if set(FIRST) <= set(kinds):
        columns.append(Column("of plan", [Word(share_text(row)) for row in counted]))
    return names, columns


def stage_tasks(facts: RunFacts, name: str, span: StageSpan | None) -> dict[str, str]:
    """The tasks of a stage and their amounts, as the plan has them, else those that were seen."""
    planned: dict[str, Any] = next((dict(stage.tasks) for stage in facts.plan.stages if stage.name == name), {})
    found = {task: amount_text(amount) for task, amount in planned.items()}
    for task in span.trained if span else ():
        found.setdefault(task, "")
    return found


def counts_of(span: StageSpan, task: str) -> dict[str, float]:
    """What was counted of a task in a stage; of several folders (`FOLDER/TASK`) the highest."""
    found: dict[str, float] = {}
    for kind, values in span.counts.items():
        mine = [value for name, value in values.items() if name.rpartition("/")[2] == task]
        if mine:
            found[kind] = max(mine)
    return found


def amount_text(amount: Any) -> str:
    """A share or an amount in words: 3, 2,000 iterations, rides."""
    if is_number(amount):
        return f"share {amount:g}" if amount else "rides"
    if isinstance(amount, dict):
        given = [f"{short(value)} {name}" for name, value in amount.items() if is_number(value)]
        return ", ".join(given)
    return ""


def rows_text(value: float) -> str:
    """A count with all its digits; what is none with three."""
    return f"{value:,.0f}" if value == int(value) else f"{value:,.3f}"


def share_text(row: dict[str, float]) -> str:
    """Realised of planned rows."""
    if not row.get("planned") or "realised" not in row:
        return ""
    return f"{row['realised'] / row['planned']:.1%}"
