"""The loop, nothing else: everything it calls is a file of its own.

    for each stage:   model (grown by new tasks)  ->  Engine  ->  restore from the newest checkpoint
        for each step:   fetch micro-batches -> count targets globally -> step -> log -> evaluate -> save

Starting is resuming: a fresh run is one whose cursors are (0, 0, 0). Losses after a kill are bitwise those of an undisturbed run.
"""

from __future__ import annotations

import signal
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch

from masking.keyed import hash_key
from pretrain import checkpoint as checkpoints
from pretrain.config import Run
from pretrain.corpus import Corpus
from pretrain.engine import Engine
from pretrain.evaluation.heldout import evaluate
from pretrain.loading import BatchMaker, loader
from pretrain.sampling import Cursor, Sampler, micro_batches
from pretrain.schedule import Stage, position, total_steps
from pretrain.setup import begin_stage, check_continues, keep_tokenizer
from pretrain.tracking import Tracker, Window, readable
from pretrain.world import World

Report = Callable[[str, int, Mapping[str, Any]], None]
"""Called on rank 0 with (event, step, values); event is `begin`, `train`, `evaluation`, `checkpoint`, `stage`, `note` or `end`."""


@dataclass
class Progress:
    """What changes while training goes on."""

    step: int = 0
    cursors: dict[str, Cursor] = field(default_factory=dict)
    tokens: float = 0.0
    seconds: float = 0.0
    asked: bool = False
    """Was this rank told to stop? The signal reaches ranks at different moments."""
    stopping: bool = False
    """Do all ranks stop after this step? The same on every rank."""


