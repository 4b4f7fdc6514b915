"""Is every objective sane, and how fast are its batches? One row of a table for each kind; in one process, one thread, fp32, fixed seeds.

    python benchmarks/bench_objectives.py [--kinds a,b] [--prepared FOLDER] [--results FILE] [--seconds 0.5]

learned by heart   share of targets that a small encoder gets right on 64 samples that it has seen many times (hidden tokens, drawn
                   pieces and labels are the same each time); 95 % are wanted
shuffled labels    trained on other samples' labels, it must not beat the most frequent class of held-out samples by more than three
                   standard errors: what it learns comes from labels, and what is measured on held-out samples is not trained
M tokens/s         from the order of the windows to tensors at 128 tokens, in rows of the task with hidden tokens, and beside it the
                   same with knowledge masking alone on the same folder, in the same process
not asked          samples without a target; targets a sample; share of the positions of rows that hold tokens

The texts are those of `examples/corpus`, or of a prepared folder; pairs, logs, dialogues, triples and sentences with discourse markers are
made of their clauses (objective_folders.py), so nothing can be learned of them but by heart. A kind that is in the file of results is not
run again.
"""

from __future__ import annotations

import os

os.environ["OMP_NUM_THREADS"] = "1"

import argparse
import json
import math
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import torch
from objective_folders import Folders
from objective_learning import PROBE, RATE, RATES, hits, learn, shuffled

from launch.machine.batch_speed import measured
from launch.settings.components import decode
from launch.settings.kinds import find_kind, kinds
from launch.settings.yaml_files import Source
from pretrain.config import Run
from pretrain.corpus import Corpus
from pretrain.feed.batch import Batch
from pretrain.feed.loading import BatchMaker
from pretrain.feed.sampling import Cursor, MicroBatchSpec
from pretrain.leaks.trial import batches
from pretrain.objectives import Objective

READS = {
    "dialogue": "dialogues",
    "discourse_relation": "discourse",
    "pair_classification": "pairs",
    "search_relevance": "log",
    "universal_triples": "triples",
}
"""Folders of kinds that do not read running text."""
SETTINGS: dict[str, dict[str, Any]] = {
    "span_boundary": {"position_size": 16},
    "token_classification": {"level": "entity"},
    "replaced_token_detection": {"generator_size": 0.5, "detection_weight": 5.0, "disallow_correct": True},
}
SAMPLES, SHORT, LONG = 64, 64, 128
"""Samples that are learned by heart, tokens of their longest, and of the longest where speed is measured."""
WANTED, HELDOUT, LOOKED_AT = 0.95, 400, 2000


def run_of(kind: str, folder: Path, length: int, masks: bool) -> Run:
    """A run of one task, with knowledge masking beside it where tokens are to be hidden."""
    builds = BUILDS[kind]
    tasks: dict[str, float] = {PROBE: 1} if builds else {"knowledge_masking": 1, PROBE: 0}
    if masks:
        tasks |= {"knowledge_masking": 0 if builds else 1}
    value: dict[str, Any] = {
        "output": "unused",
        "data": [{"path": str(folder), "name": "data"}],
        "model": {"layers": 2, "hidden": 64, "heads": 2, "max_positions": length, "dropout": 0.0},
        "masking": {"strategy": {"kind": "whole_unit"}} | ({"shuffle": {}} if kind == "token_order" else {}),
        "tasks": {
            "knowledge_masking": {"kind": "knowledge_masking"},
            PROBE: {"kind": kind, **SETTINGS.get(kind, {})},
        },
        "stages": [{"name": "bench", "steps": 1, "tasks": tasks}],
        "batch": {"max_sample_tokens": length, "row_tokens": 8 * length, "rows_per_step": 64, "rows_per_process": 32},
    }
    run: Run = decode(Run, Source(value, {}))
    return run


def asked(maker: BatchMaker, least: int) -> Iterator[Batch]:
    """Rows one by one until so many of their samples have targets, at most one epoch."""
    for stream in maker.streams.values():
        cursor, found = Cursor(), 0
        while found < least and cursor.epoch == 0 and len(stream.source):
            row, cursor = stream.next(cursor)
            spec = MicroBatchSpec(0, [row], 0.0)
            found += asked_samples(maker, maker.packed(spec))
            yield maker[spec]


def asked_samples(maker: BatchMaker, packed: Any) -> int:
    """How many samples of a batch have a target."""
    targets, _ = maker.objectives[PROBE].targets(packed, PROBE)
    if "sample" in targets:
        return len(np.unique(targets["sample"]))
    position = targets["real"] if "real" in targets else targets["position" if "position" in targets else "left"]
    return len(np.unique(np.searchsorted(packed.sample_start_S, position, "right")))


