"""Words that belong together are hidden together (PMI-Masking, Levine et al. 2021): mined collocations are units.

Collocations come from the corpus itself: mine them, review the file, prepare with it as a lexicon, name its level here.

    kmask lexicon mine data.yaml -o mined.tsv       words scored by NPMI and branching entropy
    annotators: [{kind: lexicon, level: collocation, origin: mined, paths: [mined.tsv]}]       in the data configuration
    masking: {strategy: {kind: pmi, level: collocation}}
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import ClassVar

import numpy as np
import numpy.typing as npt

from masking.budget import Budget
from masking.corruption import Corruption
from masking.selection import select_units
from masking.spans import Keys, Spans, Units
from masking.strategies import Strategy


@dataclass(frozen=True, kw_only=True)
class Pmi(Strategy):
    """Collocations, and whole words or single tokens where there is none."""

    PAPER: ClassVar[str] = "PMI-Masking, Levine et al. 2021"

    level: str = "phrase"
    """The level of the mined collocations."""
    whole_words: bool = True
    """Outside collocations: whole words; false: single tokens."""

    def levels(self) -> Iterable[str]:
        return (self.level, "word") if self.whole_words and self.level != "word" else (self.level,)

    def select(self, units: Units, budget: Budget, keys_S: Keys, progress_S: npt.NDArray[np.float64]) -> Spans:
        return select_units(units, tuple(self.levels()), budget, keys_S)

    def corruption(self) -> Corruption:
        return Corruption(per="token")