class Trainer:
    """Trains a run to its end, or until it is asked to stop."""

    def __init__(self, run: Run, resolved: Mapping[str, Any], world: World, report: Report) -> None:
        self.run, self.resolved, self.world = run, resolved, world
        self.corpus = Corpus(run=run)
        self.folder = Path(run.output)
        self.progress = Progress()
        self.report: Report = report if world.rank == 0 else lambda event, step, values: None
        self.total = total_steps(run.stages)

    def train(self) -> bool:
        """Run all stages that are not done. Returns False when it was asked to stop before the end."""
        self.run.batch.accumulation(self.world.size)
        _ = self.corpus.prepared
        found = checkpoints.latest(self.folder / "checkpoints", lambda text: self.report("note", 0, {"text": text}))
        self.world.agree(found.state.step if found else -1, f"the newest checkpoint in {self.folder} (it must lie on a disk that all machines share)")
        if found:
            check_continues(found.state, self.run, self.resolved, self.corpus.fingerprints)
            state = found.state
            self.progress = Progress(state.step, dict(state.cursors), state.seen["tokens"], state.seen["seconds"])
        self.report("begin", self.progress.step, {"total": self.total, "resumed": found is not None, "world": self.world.size})
        if self.progress.step >= self.total:
            return True
        for note in self.corpus.specials.notes:
            self.report("note", self.progress.step, {"text": note})
        if self.world.rank == 0:
            keep_tokenizer(self.corpus.tokenizer.folder, self.folder / "tokenizer")
        signal.signal(signal.SIGTERM, lambda *_: setattr(self.progress, "asked", True))
        tracker = Tracker(self.run.tracking, self.folder, self.progress.step, self.resolved) if self.world.rank == 0 else None
        try:
            while self.progress.step < self.total and not self.progress.stopping:
                where = position(self.run.stages, self.progress.step)
                if where.step == 0:
                    self.progress.cursors = {name: cursor._replace(served=0) for name, cursor in self.progress.cursors.items()}
                self._stage(where.stage, found, tracker)
                found = checkpoints.latest(self.folder / "checkpoints", print)  # a stage always ends with a checkpoint
        finally:
            if tracker:
                tracker.close()
        return not self.progress.stopping

    def _stage(self, index: int, found: checkpoints.Checkpoint | None, tracker: Tracker | None) -> None:
        """One stage from wherever it stands to its end."""
        stage = self.run.stages[index]
        first = self.progress.step
        end = first - position(self.run.stages, first).step + stage.steps
        accumulation = self.run.batch.accumulation(self.world.size)
        maker = self.corpus.maker(stage, "train", self.run.masking)
        heldout = self.corpus.heldout_maker(stage)
        engine = begin_stage(self.run, index, self.corpus, maker, found, self.world)
        states: dict[int, dict[str, Cursor]] = {}
        sampler = Sampler(streams=maker.streams, rows_per_step=self.run.batch.rows_per_step)
        steps = range(first, end)
        specs = micro_batches(sampler, self.progress.cursors, steps, self.total, self.run.batch.rows_per_process, self.world.rank, self.world.size, states)
        batches = iter(loader(maker, specs, self.run.data_workers, self.world.device.type == "cuda"))
        self.report("stage", first, {"name": stage.name, "tasks": list(stage.tasks), "steps": stage.steps, "index": index})
        if self.run.evaluation.every and first == end - stage.steps:
            self._evaluate(engine, heldout, stage, tracker)
        window = Window(list(maker.objectives))
        for step in steps:
            started = time.perf_counter()
            ready = [next(batches).to(self.world.device) for _ in range(accumulation)]
            scale = self._scale(maker, ready, window)
            lr = self._rate(step)
            seeds = [hash_key("dropout", self.run.seed, step, micro, self.world.rank) % 2**63 for micro in range(accumulation)]
            stats, norm = engine.train_step(ready, scale, lr, seeds)
            self.progress.step, self.progress.cursors = step + 1, states.pop(step)
            window.add(stats, time.perf_counter() - started)
            last = step + 1 == end or self.progress.stopping
            if (step + 1) % self.run.tracking.every == 0 or last:
                self._log(window, stage, norm, lr, tracker)
            if self.run.evaluation.every and ((step + 1) % self.run.evaluation.every == 0 or step + 1 == end):
                self._evaluate(engine, heldout, stage, tracker)
            if (step + 1) % self.run.checkpoints.every == 0 or last:
                self._save(engine, index)
            if self.progress.stopping:
                break
        engine.close()

    def _rate(self, step: int) -> float:
        where = position(self.run.stages, step)
        return self.run.optimization.rate(*((where.step, where.steps) if self.run.optimization.restart_per_stage else (step, self.total)))

    def _scale(self, maker: BatchMaker, batches: list[Any], window: Window) -> dict[str, float]:
        """weight / global number of targets of the step, by task; learns from the same message whether a rank was told to stop."""
        names = list(maker.objectives)
        local = [sum(batch.counts[name] for batch in batches) for name in names]
        local += [sum(getattr(batch, name) for batch in batches) for name in ("real_tokens", "masked_tokens", "maskable_tokens", "given_up_units")]
        local += [sum(batch.input_ids.numel() for batch in batches), int(self.progress.asked)]
        *counts, real, masked, maskable, given_up, slots, stop = self.world.sum(torch.tensor(local, dtype=torch.float64, device=self.world.device)).tolist()
        self.progress.stopping = stop > 0
        self.progress.tokens += real
        window.count(real, masked, maskable, slots, given_up)
        return {name: maker.objectives[name].weight / max(count, 1.0) for name, count in zip(names, counts, strict=True)}

    def _log(self, window: Window, stage: Stage, norm: float, lr: float, tracker: Tracker | None) -> None:
        assert window.stats is not None
        stats = self.world.sum(window.stats)
        values = readable(stats.cpu(), window.tasks)
        self.progress.seconds += window.seconds
        epochs = {f"epoch/{name}": float(cursor.epoch) for name, cursor in self.progress.cursors.items()}
        values |= {"lr": lr, "grad_norm": norm, "tokens_per_second": window.real / max(window.seconds, 1e-9), "real_share": window.real / window.slots}
        values |= {"masked_share": window.masked / max(window.maskable, 1), "tokens": self.progress.tokens, "seconds": self.progress.seconds, **epochs}
        if self.run.masking.hidden_share.row_targets:
            values["given_up_units"] = window.given_up
        window.clear()
        loss = values.get("loss/knowledge_masking", 0.0)
        if tracker:
            tracker.log("train", self.progress.step, {"stage": stage.name, **values})
        self.report("train", self.progress.step, values)
        if loss != loss or norm != norm:
            raise ValueError(
                f"the loss is not a number at step {self.progress.step}. The last checkpoint is unharmed: "
                "lower optimization.lr or raise optimization.warmup, then run again."
            )

    def _evaluate(self, engine: Engine, maker: BatchMaker, stage: Stage, tracker: Tracker | None) -> None:
        engine.eval()
        stats = evaluate(engine, maker, self.run.evaluation.rows, self.world.rank, self.world.size, self.world.device)
        engine.train()
        if stats is None:
            self.report("note", self.progress.step, {"text": "no held-out documents: evaluation is skipped (raise `heldout` in the data configuration)"})
            return
        values = readable(self.world.sum(stats).cpu(), list(maker.objectives))
        if tracker:
            tracker.log("evaluation", self.progress.step, {"stage": stage.name, **values})
        self.report("evaluation", self.progress.step, values)

    def _save(self, engine: Engine, stage: int) -> None:
        tensors = engine.state()
        if tensors is not None:
            self._write(tensors, stage, engine.encoder_config())
        self.world.sum(torch.zeros(1, device=self.world.device))  # no rank goes on before the checkpoint is published

    def _write(self, tensors: Mapping[str, torch.Tensor], stage: int, encoder: Mapping[str, Any]) -> None:
        progress = self.progress
        state = checkpoints.State(
            step=progress.step,
            cursors=progress.cursors,
            stage=stage,
            fingerprints=self.corpus.fingerprints,
            config=self.resolved,
            encoder=encoder,
            seen={"tokens": progress.tokens, "seconds": progress.seconds},
        )
        path = checkpoints.save(self.folder / "checkpoints", tensors, state, self.run.checkpoints.keep)
        self.report("checkpoint", progress.step, {"path": str(path)})
