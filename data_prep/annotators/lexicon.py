"""Units from a word list: every occurrence, leftmost-longest, over the raw text, none that cuts a word unless it is
asked for.

    北京大学<TAB>ORG            ->  "他在北京大学读书" has the entity [2, 6) ORG
    上地<TAB>LOC               ->  "以上|地方" has none: both 以上 and 地方 would be cut; it is counted as refused

The formats of the files are those of data_prep/word_lists/lexicons.py. A line that is none of them stops the run with
file and line, unless ``on_malformed: skip`` is set.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from data_prep.annotators import Annotator, FoundUnits, Together
from data_prep.blocks import Block
from data_prep.documents import Document, Label, Spans, Units
from data_prep.files import sha256_file
from data_prep.trie import Trie, pair_bits
from data_prep.word_lists.lexicons import FORMATS, Entries, load_entries

BOUNDARIES = ("words", "inside", "any")
"""What a match may do to the segmenter's words, from nothing at all to everything."""


@dataclass(frozen=True, kw_only=True)
class Lexicon(Annotator):
    """Units listed in files."""

    paths: list[str]
    """Lexicon files (.gz, .zst, .bz2, .xz are read as they are)."""
    type: str = ""
    """Type of entries whose line names none, for example `LOC`."""
    origin: str = "lexicon"
    """Who vouches for the entries: `lexicon`, `user` or `mined`."""
    min_characters: int = 2
    """Shorter entries are left out."""
    min_frequency: float = 0
    """Entries that their list has seen less often are left out (its own counts; entries without a count stay)."""
    format: str = "auto"
    """`txt`, `tsv`, `userdict` (jieba's), `patterns` (spaCy's EntityRuler), `mined`, or `auto` (see
    data_prep/word_lists/lexicons.py)."""
    boundaries: str = "inside"
    """`words`: both edges of a match are edges of the segmenter's words; `inside`: it may also lie inside one word
    (法院 in 人民法院); `any`: it may cross words (上地 in 以上|地方). Where the longest match is refused, a shorter one
    at its place is tried; refused ones are counted."""
    on_malformed: str = "refuse"
    """`refuse`: a malformed line ends the run; `skip`: it is left out and counted."""

    def __post_init__(self) -> None:
        super().__post_init__()
        if not self.paths:
            raise ValueError("paths: give at least one lexicon file")
        if self.on_malformed not in ("refuse", "skip"):
            raise ValueError(f"on_malformed: {self.on_malformed!r} is not one of refuse, skip")
        if self.origin not in ("lexicon", "user", "mined"):
            raise ValueError(f"origin: {self.origin!r} is not one of lexicon, user, mined")
        if self.format not in FORMATS:
            raise ValueError(f"format: {self.format!r} is not one of {', '.join(FORMATS)}")
        if not 0 <= self.min_frequency < math.inf:
            raise ValueError(f"min_frequency: {self.min_frequency} must be 0 or more")
        if self.boundaries not in BOUNDARIES:
            raise ValueError(f"boundaries: {self.boundaries!r} is not one of {', '.join(BOUNDARIES)}")
        if self.min_characters < 1:
            raise ValueError(f"min_characters: {self.min_characters} must be at least 1")

    @cached_property
    def _entries(self) -> Entries:
        rules: dict[str, Any] = {
            "min_characters": self.min_characters,
            "min_frequency": self.min_frequency,
            "on_malformed": self.on_malformed,
        }
        return load_entries(self.paths, default_type=self.type, format=self.format, **rules)

    @property
    def malformed(self) -> list[str]:
        """Lines left out under ``on_malformed: skip``."""
        return self._entries.malformed

    def labels(self) -> list[Label]:
        return [Label(kind, self.origin) for kind in sorted(set(self._entries.types))]

    def annotate(self, document: Document, sentences_S2: Spans) -> Units:
        return self._alone(Block([document]), sentences_S2, np.zeros((0, 2), np.int32))[0].units

    @cached_property
    def _alone(self) -> Together:
        return self.together([self])

    @classmethod
    def together(cls, annotators: Sequence[Annotator]) -> Together:
        return Matcher.of([annotator for annotator in annotators if isinstance(annotator, Lexicon)]).find_all

    def fingerprint(self) -> dict[str, Any]:
        return {
            "kind": "lexicon",
            "level": self.level,
            "type": self.type,
            "origin": self.origin,
            "min_characters": self.min_characters,
            "min_frequency": self.min_frequency,
            "format": self.format,
            "boundaries": self.boundaries,
            "files": [sha256_file(Path(path)) for path in self.paths],
        }


