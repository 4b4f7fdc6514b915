"""Continual multi-task learning beside training one task after the other and all at once, at equal iterations of every
task (ERNIE 2.0, Sun et al. 2020, table of continual methods).

    kmask prepare benchmarks/continual/corpus.yaml && kmask prepare benchmarks/continual/searches.yaml
    python benchmarks/bench_continual.py --seeds 1 2 3

Runs that have ended are not trained again. Prints held-out accuracy and loss of every task at the end of every stage,
the mean and the spread over the seeds; `kmask report` draws each run.
"""

from __future__ import annotations

import argparse
import json
import statistics
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

HERE = Path(__file__).resolve().parent
METHODS = ("sequential", "joint", "continual_multi_task")


def train(method: str, seed: int, runs: Path, changes: list[str]) -> Path:
    """One run on one process; returns its folder."""
    folder = runs / f"{method}-{seed}"
    changes = [*changes, f"output={folder}", f"seed={seed}"]
    command = [sys.executable, "-m", "launch.cli", "train", "--processes", "1", HERE / f"continual/{method}.yaml"]
    done = subprocess.run([*map(str, command), *changes], cwd=HERE.parent, check=False, capture_output=True, text=True)
    if done.returncode:
        raise SystemExit(f"{method}, seed {seed}: {done.stderr[-2000:]}")
    return folder


def ends(folder: Path) -> dict[str, dict[str, Any]]:
    """The evaluation at the end of each stage, by its name."""
    lines = [json.loads(line) for line in (folder / "metrics.jsonl").read_text("utf-8").splitlines()]
    return {line["stage"]: line for line in lines if line["event"] == "evaluation" and line.get("at") == "end"}


def table(folders: list[Path]) -> list[str]:
    """Rows of a Markdown table: a task, and mean and spread of its figures at the end of each stage."""
    found = [ends(folder) for folder in folders]
    stages = list(found[0])
    rows = []
    for figure in ("accuracy", "loss"):
        names = [key for key in found[0][stages[-1]] if key.startswith(f"{figure}/") and key.count("/") == 1]
        for name in names:
            cells = []
            for stage in stages:
                values = [float(of[stage][name]) for of in found if name in of[stage]]
                spread = statistics.stdev(values) if len(values) > 1 else 0.0
                cells.append(f"{statistics.mean(values):.3f} ± {spread:.3f}" if values else "")
            majority = found[0][stages[-1]].get(f"majority/{name.partition('/')[2]}")
            cells.append("" if majority is None or figure == "loss" else f"{majority:.3f}")
            rows.append(f"| {name} | " + " | ".join(cells) + " |")
    head = [f"| | {' | '.join(stages)} | majority |", "|---" * (len(stages) + 2) + "|"]
    return [*head, *rows]


def main() -> None:
    """Train what is missing, two runs at a time, and print the tables."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seeds", type=int, nargs="+", default=[1, 2, 3])
    parser.add_argument("--runs", type=Path, default=Path("runs/continual/methods"))
    parser.add_argument("--methods", nargs="+", default=list(METHODS))
    parser.add_argument("--at-once", type=int, default=2)
    parser.add_argument("changes", nargs="*", help="dotted.key=value of all runs")
    asked = parser.parse_args()
    pairs = [(method, seed) for seed in asked.seeds for method in asked.methods]
    with ThreadPoolExecutor(asked.at_once) as pool:
        folders = dict(
            zip(pairs, pool.map(lambda pair: train(*pair, asked.runs.resolve(), asked.changes), pairs), strict=True)
        )
    for method in asked.methods:
        print(
            f"\n{method}, seeds {', '.join(map(str, asked.seeds))}: mean ± standard deviation at the end of each stage\n"
        )
        print("\n".join(table([folders[method, seed] for seed in asked.seeds])))


if __name__ == "__main__":
    main()
