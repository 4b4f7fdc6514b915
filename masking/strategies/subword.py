"""Single tokens, as in BERT (Devlin et al. 2019, section 3.1)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import numpy as np
import numpy.typing as npt

from masking.budget import Budget
from masking.selection import select_units
from masking.spans import Keys, Spans, Units
from masking.strategies import Strategy


@dataclass(frozen=True, kw_only=True)
class Subword(Strategy):
    """Every token is a unit of its own."""

    PAPER: ClassVar[str] = "BERT, Devlin et al. 2019, section 3.1"

    def select(self, units: Units, budget: Budget, keys_S: Keys, progress_S: npt.NDArray[np.float64]) -> Spans:
        return select_units(units, (), budget, keys_S)