@dataclass(frozen=True, kw_only=True)
class Matcher:
    """All entries of several lexicons as one trie, so that a text is walked once.

    An entry that begins or ends with a Latin letter or digit must not begin or end inside a Latin word: ``Rome`` is not
    in ``Romeo``. Within a lexicon the longest entry at the leftmost place wins.
    """

    trie: Trie
    label_EG: npt.NDArray[np.int16]
    """Label of an entry in each lexicon, -1 where it is not listed."""
    first_C: npt.NDArray[np.int32]
    """Node of each character below 65536 under the root, -1 where no entry begins with it."""
    pairs_B: npt.NDArray[np.uint8]
    """A bit for the first two characters of every entry (see kernels.py)."""
    latin_C: npt.NDArray[np.bool_]
    most_G: npt.NDArray[np.int8]
    """For each lexicon, what its matches may do to words: an index into BOUNDARIES."""

    @staticmethod
    def of(lexicons: Sequence[Lexicon]) -> Matcher:
        """All entries of ``lexicons``; a few seconds for a million of them."""
        number: dict[str, int] = {}
        for lexicon in lexicons:
            for surface in lexicon._entries.surfaces:
                number.setdefault(surface, len(number))
        label_EG = np.full((len(number), len(lexicons)), -1, np.int16)
        for group, lexicon in enumerate(lexicons):
            kinds = {label.type: index for index, label in enumerate(lexicon.labels())}
            for surface, kind in zip(lexicon._entries.surfaces, lexicon._entries.types, strict=True):
                label_EG[number[surface], group] = kinds[kind]
        return Matcher.over(list(number), label_EG, [lexicon.boundaries for lexicon in lexicons])

    @staticmethod
    def over(surfaces: Sequence[str], label_EG: npt.NDArray[np.int16], boundaries: Sequence[str] = ()) -> Matcher:
        """A matcher of distinct surfaces, labelled in each group of entries, whose ``boundaries`` are `any` by
        default."""
        trie = Trie.build(surfaces)
        latin_C = np.array([chr(point).isalnum() for point in range(0x370)])
        most_G = np.array([BOUNDARIES.index(name) for name in boundaries or ["any"] * label_EG.shape[1]], np.int8)
        return Matcher(
            trie=trie,
            label_EG=label_EG,
            first_C=trie.first(),
            pairs_B=pair_bits(surfaces),
            latin_C=latin_C,
            most_G=most_G,
        )

    def find(self, document: Document, sentences_S2: Spans, words_W2: Spans) -> list[FoundUnits]:
        """What each lexicon finds in the document, and what it refuses because of the words."""
        return self.find_all(Block([document]), sentences_S2, words_W2)

    def find_all(self, block: Block, sentences_S2: Spans, words_W2: Spans) -> list[FoundUnits]:
        """The same in several documents, over the characters of all of them."""
        from data_prep import kernels

        trie = self.trie
        start_M, end_M, label_M, offsets_F1 = kernels.match(
            block.characters_N, block.offsets_D1, self.latin_C, self.first_C, self.pairs_B,
            trie.keys_H, trie.children_H, trie.value_N, self.label_EG, trie.shift, words_W2, self.most_G,
        )  # fmt: skip
        bounds = offsets_F1.tolist()
        units = [Units(start_M[first:last], end_M[first:last], label_M[first:last]) for first, last in pairwise(bounds)]
        groups = len(units) // 2
        return [FoundUnits(taken, refused) for taken, refused in zip(units[:groups], units[groups:], strict=True)]
