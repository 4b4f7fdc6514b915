"""Tables over short sequences of token ids: what is known about a word, found by its ids alone.

    北京 = [1266, 776], 上海 = [677, 3862]
    Sequences.build([1266, 776, 677, 3862], [0, 2, 4]).find(ids, [0], [2])   ->   [0]

SimilarWords adds to every word the words that may stand in for it, all of its own number of tokens.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from masking.spans import Int


@dataclass(frozen=True)
class Sequences:
    """A hash table over id sequences; of equal sequences the first counts."""

    word_ids: Int
    offset_E1: npt.NDArray[np.int64]
    slot_H: Int

    @staticmethod
    def build(word_ids: npt.NDArray[np.integer], offset_E1: npt.NDArray[np.integer]) -> Sequences:
        """The table of the sequences ``word_ids[offset_E1[e]:offset_E1[e + 1]]``."""
        from masking import kernels

        ids, offsets = word_ids.astype(np.int32), offset_E1.astype(np.int64)
        return Sequences(ids, offsets, kernels.index_sequences(ids, offsets))

    def __len__(self) -> int:
        return len(self.offset_E1) - 1

    def find(self, ids_T: npt.NDArray[np.int64], start_U: Int, end_U: Int) -> Int:
        """int32[U]: the number of the sequence that each interval of ``ids_T`` is, -1 where it is none."""
        from masking import kernels

        found: Int = kernels.look_up(ids_T, start_U, end_U, self.slot_H, self.offset_E1, self.word_ids)
        return found


@dataclass(frozen=True)
class SimilarWords:
    """Words that may replace a word, of its own number of tokens."""

    words: Sequences
    similar_E1: npt.NDArray[np.int64]
    """Word e may become any of the words in ``similar_ids[similar_E1[e]:similar_E1[e + 1]]``, which lie there one
    after another."""
    similar_ids: Int

    @staticmethod
    def build(
        word_ids: npt.NDArray[np.integer],
        word_P1: npt.NDArray[np.integer],
        similar_ids: npt.NDArray[np.integer],
        similar_P1: npt.NDArray[np.integer],
    ) -> SimilarWords:
        """From P pairs (word, similar word), in any order, each side flat ids with offsets.

        Raises:
            ValueError: the two words of a pair differ in length.
        """
        length_P, other_P = np.diff(word_P1), np.diff(similar_P1)
        if (length_P != other_P).any():
            pair = int(np.flatnonzero(length_P != other_P)[0])
            raise ValueError(
                f"pair {pair} of similar words has {length_P[pair]} and {other_P[pair]} tokens; both must have as many"
            )
        every = Sequences.build(word_ids, word_P1)
        first_P = every.find(word_ids.astype(np.int64), word_P1[:-1].astype(np.int32), word_P1[1:].astype(np.int32))
        order = np.argsort(first_P, kind="stable")
        kept, count_E = np.unique(first_P, return_counts=True)
        words = Sequences.build(*_gathered(word_ids, word_P1, kept))
        ids, offset_P1 = _gathered(similar_ids, similar_P1, order)
        return SimilarWords(words, offset_P1[np.concatenate([[0], np.cumsum(count_E)])], ids)


def _gathered(
    ids: npt.NDArray[np.integer], offset_E1: npt.NDArray[np.integer], chosen: npt.NDArray[np.integer]
) -> tuple[Int, npt.NDArray[np.int64]]:
    """The chosen sequences of a flat array, in this order, flat again with their offsets."""
    length_E = np.diff(offset_E1)[chosen]
    offsets = np.concatenate([np.zeros(1, np.int64), np.cumsum(length_E, dtype=np.int64)])
    place = np.arange(offsets[-1]) - np.repeat(offsets[:-1], length_E) + np.repeat(offset_E1[:-1][chosen], length_E)
    return ids[place].astype(np.int32), offsets
