"""Whole words, phrases or entities: a unit is hidden completely or not at all (ERNIE 1.0, Sun et al. 2019, section
3.2).

Budget and corruption are kmask's defaults: every unit equally often whatever its length, replaced as a whole. The
released programs differ: Google's whole-word script (`configs/pretrain/whole_word.yaml` here) passes over the word
that would cross the budget and draws 80/10/10 for each token; ERNIE 1.0's is the strategy ``ernie1``.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import ClassVar

import numpy as np
import numpy.typing as npt

from masking.budget import Budget
from masking.selection import select_units
from masking.spans import Keys, Spans, Units
from masking.strategies import Strategy


@dataclass(frozen=True, kw_only=True)
class WholeUnit(Strategy):
    """Units of the given levels, every one as likely as any other; a token in none of them is a unit of its own."""

    OURS: ClassVar[tuple[str, ...]] = ("budget", "corruption")
    PAPER: ClassVar[str] = "ERNIE 1.0, Sun et al. 2019, section 3.2; whole-word masking, Cui et al. 2021"

    units: list[str] = field(default_factory=lambda: ["entity", "phrase", "word"])
    """Levels in order of precedence: a unit that meets one of an earlier level is none, its other tokens are left to
    later levels. One alone is allowed."""
    pieces: bool = False
    """A unit that meets one of an earlier level keeps its longest free piece as a unit, instead of being none."""

    def __post_init__(self) -> None:
        if not self.units or len(set(self.units)) < len(self.units):
            raise ValueError(f"units: {self.units} must name at least one level, each once")

    def levels(self) -> Iterable[str]:
        return self.units

    def select(self, units: Units, budget: Budget, keys_S: Keys, progress_S: npt.NDArray[np.float64]) -> Spans:
        return select_units(units, self.units, budget, keys_S, self.pieces)
