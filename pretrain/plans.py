"""What a run would be: its stages with tasks, rows and sizes, and how often it reads each folder.

    stage_plans(run, corpus, newest, gpu)  ->  [StagePlan]      models by shape only; a row of every stream of the
                                                                stages that are left
    folder_plans(run, corpus)              ->  [FolderPlan]

Building one row of every folder and task in every stage finds what a start would find at its first batches, however
late they come:
plug-ins that build wrong samples, shards that cannot be read, masking schemes that do not fit the corpus.
"""

from __future__ import annotations

import copy
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import torch

from data_prep.shards import Prepared
from pretrain.beginning import Begun
from pretrain.config import Run
from pretrain.corpus import Corpus
from pretrain.feed.sampling import Stream
from pretrain.feed.step_rows import StepRows
from pretrain.loads import Beginnings, Load, stage_load
from pretrain.model import PretrainingModel
from pretrain.progress import Progress
from pretrain.setup import active_tasks, grown_model, learned_tasks, start_model, task_rows
from pretrain.sizes import Sizes, sizes
from pretrain.stages.batching import Batching, Lengths
from pretrain.stages.schedule import position, total_steps
from pretrain.state.checkpoint import Checkpoint, Snapshot


class TaskPlan(NamedTuple):
    """A task in a stage."""

    name: str
    share: float
    """Of the stage's rows, those that are built for it."""
    rows: int
    """Rows built for it in the whole stage."""
    everywhere: bool
    """Without a task id of its own: it may learn from all rows of the stage."""
    new: bool
    """No stage before this one has it, nor what the run begins from."""


@dataclass(frozen=True, kw_only=True)
class StagePlan:
    """A stage as it would be trained."""

    name: str
    steps: int
    begin: int
    """Step of the run at which it begins."""
    batch: Batching
    """How much text its steps see."""
    rows: StepRows
    """Of its steps, as the run counts them."""
    tasks: Sequence[TaskPlan]
    sizes: Sizes | None
    """Of its model; None for a stage that has ended."""
    load: Load
    """What a process does at once."""

    def positions(self, done: int = 0) -> int:
        """Positions of the steps that are left after so many steps of the run."""
        end = self.begin + self.steps
        return self.rows.between(min(max(done, self.begin), end), end) * self.batch.row

    @property
    def activations(self) -> int:
        """Estimated bytes of a process; 0 for a stage that has ended."""
        return self.load.activations


class FolderPlan(NamedTuple):
    """A prepared folder in a run."""

    name: str
    tokens: int
    """Of its training documents."""
    heldout: int
    """Documents kept apart."""
    epochs: float
    """How often the whole run reads each of its tokens, all stages and tasks together."""


def stage_plans(
    run: Run, corpus: Corpus, newest: Checkpoint | None, gpu: bool, notes: list[str], begun: Begun | None = None
) -> list[StagePlan]:
    """All stages; what the user should know is added to ``notes``.

    Args:
        begun: what it would begin with, when it begins from another run.

    Raises:
        ValueError: a model or a row cannot be built, with the message that training would give.
    """
    state = newest.state if newest else begun.snapshot.state if begun else None
    progress = Progress.of(state) if state else Progress()
    left = progress.step < total_steps(run.stages)
    if left:
        notes += corpus.specials.notes
    first = position(run.stages, progress.step).stage
    model, remembered, source = _first_model(run, corpus, newest, first, notes, begun)
    begins = Beginnings(run, progress, newest, begun is not None, source)
    plans: list[StagePlan] = []
    for index, stage in enumerate(run.stages):
        found, load = None, Load()
        if index >= first:
            learned = learned_tasks(run, progress.learned, index)
            before, model = model, _later_model(run, model, learned, index) if index > first else model
            found = sizes(model, remembered, begins.kept(index, before), run.optimization.algorithm)
            remembered = found.remembered
            if left:
                load = stage_load(run, corpus, index, progress, model, gpu, notes)
            progress.learned = learned
        room = run.room_of(stage)
        plans.append(
            StagePlan(
                name=stage.name,
                steps=stage.steps,
                begin=room.begin,
                batch=run.batch_of(stage),
                rows=room.rows,
                tasks=_tasks(run, index, begun.snapshot.state.learned if begun else ()),
                sizes=found,
                load=load,
            )
        )
    return plans


