"""ERNIE 1.0's rule as released (Sun et al. 2019, section 3.2): every unit is hidden with probability 0.15 by itself,
tokens replaced one by one.

The paper trains in stages, basic units, then phrases, then entities:

    kind: ernie1
    stages:
      - {until: 0.33, units: []}                          single tokens: Chinese characters (English: [word])
      - {until: 0.67, units: [phrase, word]}
      - {until: 1.0, units: [entity, phrase, word]}

The released program had one stage with the units of its segmenter, and hid a whole file either by units or by single
tokens (``mask_word_prob``); here that coin is thrown for each sample (``unit_share``), so that small corpora do not
swing between the two.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import ClassVar

import numpy as np
import numpy.typing as npt

from masking.budget import Budget
from masking.corruption import Corruption
from masking.keyed import combine_array, uniform_array
from masking.selection import select_units
from masking.spans import Keys, Spans, Units
from masking.strategies import Strategy

MODE = 0x65726E
"""Separates the coin of units or single tokens from the draws of selection."""


@dataclass(frozen=True, kw_only=True)
class KnowledgeStage:
    """The units of a stretch of training."""

    until: float
    """Share of the planned steps, 0 to 1; the last stage ends at 1."""
    units: list[str]
    """Levels in order of precedence; none: single tokens."""

    def __post_init__(self) -> None:
        if not 0 < self.until <= 1:
            raise ValueError(f"until: {self.until} must lie in (0, 1]")
        if len(set(self.units)) < len(self.units):
            raise ValueError(f"units: {self.units} must name each level once")


@dataclass(frozen=True, kw_only=True)
class Ernie1(Strategy):
    """Independent units, in stages."""

    PAPER: ClassVar[str] = "ERNIE 1.0, Sun et al. 2019, section 3.2, and its released program"

    stages: list[KnowledgeStage] = field(
        default_factory=lambda: [KnowledgeStage(until=1.0, units=["entity", "phrase", "word"])]
    )
    """Which units are hidden when."""
    unit_share: float = 1.0
    """Chance that a sample is hidden by the units of its stage; otherwise by single tokens (released:
    mask_word_prob)."""
    pieces: bool = False
    """A unit that meets one of an earlier level keeps its longest free piece as a unit, instead of being none."""

    def __post_init__(self) -> None:
        ends = [stage.until for stage in self.stages]
        if not ends or ends != sorted(set(ends)) or ends[-1] != 1:
            raise ValueError(f"stages: the ends {ends} must rise and the last must be 1.0")
        if not 0 <= self.unit_share <= 1:
            raise ValueError(f"unit_share: {self.unit_share} must lie in [0, 1]")

    def levels(self) -> Iterable[str]:
        return dict.fromkeys(level for stage in self.stages for level in stage.units)

    def select(self, units: Units, budget: Budget, keys_S: Keys, progress_S: npt.NDArray[np.float64]) -> Spans:
        stage_S = np.minimum(
            np.searchsorted([stage.until for stage in self.stages], progress_S, "right"), len(self.stages) - 1
        )
        single_S = uniform_array(combine_array(keys_S, MODE), 0) >= self.unit_share
        way_S = np.where(single_S, len(self.stages), stage_S)
        parts = []
        for way, levels in enumerate([*(stage.units for stage in self.stages), []]):
            samples = np.flatnonzero(way_S == way)
            if len(samples):
                spans = select_units(units.take(samples), levels, budget, keys_S[samples], self.pieces)
                parts.append(Spans(samples[spans.sample_N].astype(np.int32), spans.start_N, spans.end_N))
        return Spans.join(parts)

    def budget(self) -> Budget:
        return Budget(rule="bernoulli", at_least_one=False)

    def corruption(self) -> Corruption:
        return Corruption(per="token")
