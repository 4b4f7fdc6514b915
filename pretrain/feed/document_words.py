"""The words of a folder: units of level `word` and the tokens outside of them, each known by a hash of its ids.

    他 住 在 北 京 ， 北 京 很 大    ->    他 住 在 北京 ， 北京 很 大

    frequent_words      the most frequent ones, as text: function words, mostly
    skipped_hashes      their hashes

Shape legend: U words, E different ones, V ids of the vocabulary.
"""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np

from data_prep.shards import Prepared
from masking.salience import hashes
from masking.spans import KINDS, Keys
from pretrain.feed.corpus_counts import sampled, units_of
from pretrain.feed.vocabulary_letters import spoken_tokens

READ = 5_000_000
"""Tokens of a folder in which words are counted."""


def frequent_words(folder: Prepared, level: str, count: int) -> list[str]:
    """The most frequent words of a folder that hold a letter or a digit, the most frequent first, as their tokens with
    blanks between.

    Raises:
        ValueError: a damaged shard.
    """
    from pretrain.feed import kernels

    spoken_V, tokens = spoken_tokens(folder), folder.tokenizer.tokens
    counts: dict[int, int] = {}
    ids_of: dict[int, list[int]] = {}
    for shard in sampled([folder], READ if count else 0):
        ids = shard.token_ids.values
        _, start_U, length_U = units_of(shard, KINDS[0] if level == "token" else level)
        begin_W1, hash_W = kernels.words_of(ids, start_U, length_U)
        hash_E, first_E, count_E = np.unique(hash_W, return_index=True, return_counts=True)
        spoken_E = spoken_V[np.minimum(ids[begin_W1[first_E]], len(spoken_V) - 1)]
        for number in np.flatnonzero(spoken_E)[np.argsort(-count_E[spoken_E], kind="stable")][: 10 * count].tolist():
            value, first = int(hash_E[number]), int(first_E[number])
            counts[value] = counts.get(value, 0) + int(count_E[number])
            ids_of.setdefault(value, ids[begin_W1[first] : begin_W1[first + 1]].tolist())
    best = sorted(counts, key=lambda value: (-counts[value], ids_of[value]))[:count]
    return [" ".join(tokens[number] for number in ids_of[value]) for value in best]


def skipped_hashes(words: Iterable[str], folder: Prepared) -> Keys:
    """The rising hashes of words that are written as their tokens with blanks between; those with a token that the
    vocabulary does not have are none of its words."""
    numbers = {token: number for number, token in enumerate(folder.tokenizer.tokens) if token}
    known = [[numbers.get(token, -1) for token in word.split()] for word in words]
    known = [ids for ids in known if ids and min(ids) >= 0]
    end_U = np.cumsum([len(ids) for ids in known], dtype=np.int64)
    start_U = end_U - np.array([len(ids) for ids in known], np.int64)
    return np.unique(hashes(np.array([number for ids in known for number in ids], np.int64), start_U, end_U))
