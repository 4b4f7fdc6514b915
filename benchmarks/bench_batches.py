"""Finished batches beside transformers' DataLoader and collator: from the order of the windows to tensors, one core, both sides in one process.

    python benchmarks/bench_batches.py [PREPARED_FOLDER] [SECONDS]          (default: runs/demo/data, 2; `make demo` makes it)

Ours: cursors -> windows -> samples -> packed rows -> masks (whole units), span boundary targets, reordering in a quarter of the rows -> tensors.
Theirs: a torch DataLoader in this process over the same windows, tokenised before and held in memory as lists (as `datasets` gives them), and
DataCollatorForLanguageModeling with and without whole words, batches of 16, all cut to three quarters of the longest sample (its whole-word path
cannot pad). Best of several rounds.
"""

from __future__ import annotations

import os
import sys
import time
from pathlib import Path
from typing import Any

os.environ["OMP_NUM_THREADS"] = "1"

import torch
from torch.utils.data import DataLoader
from transformers import AutoTokenizer, DataCollatorForLanguageModeling

from launch.machine.batch_speed import LENGTHS, measured, run_of
from pretrain.corpus import Corpus
from pretrain.feed.samples import Sample

TEXTS, BATCH, ROUNDS = 640, 16, 3


def feature(sample: Sample, length: int) -> dict[str, Any]:
    """The first tokens of a sample as transformers' whole-word collator reads it: it joins tokens whose offsets touch."""
    joined = {token for start, end in zip(*sample.units["word"], strict=True) for token in range(start + 1, end)}
    offsets = [(3 * token - (token in joined), 3 * token + 2) for token in range(length)]
    special = (~sample.maskable_T[:length]).astype(int).tolist()
    return {
        "input_ids": sample.token_ids_T[:length].tolist(),
        "special_tokens_mask": special,
        "offset_mapping": offsets,
    }


def theirs(features: list[dict[str, Any]], collator: Any) -> float:
    """Tokens a second of processor time."""
    loader = DataLoader(features, batch_size=BATCH, collate_fn=lambda items: collator([dict(item) for item in items]))  # type: ignore[arg-type]
    tokens, best = sum(len(item["input_ids"]) for item in features), float("inf")
    for _ in range(ROUNDS):
        begun = time.process_time()
        for _ in loader:
            pass
        best = min(best, time.process_time() - begun)
    return tokens / best


def main(folder: Path, seconds: float) -> None:
    """Print million tokens a second and ratios."""
    torch.set_num_threads(1)
    tokenizer = AutoTokenizer.from_pretrained(folder / "tokenizer")
    print("million tokens of text a second, one core, processor time\n")
    print(
        "| longest sample | order of windows | batches | whole way | transformers, tokens | transformers, whole words | ratio to whole words |"
    )
    print("|---|---|---|---|---|---|---|")
    for length in LENGTHS:
        run = run_of(folder, length)
        maker = Corpus(run=run).maker(run.stages[0], "train", run.masking)
        stream = next(iter(maker.streams.values()))
        samples: list[Sample] = []
        for row in stream.rows(0, 0):
            samples += list(maker.samples([row])[0])
        least = 3 * length // 4
        features = [feature(sample, least) for sample in samples if len(sample.token_ids_T) >= least][:TEXTS]
        plain = [{name: item[name] for name in ("input_ids", "special_tokens_mask")} for item in features]
        whole = DataCollatorForLanguageModeling(
            tokenizer=tokenizer, whole_word_mask=True, mask_replace_prob=1, random_replace_prob=0
        )
        found = measured(run, seconds)
        ours = found.tokens / (found.order + found.batches)
        words = theirs(features, whole)
        tokens = theirs(plain, DataCollatorForLanguageModeling(tokenizer=tokenizer))
        again = measured(run, seconds)
        ours = max(ours, again.tokens / (again.order + again.batches))
        figures = (found.tokens / found.order, found.tokens / found.batches, ours, tokens, words)
        print(
            f"| {length} | " + " | ".join(f"{figure / 1e6:.2f}" for figure in figures) + f" | {ours / words:.1f} |",
            flush=True,
        )


if __name__ == "__main__":
    main(
        Path(sys.argv[1]) if len(sys.argv) > 1 else Path("runs/demo/data"),
        float(sys.argv[2]) if len(sys.argv) > 2 else 2.0,
    )
