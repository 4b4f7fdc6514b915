"""One stage from wherever it stands to its end, or until all ranks stop or go back.

    for each step:   batches -> global counts -> engine step -> global sums -> judge -> log -> evaluate -> save
    at its end:      mean of stage ends in place of the end, where that is asked for (forgetting.py)

The order makes a checkpoint know everything that was written before it; what was written after it is done again.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from functools import partial

import torch

from masking.keyed import hash_key
from pretrain.bad_steps import judged, rows_of_step
from pretrain.engine import Engine
from pretrain.feed.loading import BatchMaker
from pretrain.feed.means import counted, scales
from pretrain.feed.sampling import Cursor, Sampler, micro_batches
from pretrain.forgetting import BEGIN, averaged, rows_before
from pretrain.meter import Meter
from pretrain.metrics.sums import Sums, check_groups, totals
from pretrain.processes.garbage import scheduled_garbage, search_garbage
from pretrain.processes.heartbeat import doing
from pretrain.processes.world import OTHERS
from pretrain.realised import end_of_stage
from pretrain.retention import Retention
from pretrain.saving import Saver, Surroundings
from pretrain.setup import begin_stage, grown_model
from pretrain.stability import Guard
from pretrain.stages.schedule import position, total_steps
from pretrain.state.checkpoint import Snapshot
from pretrain.step_batches import Counts, Ready, StepBatches
from pretrain.warm_up import warm_up_end

LAST_LOOK_SECONDS = 60.0
"""How long the end of a run waits for the check of its shards."""


class StageLoop:
    """The steps of one stage."""

    def __init__(self, around: Surroundings, index: int, maker: BatchMaker, engine: Engine) -> None:
        self.around, self.index, self.maker, self.engine = around, index, maker, engine
        self.progress, self.world, self.run = around.progress, around.world, (run := around.run)
        self.stage = run.stages[index]
        self.first = self.progress.step
        self.end = self.first - position(run.stages, self.first).step + self.stage.steps
        self.total = total_steps(run.stages)
        warm = warm_up_end(run, self.progress.source)
        self.pause = warm if self.first < warm < self.end else self.end
        self.retention = Retention(around, index, list(maker.objectives), (self.end - self.stage.steps, self.end))
        self.batch, self.rows = run.batch_of(self.stage), run.step_rows(self.stage)
        self.sampler = Sampler(streams=maker.streams, rows_per_step=self.rows)
        self.sums = Sums({name: objective.groups for name, objective in maker.objectives.items()}, self.progress.window)
        new = self.first == self.end - self.stage.steps
        self.guard = Guard(run.stability, {**self.progress.guard, "losses": {}} if new else self.progress.guard)
        self.saver, self.progress.window = Saver(around, index, engine), {}
        self.meter = Meter(run, self.world, maker, engine.encoder_config())
        self.trouble: str | None = None

    @scheduled_garbage()
    def run_steps(self) -> Snapshot | None:
        """All steps; returns what the next stage begins from, on every rank, or None when the run goes back."""
        run, progress = self.run, self.progress
        states: dict[int, dict[str, Cursor]] = {}
        per_process = self.batch.rows_per_process
        steps = range(self.first, self.pause)
        specs = micro_batches(
            self.sampler, progress.cursors, steps, self.total, per_process, self.world.rank, self.world.size, states
        )
        batches = StepBatches(self.maker, specs, run, self.world, self.batch.accumulation(self.world.size))
        self._keep_beginning()
        self.retention.look(self.engine)
        ready = batches.fetch(len(self._firsts(self.first)))
        counts = self._agree(ready)
        for step in steps:
            if counts.bad:
                raise ValueError(
                    self.world.first_text(str(ready.fault or self.trouble or "")) or OTHERS
                ) from ready.fault
            coming = len(self._firsts(step + 1))
            following = partial(batches.fetch, coming) if step + 1 < self.pause else batches.none
            ready, counts = self._train(step, ready, counts, following, states.pop(step))
            if progress.step % run.tracking.every == 0 or progress.step == self.end:
                self._log()
                search_garbage()
            if not (progress.going_back or (progress.stopping and progress.step < self.end)):
                self.retention.look(self.engine)
            last = progress.stopping or progress.step == self.pause
            if progress.going_back or last:
                break
            if self.retention.take_best() or progress.step % run.checkpoints.every == 0:
                self.saver.begin(self.saver.snapshot(self.sums, self.guard, everywhere=False))
        doing("last look at the shards")
        trouble = self.around.trouble(LAST_LOOK_SECONDS if progress.step == self.total else 0.0)
        if self.world.any(trouble is not None):
            raise ValueError(trouble or OTHERS)
        progress.guard, progress.window = self.guard.memory(), self.sums.kept()
        if progress.going_back:
            return None
        end_of_stage(self.around, self.index, self.maker.streams)
        if progress.step == self.end and run.optimization.average_stages:
            self._average()
        snapshot = self.saver.snapshot(self.sums, self.guard, everywhere=True)
        self.saver.save(snapshot, must=progress.stopping or progress.step == self.total)
        return snapshot

    def _keep_beginning(self) -> None:
        """Save where a run that came from another one begins: from here on its own checkpoints hold everything."""
        if self.progress.step == 0 and self.progress.saved < 0 and "kind" in self.progress.source:
            self.saver.save(self.saver.snapshot(self.sums, self.guard, everywhere=False), must=False)

    def _average(self) -> None:
        """Put the running mean of stage ends in place of old parameters, and measure it; in an engine made anew, as the
        next stage would make it."""
        run, progress, world = self.run, self.progress, self.world
        if not any(name.endswith(BEGIN) for name in self.engine.memory.kept):
            return  # nothing is older than the stage
        end = self.saver.snapshot(self.sums, self.guard, everywhere=True)
        rows = rows_before(progress.old, run.task_ids)
        tensors, progress.ends = averaged(end.tensors, progress.ends, rows)
        mean = Snapshot(state=end.state, tensors=tensors)
        self.engine.close()
        self.engine = begin_stage(
            run, self.index, grown_model(run, self.index, mean), mean, world, self.around.note, progress.old
        )
        self.saver.engine = self.engine
        self.retention.measure(self.engine, "averaged")

    def _train(
        self, step: int, ready: Ready, counts: Counts, following: Callable[[], Ready], cursors: dict[str, Cursor]
    ) -> tuple[Ready, Counts]:
        """One step, judged. The batches of the next are fetched meanwhile, and their counts agreed in the message that
        ends this one."""
        progress, started = self.progress, time.perf_counter()
        seeds = [hash_key("dropout", self.run.seed, step, first) % 2**63 for first in self._firsts(step)]
        before = progress.cursors
        scale = self._count(counts)
        doing("step", step + 1, long=step == self.first)
        try:
            local, norm, applied = self.engine.train_step(ready.batches, scale, self._rate(step), seeds)
        except FloatingPointError as error:
            self.around.give_up(str(error))
        doing("batches", long=step == self.first)
        later = following()
        doing("sum over processes", long=False)
        stats, self.norm, agreed, coming = self._global(local, norm, applied, later)
        self.engine.memory.applied += agreed
        progress.step, progress.cursors = step + 1, cursors
        progress.done[self.index]["steps"] += 1
        check_groups(stats, self.sums.groups)
        found = totals(stats, self.sums.groups)
        losses = {task: loss / count for task, (loss, _, count) in found.items() if count}
        verdict = self.guard.look(losses, self.norm, agreed, self.run.engine.precision == "fp16")
        if verdict.applied:
            self.sums.stats += stats
            progress.pooled += sum(count for task, (_, _, count) in found.items() if self.run.tasks[task].TRAINS_POOLER)
        self.sums.count(seconds=time.perf_counter() - started, waited=later.waited, skipped=float(not verdict.applied))
        if verdict.reason:
            judged(self.around, self.index, verdict, self.guard, lambda: rows_of_step(self.sampler, before, step))
        return later, coming

    def _firsts(self, step: int) -> range:
        """The numbers, among all rows of a step, of the first row of each of this process's micro-batches."""
        rows = self.batch.rows_per_process
        return range(self.world.rank * rows, self.rows.of(step), self.world.size * rows)

    def _rate(self, step: int) -> float:
        where = position(self.run.stages, step)
        return self.run.optimization.rate(
            *((where.step, where.steps) if self.run.optimization.restart_per_stage else (step, self.total))
        )

    def _agree(self, ready: Ready) -> Counts:
        """The counts of a step over all ranks; learns from the same message whether a rank was told to stop or found a
        reason to, and whether the save in flight has ended."""
        return self._counts(self.world.sum(self.world.tensor(self._message(ready))))

    def _message(self, ready: Ready) -> list[float]:
        self.trouble = self.around.trouble(0.0)
        ends = float(self.around.asked()), float(bool(self.trouble or ready.fault))
        return [*ready.counts, *ends, float(self.around.writer.outcome())]

    def _counts(self, summed: torch.Tensor) -> Counts:
        *counts, stop, bad, saved = summed.tolist()
        self.around.learn(int(saved))
        self.progress.stopping = stop > 0
        names = counted(self.maker.objectives)
        return Counts._make([dict(zip(names, counts, strict=False)), *counts[len(names) :], bad > 0])

    def _count(self, counts: Counts) -> dict[str, float]:
        """weight / global number of targets of the step."""
        self.progress.tokens += counts.real
        seen = ("real", "masked", "maskable", "slots", "given_up")
        self.sums.count(**{name: getattr(counts, name) for name in seen}, flops=self.meter.operations(counts))
        return scales(self.maker.objectives, counts.targets)

    def _global(
        self, local: torch.Tensor, norm: torch.Tensor, applied: torch.Tensor, later: Ready
    ) -> tuple[torch.Tensor, float, bool, Counts]:
        """The step's stats summed over ranks, the gradient norm, whether all of them applied it, and the counts of the
        next step. The one place in a step where the processor waits for a GPU."""
        size = local.numel()
        told = [applied.to(local)[None], self.world.tensor(self._message(later))]
        summed = self.world.sum(torch.cat([local.flatten(), *told]))
        here = torch.cat([summed, norm.to(summed)[None]]).cpu()
        *sums, found = torch.split(here, [size, 1, len(summed) - size - 1, 1])
        voted = float(sums[1])
        if voted not in (0, self.world.size):
            raise ValueError(
                f"step {self.progress.step + 1} was applied by {int(voted)} of {self.world.size} processes: their "
                "weights differ now. Run again to continue from the last checkpoint."
            )
        return sums[0].view(local.shape), float(found), bool(voted), self._counts(sums[2])

    def _log(self) -> None:
        progress = self.progress
        progress.seconds += self.sums.counts["seconds"]
        values = self.sums.values()
        if self.run.masking.hidden_share.row_targets:
            values["given_up_units"] = self.sums.counts["given_up"]
        values |= {
            "lr": self._rate(progress.step - 1),
            "grad_norm": self.norm,
            "tokens": progress.tokens,
            "seconds": progress.seconds,
        }
        values |= {f"epoch/{name}": float(cursor.epoch) for name, cursor in progress.cursors.items()}
        values |= self.meter.values(self.sums.counts)
        self.sums.clear()
        if self.around.tracker:
            line = {"stage": self.stage.name, **values, "cursors": progress.cursors}
            self.around.tracker.log("train", progress.step, line)
        self.around.report("train", progress.step, {**values, "share": self.run.share_done(progress.step)})
