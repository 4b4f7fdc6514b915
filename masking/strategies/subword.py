"""Single tokens, as in BERT (Devlin et al. 2019, section 3.1)."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from masking.budget import Budget
from masking.spans import Keys, Spans, Units
from masking.strategies import Strategy


@dataclass(frozen=True, kw_only=True)
class Subword(Strategy):
    """Every token is a unit of its own."""

    def select(self, units: Units, budget: Budget, keys_S: Keys, progress_S: npt.NDArray[np.float64]) -> Spans:
        from masking import kernels

        unit_end_T, _ = units.partition(())
        return Spans(*kernels.select_units(units.sample_start_S, units.sample_end_S, units.maskable_T, unit_end_T, keys_S, budget.rate, budget.code))
