"""KnowledgeMaskingCollator beside transformers' DataCollatorForLanguageModeling: features in, tensors out, one core,
both sides in one process.

    python benchmarks/bench_collator.py [PREPARED_FOLDER] [SECONDS] [LENGTH]
        (default: runs/demo/data, 2, 128; `make demo` makes it)

Every side gets batches of 16 features of LENGTH tokens from the same texts as lists of numbers, as `datasets` gives
them. transformers' whole-word path reads words off `offset_mapping` and replaces by [MASK] only; ours reads `units`.
Each figure is the best of several runs in processor time; after every line of ours the whole-word collator is measured
again, and ratios are taken to the best it ever did.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

os.environ["OMP_NUM_THREADS"] = "1"

import numpy as np
import torch
from transformers import AutoTokenizer, DataCollatorForLanguageModeling

from launch.machine.masking_speed import read_rows, speed
from masking.budget import Budget
from masking.corruption import Corruption
from masking.strategies.ngram import Ngram
from masking.strategies.whole_unit import WholeUnit
from pretrain.collating.collator import KnowledgeMaskingCollator
from pretrain.feed.samples import Sample

LENGTH, BATCH = int(sys.argv[3]) if len(sys.argv) > 3 else 128, 16
WHOLE = "transformers' collator, whole words"
Feature = Mapping[str, Any]


def cut(sample: Sample) -> dict[str, Any]:
    """The first tokens of a sample as a feature of ours."""
    units = {
        level: [(start, end) for start, end in zip(start_U.tolist(), end_U.tolist(), strict=True) if end < LENGTH]
        for level, (start_U, end_U) in sample.units.items()
    }
    special = [1, *[0] * (LENGTH - 2), 1]
    ids = [*sample.token_ids_T[: LENGTH - 1].tolist(), int(sample.token_ids_T[-1])]
    return {
        "id": sample.document_id,
        "first_token": sample.first_token,
        "input_ids": ids,
        "special_tokens_mask": special,
        "units": units,
    }


def offsets(feature: Feature) -> list[tuple[int, int]]:
    """Offsets by which transformers' collator finds the same words: it joins tokens that touch."""
    joined = {token for start, end in feature["units"]["word"] for token in range(start + 1, end)}
    return [(3 * token - (token in joined), 3 * token + 2) for token in range(LENGTH)]


def as_row(feature: Feature) -> dict[str, Any]:
    """The same text as a row of a shard, as ``datasets.Dataset.from_file`` gives it."""
    columns = {
        f"units_{level}": [{"start": start - 1, "length": end - start, "label": 0} for start, end in pairs]
        for level, pairs in feature["units"].items()
    }
    return {"id": feature["id"], "token_ids": feature["input_ids"][1:-1], "sentence_ends": [LENGTH - 2], **columns}


def as_arrays(feature: Feature) -> dict[str, Any]:
    """The same with numpy arrays."""
    arrays = {name: np.array(feature[name]) for name in ("input_ids", "special_tokens_mask")}
    return {
        **feature,
        **arrays,
        "units": {level: np.array(pairs).reshape(-1, 2) for level, pairs in feature["units"].items()},
    }


def collated(collator: Any, features: list[dict[str, Any]]) -> Callable[[int], None]:
    """Collate the batches in turn. The features are copied shallowly, as transformers' collators take columns away."""
    batches = [features[first : first + BATCH] for first in range(0, len(features) - BATCH + 1, BATCH)]

    def work(number: int) -> None:
        collator([dict(feature) for feature in batches[number % len(batches)]])

    return work


def main(folder: Path, seconds: float) -> None:
    """Print million tokens per second and ratios."""
    torch.set_num_threads(1)
    tokenizer = AutoTokenizer.from_pretrained(folder / "tokenizer")
    texts = [cut(sample) for sample in read_rows(folder).laid.samples if len(sample.token_ids_T) > LENGTH]
    if len(texts) < BATCH:
        sys.exit(f"{folder} has only {len(texts)} texts of {LENGTH} tokens, {BATCH} are needed")
    given: dict[str, list[dict[str, Any]]] = {
        "texts": texts,
        "arrays": [as_arrays(text) for text in texts],
        "rows": [as_row(text) for text in texts],
        "offsets": [
            {name: text[name] for name in ("input_ids", "special_tokens_mask")} | {"offset_mapping": offsets(text)}
            for text in texts
        ],
        "plain": [{name: text[name] for name in ("input_ids", "special_tokens_mask")} for text in texts],
    }

    def ours(**settings: Any) -> KnowledgeMaskingCollator:
        made = KnowledgeMaskingCollator(tokenizer=tokenizer, **settings)
        made.set_epoch(0)
        return made

    words = WholeUnit(units=["word"])
    same = {
        "strategy": words,
        "budget": Budget(rule="bernoulli", at_least_one=False),
        "corruption": Corruption(mask=1.0, random=0.0),
    }
    sides: dict[str, tuple[Any, str]] = {
        "whole words, each with 0.15, [MASK] only: that collator's rule": (ours(**same), "texts"),
        "that rule, features of numpy arrays": (ours(**same), "arrays"),
        "entities, phrases, words (the default)": (ours(), "texts"),
        "the same, rows of a shard": (ours(), "rows"),
        "the same, features of numpy arrays": (ours(), "arrays"),
        "n-grams of words": (ours(strategy=Ngram()), "texts"),
        "the default, flattened": (ours(flatten=True, return_flash_attn_kwargs=True), "texts"),
        "the default with span boundary targets": (ours(span_boundary=True), "texts"),
        "transformers' collator, tokens": (
            DataCollatorForLanguageModeling(tokenizer=tokenizer, mlm_probability=0.15),
            "plain",
        ),
    }
    theirs = DataCollatorForLanguageModeling(
        tokenizer=tokenizer, mlm_probability=0.15, whole_word_mask=True, mask_replace_prob=1, random_replace_prob=0
    )
    whole, speeds, best = collated(theirs, given["offsets"]), {}, 0.0
    whole(0)
    for name, (collator, features) in sides.items():
        work = collated(collator, given[features])
        work(0)
        speeds[name] = speed(work, BATCH * LENGTH, seconds)
        best = max(best, speed(whole, BATCH * LENGTH, seconds / 2))
    speeds[WHOLE] = best
    print(f"{len(texts)} texts of {LENGTH} tokens in batches of {BATCH}; one core, processor time\n")
    print(f"| collator | million tokens/s | x {WHOLE} |\n|---|---|---|")
    for name, value in speeds.items():
        print(f"| {name} | {value / 1e6:.2f} | {value / best:.1f} |")


if __name__ == "__main__":
    main(Path(sys.argv[1] if len(sys.argv) > 1 else "runs/demo/data"), float(sys.argv[2]) if len(sys.argv) > 2 else 2.0)
