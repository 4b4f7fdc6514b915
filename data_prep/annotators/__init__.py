"""Annotators: one file here is one source of phrases and entities. ``kind: lexicon`` is ``annotators/lexicon.py``."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np

from data_prep.blocks import Block
from data_prep.documents import Document, Label, Spans, Units
from data_prep.portable import Portable

NONE = Units(np.zeros(0, np.int32), np.zeros(0, np.int32), np.zeros(0, np.uint8))


class FoundUnits(NamedTuple):
    """What an annotator finds in a document."""

    units: Units
    refused: Units = NONE
    """Units left out because they cross the edge of a word; they may overlap each other."""


@dataclass(frozen=True, kw_only=True)
class Annotator(Portable, ABC):
    """Finds units of one level over the text. Objects are sent to worker processes, so resources load on first use."""

    level: str
    """The level its units belong to: `entity`, `phrase`, or a name of your own."""

    def __post_init__(self) -> None:
        if self.level == "word" or not self.level.isidentifier():
            raise ValueError(
                f"level: {self.level!r} must be a simple name other than `word` (segmenters make the words)"
            )

    @abstractmethod
    def labels(self) -> list[Label]:
        """Every label its units can carry, in a stable order."""

    @abstractmethod
    def annotate(self, document: Document, sentences_S2: Spans) -> Units:
        """Units found in the document's text, sorted and disjoint; ``label_U`` counts in ``labels()``.

        ``sentences_S2`` are the document's sentences. A unit that crosses one's end is dropped by the caller, and
        counted.
        """

    @abstractmethod
    def fingerprint(self) -> dict[str, Any]:
        """What decides the units: settings, contents of files, versions."""

    @classmethod
    def together(cls, annotators: Sequence[Annotator]) -> Together:
        """How annotators of this kind work on documents, their sentences and their words, all over the characters of
        the block: what each finds, in order. A kind may share work between them."""
        return lambda block, sentences_S2, words_W2: [
            FoundUnits(_singly(annotator, block, sentences_S2)) for annotator in annotators
        ]


Together = Callable[[Block, Spans, Spans], list[FoundUnits]]


def _singly(annotator: Annotator, block: Block, sentences_S2: Spans) -> Units:
    """What an annotator finds in the documents of a block, one after the other."""
    if len(block) == 1:
        return annotator.annotate(block.documents[0], sentences_S2)
    bounds = np.searchsorted(sentences_S2[:, 0], block.offsets_D1).tolist()
    found: list[Units] = [NONE]
    places = block.offsets_D1.tolist()
    for document, first, last, start, end in zip(block.documents, bounds, bounds[1:], places, places[1:], strict=False):
        units = annotator.annotate(document, sentences_S2[first:last] - np.int32(start))
        if len(units) and (units.start_U.min() < 0 or units.end_U.max() > end - start):
            raise ValueError(f"{annotator.level} outside the text")
        found.append(Units(units.start_U + np.int32(start), units.end_U + np.int32(start), units.label_U))
    starts, ends, labels = zip(*((units.start_U, units.end_U, units.label_U) for units in found), strict=True)
    return Units(np.concatenate(starts), np.concatenate(ends), np.concatenate(labels))
