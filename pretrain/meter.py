"""How hard a process works, for the lines of metrics.

Counts of a step  --Work-->  operations of the step, of all processes     summed until the next line (metrics/sums.py)
{"tflops": 180.2, "mfu": 0.182, "memory_gib": 31.4}                       tflops and mfu: of each process
"""

from __future__ import annotations

import resource
import sys
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import torch

from pretrain.config import Run
from pretrain.feed.loading import BatchMaker
from pretrain.feed.sampling import MicroBatchSpec, RowSpec
from pretrain.flops import Work, observe, work
from pretrain.model import PretrainingModel
from pretrain.network.kinds import restored
from pretrain.peaks import peak_of
from pretrain.processes.world import World
from pretrain.step_batches import Counts

GIB = 2**30


class Meter:
    """Operations and memory of one stage."""

    def __init__(self, run: Run, world: World, maker: BatchMaker, encoder: Mapping[str, Any]) -> None:
        self.world = world
        self.peak = peak_of(run.tracking.peak_tflops, run.engine.precision, world.device)
        try:
            self.work: Work | None = stage_work(maker, encoder, run.seed)
        except Exception:  # figures for people: without them training goes on
            self.work = None

    def operations(self, counts: Counts) -> float:
        """Of a step, over all processes; 0 when the shapes of this model cannot be counted."""
        return self.work.of(counts.real, counts.pairs, counts.targets) if self.work else 0.0

    def values(self, counts: Mapping[str, float]) -> dict[str, float]:
        """Of the time since the last line."""
        found = {"memory_gib": peak_memory(self.world.device)}
        if counts["flops"] and counts["seconds"]:
            found["tflops"] = counts["flops"] / counts["seconds"] / self.world.size / 1e12
            if self.peak:
                found["mfu"] = found["tflops"] / self.peak
        return found


def stage_work(maker: BatchMaker, encoder: Mapping[str, Any], seed: int) -> Work:
    """What the tasks of a stage cost, from a row of the first window of every stream."""
    tasks: Sequence[str] = list(maker.objectives)
    with torch.device("meta"):
        model = PretrainingModel(restored(encoder), maker.objectives, tasks, seed)  # type: ignore[arg-type]
    rows = []
    for name, stream in maker.streams.items():
        windows = stream.source.windows(np.arange(1))
        rows.append(RowSpec(name, 0, windows.take(np.cumsum(stream.lengths(windows)) <= maker.row_tokens)))
    batch = maker[MicroBatchSpec(0, rows, 0.0)]
    return work(observe(model, batch, tasks), batch)


def peak_memory(device: torch.device) -> float:
    """Most memory so far, in GiB: of the GPU's tensors, or of the whole process on a CPU."""
    if device.type == "cuda":
        return torch.cuda.max_memory_allocated(device) / GIB
    unit = 1 if sys.platform == "darwin" else 1024
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit / GIB
