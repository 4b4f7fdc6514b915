"""N-grams of whole words (Megatron-LM, PaddleNLP, MacBERT): words in random order, each the beginning of an n-gram.

    words 使用 语言 模型 来 预测   begin at 语言, n = 2   ->   语言 模型

Sentence ends do not stop an n-gram, as in Megatron-LM and PaddleNLP, whose candidates know no sentences: stopped
there, the first words of every sentence are hidden less often than others, because fewer n-grams reach them. The
first words of a sample still are, in those programs too. An n-gram that meets a hidden word is passed over, as in the
shared Python code of Megatron-LM; with ``rule: skip`` it is also shortened until it fits the budget, as there; with
``rule: accept`` one that would cross the budget is taken with probability left / length. Where fewer words follow,
the law is renormalised over what there is.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from functools import cached_property
from typing import ClassVar

import numpy as np
import numpy.typing as npt

from masking.budget import RULES, Budget
from masking.corruption import Corruption
from masking.selection import Law, cumulative
from masking.spans import Keys, Spans, Units
from masking.strategies import Strategy

LAWS = ("inverse", "longer", "macbert")


@dataclass(frozen=True, kw_only=True)
class Ngram(Strategy):
    """Runs of 1 to ``max_words`` whole words."""

    PAPER: ClassVar[str] = "Megatron-LM, Shoeybi et al. 2019; PaddleNLP ernie-1.0; laws of ALBERT and MacBERT"
    RULES: ClassVar[tuple[str, ...]] = RULES[:-1]

    law: str = "inverse"
    """Chances of n = 1, 2 ...: `inverse` proportional to 1/n, `longer` the same backwards, `macbert` 40, 30, 20, 10
    %."""
    max_words: int = 3
    """Longest n-gram in words."""
    shares: list[float] = field(default_factory=list)
    """Chances of your own instead of a law, for n = 1, 2 ...; they need not sum to 1."""
    across_sentences: bool = True
    """May an n-gram run over the end of a sentence? (Megatron-LM, PaddleNLP: yes.) It never runs over a special
    token."""

    def __post_init__(self) -> None:
        if self.law not in LAWS:
            raise ValueError(f"law: {self.law!r} is not one of {', '.join(LAWS)}")
        if self.max_words < 1:
            raise ValueError(f"max_words: {self.max_words} must be at least 1")
        if self.law == "macbert" and not self.shares and self.max_words > 4:
            raise ValueError(f"max_words: {self.max_words}, but the law `macbert` has four numbers; give `shares`")
        if self.shares and not (
            all(share >= 0 for share in self.shares) and 0 < sum(self.shares) < np.inf and self.shares[0] > 0
        ):
            raise ValueError(f"shares: {self.shares} must be non-negative, the first above 0")

    @cached_property
    def cumulative_L(self) -> Law:
        """Cumulative law of n."""
        if self.shares:
            return cumulative(self.shares)
        inverse = 1.0 / np.arange(1, self.max_words + 1)
        return cumulative(
            {"inverse": inverse, "longer": inverse[::-1], "macbert": np.array([0.4, 0.3, 0.2, 0.1])[: self.max_words]}[
                self.law
            ]
        )

    def levels(self) -> Iterable[str]:
        return ("word",)

    def select(self, units: Units, budget: Budget, keys_S: Keys, progress_S: npt.NDArray[np.float64]) -> Spans:
        return select_ngrams(units, budget, keys_S, self.cumulative_L, self.across_sentences)

    def budget(self) -> Budget:
        return Budget(rule="skip")

    def corruption(self) -> Corruption:
        return Corruption(per="token")


def select_ngrams(units: Units, budget: Budget, keys_S: Keys, cumulative_L: Law, across_sentences: bool) -> Spans:
    """The draw itself, with any law."""
    from masking import kernels

    unit_end_T, _ = units.partition(("word",))
    where = (
        units.sample_start_S,
        units.sample_end_S,
        units.maskable_T,
        unit_end_T,
        units.breaks(across_sentences),
        keys_S,
    )
    return Spans(*kernels.select_ngrams(*where, budget.rate, budget.code, budget.at_least_one, cumulative_L))
