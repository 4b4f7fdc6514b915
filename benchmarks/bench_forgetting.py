"""What two stages leave of the first: the retention matrix of a small encoder, trained in turn, and with each option
against forgetting.

    python benchmarks/bench_forgetting.py PREPARED [STEPS] [FOLDER] [SEEDS]
        (default: runs/demo/data 300 runs/forgetting 1; `make demo` prepares it)

    sequential          stage 1 knowledge masking, stage 2 sentence reordering alone
    old parameters .1   the same, with a tenth of the rate for what is older than the stage
    average stages      the same, ending in the mean of both stage ends
    replay .1           the same, with a tenth of the rows of stage 2 for knowledge masking
    joint               both tasks in both stages, at as many rows a task

Loss and accuracy on held-out documents, mean and standard deviation over the seeds; a run that is there already is
continued, so a second call prints its figures.
"""

from __future__ import annotations

import json
import statistics
import sys
from pathlib import Path
from typing import Any

from launch.settings.components import Source, decode, plain
from pretrain.config import Run
from pretrain.engine import join
from pretrain.settings import DeepSpeed
from pretrain.trainer import Trainer

WORDS, ORDER = "knowledge_masking", "sentence_reordering"
OPTIONS: dict[str, dict[str, Any]] = {
    "sequential": {},
    "old parameters .1": {"old_parameters": 0.1},
    "average stages": {"average_stages": True},
    "replay .1": {},
    "joint": {},
}
POINTS = (("first", "end", "after stage 1"), ("second", "end", "after stage 2"), ("second", "averaged", "its mean"))


def configuration(prepared: Path, output: Path, steps: int, option: str, seed: int) -> dict[str, Any]:
    """Two stages of a small encoder."""
    both: dict[str, float] = {WORDS: 1, ORDER: 1}
    second = {"joint": both, "replay .1": {WORDS: 0.1, ORDER: 0.9}}.get(option, {ORDER: 1})
    tasks = (both if option == "joint" else {WORDS: 1}, second)
    return {
        "output": str(output),
        "data": [{"path": str(prepared), "name": "demo"}],
        "model": {"layers": 2, "hidden": 128, "heads": 4, "max_positions": 64, "dropout": 0.0},
        "tasks": {WORDS: {"kind": WORDS}, ORDER: {"kind": ORDER, "segments": 2}},
        "stages": [
            {"name": name, "steps": steps, "tasks": shares}
            for name, shares in zip(("first", "second"), tasks, strict=True)
        ],
        "batch": {"max_sample_tokens": 64, "rows_per_step": 8, "rows_per_process": 8},
        "optimization": {"lr": 1e-3, "warmup": max(1, steps // 10), **OPTIONS[option]},
        "engine": {"zero_stage": 0, "precision": "fp32"},
        "evaluation": {"every": 10 * steps, "rows": 32},
        "checkpoints": {"every": 10 * steps, "keep": 1},
        "tracking": {"every": steps, "sinks": []},
        "seed": seed,
    }


def figures(output: Path) -> dict[tuple[str, str], dict[str, Any]]:
    """Evaluation lines by stage and moment."""
    lines = [json.loads(line) for line in (output / "metrics.jsonl").read_text(encoding="utf-8").splitlines()]
    return {(line["stage"], line["at"]): line for line in lines if line["event"] == "evaluation"}


def cell(lines: list[dict[str, Any]], name: str, width: int) -> str:
    """Mean and standard deviation of a figure, or blanks where it is not measured."""
    values = [line[name] for line in lines if name in line]
    if not values:
        return " " * width
    spread = statistics.stdev(values) if len(values) > 1 else 0.0
    return f"{statistics.mean(values):.3f} ± {spread:.3f}".rjust(width)


def main() -> None:
    """Train what is not trained yet, and print the matrix."""
    given = dict(enumerate(sys.argv[1:]))
    prepared, steps = Path(given.get(0, "runs/demo/data")), int(given.get(1, 300))
    folder, seeds = Path(given.get(2, "runs/forgetting")), int(given.get(3, 1))
    world = join(DeepSpeed(precision="fp32"))
    names = [f"{figure}/{task}" for task in (WORDS, ORDER) for figure in ("loss", "accuracy")]
    print(" " * 36 + "".join(f"{name:>30}" for name in [*names, f"majority/{ORDER}"]))
    for option in OPTIONS:
        found = []
        for seed in range(1, seeds + 1):
            output = folder / f"{option.replace(' ', '-')}-{seed}"
            run = decode(Run, Source(configuration(prepared, output, steps, option, seed), {}))
            Trainer(run, plain(run), world, lambda event, step, values: None).train()
            found.append(figures(output))
        for stage, at, told in POINTS:
            if lines := [lines[stage, at] for lines in found if (stage, at) in lines]:
                cells = "".join(cell(lines, name, 30) for name in [*names, f"majority/{ORDER}"])
                print(f"{option:20}{told:16}{cells}", flush=True)


if __name__ == "__main__":
    main()
