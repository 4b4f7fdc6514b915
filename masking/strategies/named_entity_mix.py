"""Half of the draws are entities, half are random words (SpanBERT's comparison of schemes, Joshi et al. 2020, section
5.1).

A draw that finds none in its sample is a random word. SpanBERT's released program draws spans of geometric length
instead of words: ``max_words: 10``. SpanBERT found its units with spaCy; here they are the level of the prepared
data.
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
class NamedEntityMix(Strategy):
    """Entities and random words in turn, by chance."""

    PAPER: ClassVar[str] = "SpanBERT, Joshi et al. 2020, section 5.1"
    RULES: ClassVar[tuple[str, ...]] = TOKEN_RULES

    share: float = 0.5
    """Chance that a draw is a unit of the level."""
    level: str = "entity"
    """The level of the entities."""
    p: float = 0.2
    """Parameter of the geometric law of the other spans."""
    max_words: int = 1
    """Longest other span in words."""
    across_sentences: bool = True
    """May an other span run over the end of a sentence?"""

    def __post_init__(self) -> None:
        if not 0 < self.share <= 1:
            raise ValueError(f"share: {self.share} must lie above 0 and be at most 1")
        _ = self.cumulative_L

    @cached_property
    def cumulative_L(self) -> Law:
        """Cumulative law of the lengths 1 .. max_words."""
        return geometric_law(self.p, self.max_words)

    def levels(self) -> Iterable[str]:
        return (self.level, "word")

    def select(self, units: Units, budget: Budget, keys_S: Keys, progress_S: npt.NDArray[np.float64]) -> Spans:
        return select_spans(units, budget, keys_S, self.cumulative_L, self.across_sentences, self.level, self.share)

    def budget(self) -> Budget:
        return Budget(rule="cut")

    def corruption(self) -> Corruption:
        return Corruption(per="span", pool="corpus")
