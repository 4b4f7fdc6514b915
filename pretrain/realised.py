"""What a stage really trained, beside what was planned: a line of metrics at its end, and one at the end of the run.

{"event": "stage_end", "stage": "order", "steps": 500, "planned_rows/knowledge_masking": 1000, "rows/knowledge_masking":
1000, "iterations/knowledge_masking": 250, "epochs/zh/knowledge_masking": 0.4, ...}

Rows are those that were fed; `iterations` are rows / rows_per_step of the stage's batch. `epochs/FOLDER/TASK` counts
how often the stream went through its folder, in the stage or, at `run_end`, since the run began; data that end are
begun again. All of it follows from cursors and from what a checkpoint keeps of each stage, so it is the same after a
resume.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace

from pretrain.config import Run
from pretrain.feed.sampling import Cursor, Stream
from pretrain.saving import Surroundings
from pretrain.stages.schedule import Stage

MANY_EPOCHS = 4.0
"""From here on repeated text is worth clearly less than new text (Muennighoff et al. 2023, figure 5)."""


def end_of_stage(around: Surroundings, index: int, streams: Mapping[str, Stream]) -> None:
    """If a stage has ended: note its rows, write them down, and warn of streams that were repeated often."""
    run, progress = around.run, around.progress
    stage, done = run.stages[index], progress.done[index]
    if done["steps"] < stage.steps:
        return
    done["realised"] = progress.rows_of(index)
    if around.tracker is None:
        return
    passes = {
        name: (
            passed(stream, Cursor(*done.get("begun", {}).get(name, ()))),
            passed(stream, progress.cursors.get(name, Cursor())),
        )
        for name, stream in streams.items()
    }
    values = counts(run, [stage], [done["realised"]])
    epochs = {f"epochs/{name}": round(end - begin, 4) for name, (begin, end) in passes.items()}
    around.tracker.log("stage_end", progress.step, {"stage": stage.name, "steps": done["steps"], **values, **epochs})
    for name, (begin, end) in passes.items():
        if begin <= MANY_EPOCHS < end:
            around.note(
                f"{name}: its text has been read {end:.1f} times by now; more than {MANY_EPOCHS:g} times teaches "
                "little new: prepare more, or train this task for fewer rows"
            )
    if index == len(run.stages) - 1:
        around.tracker.log("run_end", progress.step, whole_run(around))


def whole_run(around: Surroundings) -> dict[str, float]:
    """Planned and realised rows of all stages, and the epochs of every stream of the last ones that used it."""
    run, progress = around.run, around.progress
    rows: list[Mapping[str, int]] = [done.get("realised", {}) for done in progress.done]
    streams = {name: stream for stage in run.stages for name, stream in around.corpus.streams(stage, "train").items()}
    epochs = {
        f"epochs/{name}": round(passed(streams[name], cursor), 4)
        for name, cursor in progress.cursors.items()
        if name in streams
    }
    return {**counts(run, run.stages, rows), **epochs}


def counts(run: Run, stages: Sequence[Stage], rows: Sequence[Mapping[str, int]]) -> dict[str, float]:
    """Planned and realised rows, and iterations, by task.

    Args:
        rows: of every stage, those that each stream gave.
    """
    planned: dict[str, float] = {}
    found: dict[str, int] = {}
    iterations: dict[str, float] = {}
    for stage, streams in zip(stages, rows, strict=False):
        for task, count in run.rows_of(stage).items():
            planned[task] = planned.get(task, 0.0) + count
        for name, rows_there in streams.items():
            task = name.rpartition("/")[2]
            found[task] = found.get(task, 0) + rows_there
            iterations[task] = iterations.get(task, 0.0) + rows_there / run.batch_of(stage).rows_per_step
    values: dict[str, float] = {}
    for task in (task for task in run.tasks if task in planned or found.get(task)):
        values[f"planned_rows/{task}"] = round(planned.get(task, 0.0), 2)
        values[f"rows/{task}"] = found.get(task, 0)
        values[f"iterations/{task}"] = round(iterations.get(task, 0.0), 2)
    return values


def passed(stream: Stream, cursor: Cursor) -> float:
    """Epochs that lie before a cursor."""
    part = cursor.row / len(rows) if cursor.row and (rows := replace(stream).rows(cursor.epoch, cursor.block)) else 0.0
    return cursor.epoch + (cursor.block + part) / max(stream.blocks, 1)
