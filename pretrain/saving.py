"""Moments of a run, judged and published; and what the parts of a run share.

Saver.snapshot(...)  ->  Snapshot     gathered from the engine; refused when a number in it is not finite
Saver.begin(...)                      handed to the writer of rank 0 (state/writing.py), and training goes on
Surroundings.learn(...)               what became of it, when all ranks have heard it: with the counts of a step
                                      (stage.py), or when somebody waits for it (settle)
Saver.save(...)                       both at once, where the next thing needs it: at the end of a stage or of the run
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, NamedTuple, NoReturn

import torch

from pretrain.config import Run
from pretrain.corpus import Corpus
from pretrain.engine import Engine
from pretrain.metrics.sums import Sums
from pretrain.processes.heartbeat import doing
from pretrain.processes.world import OTHERS, World
from pretrain.progress import Progress
from pretrain.stability import Guard
from pretrain.state.checkpoint import Snapshot
from pretrain.state.writing import BROKEN, NOTHING, WRITTEN, Pending, Writer
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
    writer: Writer
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
        self.settle()
        folder = self.writer.store.folder
        good = folder / f"step-{self.progress.saved:08d}" if self.progress.saved >= 0 else None
        raise ValueError(
            f"training stopped at step {self.progress.step}: {why}. "
            + (f"The last good checkpoint is {good}. " if good else "No checkpoint was saved yet. ")
            + f"Rows of steps that were left out are listed in {Path(self.run.output) / 'skipped.jsonl'}. Lower "
            "optimization.lr, raise "
            "optimization.warmup, or look at these documents; then run again to continue."
        )

    def settle(self) -> None:
        """Wait until no save is in flight, and learn what became of it; a collective when there is one.

        Raises:
            ValueError: it could not be written, and the run must not end without it.
        """
        if self.writer.pending is None:
            return
        started = time.perf_counter()
        told = self.world.sum(torch.tensor([self.writer.wait()], device=self.world.device))
        self.learn(int(told), time.perf_counter() - started)

    def learn(self, outcome: int, waited: float = 0.0) -> None:
        """What became of the save in flight, as every rank was told in the same message. When the disk is full training
        goes on and tries again at the next save.

        Args:
            waited: seconds that training has waited for this.

        Raises:
            ValueError: it could not be written, and the run must not end without it.
        """
        if outcome == NOTHING:
            return
        pending, written = self.writer.take()
        if outcome == BROKEN:
            raise written.error or ValueError(OTHERS)
        if outcome == WRITTEN:
            self.progress.saved = pending.step
            stall = pending.stall + (waited if pending.waits else 0.0)
            costs = {"stall": stall, "seconds": written.seconds, "bytes": written.size}
            if self.tracker:
                self.tracker.log("checkpoint", pending.step, {"stage": pending.stage, **costs})
            self.report("checkpoint", pending.step, {"path": str(written.path), **costs})
            return
        self._not_saved(pending, written.error)

    def _not_saved(self, pending: Pending, error: Exception | None) -> None:
        if self.progress.best.get("step") == pending.step:
            self.progress.best = self.progress.best_before
        failed = ""
        if isinstance(error, OSError):
            failed = f"{error.strerror}: {error.filename}" if error.strerror else str(error)
        what, last = f"the checkpoint of step {pending.step:,} could not be written", "none so far"
        if self.progress.saved >= 0:
            last = f"step {self.progress.saved:,}"
        if pending.must:
            raise ValueError(
                f"{what} ({self.world.first_text(failed)}). The last good checkpoint: {last}. Make room and run again: "
                "training continues from there."
            )
        if self.tracker:
            self.tracker.log("not_saved", pending.step, {"stage": pending.stage, "reason": failed})
        self.note(f"{what} ({failed}); the last one: {last}. Training goes on.")


class Saver:
    """Saves the moments of one stage."""

    def __init__(self, around: Surroundings, index: int, engine: Engine) -> None:
        self.around, self.index, self.engine = around, index, engine
        self._began = 0.0

    def snapshot(self, sums: Sums, guard: Guard, everywhere: bool) -> Snapshot:
        """This moment; a collective. With ``everywhere`` all ranks get the tensors, else rank 0 alone.

        The save before must have ended: two moments in memory are one too many.

        Raises:
            ValueError: a tensor holds numbers that are not finite.
        """
        doing("checkpoint")
        self._began = time.perf_counter()
        self.around.settle()
        tensors = self.engine.memory.collect(everywhere)
        bad = [name for name, tensor in tensors.items() if not _finite(tensor)]
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

    def begin(self, snapshot: Snapshot, must: bool = False, waits: bool = False) -> None:
        """Hand the moment just gathered to the writer.

        Args:
            must: the run ends with it.
            waits: training waits for it.
        """
        stage, stall = self.around.run.stages[self.index].name, time.perf_counter() - self._began
        pending = Pending(self.around.progress.step, stage, must, waits, stall)
        self.around.writer.start(pending, snapshot if self.around.world.rank == 0 else None)

    def save(self, snapshot: Snapshot, must: bool) -> None:
        """Publish the moment just gathered; no rank goes on before that. When the disk is full training tries again at
        the next save, unless it ends here (``must``).

        Raises:
            ValueError: it could not be written and there is no next save.
        """
        self.begin(snapshot, must, waits=True)
        self.around.settle()


def _finite(tensor: torch.Tensor) -> bool:
    """A sum is finite only if all numbers are; one that is not may have run over, so that the numbers decide."""
    return bool(torch.isfinite(tensor.sum())) or bool(torch.isfinite(tensor).all())
