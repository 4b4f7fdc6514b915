"""`kmask show schedule`: stages, rows per task and the learning rate along a run."""

from __future__ import annotations

from collections.abc import Iterable
from itertools import accumulate
from pathlib import Path
from typing import TYPE_CHECKING

from launch.settings.components import read_config
from launch.views.words import Line, Word

if TYPE_CHECKING:
    from pretrain.config import Run

BAR = 30
"""Characters of a bar for all rows."""


def show_schedule(file: Path, overrides: list[str]) -> Iterable[Line]:
    """Stages, rows per task and the learning rate along the run."""
    from pretrain.config import Run
    from pretrain.schedule import total_steps

    run = read_config(Run, file, overrides)
    total, rows, row = total_steps(run.stages), run.batch.rows_per_step, run.batch.row
    yield [Word(f"{total:,} steps of {rows} rows x {row} tokens = {total * rows * row:,} tokens", "title")]
    tasks = (f"{run.task_ids[name]} {name}" for name in run.tasks if run.builds_rows(name))
    yield [Word("task table: " + ", ".join(tasks), "dim")]
    begins = accumulate((stage.steps for stage in run.stages), initial=0)
    for index, (stage, begin) in enumerate(zip(run.stages, begins, strict=False)):
        yield []
        steps = f"   steps {begin:,} to {begin + stage.steps:,}"
        yield [Word(f"stage {index + 1} `{stage.name}`", "title"), Word(steps, "dim")]
        yield from task_lines(run, index)
        yield [Word(f"  learning rate ({run.optimization.schedule})  " + rate_words(run, index, begin, total), "dim")]


def task_lines(run: Run, index: int) -> Iterable[Line]:
    """The tasks of a stage: new or not, and their share of its rows."""
    from pretrain.schedule import planned_tasks

    stage = run.stages[index]
    before = set(planned_tasks(run.stages, index - 1)) if index else set()
    new = set(planned_tasks(run.stages, index)) - before
    built = run.rows_of(stage)
    for task in stage.tasks:
        part = built.get(task, 0.0) / (run.batch.rows_per_step * stage.steps)
        bar = "█" * round(part * BAR) if task in built else "on every row"
        count = f"{part:4.0%}  {round(built[task]):9,d} rows" if task in built else " " * 20
        mark = Word("new  " if task in new else "     ", "entity")
        yield [Word(f"  {task:22s}"), mark, Word(count + "  "), Word(bar, "word")]


def rate_words(run: Run, index: int, begin: int, total: int) -> str:
    """The learning rate at the first step of a stage, after warm-up, in its middle and at its end."""
    steps, optimization = run.stages[index].steps, run.optimization
    rates = []
    for step in sorted({0, min(optimization.warmup, steps) - 1, steps // 2, steps - 1} - {-1}):
        at = (step, steps) if optimization.restart_per_stage else (begin + step, total)
        rates.append(f"{begin + step:,}: {optimization.rate(*at):.2e}")
    return "   ".join(rates)
