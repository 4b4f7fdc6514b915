"""Masking speed of every scheme against transformers' own collators and the Python loop that many projects share, side
by side on one core.

    python benchmarks/bench_masking.py [PREPARED_FOLDER] [SECONDS]     (default: runs/demo/data, 2; `kmask prepare
                                                                       configs/data/demo.yaml` makes it)

Both sides start from the same token ids; ours does choice, replacement and span boundary targets, theirs masking only.
Each figure is the best of several runs in processor time; after every scheme transformers' whole-word collator is
measured again, and the ratio is taken to the best it ever did. The shared Python loop is the lean core of it: no
n-grams, and which tokens begin a word is known beforehand.
"""

from __future__ import annotations

import os
import random
import sys
from collections.abc import Callable
from pathlib import Path

os.environ["OMP_NUM_THREADS"] = "1"

import numpy as np
import torch
from transformers import AutoTokenizer, DataCollatorForLanguageModeling

from data_prep.shards import Prepared
from launch.machine.masking_speed import ROW, Rows, masking_round, read_rows, speed
from launch.views.masks.schemes import Scheme
from masking.budget import Budget
from masking.corruption import Corruption
from masking.strategies.whole_unit import WholeUnit
from pretrain.feed.hiding import Masking

EQUAL, BATCH = 128, 16
"""Tokens of a sample and samples of a batch for the collators."""
WHOLE = "transformers' collator, whole words"
SAME = "whole words as that collator: each with 0.15, [MASK] only"
AS_THERE = Budget(rule="bernoulli", at_least_one=False)


class Peer:
    """Something else that masks: batches of samples in turn."""

    def __init__(self, batches: list[int], mask: Callable[[int], object]) -> None:
        self.batches, self.mask = batches, mask
        self.tokens = sum(batches) // len(batches)

    def __call__(self, number: int) -> None:
        self.mask(number % len(self.batches))


def collator(samples: list[list[int]], folder: Path, whole_word: bool) -> Peer:
    """transformers' collator; its whole-word path needs samples of one length and offsets to see words by."""
    tokenizer = AutoTokenizer.from_pretrained(folder / "tokenizer")
    features: list[dict[str, list[object]]] = [{"input_ids": list(ids)} for ids in samples]
    if whole_word:
        for feature, ids in zip(features, samples, strict=True):
            tokens = tokenizer.convert_ids_to_tokens(ids)
            feature["offset_mapping"] = [
                (3 * place - token.startswith("##"), 3 * place + 2) for place, token in enumerate(tokens)
            ]
    theirs = DataCollatorForLanguageModeling(
        tokenizer=tokenizer, mlm=True, mlm_probability=0.15, whole_word_mask=whole_word
    )
    batches = [features[first : first + BATCH] for first in range(0, len(features) - BATCH + 1, BATCH)] or [features]
    return Peer(
        [sum(len(item["input_ids"]) for item in batch) for batch in batches],
        lambda index: theirs([dict(item) for item in batches[index]]),
    )


def shared_loop(samples: list[list[int]], words: list[list[bool]], mask: int, size: int) -> Peer:
    """Whole-word masking as most projects write it: words as lists of positions, shuffled, taken while they fit,
    80/10/10 for each token."""
    drawn = random.Random(1)

    def mask_one(ids: list[int], begins: list[bool]) -> tuple[list[int], list[int], list[int]]:
        candidates: list[list[int]] = []
        for place in range(1, len(ids) - 1):
            if begins[place] or not candidates:
                candidates.append([place])
            else:
                candidates[-1].append(place)
        drawn.shuffle(candidates)
        wanted = max(1, round(0.15 * (len(ids) - 2)))
        output, targets = list(ids), []
        for word in candidates:
            if len(targets) >= wanted:
                break
            if len(targets) + len(word) > wanted:
                continue
            for place in word:
                targets.append((place, ids[place]))
                chance = drawn.random()
                output[place] = mask if chance < 0.8 else drawn.randrange(5, size) if chance < 0.9 else ids[place]
        targets.sort()
        return output, [place for place, _ in targets], [label for _, label in targets]

    return Peer([len(ids) for ids in samples], lambda index: mask_one(samples[index], words[index]))


def peers(rows: Rows, folder: Path) -> dict[str, Peer]:
    """The other sides, over the samples that ours masks."""
    ids = [sample.token_ids_T.tolist() for sample in rows.laid.samples]
    equal = [sample[:EQUAL] for sample in ids if len(sample) >= EQUAL]
    begins = []
    for sample in rows.laid.samples:
        inside = np.zeros(len(sample.token_ids_T), np.bool_)
        for start, end in zip(*sample.units["word"], strict=True):
            inside[start + 1 : end] = True
        begins.append((~inside).tolist())
    vocabulary = len(Prepared.open(folder).tokenizer.tokens)
    return {
        "transformers' collator, tokens": collator(equal, folder, False),
        WHOLE: collator(equal, folder, True),
        "the shared Python loop, whole words": shared_loop(ids, begins, rows.specials[0].mask, vocabulary),
    }


def main(folder: Path, seconds: float) -> None:
    """Print million tokens per second and ratios."""
    torch.set_num_threads(1)
    rows = read_rows(folder)
    others = peers(rows, folder)
    total = len(rows.laid.original_T)
    print(
        f"{len(rows.laid.samples)} samples, {rows.tokens:,} tokens, {rows.tokens / total:.1%} of {total // ROW} rows of {ROW:,} are real; one core"
    )
    for peer in others.values():
        peer(0)
    speeds, whole = {}, 0.0
    same = Scheme(
        SAME, Masking(strategy=WholeUnit(units=["word"]), budget=AS_THERE, corruption=Corruption(mask=1.0, random=0.0))
    )
    for scheme, specials in zip([*rows.schemes, same], [*rows.specials, rows.specials[0]], strict=True):
        work = masking_round(scheme, rows.laid, specials)
        work(0)
        speeds[scheme.name if scheme is same else f"`{scheme.name}`"] = speed(work, rows.tokens, seconds)
        whole = max(whole, speed(others[WHOLE], others[WHOLE].tokens, seconds / 2))
    for name, peer in others.items():
        speeds[name] = (
            max(whole, speed(peer, peer.tokens, seconds)) if name == WHOLE else speed(peer, peer.tokens, seconds)
        )
    print("\n| scheme | million tokens/s, one core | x transformers' whole-word collator |\n|---|---|---|")
    for name, value in speeds.items():
        print(
            f"| {name} | {value / 1e6:.{1 if value > 1e7 else 2}f} | {value / speeds[WHOLE]:.{0 if value > 1e7 else 1}f} |"
        )
    for name, reason in rows.missing.items():
        print(f"not measured: {name} {reason}")


if __name__ == "__main__":
    main(Path(sys.argv[1] if len(sys.argv) > 1 else "runs/demo/data"), float(sys.argv[2]) if len(sys.argv) > 2 else 2.0)
