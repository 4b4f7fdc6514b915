"""Strategies: one file here is one way to choose what is hidden. ``kind: whole_unit`` is ``strategies/whole_unit.py``.

A new strategy writes ``select``; replacement (corruption.py) and boundary targets (boundary.py) come free.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from masking.budget import Budget
from masking.spans import Keys, Spans, Units


@dataclass(frozen=True, kw_only=True)
class Strategy(ABC):
    """Chooses the spans of a batch. A pure function of its arguments."""

    @abstractmethod
    def select(self, units: Units, budget: Budget, keys_S: Keys, progress_S: npt.NDArray[np.float64]) -> Spans:
        """Spans to hide: no special token, no cut unit (unless the budget says ``cut``), sorted.

        Args:
            keys_S: one key per sample; equal keys give equal choices.
            progress_S: how far training is planned to be when the sample is used, 0 to 1.
        """

    def levels(self) -> Iterable[str]:
        """Levels the data must have."""
        return ()
