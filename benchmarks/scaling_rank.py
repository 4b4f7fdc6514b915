"""One process of bench_scaling.py: the seconds of a step at every ZeRO stage, and the bytes that left its host.

python benchmarks/scaling_rank.py PREPARED RESULT.json STEPS        with RANK, WORLD_SIZE, MASTER_* set
"""

from __future__ import annotations

import json
import sys
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch

from launch.settings.components import decode
from launch.settings.yaml_files import Source
from pretrain.config import Run
from pretrain.corpus import Corpus
from pretrain.engine import Engine, join
from pretrain.feed.batch import Batch
from pretrain.feed.sampling import Cursor, MicroBatchSpec
from pretrain.flops import observe, work
from pretrain.processes.world import leave
from pretrain.setup import start_model
from pretrain.sizes import sizes

SENT = Path("/sys/class/net/eth0/statistics/tx_bytes")
RUN: dict[str, Any] = {
    "model": {"layers": 2, "hidden": 384, "heads": 6, "max_positions": 64, "dropout": 0.0},
    "tasks": {"knowledge_masking": {"kind": "knowledge_masking"}},
    "stages": [{"name": "one", "steps": 100, "tasks": {"knowledge_masking": 1}}],
    "batch": {"max_sample_tokens": 64, "row_tokens": 256, "rows_per_step": 8},
    "engine": {"zero_stage": 0, "precision": "fp32", "compile": "off"},
    "threads": 1,
}


def prepared_run(prepared: str) -> tuple[Run, Corpus, Batch]:
    """The run, its corpus, and the batch that every step takes."""
    value = {"output": "unused", "data": [{"path": prepared, "name": "corpus"}], **RUN}
    corpus = Corpus(run=decode(Run, Source(value, {})))
    run = corpus.bound
    maker = corpus.maker(run.stages[0], "train", run.masking)
    row, _ = next(iter(maker.streams.values())).next(Cursor())
    return run, corpus, maker[MicroBatchSpec(0, [row], 0.0)]


def main(prepared: str, result: str, steps: int) -> None:
    """Measure, and write what rank 0 saw."""
    torch.set_num_threads(1)
    run, corpus, batch = prepared_run(prepared)
    world, found = join(run.engine), []
    for stage in range(4):
        with torch.device("meta"):
            shapes, _, _ = start_model(run, corpus.tokenizer)
        size = sizes(shapes, ())
        flops = work(observe(shapes, batch, ["knowledge_masking"]), batch).of(
            batch.real_tokens, batch.pairs, batch.counts
        )
        model, _, _ = start_model(run, corpus.tokenizer)
        engine = Engine(model, replace(run.engine, zero_stage=stage), run.optimization, 1, 2, world, {})
        engine.train()
        for micro in (1, 2):
            seconds, sent = [], []
            for step in range(steps + 2):  # ZeRO 3 learns in its first steps what comes next
                world.sum(torch.zeros(1))
                before, begun = int(SENT.read_text()), time.perf_counter()
                engine.train_step([batch] * micro, {"knowledge_masking": 1.0}, 1e-4, [1] * micro)
                world.sum(torch.zeros(1))
                if step > 1:
                    seconds.append(time.perf_counter() - begun)
                    sent.append(int(SENT.read_text()) - before)
            facts = {"stage": stage, "micro": micro, "world": world.size, "seconds": seconds, "sent": sent}
            numbers = {name: getattr(size, name) for name in ("parameters", "trained", "linear", "large")}
            found.append({**facts, **numbers, "flops": flops})
        engine.close()
    if world.rank == 0:
        Path(result).write_text(json.dumps(found))
    leave()


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2], int(sys.argv[3]))
