"""The types that travel between the stages of preparation.

    corpora      raw file                -> Record          (one raw document with its place in the file)
    cleaning     Record                  -> Document        (its text is final: never edited afterwards)
    sentences    Document                -> sentence spans
    segmenters   Document                -> word spans
    annotators   Document                -> Unit            (phrases, entities)
    annotation   all of these            -> Annotated
    encoding     Annotated               -> Encoded         (see encoding.py)

Every stage only *adds* half-open character spans beside the text (stand-off annotation); nothing is written into it.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import NamedTuple


class Span(NamedTuple):
    """Half-open character range ``text[start:end]`` with ``0 <= start < end <= len(text)``."""

    start: int
    end: int


class Label(NamedTuple):
    """What a unit is (``type``: ``PER``, ``LOC``, ``term`` ... or empty) and who said so (``origin``)."""

    type: str
    origin: str
    """One of ``user``, ``lexicon``, ``ner``, ``pos``, ``mined``, ``segmenter``."""


class Unit(NamedTuple):
    """A labelled span of one level (``word``, ``phrase``, ``entity`` ...)."""

    start: int
    end: int
    label: Label


class Place(NamedTuple):
    """Where a document stands in the user's files, for error messages and the list of rejected documents."""

    path: str
    line: int
    """1-based line on which the document starts."""
    offset: int
    """Byte offset of that line in the uncompressed file."""


class Record(NamedTuple):
    """One raw document as a corpus reader found it."""

    text: str
    id: str
    title: str
    language: str
    """``zh``, ``en`` or empty when the reader does not know."""
    place: Place


class Rejected(NamedTuple):
    """A document that was set aside, with the reason a user can act upon."""

    place: Place
    reason: str
    """Short and countable: ``not JSON``, ``no text`` ..."""
    detail: str


@dataclass(frozen=True, kw_only=True, slots=True)
class Document:
    """A cleaned document. ``text`` is final: normalised before this object exists, never edited after."""

    id: str
    language: str
    text: str
    title: str
    source: str


@dataclass(frozen=True, kw_only=True, slots=True)
class Annotated:
    """A document with everything known about it, all as character spans over ``document.text``.

    Spans of one level are sorted and disjoint, and a unit lies inside one sentence. Every level is complete: an entity
    does not remove the words inside it, it only *cuts* a word that crosses its edge.
    """

    document: Document
    sentences: list[Span]
    paragraph_ends: list[int]
    """Index one past the last sentence of each paragraph."""
    units: Mapping[str, list[Unit]]
    dropped: Mapping[str, int]
    """How many units were not kept, by reason (``entity crosses a sentence`` ...)."""
