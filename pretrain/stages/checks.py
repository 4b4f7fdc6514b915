"""Can a stage be trained as it is written? It is checked against the tasks of its run, its steps are counted, and what
they see is held against tasks, model and length."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from pretrain.objectives import Objective
from pretrain.stages.batching import LEAST_TEXT, Batching
from pretrain.stages.schedule import Room, Stage, amount_of, with_steps


def planned_stage(stage: Stage, tasks: Mapping[str, Objective], room: Room) -> Stage:
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
    return with_steps(stage, builders, room)


def check_samples(batches: Mapping[str, Batching], tasks: Mapping[str, Objective], stages: Sequence[Stage]) -> None:
    """Raise ValueError when samples are too short for a task: those of the run, on which all are measured, or those of
    a stage that trains it.

    Args:
        batches: by their keys in the configuration (Run.batches).
    """
    for key, batch in batches.items():
        stage = next((stage for number, stage in enumerate(stages) if key == f"stages.{number}.batch"), None)
        for name, task in tasks.items():
            room = batch.max_sample_tokens - task.special_tokens()
            if room < LEAST_TEXT and (stage is None or name in stage.tasks):
                where = f" in stage {stage.name}" if stage else ""
                raise ValueError(
                    f"tasks: {name} leaves {room} tokens of a sample for text{where}; raise {key}.max_sample_tokens "
                    f"= {batch.max_sample_tokens} to {LEAST_TEXT + task.special_tokens()} or more"
                )


def check_positions(batches: Mapping[str, Batching], positions: int, where: str) -> None:
    """Raise ValueError when samples can be longer than a position table.

    Args:
        where: whose it is.
    """
    for key, batch in batches.items():
        if batch.max_sample_tokens > positions:
            raise ValueError(
                f"{key}.max_sample_tokens: {batch.max_sample_tokens}, but {where} has {positions} positions; use at "
                f"most {positions} (the shards need not be prepared again)"
            )


def check_warmups(batch: Batching, stages: Sequence[Stage]) -> None:
    """Raise ValueError where the rows of a step have not grown by the end, or never change.

    Args:
        batch: the run's.
    """
    whole, begin, changes = sum(stage.steps for stage in stages), 0, False
    for index, stage in enumerate(stages):
        own = stage.batch and stage.batch.warmup
        if own and own.steps > stage.steps:
            raise ValueError(
                f"stages.{index}.batch.warmup: steps {own.steps:,} must be at most the {stage.steps:,} steps of stage "
                f"{stage.name}"
            )
        changes = changes or (stage.batch is None and batch.warmup is not None and begin < batch.warmup.steps)
        begin += stage.steps
    if batch.warmup and batch.warmup.steps > whole:
        raise ValueError(f"batch.warmup: steps {batch.warmup.steps:,} must be at most the {whole:,} steps of the run")
    if batch.warmup and not changes:
        raise ValueError(
            f"batch.warmup: no step has fewer rows by it: it is counted from the beginning of the run, and the stages "
            f"of the first {batch.warmup.steps:,} steps have a `batch` of their own; write it there"
        )