def learning(kind: str, folder: Path) -> dict[str, Any]:
    """What is learned of true labels and of shuffled ones."""
    run = run_of(kind, folder, SHORT, masks=False)
    corpus = Corpus(run=run)
    run, stage = corpus.bound, run.stages[0]
    train = list(asked(corpus.maker(stage, "train", run.masking), SAMPLES))
    others = list(asked(corpus.maker(stage, "heldout", run.masking), HELDOUT))
    rate = RATES.get(kind, RATE)
    by_heart = learn(run, corpus, train, None, rate)
    group = 0 if kind == "replaced_token_detection" else None  # the detector's answers are not labels
    untaught = learn(run, corpus, shuffled(train), group, rate)
    found, count = hits(untaught.model, others, group)
    label_M = torch.cat([batch.targets[PROBE]["label"] for batch in others])
    usual = float(label_M.bincount().max() / max(len(label_M), 1))
    return {
        "by_heart": by_heart.accuracy,
        "epochs": by_heart.epochs,
        "shuffled_train": untaught.accuracy,
        "shuffled": found,
        "usual": usual,
        "error": math.sqrt(usual * (1 - usual) / max(count, 1)),
        "heldout": count,
    }


def shape(kind: str, folder: Path) -> dict[str, Any]:
    """What rows of the task hold."""
    run = run_of(kind, folder, LONG, masks=True)
    maker = Corpus(run=run).trial(PROBE, "train")
    samples = tokens = positions = targets = with_targets = 0
    for packed in batches(maker, LOOKED_AT):
        count = maker.objectives[PROBE].targets(packed, PROBE)[1]
        targets += count if isinstance(count, int) else sum(count.values())
        samples, with_targets = samples + len(packed.samples), with_targets + asked_samples(maker, packed)
        tokens, positions = tokens + int(packed.samples.length_S.sum()), positions + len(packed.original_T)
    return {
        "not_asked": 1 - with_targets / samples,
        "targets": targets / samples,
        "tokens": tokens / samples,
        "filled": tokens / positions,
    }


def speed(kind: str, folder: Path, seconds: float) -> dict[str, float]:
    """Million tokens a second, of the task's rows and of plain masking."""
    found = {}
    for name, own in ((kind, kind), ("masking", "knowledge_masking")):
        best = measured(run_of(own, folder, LONG, masks=True), seconds)
        found["speed" if name == kind else "masking"] = best.tokens / (best.order + best.batches) / 1e6
    return found


HEADER = (
    "| kind | learned by heart (epochs) | shuffled: held-out (most frequent ± 3 errors; targets) | M tokens/s | masking | ratio "
    "| not asked | targets a sample | tokens a sample | rows filled |\n" + 10 * "|---" + "|"
)


def line(kind: str, row: dict[str, Any]) -> str:
    """A row of the table; what is not as it should be is marked."""
    heart = "" if row["by_heart"] >= WANTED else " **short**"
    beaten = " **beaten**" if row["shuffled"] > row["usual"] + 3 * row["error"] else ""
    return (
        f"| {kind} | {row['by_heart']:.1%} ({row['epochs']}){heart} | {row['shuffled']:.1%} ({row['usual']:.1%} ± "
        f"{3 * row['error']:.1%}; {row['heldout']:,}){beaten} | {row['speed']:.2f} | {row['masking']:.2f} | "
        f"{row['speed'] / row['masking']:.2f} | {row['not_asked']:.1%} | {row['targets']:.2f} | {row['tokens']:.0f} | {row['filled']:.1%} |"
    )


BUILDS: dict[str, bool] = {}


def main() -> None:
    """Run what is not yet known, and print the table."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--kinds", default="")
    parser.add_argument("--prepared", type=Path)
    parser.add_argument("--results", type=Path, default=Path("runs/bench_objectives.json"))
    parser.add_argument("--seconds", type=float, default=0.5)
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    found = {kind: find_kind(Objective, kind) for kind in kinds(Objective)}
    BUILDS.update(
        {kind: cls.BUILDS_ROWS for kind, cls in found.items() if cls is not None and issubclass(cls, Objective)}
    )
    known = json.loads(arguments.results.read_text()) if arguments.results.is_file() else {}
    arguments.results.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory() as temporary:
        folders = Folders(root=Path(temporary), given=arguments.prepared)
        for kind in [name for name in (arguments.kinds.split(",") if arguments.kinds else sorted(BUILDS)) if name]:
            if kind not in known:
                folder, begun = folders.of(READS.get(kind, "text")), time.process_time()
                known[kind] = learning(kind, folder) | shape(kind, folder) | speed(kind, folder, arguments.seconds)
                known[kind]["seconds"] = time.process_time() - begun
                arguments.results.write_text(json.dumps(known, indent=1) + "\n")
                print(line(kind, known[kind]), flush=True)
    print("\n" + HEADER)
    for kind, row in sorted(known.items()):
        print(line(kind, row))


if __name__ == "__main__":
    main()
