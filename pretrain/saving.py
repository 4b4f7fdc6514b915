"""Moments of a run, judged and published; and what the parts of a run share.

Saver.snapshot(...)  ->  Snapshot     gathered from the engine; refused when a number in it is not finite
Saver.save(...)                       published by rank 0 while the others wait
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, NamedTuple, NoReturn

import torch

from pretrain.config import Run
from pretrain.corpus import Corpus
from pretrain.engine import Engine
from pretrain.metrics.sums import Sums
from pretrain.processes.world import World
from pretrain.progress import Progress
from pretrain.stability import Guard
from pretrain.state.checkpoint import Snapshot, Store
from pretrain.tracking import Tracker

Report = Callable[[str, int, Mapping[str, Any]], None]
"""Called on rank 0 with (event, step, values); event is `begin`, `train`, `evaluation`, `checkpoint`, `stage`, `note`
or `end`."""


class Surroundings(NamedTuple):
    """What a stage shares with the others of its run."""

    run: Run
    resolved: Mapping[str, Any]
    world: World
    corpus: Corpus
    progress: Progress
    store: Store
    tracker: Tracker | None
    """On rank 0."""
    report: Report
    asked: Callable[[], bool]
    """Was this process asked to stop?"""
    trouble: Callable[[float], str | None]
    """Something that was found out in the background and must end the run; waits so many seconds for the background's
    end."""
    machine: Mapping[str, Any]

    def note(self, text: str) -> None:
        """A line for the user, from rank 0."""
        self.report("note", self.progress.step, {"text": text})

    def give_up(self, why: str) -> NoReturn:
        """End training because of numbers that went bad.

        Raises:
            ValueError: always, on every rank; names the last good checkpoint and what to do.
        """
        good = self.store.folder / f"step-{self.progress.saved:08d}" if self.progress.saved >= 0 else None
        raise ValueError(
            f"training stopped at step {self.progress.step}: {why}. "
            + (f"The last good checkpoint is {good}. " if good else "No checkpoint was saved yet. ")
            + f"Rows of steps that were left out are listed in {Path(self.run.output) / 'skipped.jsonl'}. Lower "
            "optimization.lr, raise "
            "optimization.warmup, or look at these documents; then run again to continue."
        )


class Saver:
    """Saves the moments of one stage."""

    def __init__(self, around: Surroundings, index: int, engine: Engine) -> None:
        self.around, self.index, self.engine = around, index, engine

    def snapshot(self, sums: Sums, guard: Guard, everywhere: bool) -> Snapshot:
        """This moment; a collective. With ``everywhere`` all ranks get the tensors, else rank 0 alone.

        Raises:
            ValueError: a tensor holds numbers that are not finite.
        """
        tensors = self.engine.memory.collect(everywhere)
        bad = [name for name, tensor in tensors.items() if not bool(torch.isfinite(tensor).all())]
        if self.around.world.any(bool(bad)):
            self.around.give_up(
                f"{len(bad)} tensors of the model hold numbers that are not finite ({', '.join(bad[:3])}); nothing "
                "was saved"
            )
        progress = self.around.progress
        state = progress.state(
            self.index,
            config=self.around.resolved,
            encoder=self.engine.encoder_config(),
            window=sums.kept(),
            guard=guard.memory(),
            loss_scale=self.engine.memory.loss_scale(),
            lines=self.around.tracker.lines() if self.around.tracker else {},
            machine=self.around.machine,
        )
        return Snapshot(state=state, tensors=tensors)

    def save(self, snapshot: Snapshot, must: bool) -> None:
        """Publish a checkpoint; when the disk is full training goes on and tries again at the next save, unless it ends
        here (``must``).

        Raises:
            ValueError: it could not be written and there is no next save.
        """
        failed, path = "", self.around.store.folder
        if self.around.world.rank == 0:
            try:
                path = self.around.store.save(snapshot)
            except OSError as error:
                failed = f"{error.strerror}: {error.filename}" if error.strerror else str(error)
        if not self.around.world.any(bool(failed)):  # no rank goes on before the checkpoint is published
            self.around.progress.saved = self.around.progress.step
            self.around.report("checkpoint", self.around.progress.step, {"path": str(path)})
            return
        last = f"step {self.around.progress.saved:,}" if self.around.progress.saved >= 0 else "none so far"
        if must:
            raise ValueError(
                f"the checkpoint of step {self.around.progress.step:,} could not be written ({failed}). The last good "
                f"checkpoint: {last}. Make room and run again: training continues from there."
            )
        if self.around.tracker:
            self.around.tracker.log(
                "not_saved",
                self.around.progress.step,
                {"stage": self.around.run.stages[self.index].name, "reason": failed},
            )
        self.around.note(
            f"the checkpoint of step {self.around.progress.step:,} could not be written ({failed}); the last one: "
            f"{last}. Training goes on."
        )
