"""Steps on 64 GPUs of 8 machines by the model of pretrain/scaling.py, for docs/scaling.md: nothing is measured here.

    python benchmarks/scaling_paper.py [--tflops 396] [--latency 10]

Encoders of base (12 x 768) and large (24 x 1024) size with 30,000 words, knowledge masking of 15 %, samples of 512 tokens,
micro-batches of 16,384 tokens, autocast to bf16. Assumed, not measured: what a GPU computes (40 % of an H200's peak), and
microseconds a hop.
"""

from __future__ import annotations

import argparse

import torch

from launch.settings.components import decode
from launch.settings.yaml_files import Source
from pretrain.config import Run
from pretrain.model import PretrainingModel
from pretrain.scaling import Machines, Speed, paying_micro, step_time, traffic
from pretrain.settings import DeepSpeed
from pretrain.sizes import Sizes, sizes, training_memory

SHAPES = {"base": (12, 768, 12), "large": (24, 1024, 16)}
WORDS, TOKENS, SAMPLE, MASKED = 30_000, 16_384, 512, 0.15
LINKS = (3.125, 12.5, 50.0, 400.0)
"""GB/s out of a machine: Ethernet of 25 and of 100 Gbit/s, one and eight links of 400 Gbit/s."""
HOSTS, EACH = 8, 8


def shape(layers: int, hidden: int, heads: int) -> Sizes:
    """Sizes of an encoder with the head that predicts words."""
    value = {
        "output": "unused",
        "data": [{"path": "unused", "name": "corpus"}],
        "model": {"layers": layers, "hidden": hidden, "heads": heads, "max_positions": SAMPLE},
        "tasks": {"words": {"kind": "knowledge_masking"}},
        "stages": [{"name": "one", "steps": 1, "tasks": {"words": 1}}],
    }
    run = decode(Run, Source(value, {}))
    with torch.device("meta"):
        return sizes(PretrainingModel(run.model.config(WORDS, 1, 0), run.tasks, ["words"], 0), ())


def operations(layers: int, hidden: int) -> float:
    """Of a micro-batch (flops.py)."""
    token = 6 * layers * 12 * hidden**2 + 12 * layers * hidden * SAMPLE
    return TOKENS * (token + MASKED * 6 * (hidden**2 + hidden * WORDS))


def main() -> None:
    """Print the tables."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--tflops", type=float, default=396.0)
    parser.add_argument("--latency", type=float, default=10.0)
    asked = parser.parse_args()
    speed = Speed(asked.tflops * 1e12)
    for name, (layers, hidden, heads) in SHAPES.items():
        found, flops = shape(layers, hidden, heads), operations(layers, hidden)
        alone = TOKENS * HOSTS * EACH / (flops / speed.flops)
        print(f"\n{name}: {found.parameters / 1e6:.0f} M parameters, {flops / TOKENS / 1e9:.2f} GFLOP a token, "
              f"{1e3 * flops / speed.flops:.1f} ms a micro-batch, {alone / 1e6:.1f} M tokens/s if nothing were exchanged\n")  # fmt: skip
        print(
            "| ZeRO | memory of a process | carried, 1 micro-batch | "
            + " | ".join(f"{link:g} GB/s" for link in LINKS)
            + " |"
        )
        print("|---|---|---|" + "---|" * len(LINKS))
        for stage in range(4):
            engine, cells = DeepSpeed(zero_stage=stage, precision="bf16"), []
            for link in LINKS:
                machines = Machines(HOSTS, EACH, 1e9 * link, asked.latency / 1e6)
                shares = [step_time(found, engine, micro, machines, speed, flops).share for micro in (1, 4, 16)]
                enough = paying_micro(found, engine, machines, speed, flops, 0.9)
                cells.append(" ".join(f"{share:.0%}" for share in shares) + f"; {enough or 'never'}")
            memory = sum(training_memory(found, engine, HOSTS * EACH)) / 1e9
            carried = traffic(found, engine, 1).carried(HOSTS * EACH) / 1e6
            print(f"| {stage} | {memory:.2f} GB | {carried:.0f} MB | " + " | ".join(cells) + " |")


if __name__ == "__main__":
    main()
