"""The order of tasks: which folder and task gets each row of a step, a pure function of the configuration and the step.

    stream_shares(run, stage)     ->  {("zh", "knowledge_masking"): 600.0, ("en", "knowledge_masking"): 300.0, ...}
    rows_of_step(run, 1_234)      ->  [("zh", "knowledge_masking"), ("en", "knowledge_masking"), ...]

No data is read: prepared folders need not exist yet. Training asks the same law, from what its cursors have been
served, so the order is equal on every rank and after a resume. Which *windows* are in a row hangs on the seed as well
(feed/sampling.py). A stage whose folders, tasks or weights change after it began counts its rows anew from there.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping

from pretrain.config import Run
from pretrain.feed.sampling import turns
from pretrain.stages.schedule import Stage, amount_of, apportion, position

Pair = tuple[str, str]
"""A stream: folder and task."""


def folder_weights(run: Run, task: str) -> dict[str, float]:
    """The folders that a task reads, with their weights for it: its own, or those under `data`."""
    named = run.tasks[task].folders
    own: Mapping[str, float] = named if isinstance(named, dict) else {}
    return {data.label: own.get(data.label, data.weight) for data in run.data if not named or data.label in named}


def stream_shares(run: Run, stage: Stage) -> dict[Pair, float]:
    """The share of every stream of a stage: numbers of rows where the stage counts rows.

    The folders of a task divide what the task gets: another task that reads other folders changes nothing about it.

    Raises:
        ValueError: a task reads only folders of weight 0.
    """
    rows = run.rows_of(stage)
    found: dict[str, dict[str, float]] = {}
    for task, count in rows.items():
        weights = folder_weights(run, task)
        if not sum(weights.values()):
            raise ValueError(
                f"task {task!r}: every folder that it reads has weight 0 ({', '.join(weights)}); give one of them a "
                "weight, or leave the task out of stages"
            )
        if stage.counted:
            found[task] = {name: float(part) for name, part in apportion(weights, round(count)).items()}
        else:
            share = amount_of(stage.tasks[task]).value
            found[task] = {name: share * weight / sum(weights.values()) for name, weight in weights.items()}
    return {
        (data.label, task): parts[data.label]
        for data in run.data
        for task, parts in found.items()
        if parts.get(data.label)
    }


def rows_of_step(run: Run, step: int) -> list[Pair]:
    """Folder and task of the rows of a step of the run, 0-based, in their order.

    Raises:
        ValueError: the run has no such step.
    """
    total = sum(stage.steps for stage in run.stages)
    if not 0 <= step < total:
        raise ValueError(f"step: {step:,} must lie between 0 and {total - 1:,}")
    where = position(run.stages, step)
    stage = run.stages[where.stage]
    rows = run.room_of(stage).whole(where.step + 1)
    return turns(stream_shares(run, stage), {}, rows)[-run.step_rows(stage).of(step) :]


def tasks_of_step(run: Run, step: int) -> dict[str, int]:
    """How many rows of a step are built for each task."""
    return dict(Counter(task for _, task in rows_of_step(run, step)))
