"""Masking speed against transformers' own collators, side by side in one process on one core.

    python benchmarks/bench_masking.py [PREPARED_FOLDER]      (default: runs/demo/data; `kmask prepare configs/data/demo.yaml` makes it)

Both sides start from the same token ids; ours does selection, 80/10/10 and span boundary targets, theirs masking only.
"""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Callable
from pathlib import Path

os.environ["OMP_NUM_THREADS"] = "1"

import numpy as np
import torch
from transformers import AutoTokenizer, DataCollatorForLanguageModeling

from data_prep.shards import Prepared
from masking.boundary import boundary_targets
from masking.budget import Budget
from masking.corruption import Corruption
from masking.keyed import combine_array
from masking.strategies.geometric_span import GeometricSpan
from masking.strategies.whole_unit import WholeUnit
from pretrain.batch import Masking, Specials, pack
from pretrain.objectives import plain_sample
from pretrain.sampling import best_fit
from pretrain.sources import Source

SECONDS = 2.0
ROW = 4096
EQUAL = 128


def rate(work: Callable[[int], int]) -> float:
    """Tokens per second of ``work(round)``, which returns the tokens it did; the first round warms up."""
    work(0)
    done, number, begun = 0, 0, time.perf_counter()
    while time.perf_counter() - begun < SECONDS:
        number += 1
        done += work(number)
    return done / (time.perf_counter() - begun)


def main(folder: Path) -> None:
    """Print million tokens per second and ratios."""
    torch.set_num_threads(1)
    prepared = Prepared.open(folder)
    source = Source(name="bench", prepared=prepared, split="train", max_tokens=506)
    ids = prepared.tokenizer.special_ids
    specials = Specials(pad=ids["[PAD]"], cls=ids["[CLS]"], sep=ids["[SEP]"], mask=ids["[MASK]"], pool_V=np.arange(5, len(prepared.tokenizer.tokens)))
    samples = [plain_sample(source.read(number), number + 1, "bench", specials) for number in range(min(len(source), 512))]
    lengths = np.array([len(sample.token_ids_T) for sample in samples])
    tokens = int(lengths.sum())
    rows = [[samples[item] for item in row] for row in best_fit(lengths, ROW)]
    packed = pack(rows, ROW, Masking(strategy=WholeUnit(units=["word"])), specials, 0.0)
    base = np.array([sample.key for sample in samples], np.uint64)

    def ours(strategy: WholeUnit | GeometricSpan) -> Callable[[int], int]:
        def work(number: int) -> int:
            keys = combine_array(base, number)
            spans = strategy.select(packed.units, Budget(), keys, np.zeros(len(samples)))
            Corruption().corrupt(packed.original_T, spans, packed.sample_start_S, keys, specials.mask, specials.pool_V)
            boundary_targets(spans, 20)
            return tokens

        return work

    tokenizer = AutoTokenizer.from_pretrained(folder / "tokenizer")
    # Its whole-word path needs samples of one length: the first 128 tokens of those that have as many.
    equal = [sample.token_ids_T[:EQUAL].tolist() for sample in samples if len(sample.token_ids_T) >= EQUAL]
    plain: list[dict[str, list[object]]] = [{"input_ids": ids} for ids in equal]
    whole: list[dict[str, list[object]]] = [
        {"input_ids": ids, "offset_mapping": [(3 * i - token.startswith("##"), 3 * i + 2) for i, token in enumerate(tokenizer.convert_ids_to_tokens(ids))]}
        for ids in equal
    ]

    def theirs(features: list[dict[str, list[object]]], whole_word: bool) -> Callable[[int], int]:
        collator = DataCollatorForLanguageModeling(tokenizer=tokenizer, mlm=True, mlm_probability=0.15, whole_word_mask=whole_word)

        def work(number: int) -> int:
            batch = features[(number * 16) % len(features) :][:16]
            collator([dict(feature) for feature in batch])
            return sum(len(feature["input_ids"]) for feature in batch)

        return work

    levels = [level for level in ("entity", "phrase", "word") if level in prepared.levels]
    print(f"{len(samples)} samples, {tokens:,} tokens, {tokens / (len(rows) * ROW):.1%} of {len(rows)} rows of {ROW} are real; one core")
    results = {
        "kmask whole_unit + 80/10/10 + SBO": rate(ours(WholeUnit(units=levels))),
        "kmask geometric_span + 80/10/10 + SBO": rate(ours(GeometricSpan())),
        "transformers collator, tokens": rate(theirs(plain, False)),
        "transformers collator, whole words": rate(theirs(whole, True)),
    }
    peer = results["transformers collator, whole words"]
    for name, value in results.items():
        print(f"{name:40s} {value / 1e6:9.2f} M tokens/s   {value / peer:8.1f} x transformers' whole-word collator")


if __name__ == "__main__":
    main(Path(sys.argv[1] if len(sys.argv) > 1 else "runs/demo/data"))
