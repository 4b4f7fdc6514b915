"""Words that belong together are hidden together (PMI-Masking, Levine et al. 2021): mined collocations are units.

Collocations come from the corpus itself: mine them, review the file, prepare with it as a lexicon, name its level here.

    kmask lexicon mine data.yaml -o mined.tsv       words scored by NPMI and branching entropy
    annotators: [{kind: lexicon, level: collocation, origin: mined, paths: [mined.tsv]}]       in the data configuration
    masking: {strategy: {kind: pmi, level: collocation}}

Their own measure (the weakest division into parts) and quotas by length are settings of mining:

    kmask lexicon mine data.yaml -o mined.tsv score=pmi_squared quotas=[0.5,0.25,0.125,0.125] min_npmi=-1 min_entropy=0

By the authors' description (section 2 of the README of AI21Labs/pmi-masking) units are sampled uniformly until 15 %
of the tokens are selected, and [MASK], random or original tokens are drawn for each unit; what happens to the unit
that crosses 15 % is not said, so the rule is kmask's default. Of two collocations that overlap, theirs keeps one at
random; here the lexicon keeps the first, and of those that begin together the longest.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import ClassVar

import numpy as np
import numpy.typing as npt

from masking.budget import Budget
from masking.selection import select_units
from masking.spans import Keys, Spans, Units
from masking.strategies import Strategy


@dataclass(frozen=True, kw_only=True)
class Pmi(Strategy):
    """Collocations, and whole words or single tokens where there is none."""

    OURS: ClassVar[tuple[str, ...]] = ("budget",)
    PAPER: ClassVar[str] = "PMI-Masking, Levine et al. 2021"

    level: str = "phrase"
    """The level of the mined collocations."""
    whole_words: bool = True
    """Outside collocations: whole words; false: single tokens."""
    pieces: bool = False
    """A word that meets a collocation keeps its longest free piece as a unit, instead of being none."""

    def levels(self) -> Iterable[str]:
        return (self.level, "word") if self.whole_words and self.level != "word" else (self.level,)

    def select(self, units: Units, budget: Budget, keys_S: Keys, progress_S: npt.NDArray[np.float64]) -> Spans:
        return select_units(units, tuple(self.levels()), budget, keys_S, self.pieces)
