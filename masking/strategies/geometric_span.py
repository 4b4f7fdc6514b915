"""Random spans of whole words with geometric length (SpanBERT, Joshi et al. 2020, section 3.1).

The length law is truncated at ``max_words`` and renormalised, not clipped: with p = 0.2 and 10 words its mean is 3.80
and P(10) = 0.030. A span begins with the word of a uniformly drawn token and may run into hidden words. With ``rule:
accept`` a span that would cross the budget is taken with probability left / length.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from functools import cached_property
from typing import ClassVar

import numpy as np
import numpy.typing as npt

from masking.budget import TOKEN_RULES, Budget
from masking.corruption import Corruption
from masking.selection import Law, geometric_law, select_spans
from masking.spans import Keys, Spans, Units
from masking.strategies import Strategy


@dataclass(frozen=True, kw_only=True)
class GeometricSpan(Strategy):
    """Spans of 1 to ``max_words`` whole words, anchored at a uniformly drawn token."""

    PAPER: ClassVar[str] = "SpanBERT, Joshi et al. 2020, section 3.1"
    RULES: ClassVar[tuple[str, ...]] = TOKEN_RULES

    p: float = 0.2
    """Parameter of the geometric law."""
    max_words: int = 10
    """Longest span in words."""
    across_sentences: bool = True
    """May a span run over the end of a sentence? (SpanBERT: yes.) It never runs over a special token."""

    def __post_init__(self) -> None:
        _ = self.cumulative_L

    @cached_property
    def cumulative_L(self) -> Law:
        """Cumulative law of the lengths 1 .. max_words."""
        return geometric_law(self.p, self.max_words)

    def levels(self) -> Iterable[str]:
        return ("word",)

    def select(self, units: Units, budget: Budget, keys_S: Keys, progress_S: npt.NDArray[np.float64]) -> Spans:
        return select_spans(units, budget, keys_S, self.cumulative_L, self.across_sentences)

    def budget(self) -> Budget:
        return Budget(rule="cut")

    def corruption(self) -> Corruption:
        return Corruption(per="span", pool="corpus")
