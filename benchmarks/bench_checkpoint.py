"""How long training waits for a checkpoint: written while it waits, and written while it goes on.

    python benchmarks/bench_checkpoint.py PREPARED [LAYERS] [WIDTH] [FOLDER]
        (default: runs/demo/data 12 512 runs/bench-checkpoint; `make demo` prepares it)

    blocking      every save waits until its files are written, fsynced, hashed and published
    overlapped    the step is copied and handed to the writer; training goes on

Both in turn in one process, one rank, ZeRO 0 and 1: three saves each. Medians of `stall` and `seconds` in the lines
`checkpoint` of metrics.jsonl; steps are those between two lines of training, the step of a save less its stall; the
cost of a save is its stall and what it slows the steps beside it.
"""

from __future__ import annotations

import itertools
import json
import shutil
import statistics
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from unittest import mock

from launch.settings.components import Source, decode, plain
from pretrain.config import Run
from pretrain.engine import join
from pretrain.processes.world import World
from pretrain.saving import Saver
from pretrain.settings import DeepSpeed
from pretrain.state.checkpoint import Snapshot
from pretrain.trainer import Trainer

EVERY, SAVES = 8, 3
WARM = 2
"""Steps that are not timed: the first ones of a process are slow."""
LEAST_OVERLAP = 0.05
"""Seconds of writing that make a step one beside a write."""


def configuration(prepared: Path, output: Path, layers: int, width: int, zero: int) -> dict[str, Any]:
    """Masking alone, a save every few steps, and a line of metrics at every step."""
    return {
        "output": str(output),
        "data": [{"path": str(prepared), "name": "demo"}],
        "model": {"layers": layers, "hidden": width, "heads": 8, "max_positions": 128},
        "stages": [{"name": "one", "steps": EVERY * (SAVES + 1), "tasks": {"knowledge_masking": 1}}],
        "batch": {"max_sample_tokens": 128, "row_tokens": 512, "rows_per_step": 1, "rows_per_process": 1},
        "engine": {"zero_stage": zero, "precision": "fp32"},
        "evaluation": {"every": 0},
        "checkpoints": {"every": EVERY, "keep": 1},
        "tracking": {"every": 1, "sinks": []},
    }


def waiting(saver: Saver, snapshot: Snapshot) -> None:
    """A save as it was: no rank goes on before it is published."""
    saver.save(snapshot, must=False)


def lines_of(run: Run, world: World, blocking: bool) -> list[dict[str, Any]]:
    """Train, and read what was measured."""
    shutil.rmtree(run.output, ignore_errors=True)
    trainer = Trainer(run, plain(run), world, lambda event, step, values: None)
    if blocking:
        begin = Saver.begin

        def either(saver: Saver, snapshot: Snapshot, must: bool = False, waits: bool = False) -> None:
            begin(saver, snapshot, must, waits) if waits else waiting(saver, snapshot)

        with mock.patch.object(Saver, "begin", either):
            trainer.train()
    else:
        trainer.train()
    return [json.loads(line) for line in (Path(run.output) / "metrics.jsonl").read_text(encoding="utf-8").splitlines()]


def steps_of(lines: list[dict[str, Any]]) -> Iterator[tuple[int, float, float]]:
    """(step, when it ended, how long it took without the saving before it)."""
    stalls = {line["step"]: line["stall"] for line in lines if line["event"] == "checkpoint"}
    trained = [line for line in lines if line["event"] == "train"]
    for before, line in itertools.pairwise(trained):
        yield line["step"], line["time"], line["time"] - before["time"] - stalls.get(before["step"], 0.0)


def figures(lines: list[dict[str, Any]]) -> str:
    """A row of the table."""
    saved = [line for line in lines if line["event"] == "checkpoint"][:SAVES]
    begun = {line["step"]: line["time"] for line in lines if line["event"] == "train"}
    spans = [(begun[line["step"]] + line["stall"], line["time"]) for line in saved]
    beside, alone = [], []
    for step, end, seconds in steps_of(lines):
        if step > WARM:
            busy = any(min(end, last) - max(end - seconds, first) > LEAST_OVERLAP for first, last in spans)
            (beside if busy else alone).append(seconds)
    stall, written = (statistics.median(line[name] for line in saved) for name in ("stall", "seconds"))
    usual = statistics.median(alone)
    slower = f"{statistics.median(beside) / usual:6.2f} x ({len(beside)} steps)" if beside else "-"
    whole = stall + sum(seconds - usual for seconds in beside) / SAVES
    return f"{stall:10.2f} s {written:10.2f} s {usual:10.2f} s {slower:>22} {whole:10.2f} s"


def main() -> None:
    """Train each way and print the table."""
    given = dict(enumerate(sys.argv[1:]))
    prepared, layers, width = Path(given.get(0, "runs/demo/data")), int(given.get(1, 12)), int(given.get(2, 512))
    folder = Path(given.get(3, "runs/bench-checkpoint"))
    world = join(DeepSpeed(precision="fp32"))
    print(f"{'':22}{'stall/save':>12}{'write/save':>13}{'step alone':>13}{'step beside a write':>23}{'cost/save':>13}")
    for zero in (0, 1):
        for name in ("blocking", "overlapped"):
            settings = configuration(prepared, folder / f"zero{zero}-{name}", layers, width, zero)
            lines = lines_of(decode(Run, Source(settings, {})), world, name == "blocking")
            size = next(line["bytes"] for line in lines if line["event"] == "checkpoint")
            print(f"ZeRO {zero} {name:11}{figures(lines)}   {size / 1e6:,.0f} MB", flush=True)
    shutil.rmtree(folder, ignore_errors=True)


if __name__ == "__main__":
    main()
