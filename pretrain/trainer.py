"""A run from its start, or wherever it stands, to its end; everything it calls is a file of its own.

    agree (code, configuration, data) -> lock the folder -> newest checkpoint -> may it continue? -> stages -> done
                                                         -> none: another run's, when it begins from one (beginning.py)

    for each stage:   model (grown by new tasks) -> Engine -> StageLoop -> Snapshot, from which the next stage begins

Starting is resuming: a fresh run is one whose cursors are (0, 0, 0). Losses after a kill are bitwise those of an
undisturbed run.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from pretrain.agreement import check_agreement, versions
from pretrain.beginning import begin_together, check_elsewhere
from pretrain.config import Run
from pretrain.continuing import check_continues
from pretrain.corpus import Corpus
from pretrain.feed.shard_watch import ShardWatch
from pretrain.first_model import stage_model
from pretrain.forgetting import old_parts
from pretrain.processes import stopping
from pretrain.processes.heartbeat import doing, plan
from pretrain.processes.lock import held
from pretrain.processes.world import OTHERS, World
from pretrain.progress import Progress
from pretrain.saving import Report, Surroundings
from pretrain.settled import settled
from pretrain.setup import begin_stage, keep_tokenizer, learned_tasks
from pretrain.sinks import check_sinks
from pretrain.stage import StageLoop
from pretrain.stage_cursors import beginning, recounted
from pretrain.stages.schedule import position, total_steps
from pretrain.state.checkpoint import Snapshot
from pretrain.state.reading import read_together
from pretrain.state.writing import Writer
from pretrain.tracking import Tracker

LOCK_SECONDS = 20.0
"""How long to wait for a process that is just ending."""
FIRST_LOOK_SECONDS = 3.0
"""How long the first step waits for the check of the shards: small corpora are through by then."""


class Trainer:
    """Trains a run to its end, or until it is asked to stop."""

    def __init__(
        self,
        run: Run,
        resolved: Mapping[str, Any],
        world: World,
        report: Report,
        asked: Callable[[], bool] = stopping.asked,
    ) -> None:
        self.resolved, self.world, self.asked = resolved, world, asked
        settings, self.notes = settled(run, world)
        self.run = replace(run, engine=settings)
        self.corpus = Corpus(run=run)
        self.folder = Path(run.output)
        self.progress = Progress()
        self.report: Report = report if world.rank == 0 else lambda event, step, values: None
        self.total = total_steps(run.stages)
        self.writer = Writer(self.folder / "checkpoints", run.checkpoints.keep, run.checkpoints.keep_every, self.note)
        self.snapshot: Snapshot | None = None
        """What the next stage begins from; let go when its engine holds it."""

    def note(self, text: str) -> None:
        """A line for the user, from rank 0."""
        self.report("note", self.progress.step, {"text": text})

    def train(self) -> bool:
        """Run all stages that are not done. Returns False when it was asked to stop before the end.

        Raises:
            ValueError: the run cannot start, continue or go on; nothing that was saved is lost.
        """
        doing("prepared folders")
        check_elsewhere(self.run)
        self.run, self.resolved = replace(self.run, tasks=self.corpus.objectives), self.corpus.resolved(self.resolved)
        fault: Exception | None = None
        try:
            if self.world.rank == 0:
                check_sinks(self.run.tracking.sinks)
            self.corpus.try_out()
        except (ValueError, OSError) as error:
            fault = error
        self.world.all_or_none(fault)
        check_agreement(self.run, self.resolved, self.corpus.fingerprints, self.world)
        with contextlib.ExitStack() as stack:
            self._lock(stack)
            plan(self.total)
            self.snapshot = self._newest()
            self.report(
                "begin",
                self.progress.step,
                {"total": self.total, "resumed": self.snapshot is not None, "world": self.world.size},
            )
            if self.progress.step >= self.total:
                return True
            self.run.check_processes(self.world.size, self.progress.step)
            self.progress.fingerprints.update(self.corpus.fingerprints)
            if self.world.any(self.asked()):
                return False
            for note in [*self.notes, *self.corpus.specials.notes]:
                self.note(note)
            self.snapshot = self.snapshot or self._elsewhere()
            return self._stages()

    def _lock(self, stack: contextlib.ExitStack) -> None:
        """The folder is ours, or all ranks end; nobody reads in it before that."""
        refused: Exception | None = None
        if self.world.rank == 0:
            try:
                stack.enter_context(held(self.folder, LOCK_SECONDS, self.note))
            except (ValueError, OSError) as error:
                refused = error
        if self.world.any(refused is not None):
            raise refused or ValueError(OTHERS)

    def _newest(self) -> Snapshot | None:
        """The newest checkpoint, if this configuration may continue it."""
        found = read_together(self.writer.store, self.world)
        if found is None:
            return None
        changed = check_continues(found.state, self.run, self.resolved, self.corpus.fingerprints)
        machine = self._machine()
        changed += [
            f"{key}: {value} -> {machine[key]}"
            for key, value in found.state.machine.items()
            if machine.get(key, value) != value
        ]
        if changed:
            self.note("changed since the checkpoint: " + "; ".join(changed))
        self.progress = Progress.of(found.state)
        if changed:
            self.progress.guard = {**self.progress.guard, "losses": {}}  # what was usual may not be so any more
        return found

    def _elsewhere(self) -> Snapshot | None:
        """What a new run begins with, when it begins from another one; the same on every rank, or none begins."""
        begun = begin_together(self.run, self.resolved, self.corpus.tokenizer, self.world)
        if begun is None:
            return None
        for text in begun.told:
            self.note(text)
        fingerprints = self.progress.fingerprints
        self.progress = Progress.of(begun.snapshot.state)
        self.progress.fingerprints, self.progress.saved = fingerprints, -1
        return begun.snapshot

    def _machine(self) -> dict[str, Any]:
        return {
            "processes": self.world.size,
            "device": self.world.device.type,
            "precision": self.run.engine.precision,
            **versions(),
        }

    def _stages(self) -> bool:
        tracker = watch = None
        self.progress.task_ids = self.run.task_ids
        if self.world.rank == 0:
            keep_tokenizer(self.corpus.tokenizer.folder, self.folder / "tokenizer")
            lines = self.snapshot.state.lines if self.snapshot else {}
            tracker = Tracker(self.run.tracking, self.folder, lines, self.resolved, self.note)
            watch = ShardWatch(self.corpus.prepared, self.folder / "shards.json")
            watch.start()
            watch.wait(FIRST_LOOK_SECONDS)
        try:
            while self.progress.step < self.total and not self.progress.stopping:
                self.snapshot = self._stage(tracker, watch)
                if self.progress.going_back:
                    self.snapshot = self._go_back(tracker)
        finally:
            self.writer.close()
            if watch:
                watch.close()
            if tracker:
                tracker.close()
        if watch and not watch.done and self.progress.step >= self.total:
            self.note("the check of the shards has not come to its end in this run; `kmask prepare verify` does it")
        return self.progress.step >= self.total

    def _stage(self, tracker: Tracker | None, watch: ShardWatch | None) -> Snapshot | None:
        """One stage from wherever it stands to its end."""
        run, progress, world, snapshot = self.run, self.progress, self.world, self.snapshot
        stage = run.stages[index := position(run.stages, progress.step).stage]
        check_agreement(run, self.resolved, self.corpus.fingerprints, world)
        maker = self.corpus.maker(stage, "train", run.masking)
        shares = {name: stream.share for name, stream in maker.streams.items()}
        model, present = stage_model(run, index, self.corpus, snapshot, progress, world, self.note)
        if fresh := len(progress.done) <= index:
            progress.cursors = beginning(run, index, progress.cursors)
        old = old_parts(present, progress.pooled > 0 or bool(progress.source.get("pooler")))
        if not run.optimization.average_stages:
            progress.ends = {}
        if progress.enter(index, stage, shares, learned_tasks(run, progress.learned, index), old):
            self.note(f"stage {stage.name}: folders, tasks or weights changed, so shares of rows are counted from here")
        facts = {"name": stage.name, "tasks": list(stage.tasks), "steps": stage.steps, "index": index}
        self.report("stage", progress.step, facts)
        engine = begin_stage(run, index, model, snapshot, world, self.note, progress.old, fresh)
        snapshot = self.snapshot = None
        around = Surroundings(
            run=run,
            resolved=self.resolved,
            world=world,
            corpus=self.corpus,
            progress=progress,
            writer=self.writer,
            tracker=tracker,
            report=self.report,
            asked=self.asked,
            trouble=lambda patience: watch.wait(patience) if watch else None,
            machine=self._machine(),
        )
        loop = StageLoop(around, index, maker, engine)
        result = loop.run_steps()
        loop.engine.close()
        return result

    def _go_back(self, tracker: Tracker | None) -> Snapshot:
        """To the newest checkpoint, and on with the rows that come next."""
        found = read_together(self.writer.store, self.world)
        if found is None:
            raise ValueError(f"{self.folder}: there is no checkpoint left to go back to")
        step, stopping, stage = self.progress.step, self.progress.stopping, len(self.progress.done) - 1
        self.progress = self.progress.back_to(found.state, self.progress.guard["rolled_back"])
        self.progress.cursors = recounted(self.run, stage, len(self.progress.done) - 1, self.progress.cursors)
        self.progress.stopping = stopping
        if tracker:
            tracker.keep(found.state.lines)
            record = {"from": step, "count": self.progress.guard["rolled_back"]}
            tracker.log("rollback", self.progress.step, record)
            cursors = {"left_out_from": found.state.cursors, "to": self.progress.cursors}
            tracker.rows.append({"step": self.progress.step, "event": "rollback", **record, **cursors})
        self.note(f"back from step {step} to step-{found.state.step:08d}; the rows in between are left out")
        return found
