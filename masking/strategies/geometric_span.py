"""Random spans of whole words with geometric length (SpanBERT, Joshi et al. 2020, section 3.1).

The length law is truncated at ``max_words`` and renormalised, not clipped: with p = 0.2 and 10 words its mean is 3.80 and
P(10) = 0.030.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import numpy.typing as npt

from masking.budget import Budget
from masking.spans import Keys, Spans, Units
from masking.strategies import Strategy


@dataclass(frozen=True, kw_only=True)
class GeometricSpan(Strategy):
    """Spans of 1 to ``max_words`` whole words, anchored at a uniformly drawn token."""

    p: float = 0.2
    """Parameter of the geometric law."""
    max_words: int = 10
    """Longest span in words."""

    def __post_init__(self) -> None:
        if not 0 < self.p < 1:
            raise ValueError(f"p: {self.p} must lie between 0 and 1")
        if self.max_words < 1:
            raise ValueError(f"max_words: {self.max_words} must be at least 1")

    @cached_property
    def cumulative_L(self) -> npt.NDArray[np.float64]:
        """Cumulative law of the lengths 1 .. max_words."""
        weights = self.p * (1 - self.p) ** np.arange(self.max_words)
        cumulative = np.cumsum(weights / weights.sum())
        cumulative[-1] = 1.0
        return cumulative

    def levels(self) -> Iterable[str]:
        return ("word",)

    def select(self, units: Units, budget: Budget, keys_S: Keys, progress_S: npt.NDArray[np.float64]) -> Spans:
        from masking import kernels

        unit_end_T, _ = units.partition(("word",))
        arguments = (units.sample_start_S, units.sample_end_S, units.maskable_T, unit_end_T, keys_S, budget.rate, budget.code)
        return Spans(*kernels.select_spans(*arguments, self.cumulative_L))
