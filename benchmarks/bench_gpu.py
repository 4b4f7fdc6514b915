"""What a GPU makes of a training step: whole runs of `kmask train`, one technique switched off each, and transformers'
Trainer beside them.

    kmask prepare benchmarks/training/corpus.yaml
    python benchmarks/bench_gpu.py [PREPARED_FOLDER] [--out FILE] [--only NAME ...] [--tiny]

Every row is a run of its own, read from its lines of metrics behind the first third (warm-up, compilation): real tokens
a second, TFLOP/s by the model's own operations, their share of the peak, the wait for batches, peak memory. Rows that
stand in --out already are not measured again. --tiny takes a small model and few steps: it tries the script on a CPU.
"""

from __future__ import annotations

import argparse
import json
import statistics
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

import torch
from training import peers, variants

from pretrain.corpus import Corpus

BASE = {"layers": 12, "hidden": 768, "heads": 12}
LARGE = {"layers": 24, "hidden": 1024, "heads": 16}
TINY = {"layers": 2, "hidden": 64, "heads": 2}
STEPS = 60


def rows(tiny: bool) -> dict[str, tuple[dict[str, int], int, int, list[str]]]:
    """By name: shape, longest sample, positions of a micro-batch, and what differs from the fast way."""
    base, large = (TINY, TINY) if tiny else (BASE, LARGE)
    some = 2048 if tiny else 65536
    return {
        "base, 512": (base, 512, some, []),
        "base, 128": (base, 128, some, []),
        "base, 512, layers not compiled": (base, 512, some, ["engine.compile=off"]),
        "base, 512, fp32": (base, 512, some // 2, ["engine.precision=fp32"]),
        "base, 512, dropout 0.1": (base, 512, some, ["model.dropout=0.1"]),
        "base, 512, attention dropout 0.1": (base, 512, some // 2, ["model.attention_dropout=0.1"]),
        "base, 512, ZeRO 1": (base, 512, some, ["engine.zero_stage=1"]),
        "base, 512, activations computed again": (base, 512, some, ["engine.activation_checkpointing=true"]),
        "base, 512, a quarter of the rows": (base, 512, some // 4, []),
        "large, 512": (large, 512, some // 2, []),
    }


def trained(
    folder: str, shape: dict[str, int], longest: int, positions: int, changes: list[str], steps: int
) -> dict[str, float]:
    """Medians of a run's lines."""
    with tempfile.TemporaryDirectory() as place:
        run = variants.plain_run(folder, longest, place, steps, rows=max(1, positions // (8 * longest)), **shape)
        run["batch"] |= {"row_tokens": 8 * longest, "rows_per_process": run["batch"]["rows_per_step"]}
        run["engine"]["precision"] = "auto"
        config = Path(place) / "run.yaml"
        config.write_text(json.dumps(run))
        command = [sys.executable, "-m", "launch.cli", "train", str(config), *changes, "--processes", "1"]
        done = subprocess.run(command, check=False, capture_output=True, text=True)
        if done.returncode:
            return {"failed": float(done.returncode), "why": done.stderr.strip()[-300:]}  # type: ignore[dict-item]
        lines = [json.loads(line) for line in (Path(place) / "run/metrics.jsonl").read_text().splitlines()]
    train = [line for line in lines if line.get("event") == "train"]
    train = train[len(train) // 3 :]
    names = ("tokens_per_second", "tflops", "mfu", "loader_wait", "memory_gib", "real_share")
    return {name: statistics.median(line[name] for line in train) for name in names if name in train[0]}


def peer(folder: str, tiny: bool) -> dict[str, float]:
    """transformers' Trainer, base, 512, bf16, concatenated text."""
    corpus = Corpus(run=variants.configured(folder, 512))
    texts = peers.texts_of(variants.batches(corpus, 40 if tiny else 1500))
    shape = TINY if tiny else BASE
    sizes = {
        "hidden_size": shape["hidden"],
        "num_hidden_layers": shape["layers"],
        "num_attention_heads": shape["heads"],
        "intermediate_size": 4 * shape["hidden"],
        "max_position_embeddings": 512,
    }
    from transformers import AutoTokenizer

    tokenizer = AutoTokenizer.from_pretrained(corpus.tokenizer.folder)
    lines = peers.concatenated(texts, 512)
    positions = 2048 if tiny else 32768
    found = peers.rate(lines, tokenizer, sizes, 512, 12 if tiny else 40, False, positions)
    return {"tokens_per_second": found.tokens, "real_share": found.real_share}


def main() -> None:
    """Measure what is missing, then print the table."""
    parser = argparse.ArgumentParser()
    parser.add_argument("folder", nargs="?", default="runs/bench/train")
    parser.add_argument("--out", type=Path, default=Path("runs/bench/gpu.jsonl"))
    parser.add_argument("--only", nargs="*", default=[])
    parser.add_argument("--tiny", action="store_true")
    options = parser.parse_args()
    known: dict[str, Any] = {}
    if options.out.exists():
        known = {line["row"]: line for line in map(json.loads, options.out.read_text().splitlines())}
    options.out.parent.mkdir(parents=True, exist_ok=True)
    device = torch.cuda.get_device_name() if torch.cuda.is_available() else "cpu"
    work = {
        name: (lambda row=row: trained(options.folder, *row, 6 if options.tiny else STEPS))
        for name, row in rows(options.tiny).items()
    }
    work["transformers' Trainer, base, 512"] = lambda: peer(options.folder, options.tiny)
    for name, measure in work.items():
        if name in known or (options.only and name not in options.only):
            continue
        known[name] = {"row": name, "device": device, "torch": torch.__version__, **measure()}
        with options.out.open("a") as file:
            file.write(json.dumps(known[name]) + "\n")
        print(known[name], file=sys.stderr, flush=True)
    print(f"| {device} | real tokens/s | TFLOP/s | MFU | loader wait | peak GiB | real share |")
    print("|---|---|---|---|---|---|---|")
    for name, line in known.items():
        figures = [
            ("tokens_per_second", ",.0f"),
            ("tflops", ".1f"),
            ("mfu", ".3f"),
            ("loader_wait", ".3f"),
            ("memory_gib", ".1f"),
            ("real_share", ".3f"),
        ]
        told = [format(line[key], form) if key in line else "" for key, form in figures]
        print(f"| {name} | {' | '.join(told) if 'failed' not in line else line['why']} |")


if __name__ == "__main__":
    main()
