"""What a training step costs as it grows: tokens of a step, layers, width, vocabulary, processes; and a fit of it.

    kmask prepare benchmarks/training/corpus.yaml
    python benchmarks/bench_step_growth.py [PREPARED_FOLDER ...] [--rounds 4] [--processes 1 2]

fp32 on a CPU, one thread a process. Each size takes its turn, the least time of the rounds counts. The fit is seconds =
a + b * operations + c * states: what a step costs anyhow, the work (6 operations for each weight and token), and what
goes over every number of every layer (states: tokens x layers x width): norms, activation, copies.
Processes are whole runs of `kmask train` with the same rows a step, from their lines of metrics.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import NamedTuple

os.environ["OMP_NUM_THREADS"] = "1"

import numpy as np
import torch
from training import variants

from pretrain.corpus import Corpus

BATCHES, TRAINED_STEPS = 3, 24


class Size(NamedTuple):
    """A point of the table."""

    folder: str
    positions: int = 2048
    layers: int = 4
    hidden: int = 256


class Point(NamedTuple):
    """What a step of a size is, and took."""

    size: Size
    vocabulary: int
    operations: float
    states: float
    seconds: float


def measured(size: Size, rounds: int) -> Point:
    """The least seconds of a step in torch alone."""
    run = variants.configured(size.folder, 128, layers=size.layers, hidden=size.hidden)
    run = variants.with_rows(run, size.positions)
    corpus = Corpus(run=run)
    found = variants.batches(corpus, BATCHES)
    step = variants.alone(corpus)
    times = []
    for _ in range(rounds):
        for batch in found:
            begun = time.process_time()
            step(batch)
            times.append(time.process_time() - begun)
    vocabulary = len(corpus.tokenizer.tokens)
    real = statistics.mean(batch.real_tokens for batch in found)
    hidden = statistics.mean(batch.masked_tokens for batch in found)
    layers = 12 * size.layers * size.hidden**2
    work = 6 * (real * layers + hidden * (size.hidden**2 + size.hidden * vocabulary))
    return Point(size, vocabulary, work, real * size.layers * size.hidden, min(times))


def trained(folder: str, processes: int) -> float:
    """Tokens a second of `kmask train`, the median of its lines but the first."""
    with tempfile.TemporaryDirectory() as place:
        run = variants.plain_run(folder, 128, place, TRAINED_STEPS, rows=4)
        config = Path(place) / "run.yaml"
        config.write_text(json.dumps(run))
        command = [sys.executable, "-m", "launch.cli", "train", str(config), "--processes", str(processes)]
        subprocess.run(command, check=True, stdout=subprocess.DEVNULL)
        lines = [json.loads(line) for line in (Path(place) / "run/metrics.jsonl").read_text().splitlines()]
    rates = [line["tokens_per_second"] for line in lines if line.get("event") == "train"]
    return statistics.median(rates[1:])


def main() -> None:
    """Print the table and the fit."""
    parser = argparse.ArgumentParser()
    parser.add_argument("folders", nargs="*", default=["runs/bench/train"])
    parser.add_argument("--rounds", type=int, default=4)
    parser.add_argument("--processes", type=int, nargs="*", default=[])
    options = parser.parse_args()
    torch.set_num_threads(1)
    first = options.folders[0]
    sizes = [Size(first, positions=positions) for positions in (512, 1024, 2048, 4096, 8192)]
    sizes += [Size(first, layers=layers) for layers in (2, 8)]
    sizes += [Size(first, hidden=hidden) for hidden in (128, 512)]
    sizes += [Size(folder) for folder in options.folders[1:]]
    points = [measured(size, options.rounds) for size in sizes]
    matrix = np.array([[1.0, point.operations, point.states] for point in points])
    seconds = np.array([point.seconds for point in points])
    scaled = matrix / seconds[:, None]  # relative errors count
    fit, *_ = np.linalg.lstsq(scaled, np.ones(len(points)), rcond=None)
    print("| positions a step | layers | width | vocabulary | GFLOP | seconds | GFLOP/s | fit |")
    print("|---|---|---|---|---|---|---|---|")
    for point, told in zip(points, matrix @ fit, strict=True):
        size = point.size
        print(
            f"| {size.positions:,} | {size.layers} | {size.hidden} | {point.vocabulary:,} | {point.operations / 1e9:.1f} "
            f"| {point.seconds:.3f} | {point.operations / point.seconds / 1e9:.1f} | {told / point.seconds:.2f} |"
        )
    print(f"\nseconds = {fit[0]:.4f} + GFLOP / {1e-9 / fit[1]:.1f} + million states x {fit[2] * 1e6:.4f}")
    for processes in options.processes:
        print(
            f"{processes} processes of one thread, kmask train: {trained(first, processes):,.0f} tokens/s", flush=True
        )


if __name__ == "__main__":
    main()
