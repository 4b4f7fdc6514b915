"""The draws that strategies share: units one by one, and spans of whole words. Thin: levels -> units -> a compiled
loop -> Spans."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from masking.budget import Budget
from masking.spans import NONE, Int, Keys, Spans, Units

Law = npt.NDArray[np.float64]


def select_units(units: Units, levels: Sequence[str], budget: Budget, keys_S: Keys, pieces: bool = False) -> Spans:
    """Units of the levels by precedence and single tokens, in keyed random order, until the budget is spent;
    ``pieces``: see Units.partition."""
    from masking import kernels

    unit_end_T, _ = units.partition(levels, pieces)
    where = (units.sample_start_S, units.sample_end_S, units.maskable_T, unit_end_T, keys_S)
    return Spans(*kernels.select_units(*where, budget.rate, budget.code, budget.at_least_one))


def select_spans(
    units: Units,
    budget: Budget,
    keys_S: Keys,
    cumulative_L: Law,
    across_sentences: bool,
    extra: str = "",
    share: float = 0.0,
) -> Spans:
    """SpanBERT's draw of whole words; with a share, units of the ``extra`` level are drawn instead.

    Args:
        cumulative_L: cumulative law of the length 1, 2 ... in words.
    """
    from masking import kernels

    start_X, end_X = units.level(extra) if extra else (NONE, NONE)
    unit_end_T, _ = units.partition(("word",))
    if extra:
        start_X, end_X = _hideable(units, start_X, end_X)
        unit_end_T = unit_end_T.copy()
        kernels.divide_units(unit_end_T, start_X, end_X)
    where = (
        units.sample_start_S,
        units.sample_end_S,
        units.maskable_T,
        unit_end_T,
        units.breaks(across_sentences),
        keys_S,
    )
    return Spans(
        *kernels.select_spans(
            *where, budget.rate, budget.code, budget.at_least_one, cumulative_L, share, start_X, end_X
        )
    )


def _hideable(units: Units, start_X: Int, end_X: Int) -> tuple[Int, Int]:
    """The intervals without any special token in them."""
    barred_T1 = np.concatenate([[0], np.cumsum(~units.maskable_T)])
    free = barred_T1[end_X] == barred_T1[start_X]
    return start_X[free], end_X[free]


def geometric_law(p: float, longest: int) -> Law:
    """Cumulative geometric law over 1 .. longest, renormalised.

    Raises:
        ValueError: p does not lie between 0 and 1, or there is no length.
    """
    if not 0 < p < 1:
        raise ValueError(f"p: {p} must lie between 0 and 1")
    if longest < 1:
        raise ValueError(f"max_words: {longest} must be at least 1")
    return cumulative(p * (1 - p) ** np.arange(longest))


def cumulative(weights: npt.ArrayLike) -> Law:
    """The cumulative law of these weights; the last value is exactly 1."""
    sums = np.cumsum(np.asarray(weights, np.float64))
    law: Law = sums / sums[-1]
    return law
