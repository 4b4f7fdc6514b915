"""`kmask bench batches`: how fast this machine makes finished batches, from the order of the windows to tensors.

order      which windows, in which rows: every process does it for the whole step
batches    windows read, samples built, hidden, span boundaries, tensors: data workers do it, each for itself
whole      both, one after the other, on one core
"""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from launch.settings.components import decode, read_config
from launch.settings.yaml_files import ConfigError, Source

if TYPE_CHECKING:
    from pretrain.config import Run

LENGTHS = (128, 512)
SHARES = {"knowledge_masking": 3.0, "span_boundary": 0.0, "sentence_reordering": 1.0}
STEP_ROWS, BATCH_ROWS = 64, 32
ROUNDS = 3


class Speed(NamedTuple):
    """Seconds of processor time for so many tokens."""

    tokens: int
    order: float
    batches: float


def bench_batches(target: Path, seconds: float) -> None:
    """Print tokens of text a second of one core: of a prepared folder at two lengths, or of a run as its YAML says."""
    runs = (
        [run_of(target, length) for length in LENGTHS]
        if target.suffix not in (".yaml", ".yml")
        else [configured(target)]
    )
    print(f"one core, processor time, the best of {ROUNDS} rounds; million tokens of text a second")
    print(f"{'longest sample':>16s}{'order':>10s}{'batches':>10s}{'whole':>10s}")
    for run in runs:
        found = measured(run, seconds)
        figures = (
            found.tokens / found.order,
            found.tokens / found.batches,
            found.tokens / (found.order + found.batches),
        )
        print(
            f"{run.batch_of(run.stages[0]).max_sample_tokens:16,d}"
            + "".join(f"{figure / 1e6:10.2f}" for figure in figures),
            flush=True,
        )


def configured(target: Path) -> Run:
    """The run of a pretraining YAML."""
    from pretrain.config import Run

    run: Run = read_config(Run, target, [])
    return run


def run_of(folder: Path, length: int) -> Run:
    """Knowledge masking with span boundaries, and sentence reordering in a quarter of the rows, over a folder."""
    from pretrain.config import Run

    if not folder.is_dir():
        raise ConfigError(f"bench batches: {folder} is neither a prepared folder nor a YAML file")
    value: dict[str, Any] = {
        "output": "unused",
        "data": [{"path": str(folder), "name": "data"}],
        "tasks": {name: {"kind": name} for name in SHARES},
        "stages": [{"name": "bench", "steps": 1, "tasks": SHARES}],
        "batch": {"max_sample_tokens": length, "rows_per_step": STEP_ROWS, "rows_per_process": BATCH_ROWS},
    }
    run: Run = decode(Run, Source(value, {}))
    return run


def measured(run: Run, seconds: float) -> Speed:
    """Steps of a run's first stage, made for so long."""
    from pretrain.corpus import Corpus
    from pretrain.feed.sampling import Sampler, micro_batches

    maker, batch = Corpus(run=run).maker(run.stages[0], "train", run.masking), run.batch_of(run.stages[0])
    sampler = Sampler(streams=maker.streams, rows_per_step=batch.rows_per_step)

    def specs(steps: int) -> list[Any]:
        return list(micro_batches(sampler, {}, range(steps), steps, batch.rows_per_process, 0, 1, {}))

    first = specs(1)[0]
    maker[first]  # loads what is compiled
    begun = time.process_time()
    tokens = maker[first].real_tokens
    count = max(8, int(seconds / max(time.process_time() - begun, 1e-9)))
    micro = max(batch.rows_per_step // batch.rows_per_process, 1)
    wanted = specs(-(-count // micro))[:count]
    tokens = sum(maker[spec].real_tokens for spec in wanted)

    def best(work: Callable[[], Any]) -> float:
        times = []
        for _ in range(ROUNDS):
            begun = time.process_time()
            work()
            times.append(time.process_time() - begun)
        return min(times)

    def order() -> None:
        for stream in maker.streams.values():
            stream.forget()
        specs(-(-count // micro))

    return Speed(
        tokens, best(order) * len(wanted) / (-(-count // micro) * micro), best(lambda: [maker[spec] for spec in wanted])
    )
