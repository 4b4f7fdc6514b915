"""Can a stage be trained as it is written? Each is checked against the tasks of its run, and its steps are counted."""

from __future__ import annotations

from collections.abc import Mapping

from pretrain.objectives import Objective
from pretrain.stages.schedule import Stage, amount_of, with_steps


def planned_stage(stage: Stage, tasks: Mapping[str, Objective], rows_per_step: int, row_tokens: int) -> Stage:
    """A stage whose steps are known.

    Raises:
        ValueError: it cannot be trained as it is written.
    """
    unknown = [task for task in stage.tasks if task not in tasks]
    if unknown:
        raise ValueError(f"stages: {stage.name} trains {unknown[0]!r}, which is not in tasks ({', '.join(tasks)})")
    idle = [task for task, amount in stage.tasks.items() if tasks[task].HAS_TASK_ID and not amount_of(amount).value]
    if idle:
        raise ValueError(
            f"stages: {stage.name} gives {idle[0]} no rows; leave it out, then its head stays as it is until a "
            "later stage takes it up"
        )
    riding = [task for task, amount in stage.tasks.items() if amount_of(amount).counted and not tasks[task].BUILDS_ROWS]
    if riding:
        raise ValueError(
            f"stages: {stage.name} counts rows of {riding[0]}, which rides on the rows of others; give it the share 0"
        )
    builders = [task for task, amount in stage.tasks.items() if amount_of(amount).value and tasks[task].BUILDS_ROWS]
    if not builders:
        able = ", ".join(task for task in stage.tasks if tasks[task].BUILDS_ROWS) or "no task of it builds any"
        raise ValueError(f"stages: {stage.name} builds no rows; give a task that builds rows a share above 0 ({able})")
    return with_steps(stage, builders, rows_per_step, row_tokens)
