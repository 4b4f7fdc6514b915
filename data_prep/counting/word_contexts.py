"""Which words of a prepared folder occur often, and which stand near each other: two passes over its shards.

    shard   兰 州 | 公 交 | 集 团 | ， | play ##ing | x        items: words of level `word`, and every other token by
            itself
    pass 1  count_words   -> the kept words, each by its token ids: 公交 412, 集团 390, playing 57 ...
    pass 2  count_cells   -> how near the kept words stand: cell (公交, 集团) gains `window`, next but one `window - 1`
            ...

An item is a word when it is whole (no `##` piece begins it or follows it), has a letter or digit, and holds no special
token. All items keep their place, so a comma between two words keeps them apart by one; nothing is counted across the
end of a sentence.

Words are told apart by a 64-bit hash of their token ids. Memory: the distinct words of what is read, and at most
MAX_CELLS cells.

Shape legend: T tokens of a block, I items, S sentences, U units, V kept words, D distinct words so far, C cells.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from data_prep.counting.surfaces import surface_hashes
from data_prep.encoding import Tokenizer
from data_prep.shard import Shard
from data_prep.shards import Prepared
from data_prep.word_lists.similar_pairs import gather

BLOCK_TOKENS = 1 << 21
MAX_CELLS = 1 << 24
"""Cells held; when there are more, the smallest are forgotten."""

TokenListener = Callable[[int], None]
"""Hears how many tokens were just read."""


class SentenceBlock(NamedTuple):
    """Whole sentences of a shard, cut into items that follow each other."""

    token_ids_T: npt.NDArray[np.uint32]
    first_I: npt.NDArray[np.int64]
    length_I: npt.NDArray[np.int64]
    sentence_I: npt.NDArray[np.int64]

    def words(self, traits: Traits) -> npt.NDArray[np.bool_]:
        """bool[I]: the items that are words."""
        if not len(self.first_I):
            return np.zeros(0, bool)
        follower_I = np.append(traits.piece_V[self.token_ids_T], False)[self.first_I + self.length_I]
        begins_I = traits.piece_V[self.token_ids_T[self.first_I]]
        special_I = np.logical_or.reduceat(traits.special_V[self.token_ids_T], self.first_I)
        letter_I = np.logical_or.reduceat(traits.letter_V[self.token_ids_T], self.first_I)
        return np.asarray(letter_I & ~special_I & ~begins_I & ~follower_I)

    def keys(self) -> npt.NDArray[np.uint64]:
        """uint64[I]: equal for items of equal token ids."""
        return surface_hashes(self.token_ids_T, self.first_I, self.first_I + self.length_I, np.zeros(1, np.uint64))


class Traits(NamedTuple):
    """What the tokens of a vocabulary are, by id."""

    piece_V: npt.NDArray[np.bool_]
    """Continues a word (`##ing`)."""
    special_V: npt.NDArray[np.bool_]
    letter_V: npt.NDArray[np.bool_]
    """Has a letter or a digit."""

    @staticmethod
    def of(tokenizer: Tokenizer) -> Traits:
        """The traits of a tokenizer's tokens.

        Raises:
            ValueError: its tokens are bytes: which of them are words cannot be told.
        """
        if tokenizer.byte_level:
            raise ValueError(f"tokenizer {tokenizer.folder}: similar words are found in WordPiece vocabularies only")
        special, tokens = set(tokenizer.special_ids), tokenizer.tokens
        columns = (
            [token.startswith("##") for token in tokens],
            [token in special or not token for token in tokens],
            [any(map(str.isalnum, token)) for token in tokens],
        )
        return Traits(*(np.array(column, bool) for column in columns))


class Words(NamedTuple):
    """The kept words, the most frequent first."""

    key_V: npt.NDArray[np.uint64]
    count_V: npt.NDArray[np.int64]
    ids_T: npt.NDArray[np.uint32]
    """Word v has the token ids ``ids_T[offsets_V1[v] : offsets_V1[v + 1]]``."""
    offsets_V1: npt.NDArray[np.int64]

    def take(self, rows: npt.NDArray[np.int64]) -> Words:
        """The words of these rows."""
        return Words(self.key_V[rows], self.count_V[rows], *gather(self.ids_T, self.offsets_V1, rows))


class Cells(NamedTuple):
    """Weighted counts of kept words near each other, the upper triangle of a symmetric matrix: ``row_C <=
    column_C``."""

    key_C: npt.NDArray[np.int64]
    """``row * V + column``, sorted."""
    count_C: npt.NDArray[np.int64]
    """A pair of words d apart counts ``window + 1 - d``: `window` times the expectation under word2vec's random
    window."""
    forgotten: int
    """Cells left out because there were more than MAX_CELLS; each of them had a small count."""


def tokens_read(prepared: Prepared, max_tokens: int) -> int:
    """About how many tokens one pass reads."""
    return min(prepared.tokens("train"), max_tokens)


def blocks(prepared: Prepared, max_tokens: int) -> Iterator[SentenceBlock]:
    """The first sentences of each training shard, so many that in all at most ``max_tokens`` tokens are read, evenly
    over the shards.

    Raises:
        ValueError: the shards have no level `word`.
    """
    if "word" not in prepared.levels:
        raise ValueError(
            f"{prepared.folder} has no level `word`, only {', '.join(prepared.levels) or 'none'}. Prepare the corpus "
            "with a segmenter."
        )
    total, seen, read = prepared.tokens("train"), 0, 0
    for shard in prepared.shards("train"):
        seen += len(shard.token_ids.values)
        limit = (seen if total <= max_tokens else seen * max_tokens // total) - read
        for block in _blocks_of(shard, limit):
            read += len(block.token_ids_T)
            yield block


def _blocks_of(shard: Shard, limit: int) -> Iterator[SentenceBlock]:
    offsets_D1 = shard.token_ids.offsets_D1.astype(np.int64)
    unit = shard.units["word"]
    start_U = unit.start_U.astype(np.int64) + np.repeat(offsets_D1[:-1], np.diff(unit.offsets_D1))
    sentences = shard.sentence_ends
    end_S = np.unique(
        np.concatenate([sentences.values + np.repeat(offsets_D1[:-1], np.diff(sentences.offsets_D1)), offsets_D1[1:]])
    )
    end_S = end_S[(end_S > 0) & (end_S <= limit)]
    first = begin = 0
    while first < len(end_S):
        last = max(first + 1, int(np.searchsorted(end_S, begin + BLOCK_TOKENS, "right")))
        end = int(end_S[last - 1])
        here = slice(*np.searchsorted(start_U, [begin, end]))
        token_ids_T = shard.token_ids.values[begin:end].astype(np.uint32)
        yield _items(token_ids_T, start_U[here] - begin, unit.length_U[here], end_S[first:last] - begin)
        first, begin = last, end


def _items(
    token_ids_T: npt.NDArray[np.uint32],
    start_U: npt.NDArray[np.int64],
    length_U: npt.NDArray[np.uint16],
    end_S: npt.NDArray[np.int64],
) -> SentenceBlock:
    """Tokens inside a unit, after its first, begin no item."""
    steps_T1 = np.zeros(len(token_ids_T) + 1, np.int8)
    steps_T1[start_U + 1] += 1
    steps_T1[start_U + length_U] -= 1
    first_I = np.flatnonzero(np.cumsum(steps_T1[:-1], dtype=np.int8) == 0)
    return SentenceBlock(
        token_ids_T, first_I, np.diff(first_I, append=len(token_ids_T)), np.searchsorted(end_S, first_I, "right")
    )


def count_frequent_words(prepared: Prepared, max_tokens: int, min_count: int, listen: TokenListener) -> Words:
    """The words that occur at least ``min_count`` times, the most frequent first; equal counts in the order of their
    keys."""
    traits = Traits.of(prepared.tokenizer)
    key_D, row_D = np.zeros(0, np.uint64), np.zeros(0, np.int64)  # sorted by key; row: in the order of appearance
    count_R = np.zeros(0, np.int64)
    ids, lengths = [np.zeros(0, np.uint32)], [np.zeros(1, np.int64)]
    for block in blocks(prepared, max_tokens):
        item_W = np.flatnonzero(block.words(traits))
        key_N, place_N, count_N = np.unique(block.keys()[item_W], return_index=True, return_counts=True)
        at_N = np.searchsorted(key_D, key_N)
        known_N = at_N < len(key_D)
        known_N[known_N] = key_D[at_N[known_N]] == key_N[known_N]
        count_R[row_D[at_N[known_N]]] += count_N[known_N]
        new_N = ~known_N
        key_D = np.insert(key_D, at_N[new_N], key_N[new_N])
        row_D = np.insert(row_D, at_N[new_N], len(count_R) + np.arange(int(new_N.sum())))
        count_R = np.append(count_R, count_N[new_N])
        item_N = item_W[place_N[new_N]]
        ids.append(gather(block.token_ids_T, np.append(block.first_I, len(block.token_ids_T)), item_N)[0])
        lengths.append(block.length_I[item_N])
        listen(len(block.token_ids_T))
    count_D = count_R[row_D]
    often_D = np.flatnonzero(count_D >= min_count)
    often_D = often_D[np.argsort(-count_D[often_D], kind="stable")]
    offsets_R1 = np.cumsum(np.concatenate(lengths))
    return Words(key_D[often_D], count_D[often_D], *gather(np.concatenate(ids), offsets_R1, row_D[often_D]))


def count_cells(prepared: Prepared, max_tokens: int, words: Words, window: int, listen: TokenListener) -> Cells:
    """How often and how near the kept words stand within ``window`` items of each other in one sentence."""
    order_V = np.argsort(words.key_V)
    sorted_V, size = words.key_V[order_V], len(order_V)
    key_C, count_C = np.zeros(0, np.int64), np.zeros(0, np.int64)
    forgotten = 0
    for block in blocks(prepared, max_tokens):
        key_I = block.keys()
        at_I = np.minimum(np.searchsorted(sorted_V, key_I), size - 1)
        word_I = np.where(sorted_V[at_I] == key_I, order_V[at_I], -1)
        key_N, count_N = _near(word_I, block.sentence_I, size, window)
        at_N = np.searchsorted(key_C, key_N)
        known_N = np.append(key_C, -1)[at_N] == key_N
        count_C[at_N[known_N]] += count_N[known_N]
        at_N, key_N, count_N = at_N[~known_N], key_N[~known_N], count_N[~known_N]
        key_C, count_C = np.insert(key_C, at_N, key_N), np.insert(count_C, at_N, count_N)
        if len(key_C) > MAX_CELLS:
            large_C = count_C > np.partition(count_C, len(count_C) - MAX_CELLS)[len(count_C) - MAX_CELLS]
            forgotten += int((~large_C).sum())
            key_C, count_C = key_C[large_C], count_C[large_C]
        listen(len(block.token_ids_T))
    return Cells(key_C, count_C, forgotten)


def _near(
    word_I: npt.NDArray[np.int64], sentence_I: npt.NDArray[np.int64], size: int, window: int
) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.int64]]:
    """Sorted cell keys of a block with their weighted counts."""
    found = []
    for distance in range(1, window + 1):
        left, right = word_I[:-distance], word_I[distance:]
        near = (left >= 0) & (right >= 0) & (sentence_I[:-distance] == sentence_I[distance:])
        left, right = left[near], right[near]
        found.append((np.minimum(left, right) * size + np.maximum(left, right)) * window + (distance - 1))
    pairs = np.sort(np.concatenate(found))
    key, weight = pairs // window, window - pairs % window
    first = np.flatnonzero(np.diff(key, prepend=-1))
    return key[first], np.add.reduceat(weight, first) if len(first) else weight
