"""Documents that are worked on together, so that one compiled call does the work of many short ones.

    Block           texts one behind the other:  "长江。" "The river."   ->   characters_N 长江。The river.
                    offsets_D1 0 3 13
    AnnotatedBlock  sentences, words and units of all of them, as spans over characters_N; ``document(1)`` is the second
                    one alone

Nothing reaches from one document into the next: a block says of each document what it says of it alone.

Shape legend: D documents, N characters, S sentences, P paragraphs, U units of one level; a ``_D1`` array says where
each document's begin, and where the last one's end.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from data_prep.code_points import code_points
from data_prep.documents import SEGMENT, Annotated, Document, Spans, Units

Offsets = npt.NDArray[np.int64]
BLOCK_DOCUMENTS, BLOCK_CHARACTERS = 1024, 1 << 16
"""A block ends with the document that brings it to one of these."""


def offsets_of(lengths: Iterable[int]) -> Offsets:
    """Where each of several pieces begins, and where the last one ends: lengths 3, 10 -> 0, 3, 13."""
    return np.cumsum([0, *lengths], dtype=np.int64)


class Block:
    """Some documents, in order."""

    def __init__(self, documents: Sequence[Document]) -> None:
        self.documents = documents

    def __len__(self) -> int:
        return len(self.documents)

    @cached_property
    def offsets_D1(self) -> Offsets:
        """Where each text begins in ``characters_N``."""
        return offsets_of([len(document.text) for document in self.documents])

    @cached_property
    def characters_N(self) -> npt.NDArray[np.uint32]:
        """The code points of all texts."""
        if len(self.documents) == 1:
            return self.documents[0].characters
        return code_points("".join([document.text for document in self.documents]))

    def spans(self, numbers: Sequence[int], found: Sequence[Spans]) -> Iterator[Spans]:
        """Spans of single documents over the characters of the block.

        Raises:
            ValueError: spans lie outside their text, where another one stands.
        """
        for number, spans_W2 in zip(numbers, found, strict=True):
            start, end = self.offsets_D1[number : number + 2].tolist()
            if len(self) > 1 and len(spans_W2) and (spans_W2.min() < 0 or spans_W2.max() > end - start):
                raise ValueError("words outside the text")
            yield spans_W2 + np.int32(start)

    def moved(self, numbers: Sequence[int], spans_W2: Spans) -> Spans:
        """Spans over the texts of some documents, one behind the other, as spans over the characters of the block."""
        begins_D = offsets_of([len(self.documents[number].text) for number in numbers])[:-1]
        distance_D = (self.offsets_D1[np.array(numbers)] - begins_D).astype(np.int32)
        moved_W2: Spans = spans_W2 + distance_D[np.searchsorted(begins_D, spans_W2[:, 0], "right") - 1][:, None]
        return moved_W2


def in_blocks(documents: Iterable[Document]) -> Iterator[list[Document]]:
    """Documents in blocks of the usual size."""
    held: list[Document] = []
    size = 0
    for document in documents:
        held.append(document)
        size += len(document.text)
        if size >= BLOCK_CHARACTERS or len(held) >= BLOCK_DOCUMENTS:
            yield held
            held, size = [], 0
    if held:
        yield held


class BlockUnits(NamedTuple):
    """The units of one level."""

    units: Units
    """Over the characters of the block."""
    offsets_D1: Offsets


@dataclass(frozen=True, kw_only=True)
class AnnotatedBlock:
    """Documents with everything known about them, as spans over the characters of the block."""

    block: Block
    sentences_S2: Spans
    sentences_D1: Offsets
    paragraph_ends_P: npt.NDArray[np.int64]
    """Index one past the last sentence of each paragraph, in the sentences of its document."""
    paragraphs_D1: Offsets
    units: Mapping[str, BlockUnits]
    levels: Sequence[str]
    """The levels that every document has, in order; others come with a document."""
    dropped: Mapping[str, int]
    """How many units were not kept, by reason."""
    words_D: npt.NDArray[np.int64]
    """How many words of two characters and more there were before any was cut, and how many were."""
    cut_D: npt.NDArray[np.int64]

    def __len__(self) -> int:
        return len(self.block)

    def document(self, number: int) -> Annotated:
        """One document alone. What was dropped is known of a block of one document only."""
        document = self.block.documents[number]
        start = int(self.block.offsets_D1[number])
        given = [level for level in document.given if level not in ("word", SEGMENT)]
        units = {}
        for level in dict.fromkeys([*given, *self.levels]):
            found, offsets_D1 = self.units[level]
            own = found[slice(offsets_D1[number], offsets_D1[number + 1])]
            units[level] = Units(own.start_U - np.int32(start), own.end_U - np.int32(start), own.label_U.copy())
        return Annotated(
            document=document,
            sentences_S2=self.sentences_S2[self.sentences_D1[number] : self.sentences_D1[number + 1]] - np.int32(start),
            paragraph_ends_P=self.paragraph_ends_P[self.paragraphs_D1[number] : self.paragraphs_D1[number + 1]].copy(),
            units=units,
            dropped=self.dropped if len(self) == 1 else {},
            words=int(self.words_D[number]),
        )

    def part(self, first: int, last: int) -> AnnotatedBlock:
        """The documents from ``first`` up to ``last``; what was dropped goes with the first of them."""
        start = np.int32(self.block.offsets_D1[first])
        sentences_D1, paragraphs_D1 = self.sentences_D1[first : last + 1], self.paragraphs_D1[first : last + 1]
        units = {}
        for level, (found, offsets_D1) in self.units.items():
            own = found[slice(offsets_D1[first], offsets_D1[last])]
            moved = Units(own.start_U - start, own.end_U - start, own.label_U)
            units[level] = BlockUnits(moved, offsets_D1[first : last + 1] - offsets_D1[first])
        return AnnotatedBlock(
            block=Block(self.block.documents[first:last]),
            sentences_S2=self.sentences_S2[sentences_D1[0] : sentences_D1[-1]] - start,
            sentences_D1=sentences_D1 - sentences_D1[0],
            paragraph_ends_P=self.paragraph_ends_P[paragraphs_D1[0] : paragraphs_D1[-1]],
            paragraphs_D1=paragraphs_D1 - paragraphs_D1[0],
            units=units,
            levels=self.levels,
            dropped={} if first else self.dropped,
            words_D=self.words_D[first:last],
            cut_D=self.cut_D[first:last],
        )

    @staticmethod
    def of(annotated: Annotated) -> AnnotatedBlock:
        """A block of one document."""
        return AnnotatedBlock(
            block=Block([annotated.document]),
            sentences_S2=annotated.sentences_S2,
            sentences_D1=offsets_of([len(annotated.sentences_S2)]),
            paragraph_ends_P=annotated.paragraph_ends_P,
            paragraphs_D1=offsets_of([len(annotated.paragraph_ends_P)]),
            units={level: BlockUnits(units, offsets_of([len(units)])) for level, units in annotated.units.items()},
            levels=list(annotated.units),
            dropped=annotated.dropped,
            words_D=np.array([annotated.words]),
            cut_D=np.zeros(1, np.int64),
        )
