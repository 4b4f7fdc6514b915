"""Words are corrected instead of filled in (MacBERT, Cui et al. 2020, section 3.2): similar words stand where [MASK]
would.

15 % of the words, in n-grams of 1 to 4 words (40, 30, 20, 10 %); 80 % become a similar word, 10 % random tokens, 10 %
stay. A word without a similar one becomes random tokens. The model never sees [MASK], so pretraining and fine-tuning
look alike.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import ClassVar

import numpy as np
import numpy.typing as npt

from masking.budget import RULES, Budget
from masking.corruption import Corruption
from masking.selection import cumulative
from masking.spans import Keys, Spans, Units
from masking.strategies import Strategy
from masking.strategies.ngram import select_ngrams

LAW = cumulative([0.4, 0.3, 0.2, 0.1])


@dataclass(frozen=True, kw_only=True)
class MacBert(Strategy):
    """N-grams of whole words, replaced by similar words."""

    PAPER: ClassVar[str] = "MacBERT, Cui et al. 2020, section 3.2"
    RULES: ClassVar[tuple[str, ...]] = RULES[:-1]

    similar_words: str = ""
    """Table of similar words (`word<TAB>similar word`), written by you or by `kmask lexicon similar`."""
    across_sentences: bool = True
    """May an n-gram run over the end of a sentence? (kmask's default, as `ngram`: otherwise the first words of
    sentences are hidden less often.)"""

    def levels(self) -> Iterable[str]:
        return ("word",)

    def select(self, units: Units, budget: Budget, keys_S: Keys, progress_S: npt.NDArray[np.float64]) -> Spans:
        return select_ngrams(units, budget, keys_S, LAW, self.across_sentences)

    def budget(self) -> Budget:
        return Budget(rule="units")

    def corruption(self) -> Corruption:
        return Corruption(mask=0.0, random=0.1, similar=0.8, similar_words=self.similar_words)
