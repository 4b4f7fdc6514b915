"""The types that travel between the stages of preparation.

    corpora      raw file                -> Record          (one raw document with its place in the file)
    cleaning     Record                  -> Document        (its text is final: never edited afterwards)
    sentences    Document                -> sentence spans
    segmenters   Document                -> word spans
    annotators   Document, sentences     -> Units           (phrases, entities)
    annotation   all of these            -> Annotated
    encoding     Annotated               -> Encoded         (see encoding.py)

Every stage only *adds* half-open character spans beside the text (stand-off annotation); nothing is written into it.

Shape legend: S sentences, U units of one level, W words; a ``_X2`` array holds start and end in characters.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from data_prep.code_points import code_points

Spans = npt.NDArray[np.int32]
"""int32[N, 2]: half-open character ranges ``[start, end)``, sorted by start."""
SEGMENT = "segment"
"""Reserved level of given spans: the parts of a labelled pair, whose type is the pair's class (empty when it has none),
or the turns of a dialogue, whose type is their role. No units."""


class Span(NamedTuple):
    """Half-open character range ``text[start:end]`` with ``0 <= start < end <= len(text)``."""

    start: int
    end: int


class Label(NamedTuple):
    """What a unit is (``type``: ``PER``, ``LOC``, ``term`` ... or empty) and who said so (``origin``)."""

    type: str
    origin: str
    """One of ``user``, ``lexicon``, ``ner``, ``pos``, ``mined``, ``segmenter``."""


@dataclass(frozen=True, slots=True)
class Units:
    """Spans of one level with their labels, sorted by start and disjoint."""

    start_U: npt.NDArray[np.int32]
    end_U: npt.NDArray[np.int32]
    label_U: npt.NDArray[np.uint8]
    """Index into a list of labels: the annotator's own until `annotation` numbers them for the whole plan."""

    @staticmethod
    def of(units: Iterable[tuple[int, int, int]]) -> Units:
        """From ``(start, end, label)`` triples in order."""
        table = np.array(list(units), np.int32).reshape(-1, 3)
        return Units(table[:, 0].copy(), table[:, 1].copy(), table[:, 2].astype(np.uint8))

    def __len__(self) -> int:
        return len(self.start_U)

    def __getitem__(self, chosen_U: npt.NDArray[np.bool_] | npt.NDArray[np.int64] | slice) -> Units:
        return Units(self.start_U[chosen_U], self.end_U[chosen_U], self.label_U[chosen_U])


class Given(NamedTuple):
    """A span that came with the document: what the user has marked himself, in characters of the text."""

    start: int
    end: int
    type: str
    """Its kind (``PER`` ...), empty for words."""


class Place(NamedTuple):
    """Where a document stands in the user's files, for error messages and the list of rejected documents."""

    path: str
    line: int
    """1-based line on which the document starts."""
    offset: int
    """Byte offset of that line in the uncompressed file, as UTF-8."""


class Record(NamedTuple):
    """One raw document as a corpus reader found it."""

    text: str
    id: str
    title: str
    language: str
    """As the document declares it (``zh-TW``, ``eng`` ...); empty when the reader does not know."""
    place: Place
    given: Mapping[str, Sequence[Given]] = {}
    """Spans over ``text`` by level, each level sorted and disjoint. With a level `word` the document needs no
    segmenter."""


class Rejected(NamedTuple):
    """A document that was set aside, with the reason a user can act upon."""

    place: Place
    reason: str
    """Short and countable: ``not JSON``, ``no text`` ..."""
    detail: str


@dataclass(frozen=True, kw_only=True)
class Document:
    """A cleaned document. ``text`` is final: normalised before this object exists, never edited after."""

    id: str
    language: str
    """The code of one of ``cleaning.languages``."""
    text: str
    title: str
    source: str
    given: Mapping[str, Sequence[Given]] = field(default_factory=dict)
    """The user's own spans over ``text`` by level."""

    @cached_property
    def characters(self) -> npt.NDArray[np.uint32]:
        """The code points of ``text``, one a character."""
        return code_points(self.text)


@dataclass(frozen=True, kw_only=True, slots=True)
class Annotated:
    """A document with everything known about it, all as character spans over ``document.text``.

    Spans of one level are sorted and disjoint, and a unit lies inside one sentence. Every level is complete: an entity
    does not remove the words inside it, it only *cuts* a word that crosses its edge.
    """

    document: Document
    sentences_S2: Spans
    paragraph_ends_P: npt.NDArray[np.int64]
    """Index one past the last sentence of each paragraph."""
    units: Mapping[str, Units]
    """By level; labels are numbered by the plan's list of labels."""
    dropped: Mapping[str, int]
    """How many units were not kept, by reason (``entity crosses a sentence`` ...)."""
    words: int = 0
    """How many words of two characters and more there were before any was cut."""
