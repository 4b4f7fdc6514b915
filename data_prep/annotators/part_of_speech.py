"""Entity hints from parts of speech: jieba's dictionary marks names of persons, places and organisations.

    他/r 在/p 北京大学/nt 读书/n   ->   [2, 6) ORG, origin `pos`

These are hints, marked as such: a name that is several words is found in part, and a dictionary knows no context. Put
this annotator behind lexicons and recognisers of entities, which then win where they overlap.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

import numpy as np

from data_prep.annotators import Annotator
from data_prep.documents import Document, Label, Spans, Units
from data_prep.tagging.tagging import JIEBA_ENGINES, JIEBA_LANGUAGES, Tagger
from data_prep.word_lists.user_words import TAG_TYPES


@dataclass(frozen=True, kw_only=True)
class PartOfSpeech(Annotator):
    """Words whose part of speech is that of a name."""

    engine: str = "rjieba"
    """`rjieba`, or `jieba` for jieba.posseg (tags chosen in context, some fifty times slower)."""
    types: dict[str, str] = field(default_factory=lambda: dict(TAG_TYPES))
    """The type that a word with this tag becomes; other words are no units. By default nr, nrt, nrfg: PER, ns: LOC, nt:
    ORG, nz: MISC."""
    min_characters: int = 2
    """Shorter words are left out."""
    hmm: bool = True
    """Join unknown characters into words with jieba's hidden Markov model; it finds names of persons that no dictionary
    lists."""
    user_words: list[str] = field(default_factory=list)
    """Dictionary files in jieba's format (`word frequency tag`) whose words and tags are added."""
    languages: list[str] = field(default_factory=lambda: list(JIEBA_LANGUAGES))
    """Documents of other languages are passed over."""

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.engine not in JIEBA_ENGINES:
            raise ValueError(
                f"engine: {self.engine!r} is not one of {', '.join(JIEBA_ENGINES)} (for a spaCy pipeline use "
                "`kind: spacy_pipeline`)"
            )
        if not self.types or not all(self.types.values()):
            raise ValueError("types: give at least one line `tag: TYPE`, and a type for each tag")
        if self.min_characters < 1:
            raise ValueError(f"min_characters: {self.min_characters} must be at least 1")

    @cached_property
    def _tagger(self) -> Tagger:
        return Tagger(engine=self.engine, hmm=self.hmm, user_words=tuple(self.user_words))

    @cached_property
    def _number(self) -> dict[str, int]:
        """Tag -> number of its label."""
        names = [label.type for label in self.labels()]
        return {tag: names.index(kind) for tag, kind in self.types.items()}

    def labels(self) -> list[Label]:
        return [Label(kind, "pos") for kind in sorted(set(self.types.values()))]

    def annotate(self, document: Document, sentences_S2: Spans) -> Units:
        if not self._tagger.reads(document, self.languages):
            return Units.of([])
        start_T, end_T, tags = self._tagger.tag(document, sentences_S2)
        named = [token for token, tag in enumerate(tags) if tag in self._number]
        start_U, end_U = start_T[named], end_T[named]
        long_U = end_U - start_U >= self.min_characters
        return Units(start_U, end_U, np.array([self._number[tags[token]] for token in named], np.uint8))[long_U]

    def fingerprint(self) -> dict[str, Any]:
        settings = {
            "types": dict(sorted(self.types.items())),
            "min_characters": self.min_characters,
            "languages": sorted(self.languages),
        }
        return {"kind": "part_of_speech", "level": self.level, **settings, **self._tagger.fingerprint()}
