"""The one type that masking is about: ragged intervals of a batch, flattened.

A batch is one flat array of T tokens in which S samples lie one after another. All positions here are positions in
that array.

    tokens     [CLS] 他 在 北 京 大 学 [SEP]      T = 8, one sample [0, 8)
    units      entity [3, 7)   word [3, 5) [5, 7)
    maskable      0  1  1  1  1  1  1   0
    partition([entity, phrase, word])  ->  [1,2) [2,3) [3,7)   kind 0 0 3

``Units.partition`` divides the maskable tokens into what may be hidden together; a unit that meets one of a higher
level is none. ``kind`` is the precedence of the level a unit came from: 0 is a single token that belongs to no unit.

Shape legend: T tokens, S samples, U units of a level, N spans.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

Int = npt.NDArray[np.int32]
Byte = npt.NDArray[np.uint8]
Keys = npt.NDArray[np.uint64]
Flags = npt.NDArray[np.bool_]
NONE: Int = np.zeros(0, np.int32)

KINDS = ("character", "word", "phrase", "entity")
"""Kinds of the built-in levels, lowest precedence first; levels of your own count as phrases."""


def kind_of(level: str) -> int:
    """The kind of a level's units: its index in KINDS; part of a level has its kind."""
    name = Part.of(level).level
    return KINDS.index(name) if name in KINDS else KINDS.index("phrase")


class Part(NamedTuple):
    """Part of the units of a level by its name: `entity:DATE` of one type, `word@zh` of one language,
    `entity:DATE@zh` of both."""

    level: str
    type: str
    """Empty: any."""
    language: str
    """Empty: any."""

    @staticmethod
    def of(name: str) -> Part:
        """What a name of a level means."""
        typed, _, language = name.partition("@")
        level, _, label = typed.partition(":")
        return Part(level, label, language)


def parts(levels: Iterable[str]) -> tuple[str, ...]:
    """Of these names those that are part of a level."""
    return tuple(name for name in levels if Part.of(name).level != name)


def precedence(levels: Iterable[str]) -> list[str]:
    """Levels by full precedence: entity > phrase > own levels > word. Parts of a level are units of it already."""
    named = [level for level in levels if Part.of(level).level == level]
    own = [level for level in named if level not in KINDS]
    return [level for level in ("entity", "phrase", *own, "word") if level in named]


@dataclass(frozen=True, kw_only=True)
class Units:
    """What may be hidden in a batch: where samples lie, which tokens are real text, and the units of every level."""

    sample_start_S: Int
    sample_end_S: Int
    maskable_T: Flags
    """False for special tokens and padding."""
    levels: Mapping[str, tuple[Int, Int]]
    """(start_U, end_U) of each level, sorted by start, disjoint, each inside one sample and free of special tokens."""
    sentence_start_T: Flags | None = None
    """True where a sentence begins; None: not known, every text is one sentence."""
    weights: Mapping[str, npt.NDArray[np.float32]] = field(default_factory=dict)
    """How telling each unit of a level is (float32[U], above 0), for strategies that ask for it."""
    _divided: dict[tuple[tuple[str, ...], bool], tuple[Int, Byte]] = field(
        default_factory=dict, init=False, repr=False, compare=False
    )
    """Partitions found so far."""

    def take(self, samples: npt.NDArray[np.int64]) -> Units:
        """The same batch with only these samples to choose from."""
        part = replace(self, sample_start_S=self.sample_start_S[samples], sample_end_S=self.sample_end_S[samples])
        object.__setattr__(part, "_divided", self._divided)  # tokens and levels are the same
        return part

    def breaks(self, across_sentences: bool) -> Flags:
        """Tokens that no span may run into from before: starts of sentences, or none."""
        if across_sentences or self.sentence_start_T is None:
            return np.zeros(len(self.maskable_T), np.bool_)
        return self.sentence_start_T

    def level(self, name: str) -> tuple[Int, Int]:
        """(start_U, end_U) of a level; `character` is every token that may be hidden by itself, whatever units hold it.

        Raises:
            ValueError: the data do not have it.
        """
        if name == KINDS[0]:
            start_U = np.flatnonzero(self.maskable_T).astype(np.int32)
            return start_U, start_U + np.int32(1)
        if name not in self.levels:
            raise ValueError(f"level {name!r} is not in the data; it has {', '.join(self.levels) or 'none'}")
        return self.levels[name]

    def partition(self, levels: Sequence[str], pieces: bool = False) -> tuple[Int, Byte]:
        """Divide the maskable tokens into units by precedence: units of the first level, then of the next where all
        of their tokens are free ...

        Args:
            pieces: a unit that meets a higher one keeps its longest free piece, instead of being none.

        Returns (found once, so copy before you change them):
            unit_end_T: for the first token of a unit the position one past its last token; 0 elsewhere.
            kind_T: the kind of the unit each token belongs to.
        """
        from masking import kernels

        name = (tuple(levels), pieces)
        if name not in self._divided:
            found = [self.level(level) for level in levels]
            start_U, end_U = (np.concatenate([NONE, *(pair[side] for pair in found)]) for side in (0, 1))
            last_L = np.cumsum([len(pair[0]) for pair in found], dtype=np.int64)
            kind_L = np.array([kind_of(level) for level in levels], np.uint8)
            divide = kernels.partition_pieces if pieces else kernels.partition
            self._divided[name] = divide(start_U, end_U, kind_L, last_L, self.maskable_T)
        return self._divided[name]

    def kinds(self) -> Byte:
        """The kind of every token by full precedence entity > phrase > own levels > word > character."""
        return self.partition(precedence(self.levels))[1]


@dataclass(frozen=True)
class Spans:
    """Chosen units ``[start, end)`` with the sample each lies in, sorted by start and disjoint. A span of several
    words is several units."""

    sample_N: Int
    start_N: Int
    end_N: Int

    def __len__(self) -> int:
        return len(self.start_N)

    @property
    def tokens(self) -> int:
        """Number of positions covered."""
        return int((self.end_N - self.start_N).sum())

    def take(self, kept_N: npt.NDArray[Any]) -> Spans:
        """Some of the units, by a mask or by numbers in order."""
        return Spans(self.sample_N[kept_N], self.start_N[kept_N], self.end_N[kept_N])

    @staticmethod
    def join(parts: Sequence[Spans]) -> Spans:
        """Several span sets over the same batch as one, sorted by start."""
        if not parts:
            return Spans(NONE, NONE, NONE)
        sample, start, end = (
            np.concatenate([getattr(part, name) for part in parts]) for name in ("sample_N", "start_N", "end_N")
        )
        order = np.argsort(start, kind="stable")
        return Spans(sample[order], start[order], end[order])
