"""Discourse-marker pairs: two sentences and the marker that joined them, found in ordinary text.

他很累。但是，他还在工作。         ->  他很累。 / 他还在工作。    但是 (contrast)
It rained. However, we went out.  ->  It rained. / we went out.  however (contrast)
因为下雨，所以比赛取消了。         ->  下雨 / 比赛取消了。         因为…所以 (cause)

1. a sentence that begins with a marker and follows another one in its paragraph makes a pair with it, the marker taken
   away
2. a marker in two parts makes a pair of its clauses, when the second part stands directly after a comma of that
   sentence
3. a pair becomes a document of two paragraphs, annotated and encoded like any other: shard ``discourse.arrow``
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from data_prep.code_points import HAN
from data_prep.discourse.marker_lists import Marker, MarkerList, after, read_markers, resolve
from data_prep.documents import SEGMENT, Document, Given, Spans
from data_prep.files import sha256_file
from masking.keyed import hash_key

SPLITS = {"train": "discourse", "heldout": "discourse_heldout"}
"""Where the pairs of a document go, by its own split."""
MAX_CLASSES = 32767
WORD = re.compile(f"{HAN.pattern}|[^\\W{HAN.pattern[1:-1]}_]+")
OPENERS = "\"'“‘《〈「『（("


class DiscoursePair(NamedTuple):
    """Two texts and what joined them."""

    document: Document
    """Both as two paragraphs, with their places as spans of level ``segment``; the type of these is the class."""
    name: str
    """Name of the class."""
    key: int
    """Hash of class and texts."""


@dataclass(frozen=True, kw_only=True)
class Discourse:
    """Finds pairs of sentences that a discourse marker joins."""

    markers: list[str] = field(default_factory=lambda: ["zh", "en"])
    """Marker files, `zh` and `en` for the lists that come with kmask: `marker<TAB>sense` a line (see
    marker_lists.py)."""
    label: str = "marker"
    """What the classes are: each `marker`, or its `sense`."""
    min_words: int = 4
    """Shortest part of a pair; a Han character counts as a word."""
    max_words: int = 100
    """Longest part of a pair, in the same words."""
    cap: int = 0
    """Pairs kept of each class, chosen by hash; 0 keeps all. Needs one more pass over the corpus."""
    on_malformed: str = "refuse"
    """`refuse`: a malformed line of a marker file ends the run; `skip`: it is left out and counted."""

    def __post_init__(self) -> None:
        if not self.markers:
            raise ValueError("markers: give at least one file, or zh, en")
        if self.label not in ("marker", "sense"):
            raise ValueError(f"label: {self.label!r} is not one of marker, sense")
        if not 1 <= self.min_words <= self.max_words:
            raise ValueError(f"min_words: {self.min_words} must lie between 1 and max_words ({self.max_words})")
        if self.cap < 0:
            raise ValueError(f"cap: {self.cap} must be 0 (keep all) or more")
        if self.on_malformed not in ("refuse", "skip"):
            raise ValueError(f"on_malformed: {self.on_malformed!r} is not one of refuse, skip")

    @cached_property
    def marker_list(self) -> MarkerList:
        """The markers.

        Raises:
            ValueError, OSError: a file is missing or not what it should be.
        """
        return read_markers(self.markers, skip_malformed=self.on_malformed == "skip")

    @cached_property
    def classes(self) -> list[str]:
        """Names of all classes, in the order of the files.

        Raises:
            ValueError: too many, or senses are wanted and a marker has none.
        """
        names = [marker.name for marker in self.marker_list.markers]
        if self.label == "sense":
            without = [marker.name for marker in self.marker_list.markers if not marker.sense]
            if without:
                raise ValueError(
                    f"label: sense, but {len(without)} marker(s) have none, first {without[0]!r}. Add it in a second "
                    "column, or use label: marker."
                )
            names = list(dict.fromkeys(marker.sense for marker in self.marker_list.markers))
        if len(names) > MAX_CLASSES:
            raise ValueError(f"markers: {len(names)} classes are too many; at most {MAX_CLASSES} fit")
        return names

    def fingerprint(self) -> dict[str, Any]:
        """What decides the pairs."""
        settings = {
            "label": self.label,
            "min_words": self.min_words,
            "max_words": self.max_words,
            "cap": self.cap,
            "on_malformed": self.on_malformed,
        }
        return {**settings, "files": [sha256_file(resolve(path)) for path in self.markers], "rules": 1}

    def pairs(
        self, document: Document, sentences_S2: Spans, paragraph_ends_P: npt.NDArray[np.int64]
    ) -> Iterator[DiscoursePair]:
        """The pairs of a document, in order; none of a document that is a labelled pair itself."""
        if SEGMENT in document.given:
            return
        text, known = document.text, self.marker_list
        firsts = {0, *paragraph_ends_P.tolist()}
        sentences = sentences_S2.tolist()
        for index, (start, end) in enumerate(sentences):
            found = known.at(text, start, end)
            if found is None:
                continue
            if found.single and index not in firsts:
                rest = after(text, start + len(found.surface), end)[0]
                yield from self._pair(document, sentences[index - 1], (rest, end), found.single)
            if found.seconds and (split := known.split(text, start, end, found)):
                yield from self._pair(document, split.first, split.second, split.marker)

    def _pair(
        self, document: Document, first: tuple[int, int], second: tuple[int, int], marker: Marker
    ) -> Iterator[DiscoursePair]:
        text = document.text
        pieces = [text[start:end] for start, end in (first, second)]
        if not all(self.min_words <= len(WORD.findall(piece)) <= self.max_words for piece in pieces):
            return
        if not all(piece[0].isalnum() or piece[0] in OPENERS for piece in pieces):
            return
        name = marker.name if self.label == "marker" else marker.sense
        shift = len(pieces[0]) + 2
        given: dict[str, list[Given]] = {
            SEGMENT: [Given(0, len(pieces[0]), name), Given(shift, shift + len(pieces[1]), name)]
        }
        for level, spans in document.given.items():
            moved = [Given(s - first[0], e - first[0], kind) for s, e, kind in spans if first[0] <= s and e <= first[1]]
            given[level] = moved + [
                Given(s - second[0] + shift, e - second[0] + shift, kind)
                for s, e, kind in spans
                if second[0] <= s and e <= second[1]
            ]
        yield DiscoursePair(
            document=Document(
                id=f"{document.id}#{second[0]}",
                language=document.language,
                text="\n\n".join(pieces),
                title=document.title,
                source=document.source,
                given=given,
            ),
            name=name,
            key=hash_key("discourse", name, *pieces),
        )
