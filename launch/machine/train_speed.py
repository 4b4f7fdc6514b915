"""`kmask bench train`: what this machine makes of a run's training steps, in this process alone."""

from __future__ import annotations

import os
import statistics
import time
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from launch.machine.batch_speed import configured, run_of

if TYPE_CHECKING:
    from pretrain.config import Run

WARM = 2
SIDE = 1024
LENGTH = 128


def bench_train(target: Path, seconds: float) -> None:
    """Print real tokens and operations a second of the first stage of a run, or of a base model over a folder.

    Raises:
        ValueError: the run cannot be trained here.
    """
    import torch

    run = configured(target) if target.suffix in (".yaml", ".yml") else run_of(target, LENGTH)
    torch.set_num_threads(run.threads or os.cpu_count() or 1)
    rates, flops, real_share = stepped(replace(run, threads=torch.get_num_threads()), seconds)
    rate = statistics.median(rates)
    print(f"{len(rates)} steps of {run.stages[0].name}, one process, {torch.get_num_threads()} threads")
    print(f"{'real tokens a second':24s}{rate:12,.0f}   (real share of positions {real_share:.3f})")
    print(f"{'TFLOP/s':24s}{rate * flops / 1e12:12.3f}   ({flops / 1e6:.1f} MFLOP a real token)")
    if not torch.cuda.is_available():
        peak = multiplied(torch.randn(2 * SIDE, SIDE), torch.randn(SIDE, SIDE))
        print(f"{'of large multiplications':24s}{rate * flops / peak:12.2f}   ({peak / 1e12:.3f} TFLOP/s)")


def stepped(run: Run, seconds: float) -> tuple[list[float], float, float]:
    """Real tokens a second of each step, operations of a real token, and the share of positions that are real."""
    from pretrain.corpus import Corpus
    from pretrain.engine import Engine, join
    from pretrain.feed.means import counted, scales
    from pretrain.feed.sampling import Sampler, micro_batches
    from pretrain.meter import stage_work
    from pretrain.settled import settled
    from pretrain.setup import start_model

    world = join(run.engine)
    run = replace(run, engine=settled(run, world)[0])
    corpus = Corpus(run=run)
    maker = corpus.maker(run.stages[0], "train", run.masking)
    model, _, _ = start_model(replace(run, tasks=corpus.objectives), corpus.tokenizer)
    rows, names = run.batch_of(run.stages[0]).rows_per_process, counted(maker.objectives)
    engine = Engine(model, run.engine, run.optimization, rows, 1, world, {})
    work = stage_work(maker, engine.encoder_config(), run.seed)
    sampler = Sampler(streams=maker.streams, rows_per_step=rows)
    rates, operations, real, positions, end = [], 0.0, 0.0, 0.0, float("inf")
    for number, spec in enumerate(micro_batches(sampler, {}, range(1 << 30), 1 << 30, rows, 0, 1, {})):
        batch = maker[spec].to(world.device)
        begun = time.perf_counter()
        stats, _, _ = engine.train_step([batch], scales(maker.objectives, batch.counts), run.optimization.lr, [1])
        stats.cpu()  # the step is done
        now = time.perf_counter()
        if number < WARM:
            end = now + seconds
            continue
        rates.append(batch.real_tokens / (now - begun))
        targets = {name: float(batch.counts[name]) for name in names}
        operations += work.of(batch.real_tokens, batch.pairs, targets)
        real, positions = real + batch.real_tokens, positions + batch.input_ids.numel()
        if now > end:
            break
    return rates, operations / real, real / positions


def multiplied(a: object, b: object) -> float:
    """Operations a second of a large multiplication; the best of several."""
    import torch

    assert isinstance(a, torch.Tensor) and isinstance(b, torch.Tensor)
    best = float("inf")
    for _ in range(8):
        begun = time.perf_counter()
        torch.mm(a, b)
        best = min(best, time.perf_counter() - begun)
    return 2 * a.shape[0] * a.shape[1] * b.shape[1] / best
