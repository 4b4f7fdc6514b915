"""Documents as words: units of level `word` and the tokens outside of them, each known by a hash of its ids.

    document   他 住 在 北 京 ， 北 京 很 大       words   他 住 在 北京 ， 北京 很 大
    DocumentWords   begin 0 1 2 3 5 6 8 9 10   type 0 1 2 3 4 3 5 6   count 1 1 1 2 0 1 1   (0: not asked)

    WordCache           the documents seen last, up to so many words: a long one is read once for many of its windows
    frequent_words      the most frequent words of a folder, as text: function words, mostly
    skipped_hashes      their hashes

Shape legend: W words of a document, E different ones, V ids of the vocabulary.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Iterable
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from data_prep.shard import Shard
from data_prep.shards import Prepared
from masking.salience import hashes
from masking.spans import Keys
from pretrain.feed.corpus_counts import sampled, units_of
from pretrain.feed.vocabulary_letters import Flags, spoken_tokens

Int = npt.NDArray[np.int32]
NOTHING = np.zeros(0, np.uint32)
READ = 5_000_000
"""Tokens of a folder in which words are counted."""


class DocumentWords(NamedTuple):
    """The words of a document."""

    begin_W1: Int
    """First token of each word; at the end the number of tokens."""
    type_W: Int
    """Equal for equal words."""
    count_E: Int
    """Occurrences of each type; 0: it is not asked."""


class WordCache:
    """The words of the documents that were asked for last; at most ``room`` words, 12 bytes each. A copy for another
    process is empty."""

    def __init__(self, room: int) -> None:
        self.room, self.used = room, 0
        self.documents: OrderedDict[tuple[str, int], DocumentWords] = OrderedDict()

    def __reduce__(self) -> tuple[type[WordCache], tuple[int]]:
        return WordCache, (self.room,)

    def words(self, shard: Shard, document: int, level: str, spoken_V: Flags, skipped_E: Keys) -> DocumentWords:
        """The words of a document: those of a level, or all tokens where ``level`` is `token`."""
        key = (str(shard.path), document)
        if found := self.documents.get(key):
            self.documents.move_to_end(key)
            return found
        found = read_words(shard, document, level, spoken_V, skipped_E)
        self.documents[key] = found
        self.used += len(found.type_W)
        while self.used > self.room and len(self.documents) > 1:
            self.used -= len(self.documents.popitem(last=False)[1].type_W)
        return found


def read_words(shard: Shard, document: int, level: str, spoken_V: Flags, skipped_E: Keys) -> DocumentWords:
    """The words of a document, by reading it once; those without a token of ``spoken_V``, and those whose hash is among
    ``skipped_E`` (rising), have a count of 0."""
    from pretrain.feed import kernels

    start_U, length_U = NOTHING, NOTHING.astype(np.uint16)
    if level != "token":
        units = shard.units[level]
        own = slice(units.offsets_D1[document], units.offsets_D1[document + 1])
        start_U, length_U = units.start_U[own], units.length_U[own]
    return DocumentWords(*kernels.document_words(shard.token_ids.row(document), start_U, length_U, spoken_V, skipped_E))


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
        ids, start_U, length_U = shard.token_ids.values, NOTHING.astype(np.int64), NOTHING
        if level != "token":
            _, start_U, length_U = units_of(shard, level)
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
