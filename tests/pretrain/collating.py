"""A small tokenizer and random features, for the tests of the collator."""

from __future__ import annotations

from typing import Any

import numpy as np
from tokenizers import Tokenizer
from tokenizers.models import WordLevel
from transformers import PreTrainedTokenizerFast

PAD, UNK, CLS, SEP, MASK, FIRST = 0, 1, 2, 3, 4, 6
"""Ids of the special tokens, and of the first ordinary one; 5 is reserved."""
SIZE = 200
LEVELS = ("entity", "phrase", "word")


def tokenizer(**changes: Any) -> PreTrainedTokenizerFast:
    """Special tokens, one reserved token, and words w6 .. w199; a change of None leaves a token out."""
    specials = {
        "pad_token": "[PAD]",
        "unk_token": "[UNK]",
        "cls_token": "[CLS]",
        "sep_token": "[SEP]",
        "mask_token": "[MASK]",
    }
    names = [*specials.values(), "[unused1]", *(f"w{number}" for number in range(FIRST, SIZE))]
    backend = Tokenizer(WordLevel({name: number for number, name in enumerate(names)}, unk_token="[UNK]"))
    settings = {"model_input_names": ["input_ids", "token_type_ids", "attention_mask"], **specials, **changes}
    return PreTrainedTokenizerFast(
        tokenizer_object=backend, **{name: value for name, value in settings.items() if value is not None}
    )


def feature(seed: int, length: int, **more: Any) -> dict[str, Any]:
    """[CLS], random words with [UNK] and an inner [SEP] now and then, [SEP]; units of all levels that cross one
    another."""
    rng = np.random.default_rng(seed)
    ids = [CLS, *rng.integers(FIRST, SIZE, length - 2).tolist(), SEP]
    for token in range(1, length - 1):
        ids[token] = int(rng.choice([ids[token], UNK, SEP], p=[0.94, 0.03, 0.03]))
    units: dict[str, list[tuple[int, int]]] = {}
    for level, longest in zip(LEVELS, (8, 6, 4), strict=True):
        units[level], token = [], 1
        while token < length - 1:
            end = token + int(rng.integers(1, longest + 1))
            if rng.random() < 0.5 and end < length and SEP not in ids[token:end]:
                units[level].append((token, end))
                token = end
            token += 1
    return {"id": f"text {seed}", "input_ids": ids, "units": units, **more}


def features(count: int, seed: int = 0, longest: int = 60) -> list[dict[str, Any]]:
    """So many features of mixed lengths."""
    lengths = np.random.default_rng(seed).integers(3, longest + 1, count).tolist()
    return [feature(1000 * seed + number, length) for number, length in enumerate(lengths)]


def partition(given: dict[str, Any], levels: tuple[str, ...] = LEVELS) -> list[tuple[int, int]]:
    """What may be hidden together: units by precedence where nothing stands yet, then single tokens. Slow and plain."""
    owned: set[int] = set()
    found = []
    for level in levels:
        for start, end in given["units"][level]:
            if not owned & set(range(start, end)):
                owned |= set(range(start, end))
                found.append((start, end))
    return found + [
        (token, token + 1)
        for token, number in enumerate(given["input_ids"])
        if token not in owned and number not in (CLS, SEP)
    ]
