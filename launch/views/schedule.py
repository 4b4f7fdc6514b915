"""`kmask show schedule`: stages, rows per task, the order of rows and the learning rate along a run.

run  --stream_shares-->  planned rows of every folder and task
     --turns-->          the rows of the first steps of each stage, a letter per task
     --rate-->           the learning rate over the stage
prepared folders, where there are any  -->  how often each is read
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from itertools import accumulate
from pathlib import Path
from string import ascii_uppercase
from typing import TYPE_CHECKING

from launch.settings.components import plain, read_config
from launch.shell.formatting import decimals
from launch.views.words import Line, Word

if TYPE_CHECKING:
    from pretrain.config import Run

BAR = 30
"""Characters of a bar for all rows."""
STRIP_ROWS = 60
"""Letters of a line of the strip; more rows of a step go on below."""
STRIP_LINES = 6
"""Lines of the strip of a stage."""
CURVE = 60
"""Characters of the curve of the learning rate."""
LEVELS = "▁▂▃▄▅▆▇█"
STYLES = ("word", "entity", "phrase", "mask", "kept", "random", "similar")
"""Of the letters of tasks, in turn."""


def show_schedule(file: Path, overrides: list[str]) -> Iterable[Line]:
    """Stages, rows per task, their order, and the learning rate along the run."""
    from pretrain.config import Run
    from pretrain.stages.schedule import total_steps

    run = read_config(Run, file, overrides)
    total, batch = total_steps(run.stages), run.batch_of(run.stages[0])
    rooms = [run.room_of(stage) for stage in run.stages]
    whole = sum(room.whole(stage.steps) * room.row_tokens for room, stage in zip(rooms, run.stages, strict=True))
    size = f" of {batch.rows_per_step} rows x {batch.row} tokens" if run.even else ""
    yield [Word(f"{total:,} steps{size} = {whole:,} tokens", "title")]
    if run.schedule:
        yield [Word(f"stages made by the schedule {plain(run.schedule)['kind']}", "dim")]
    tasks = (f"{run.task_ids[name]} {name}" for name in run.tasks if run.builds_rows(name))
    yield [Word("task table: " + ", ".join(tasks), "dim")]
    begins = accumulate((stage.steps for stage in run.stages), initial=0)
    for index, (stage, begin) in enumerate(zip(run.stages, begins, strict=False)):
        yield []
        steps = f"   steps {begin:,} to {begin + stage.steps:,}"
        yield [Word(f"stage {index + 1} `{stage.name}`", "title"), Word(steps, "dim")]
        yield from batch_lines(run, index)
        yield from task_lines(run, index)
        if not any(run.tasks[task].READS_HIDDEN for task in stage.tasks):
            yield [Word("  no task of it reads hidden tokens: nothing is hidden in training", "dim")]
        yield from strip_lines(run, index)
        yield from rate_lines(run, index, begin, total)
    yield []
    yield from repeat_lines(run)


def letters(run: Run) -> dict[str, Word]:
    """The letter of every task that builds rows."""
    names = [name for name in run.tasks if run.builds_rows(name)]
    return {name: Word(ascii_uppercase[index % 26], STYLES[index % len(STYLES)]) for index, name in enumerate(names)}


def task_lines(run: Run, index: int) -> Iterable[Line]:
    """The tasks of a stage: new or not, and their share of its rows."""
    from pretrain.stages.schedule import planned_tasks

    stage = run.stages[index]
    before = set(planned_tasks(run.stages, index - 1)) if index else set()
    new = set(planned_tasks(run.stages, index)) - before
    built = run.rows_of(stage)
    for task in stage.tasks:
        part = built.get(task, 0.0) / run.room_of(stage).whole(stage.steps)
        bar = "█" * round(part * BAR) if task in built else "on every row"
        count = f"{part:4.0%}  {round(built[task]):9,d} rows" if task in built else " " * 20
        mark = Word("new  " if task in new else "     ", "entity")
        letter = letters(run)[task] if task in built else Word(" ")
        yield [Word("  "), letter, Word(f" {task:22s}"), mark, Word(count + "  "), Word(bar, "word")]


def batch_lines(run: Run, index: int) -> Iterator[Line]:
    """How much text the steps of a stage see, where stages or steps differ in it."""
    if run.even:
        return
    stage = run.stages[index]
    room, batch = run.room_of(stage), run.batch_of(stage)
    rows = f"  {room.told(stage.steps)} of {batch.row:,} tokens, samples of up to {batch.max_sample_tokens:,}"
    end = room.rows.begin + room.rows.growing
    if room.begin < end:
        told = f"rows grow from {batch.warmup.rows:,} to {batch.rows_per_step:,}" if batch.warmup else ""
        rows += f"; {told} in the {room.rows.growing:,} steps before step {end:,}"
    yield [Word(rows, "dim")]


def strip_lines(run: Run, index: int) -> Iterator[Line]:
    """Which task gets which row in the first steps of a stage."""
    from pretrain.order import rows_of_step

    stage, begin = run.stages[index], sum(stage.steps for stage in run.stages[:index])
    letter, lines = letters(run), 0
    for step in range(begin, begin + min(stage.steps, STRIP_LINES)):
        tasks = [task for _, task in rows_of_step(run, step)]
        for first in range(0, len(tasks), STRIP_ROWS):
            if lines == STRIP_LINES:
                return
            label = f"  step {step:,}" if first == 0 else ""
            yield [Word(f"{label:16s}", "dim"), *(letter[task] for task in tasks[first : first + STRIP_ROWS])]
            lines += 1


def rate_lines(run: Run, index: int, begin: int, total: int) -> Iterator[Line]:
    """The learning rate of a stage: its curve, its warm-up and some figures."""
    stage, optimization = run.stages[index], run.optimization
    restarts = optimization.restart_per_stage

    def rate(step: int) -> float:
        return optimization.rate(*((step, stage.steps) if restarts else (begin + step, total)))

    width = min(CURVE, stage.steps)
    points = [rate(place * (stage.steps - 1) // max(width - 1, 1)) for place in range(width)]
    curve = "".join(LEVELS[min(round(value / optimization.lr * 7), 7)] for value in points)
    warmup = min(optimization.warmup, stage.steps)
    if restarts:
        again = "anew in this stage" if index else "anew in each stage" if len(run.stages) > 1 else ""
        told = f"warm-up of {warmup:,} steps {again}".rstrip()
        told += ", which are all of it: the rate only rises" if optimization.warmup >= stage.steps else ""
    else:
        told = f"one warm-up of {min(optimization.warmup, total):,} steps, at the start of the run"
    yield [Word("  learning rate ", "dim"), Word(curve, "phrase")]
    yield [Word(f"  {optimization.schedule}, {told}", "dim")]
    marks = sorted({0, warmup - 1, stage.steps // 2, stage.steps - 1} - {-1})
    yield [Word("  " + "   ".join(f"{begin + step:,}: {rate(step):.2e}" for step in marks), "dim")]


def repeat_lines(run: Run) -> Iterator[Line]:
    """How often each task reads each of its folders, stage by stage; or why that is not known."""
    from pretrain.corpus import Corpus
    from pretrain.plans import stream_epochs
    from pretrain.realised import MANY_EPOCHS

    try:
        corpus = Corpus(run=run)
        epochs = [stream_epochs(corpus, index) for index in range(len(run.stages))]
    except (ValueError, OSError) as error:
        yield [Word("how often each folder is read is not known: ", "title"), Word(str(error), "dim")]
        return
    yield [Word("how often each folder is read (estimated from its first rows)", "title")]
    for name in dict.fromkeys(name for stage in epochs for name in stage):
        found = [stage.get(name, 0.0) for stage in epochs]
        whole = sum(found)
        parts = " + ".join(f"{value:,.{decimals(value)}f}" for value in found)
        warning = "   repeated often: prepare more text, or train fewer rows" if whole > MANY_EPOCHS else ""
        told = f"{parts} = " if len(found) > 1 else ""
        yield [
            Word(f"  {name:34s} {told}"),
            Word(f"{whole:,.{decimals(whole)}f} times", "title"),
            Word(warning, "entity"),
        ]