def _tasks(run: Run, index: int, begun: Sequence[str]) -> list[TaskPlan]:
    """The tasks of a stage and how its rows are shared out."""
    stage = run.stages[index]
    known = {*begun, *(task for earlier in run.stages[:index] for task in earlier.tasks)}
    rows = run.rows_of(stage)
    whole = sum(rows.values())
    return [
        TaskPlan(
            task,
            rows.get(task, 0.0) / whole,
            round(rows.get(task, 0.0)),
            not run.tasks[task].HAS_TASK_ID,
            task not in known,
        )
        for task in stage.tasks
    ]


def _first_model(
    run: Run, corpus: Corpus, newest: Checkpoint | None, first: int, notes: list[str], begun: Begun | None
) -> tuple[PretrainingModel, Collection[str], Mapping[str, Any]]:
    """The model that training begins with, by its shape, the parameters that Adam knows already, and what it came from
    (State.source)."""
    if newest is None and begun is not None:
        with torch.device("meta"):
            model = grown_model(run, 0, begun.snapshot)
        notes += begun.told
        adam = {name.partition("#")[0] for name in begun.snapshot.tensors if name.endswith("#step")}
        return model, adam, begun.snapshot.state.source
    if newest is None:
        with torch.device("meta"):
            model, source, told = start_model(run, corpus.tokenizer)
        notes += [told] if told else []
        return model, (), source
    from safetensors import safe_open

    snapshot = Snapshot(state=newest.state, tensors=newest.tensors(optimizer=False))
    with torch.device("meta"):
        model = grown_model(run, first, snapshot)
    with safe_open(newest.folder / "optimizer.safetensors", "pt") as file:
        adam = {name.partition("#")[0] for name in file.keys() if name.endswith("#step")}  # noqa: SIM118 (no mapping)
        return model, adam, newest.state.source


def _later_model(run: Run, before: PretrainingModel, learned: Sequence[str], index: int) -> PretrainingModel:
    """The model of a later stage: more heads, and more rows in the task table."""
    config = copy.deepcopy(before.config)
    if hasattr(config, "task_type_vocab_size"):
        config.task_type_vocab_size = max(config.task_type_vocab_size, task_rows(run, learned))
    with torch.device("meta"):
        objectives = {name: run.tasks[name] for name in learned}
        return PretrainingModel(config, objectives, active_tasks(run, index), run.seed, run.model.adapter)


def folder_plans(run: Run, corpus: Corpus) -> list[FolderPlan]:
    """All folders; epochs are counted from the text in the rows of each stream's first block, without special tokens
    and padding."""
    text: dict[tuple[str, Lengths], float] = {}
    read = dict.fromkeys(corpus.prepared, 0.0)
    for stage in run.stages:
        streams, rows = corpus.streams(stage, "train"), run.room_of(stage).whole(stage.steps)
        whole = sum(stream.share for stream in streams.values())
        for name, stream in streams.items():
            key = name, run.batch_of(stage).lengths
            if key not in text:
                text[key] = tokens_per_row(stream)
            if stream.source.split != "train":
                continue
            read[stream.source.name] += stream.share / whole * rows * text[key]
    found = []
    for name, folder in corpus.prepared.items():
        tokens = folder.tokens("train")
        found.append(FolderPlan(name, tokens, heldout_documents(folder), read[name] / tokens))
    return found


def stream_epochs(corpus: Corpus, index: int) -> dict[str, float]:
    """How often every stream of a stage reads its folder in it, counted as ``folder_plans`` does."""
    stage = corpus.run.stages[index]
    streams = corpus.streams(stage, "train")
    rows, whole = corpus.run.room_of(stage).whole(stage.steps), sum(stream.share for stream in streams.values())
    return {
        name: rows * stream.share / whole * tokens_per_row(stream) / stream.source.prepared.tokens(stream.source.split)
        for name, stream in streams.items()
    }


def heldout_documents(folder: Prepared) -> int:
    """Documents that are kept apart for evaluation."""
    return sum(entry.documents for entry in folder.entries if entry.split == "heldout")


def tokens_per_row(stream: Stream) -> float:
    """Tokens of text in a row of this stream: the mean of its first block."""
    rows = stream.rows(0, 0)
    return float(sum(int(row.windows.tokens_W.sum()) for row in rows)) / len(rows)
