"""Strategies: one file here is one way to choose what is hidden. ``kind: whole_unit`` is ``strategies/whole_unit.py``.

A new strategy writes ``select``; replacement (corruption.py), boundary targets (boundary.py) and the rest come free.
Where its paper says how much is hidden and what replaces it, ``budget`` and ``corruption`` say the same; where it
does not, they are kmask's defaults and ``OURS`` says so. They hold unless the configuration gives others.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import ClassVar

import numpy as np
import numpy.typing as npt

from masking.budget import RULES, Budget
from masking.corruption import Corruption
from masking.spans import Keys, Spans, Units


@dataclass(frozen=True, kw_only=True)
class Strategy(ABC):
    """Chooses the units of a batch that are hidden. A pure function of its arguments."""

    PAPER: ClassVar[str] = ""
    """Where the scheme was published."""
    OURS: ClassVar[tuple[str, ...]] = ()
    """Which of `budget` and `corruption` are kmask's defaults: the paper does not say, or its program does
    otherwise."""
    RULES: ClassVar[tuple[str, ...]] = RULES
    """See ``rules``."""

    @abstractmethod
    def select(self, units: Units, budget: Budget, keys_S: Keys, progress_S: npt.NDArray[np.float64]) -> Spans:
        """Units to hide: no special token, no cut unit (unless the budget says ``cut``), sorted.

        Args:
            keys_S: one key per sample; equal keys give equal choices.
            progress_S: how far training is planned to be when the sample is used, 0 to 1.
        """

    def levels(self) -> Iterable[str]:
        """Levels the data must have."""
        return ()

    def weighted(self) -> Mapping[str, str]:
        """Levels whose units must come with weights (``Units.weights``), and which: `idf`, `tf_idf` or
        `informative`."""
        return {}

    def rules(self) -> tuple[str, ...]:
        """The budget rules it can follow."""
        return self.RULES

    def budget(self) -> Budget:
        """How much is hidden as published, or kmask's default (``OURS``)."""
        return Budget()

    def own_budgets(self) -> Sequence[Budget]:
        """The budgets of its members, where each spends its own and no other budget is given; else none."""
        return ()

    def own_corruptions(self) -> Sequence[Corruption]:
        """The corruptions of its members, where what replaces a token depends on the member; else none."""
        return ()

    def members(self, keys_S: Keys, progress_S: npt.NDArray[np.float64]) -> npt.NDArray[np.int64]:
        """Number of the part that hides each sample, under the keys that ``select`` gets; a strategy without parts is
        its only one."""
        return np.zeros(len(keys_S), np.int64)

    def corruption(self) -> Corruption:
        """What replaces hidden tokens as published, or kmask's default (``OURS``)."""
        return Corruption()
