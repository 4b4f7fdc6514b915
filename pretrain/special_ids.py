"""Special ids of the tokenizer, and what masking asks about the vocabulary and the corpus."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import numpy.typing as npt

from data_prep.shards import Prepared
from data_prep.word_lists.similar_pairs import read_pairs
from masking.corruption import Replacements
from masking.sequences import SimilarWords
from pretrain.feed.corpus_counts import token_counts, unit_weights
from pretrain.feed.hiding import Masking, Specials


def ordinary_ids(tokens: list[str]) -> npt.NDArray[np.int64]:
    """Ids of the real vocabulary: neither special, nor reserved ([unused7]), nor a gap."""
    found = [
        index
        for index, token in enumerate(tokens)
        if token and not (token.startswith("[") and token.endswith("]") and len(token) > 2)
    ]
    return np.array(found, np.int64)


def specials(folders: list[Prepared], masking: Masking) -> Specials:
    """Special ids, and as much about the vocabulary and the corpus as this masking asks for.

    Raises:
        ValueError: something it needs is missing, with the remedy.
    """
    tokenizer = folders[0].tokenizer
    ids, ordinary_V = tokenizer.special_ids, ordinary_ids(tokenizer.tokens)
    ordinary_V = ordinary_V[~np.isin(ordinary_V, tokenizer.all_special_ids)]
    similar, notes = None, []
    tables = {
        corruption.similar_words for corruption in masking.laws if corruption.similar > 0 and corruption.similar_words
    }
    if len(tables) > 1:
        raise ValueError(
            f"similar_words: the strategies of a mixture name {', '.join(sorted(tables))}; there can be one table"
        )
    for table in tables:
        pairs = read_pairs(Path(table), tokenizer)
        reasons = ", ".join(f"{reason} {count:,}" for reason, count in pairs.left_out.items() if count)
        notes.append(f"{table}: {pairs.pairs:,} pairs of similar words{f'; left out: {reasons}' if reasons else ''}")
        similar = SimilarWords.build(pairs.word_ids_T, pairs.offsets_P1, pairs.similar_ids_T, pairs.offsets_P1)
    replacements = Replacements(
        mask_id=ids["[MASK]"],
        unknown_id=ids["[UNK]"],
        ordinary_V=ordinary_V,
        count_V=token_counts(folders, len(tokenizer.tokens))[ordinary_V]
        if any(corruption.pool == "corpus" for corruption in masking.laws)
        else None,
        similar=similar,
    )
    for corruption in masking.laws:
        corruption.check(replacements)
    return Specials(
        pad=ids["[PAD]"],
        cls=ids["[CLS]"],
        sep=ids["[SEP]"],
        replacements=replacements,
        rarity={level: unit_weights(folders, level, law) for level, law in masking.strategy.weighted().items()},
        notes=tuple(notes),
        vocabulary=len(tokenizer.tokens),
    )
