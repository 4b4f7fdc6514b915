"""Training steps of one model and one series of batches, with one technique switched off each."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any
from unittest import mock

import numpy as np
import torch
from torch import nn

from launch.settings.components import decode
from launch.settings.yaml_files import Source
from pretrain.compiling import compile_layers
from pretrain.config import Run
from pretrain.corpus import Corpus
from pretrain.engine import Engine
from pretrain.feed import grids
from pretrain.feed.batch import Batch
from pretrain.feed.loading import loader
from pretrain.feed.sampling import Sampler, micro_batches
from pretrain.network import encoder
from pretrain.network.grid_attention import anywhere
from pretrain.processes.world import World
from pretrain.setup import build_model

Step = Callable[[Batch], torch.Tensor]
TASK = "knowledge_masking"
LR = 1e-4


def plain_run(folder: str, tokens: int, place: str, steps: int, rows: int, **model: Any) -> dict[str, Any]:
    """Words hidden at 15 %, rows of 2,048 positions, 4 layers of 256; as a YAML would say it."""
    return {
        "output": f"{place}/run",
        "data": [{"path": str(Path(folder).resolve()), "name": "corpus"}],
        "model": {"layers": 4, "hidden": 256, "heads": 4, "max_positions": tokens, **model},
        "masking": {"strategy": {"kind": "whole_unit", "units": ["word"]}, "budget": {"rate": 0.15}},
        "tasks": {TASK: {"kind": TASK}},
        "stages": [{"name": "bench", "steps": steps, "tasks": {TASK: 1.0}}],
        "batch": {"max_sample_tokens": tokens, "row_tokens": 2048, "rows_per_step": rows, "rows_per_process": 1},
        "optimization": {"lr": LR, "warmup": 1},
        "engine": {"zero_stage": 0, "precision": "fp32"},
        "tracking": {"every": 2, "sinks": []},
        "evaluation": {"every": 0},
        "checkpoints": {"every": 1000},
        "threads": 1,
    }


def configured(folder: str, tokens: int, **model: Any) -> Run:
    """The same as a Run of one row a step."""
    run: Run = decode(Run, Source(plain_run(folder, tokens, "unused", 1000, 1, **model), {}))
    return run


def with_rows(run: Run, positions: int) -> Run:
    """The run with rows of so many positions."""
    return replace(run, batch=replace(run.batch, row_tokens=positions))


def alone(corpus: Corpus) -> Step:
    """A step in torch alone, with a model of its own."""
    model = build_model(corpus.run, 0, corpus.tokenizer)
    return partial(bare, model, adam(model))


def batches(corpus: Corpus, count: int) -> list[Batch]:
    """The first batches of the run."""
    run = corpus.run
    maker = corpus.maker(run.stages[0], "train", run.masking)
    sampler = Sampler(streams=maker.streams, rows_per_step=run.batch.rows_per_step)
    specs = micro_batches(sampler, {}, range(count), 1000, run.batch.rows_per_process, 0, 1, {})
    return list(loader(maker, specs, 0, False, 1.0))


def scale(batch: Batch) -> dict[str, float]:
    """1 / targets."""
    return {TASK: 1 / batch.counts[TASK]}


def adam(model: nn.Module, fused: bool = True) -> torch.optim.AdamW:
    """As the engine makes it; one group."""
    return torch.optim.AdamW(model.parameters(), lr=LR, betas=(0.9, 0.98), eps=1e-6, weight_decay=0.01, fused=fused)


def update(model: nn.Module, optimizer: torch.optim.Optimizer, loss: torch.Tensor) -> torch.Tensor:
    """Backward, clip, step."""
    loss.backward()  # type: ignore[no-untyped-call]
    nn.utils.clip_grad_norm_(model.parameters(), 1.0)
    optimizer.step()
    optimizer.zero_grad(set_to_none=True)
    return loss.detach()


def bare(model: nn.Module, optimizer: torch.optim.Optimizer, batch: Batch) -> torch.Tensor:
    """A step in torch alone."""
    return update(model, optimizer, model(batch, scale(batch))[0])


def full_head(model: Any, optimizer: torch.optim.Optimizer, batch: Batch) -> torch.Tensor:
    """The head over every position, as transformers does it."""
    labels = torch.full((batch.input_ids.numel(),), -100)
    labels[batch.targets[TASK]["position"]] = batch.targets[TASK]["label"]
    logits = model.heads[TASK](encoder.encode(model.ernie, batch))
    return update(model, optimizer, nn.functional.cross_entropy(logits, labels))


def scattered(model: nn.Module, optimizer: torch.optim.Optimizer, batch: Batch) -> torch.Tensor:
    """Attention by torch's autograd: its backward scatters."""
    with mock.patch.object(encoder, "fused", partial(anywhere, dropout=0.0)):
        return bare(model, optimizer, batch)


@contextmanager
def one_grid() -> Iterator[None]:
    """All samples of a batch in one grid."""
    with mock.patch.object(grids, "CALL_COST", np.inf):
        yield


def under_deepspeed(model: nn.Module, run: Run, world: World) -> Step:
    """A step of the engine."""
    engine = Engine(model, run.engine, run.optimization, 1, 1, world, {})

    def step(batch: Batch) -> torch.Tensor:
        stats, _, _ = engine.train_step([batch], scale(batch), LR, [1])
        return stats[0, 0] / stats[0, 2]

    return step


def steps(corpus: Corpus, world: World, compiled: bool) -> dict[str, Step]:
    """By name, each with a model of its own from the same seed."""

    def made() -> nn.Module:
        return build_model(corpus.run, 0, corpus.tokenizer)

    def over(work: Any, fused: bool = True) -> Step:
        model = made()
        return partial(work, model, adam(model, fused))

    found = {
        "torch alone": over(bare),
        "kmask's engine (DeepSpeed, ZeRO 0)": under_deepspeed(made(), corpus.run, world),
        "attention that scatters": over(scattered),
        "Adam parameter by parameter": over(bare, fused=False),
        "head over all positions": over(full_head),
    }
    if compiled:
        model = made()
        compile_layers(model)
        found["layers compiled"] = partial(bare, model, adam(model))
    return found
