"""The one type that masking is about: ragged intervals of a batch, flattened.

A batch is one flat array of T tokens in which S samples lie one after another. All positions here are positions in that array.

    tokens     [CLS] 他 在 北 京 大 学 [SEP]      T = 8, one sample [0, 8)
    units      entity [3, 7)   word [3, 5) [5, 7)
    maskable      0  1  1  1  1  1  1   0
    partition([entity, phrase, word])  ->  [1,2) [2,3) [3,7)   kind 0 0 3

``Units.partition`` divides the maskable tokens into what may be hidden together. ``kind`` is the precedence of the level a unit came
from: 0 is a single token that belongs to no unit.

Shape legend: T tokens, S samples, U units of a level, N spans.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt

Int = npt.NDArray[np.int32]
Byte = npt.NDArray[np.uint8]
Keys = npt.NDArray[np.uint64]

KINDS = ("character", "word", "phrase", "entity")
"""Kinds of the built-in levels, lowest precedence first; levels of your own count as phrases."""


def kind_of(level: str) -> int:
    """The kind of a level's units: its index in KINDS."""
    return KINDS.index(level) if level in KINDS else KINDS.index("phrase")


@dataclass(frozen=True, kw_only=True)
class Units:
    """What may be hidden in a batch: where samples lie, which tokens are real text, and the units of every level."""

    sample_start_S: Int
    sample_end_S: Int
    maskable_T: npt.NDArray[np.bool_]
    """False for special tokens and padding."""
    levels: Mapping[str, tuple[Int, Int]]
    """(start_U, end_U) of each level, sorted by start, disjoint, each inside one sample and free of special tokens."""

    def take(self, samples: npt.NDArray[np.int64]) -> Units:
        """The same batch with only these samples to choose from."""
        return replace(self, sample_start_S=self.sample_start_S[samples], sample_end_S=self.sample_end_S[samples])

    def partition(self, levels: Sequence[str]) -> tuple[Int, Byte]:
        """Divide the maskable tokens into units by precedence: the first of ``levels`` that covers a token owns it.

        Returns:
            unit_end_T: for the first token of a unit the position one past its last token; 0 elsewhere.
            kind_T: the kind of the unit each token belongs to.
        """
        from masking import kernels

        missing = [level for level in levels if level not in self.levels]
        if missing:
            raise ValueError(f"level {missing[0]!r} is not in the data; it has {', '.join(self.levels) or 'none'}")
        unit_end_T = np.zeros(len(self.maskable_T), np.int32)
        kind_T = np.zeros(len(self.maskable_T), np.uint8)
        owned_T = np.zeros(len(self.maskable_T), np.bool_)
        for level in levels:
            start_U, end_U = self.levels[level]
            kernels.paint(start_U, end_U, kind_of(level), self.maskable_T, owned_T, unit_end_T, kind_T)
        kernels.paint_rest(self.maskable_T, owned_T, unit_end_T)
        return unit_end_T, kind_T

    def kinds(self) -> Byte:
        """The kind of every token by full precedence entity > phrase > own levels > word > character."""
        order = [level for level in ("entity", "phrase") if level in self.levels]
        order += [level for level in self.levels if level not in ("entity", "phrase", "word")]
        order += ["word"] if "word" in self.levels else []
        return self.partition(order)[1]


@dataclass(frozen=True)
class Spans:
    """Chosen intervals ``[start, end)`` with the sample each lies in, sorted by start."""

    sample_N: Int
    start_N: Int
    end_N: Int

    def __len__(self) -> int:
        return len(self.start_N)

    @property
    def tokens(self) -> int:
        """Number of positions covered."""
        return int((self.end_N - self.start_N).sum())

    @staticmethod
    def join(parts: Sequence[Spans]) -> Spans:
        """Several span sets over the same batch as one, sorted by start."""
        if not parts:
            return Spans(np.zeros(0, np.int32), np.zeros(0, np.int32), np.zeros(0, np.int32))
        sample, start, end = (np.concatenate([getattr(part, name) for part in parts]) for name in ("sample_N", "start_N", "end_N"))
        order = np.argsort(start, kind="stable")
        return Spans(sample[order], start[order], end[order])
