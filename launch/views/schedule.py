"""`kmask show schedule`: stages, rows per task and the learning rate along a run."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

from launch.settings.components import read_config
from launch.views.words import Line, Word


def show_schedule(file: Path, overrides: list[str]) -> Iterable[Line]:
    """Stages, rows per task and the learning rate along the run."""
    from pretrain.config import Run
    from pretrain.schedule import planned_tasks, total_steps

    run = read_config(Run, file, overrides)
    total = total_steps(run.stages)
    rows = run.batch.rows_per_step
    yield [
        Word(
            f"{total:,} steps of {rows} rows x {run.batch.row} tokens = {total * rows * run.batch.row:,} tokens",
            "title",
        )
    ]
    yield [
        Word(
            "task table: " + ", ".join(f"{run.task_ids[name]} {name}" for name in run.tasks if run.builds_rows(name)),
            "dim",
        )
    ]
    begin = 0
    for index, stage in enumerate(run.stages):
        new = set(planned_tasks(run.stages, index)) - (set(planned_tasks(run.stages, index - 1)) if index else set())
        yield []
        yield [
            Word(f"stage {index + 1} `{stage.name}`", "title"),
            Word(f"   steps {begin:,} to {begin + stage.steps:,}", "dim"),
        ]
        whole = sum(share for task, share in stage.tasks.items() if run.builds_rows(task))
        for task, share in stage.tasks.items():
            builds = run.builds_rows(task) and share > 0
            part = share / whole if builds else 0.0
            bar = "█" * round(part * 30) if builds else "on every row"
            count = f"{part:4.0%}  {round(part * rows * stage.steps):9,d} rows" if builds else " " * 20
            yield [
                Word(f"  {task:22s}"),
                Word("new  " if task in new else "     ", "entity"),
                Word(count + "  "),
                Word(bar, "word"),
            ]
        marks = sorted({0, min(run.optimization.warmup, stage.steps) - 1, stage.steps // 2, stage.steps - 1} - {-1})
        rates = []
        for step in marks:
            at = (step, stage.steps) if run.optimization.restart_per_stage else (begin + step, total)
            rates.append(f"{begin + step:,}: {run.optimization.rate(*at):.2e}")
        yield [Word(f"  learning rate ({run.optimization.schedule})  " + "   ".join(rates), "dim")]
        begin += stage.steps
