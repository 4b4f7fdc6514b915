"""AdamW against Muon on one small model: the held-out loss after equal steps and after equal time, each at its best of
a few rates.

    python benchmarks/bench_optimizers.py PREPARED_FOLDER OUTPUT.jsonl [--steps 450] [--rates 1e-3 3e-3 9e-3] [--seeds 1]

Layers and width as given, a row of 2,048 positions a step; one thread, fp32, no dropout, warm-up over a tenth of
the steps and then straight down to 0. Runs of a seed have the same initial weights and the same rows, masks and order.
Time is that of the processor, which others who use the machine disturb little. After the grid, the best rate
of each is run with the other seeds, and Muon with so many steps fewer as it takes AdamW's time. Runs that stand in
OUTPUT.jsonl are not made again.
"""

from __future__ import annotations

import argparse
import json
import statistics
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import torch
from training import variants

from launch.settings.components import decode
from launch.settings.yaml_files import Source
from pretrain.config import Run
from pretrain.corpus import Corpus
from pretrain.engine import Engine, join
from pretrain.evaluation.heldout import evaluate
from pretrain.feed.loading import loader
from pretrain.feed.sampling import Sampler, micro_batches
from pretrain.processes.world import World
from pretrain.setup import build_model

parser = argparse.ArgumentParser()
parser.add_argument("folder")
parser.add_argument("output", type=Path)
parser.add_argument("--steps", type=int, default=450)
parser.add_argument("--rates", type=float, nargs="+", default=[1e-3, 3e-3, 9e-3])
parser.add_argument("--seeds", type=int, default=1)
parser.add_argument("--layers", type=int, default=2)
parser.add_argument("--hidden", type=int, default=128)
parser.add_argument("--rows", type=int, default=32, help="held-out rows")
options = parser.parse_args()
ALGORITHMS = ("adamw", "muon")
TOKENS = 128


def configured(algorithm: str, rate: float, seed: int, steps: int) -> Run:
    """One run."""
    values = variants.plain_run(
        options.folder, TOKENS, "unused", steps, 1, layers=options.layers, hidden=options.hidden
    )
    values["model"]["heads"] = max(1, options.hidden // 64)
    values["optimization"] = {"algorithm": algorithm, "lr": rate, "warmup": max(1, steps // 10)}
    run: Run = decode(Run, Source({**values, "seed": seed}, {}))
    return run


def train(run: Run, world: World) -> dict[str, Any]:
    """The held-out loss and accuracy at the end, and seconds of the processor a step."""
    corpus = Corpus(run=run)
    run = corpus.bound
    model = build_model(run, 0, corpus.tokenizer)
    engine = Engine(model, run.engine, run.optimization, run.batch.rows_per_process, 1, world, {})
    engine.train()
    maker, steps = corpus.maker(run.stages[0], "train", run.masking), run.stages[0].steps
    sampler = Sampler(streams=maker.streams, rows_per_step=run.batch.rows_per_step)
    specs = micro_batches(sampler, {}, range(steps), steps, run.batch.rows_per_process, 0, 1, {})
    spent, losses = [], []
    for step, batch in enumerate(loader(maker, specs, 0, False, 1.0)):
        begun = time.process_time()
        stats, _, _ = engine.train_step([batch], variants.scale(batch), run.optimization.rate(step, steps), [step])
        spent.append(time.process_time() - begun)
        losses.append(float(stats[0, 0] / stats[0, 2]))
    engine.eval()
    measured = evaluate(engine, corpus.heldout([variants.TASK]), options.rows, world)
    assert measured is not None
    figures = measured.values(world)
    engine.close()
    return {
        "loss": figures[f"loss/{variants.TASK}"],
        "accuracy": figures[f"accuracy/{variants.TASK}"],
        "seconds": statistics.median(spent),
        "whole": sum(spent),
        "last": statistics.mean(losses[-20:]),
    }


class Results:
    """Lines of OUTPUT.jsonl."""

    def __init__(self, world: World) -> None:
        self.world = world

    def lines(self) -> list[dict[str, Any]]:
        """Those that are there."""
        text = options.output.read_text() if options.output.exists() else ""
        return [json.loads(line) for line in text.splitlines()]

    def of(self, algorithm: str, rate: float, seed: int, steps: int) -> dict[str, Any]:
        """A run, made where it is not there."""
        key = {"algorithm": algorithm, "rate": rate, "seed": seed, "steps": steps}
        key |= {"layers": options.layers, "hidden": options.hidden}
        for line in self.lines():
            if key.items() <= line.items():
                return line
        found = {**key, **train(configured(algorithm, rate, seed, steps), self.world)}
        with options.output.open("a") as file:
            file.write(json.dumps(found) + "\n")
        print(json.dumps(found), flush=True)
        return found


def rows(results: Results) -> Iterator[tuple[str, list[dict[str, Any]]]]:
    """Lines of the table: what they are about, and the runs behind them."""
    best = {}
    for algorithm in ALGORITHMS:
        grid = [results.of(algorithm, rate, 1, options.steps) for rate in options.rates]
        yield from ((f"{algorithm}, rate {line['rate']:g}", [line]) for line in grid)
        best[algorithm] = min(grid, key=lambda line: line["loss"])
    more = range(1, options.seeds + 1)
    ends = {name: [results.of(name, best[name]["rate"], seed, options.steps) for seed in more] for name in ALGORITHMS}
    yield from ((f"{name} at its best, {options.seeds} seeds", ends[name]) for name in ALGORITHMS)
    share = statistics.median(line["seconds"] for line in ends["adamw"]) / statistics.median(
        line["seconds"] for line in ends["muon"]
    )
    steps = round(options.steps * share)
    again = [results.of("muon", best["muon"]["rate"], seed, steps) for seed in more]
    yield f"muon at its best, in adamw's time ({steps} steps)", again


def main() -> None:
    """Print the table."""
    torch.set_num_threads(1)
    world = join(configured("adamw", 1e-3, 1, 10).engine)
    table = list(rows(Results(world)))
    print("\n| run | held-out loss | accuracy | CPU seconds a step |\n|---|---|---|---|")
    for name, lines in table:
        loss = ", ".join(f"{line['loss']:.3f}" for line in lines)
        accuracy = ", ".join(f"{line['accuracy']:.3f}" for line in lines)
        seconds = statistics.median(line["seconds"] for line in lines)
        print(f"| {name} | {loss} | {accuracy} | {seconds:.3f} |")


if __name__ == "__main__":
    main()
