"""How long units are and which surfaces occur most often, for a whole batch of documents at once.

    UnitCounts.add("word", blocks, characters_N, ...)   ->   lengths["word"]: units by their tokens,
        surfaces["word"]: see surfaces.py

Of words only some are looked at, the same ones of a document wherever it stands: a key of the document says with which
to begin.

Shape legend: D documents of all blocks, N characters, U units in characters, V the same units in tokens.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from data_prep.annotators import NONE
from data_prep.blocks import AnnotatedBlock
from data_prep.counting.surfaces import Surfaces
from data_prep.encoded import NO_UNITS, EncodedBlock

LONGEST_UNIT = 64
"""Units of this many tokens and longer are counted together."""
EXACT_WORDS, STRIDE = 1 << 13, 16
"""So many words of a part are counted one by one; then every sixteenth of a document for sixteen. Of characters, always
every sixteenth."""


class UnitCounts:
    """Collects one part."""

    def __init__(self, type_of_label: npt.NDArray[np.int64]) -> None:
        self.type_of_label = type_of_label
        self.lengths: dict[str, npt.NDArray[np.int64]] = {}
        self.surfaces: dict[str, Surfaces] = {}
        self.words = 0

    def add(
        self,
        level: str,
        blocks: Sequence[tuple[AnnotatedBlock, EncodedBlock]],
        characters_N: npt.NDArray[np.uint32],
        language_D: npt.NDArray[np.int64],
        keys_D: npt.NDArray[np.uint64],
    ) -> None:
        """Count the units of one level in documents whose characters are ``characters_N``."""
        starts, ends, labels, lengths, counts, token_counts, offset = [], [], [], [], [], [], 0
        for annotated, encoded in blocks:
            nowhere_D1 = np.zeros(len(annotated) + 1, np.int64)
            units, units_D1 = annotated.units.get(level) or (NONE, nowhere_D1)
            tokens, tokens_D1 = encoded.units.get(level) or (NO_UNITS, nowhere_D1)
            starts.append(units.start_U.astype(np.int64) + offset)
            ends.append(units.end_U.astype(np.int64) + offset)
            labels.append(units.label_U)
            lengths.append(tokens.length_U)
            counts.append(np.diff(units_D1))
            token_counts.append(np.diff(tokens_D1))
            offset += int(annotated.block.offsets_D1[-1])
        count_D, tokens_D = np.concatenate(counts), np.concatenate(token_counts)
        start_U, end_U = np.concatenate(starts), np.concatenate(ends)
        label_U, length_V = np.concatenate(labels), np.concatenate(lengths)
        class_U = self.type_of_label[label_U] * 256 + np.repeat(language_D, count_D)
        exact_D = np.ones(len(count_D), np.bool_)
        if level == "word":
            words_D = self.words + np.cumsum(count_D)
            exact_D, self.words = words_D <= EXACT_WORDS, int(words_D[-1])
        for weight, chosen_D in ((1, exact_D), (STRIDE, ~exact_D)):
            if not (count_D[chosen_D] > 0).any():
                continue
            at_U, at_V = (every(weight, keys_D, number_D, chosen_D) for number_D in (count_D, tokens_D))
            counted = np.bincount(np.minimum(length_V[at_V], LONGEST_UNIT), minlength=LONGEST_UNIT + 1) * weight
            self.lengths[level] = self.lengths.get(level, 0) + counted
            at_U = at_U[end_U[at_U] - start_U[at_U] > (level == "word")]  # a single character is no word worth naming
            self.surfaces.setdefault(level, Surfaces()).add(
                characters_N, start_U[at_U], end_U[at_U], class_U[at_U], weight
            )


def every(
    stride: int, keys_D: npt.NDArray[np.uint64], count_D: npt.NDArray[np.int64], chosen_D: npt.NDArray[np.bool_]
) -> npt.NDArray[np.int64]:
    """Numbers of every ``stride``-th unit of each chosen document, from the one its key says.

    stride 2, counts 3, 4, 2, keys 1, 0, 1, the first two chosen   ->   1, 3, 5
    """
    begin_D = np.cumsum(count_D) - count_D
    first_D = (keys_D % np.uint64(stride)).astype(np.int64)
    taken_D = np.where(chosen_D, np.maximum(0, -((first_D - count_D) // stride)), 0)
    within_U = np.arange(int(taken_D.sum())) - np.repeat(np.cumsum(taken_D) - taken_D, taken_D)
    numbers_U: npt.NDArray[np.int64] = np.repeat(begin_D + first_D, taken_D) + stride * within_U
    return numbers_U
