"""Figures of an evaluation as functions of what was found for each example, so that examples can be drawn again.

    outcome  float64 (N, K)    K numbers of each example: hit and count; true and false positives, ...
    sums     float64 (..., K)  added up over the examples, or over a draw of them
    metric   (...)             what is reported

    accuracy of 3 of 4: rows (1, 1) (0, 1) (1, 1) (1, 1)  ->  sums (3, 4)  ->  .75

Every metric but Spearman's hangs on the sums alone. Not defined (nothing to divide by) is nan, except where the field
says 0. A row is what is drawn again as a whole: what belongs together, as the units of one document, is one row.

Shape legend: N examples, R draws of them, K numbers of each, C classes, G groups of equal values.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float64]
ROUNDING = 1e-12
"""A spread smaller than this share of the squares is none."""


def ratio(sums: Floats) -> Floats:
    """Mean: (sum, count). Accuracy, loss, exact match."""
    return _divided(sums[..., 0], sums[..., 1])


def exp_ratio(sums: Floats) -> Floats:
    """e to the mean: (sum of negative log likelihoods, count). Perplexity."""
    found: Floats = np.exp(ratio(sums))
    return found


def f1(sums: Floats) -> Floats:
    """F1 of (true positives, false positives, false negatives); 0 where nothing was found."""
    true, wrong, missed = (sums[..., column] for column in range(3))
    return _divided(2 * true, 2 * true + wrong + missed)


def macro_f1(sums: Floats) -> Floats:
    """Mean F1 of C classes: (true positives, false positives, false negatives) of each, 3C columns; classes that are
    neither in the labels nor in the answers are left out."""
    each = f1(sums.reshape(*sums.shape[:-1], -1, 3))
    return _divided(np.nansum(each, axis=-1), np.isfinite(each).sum(-1))


def matthews(sums: Floats) -> Floats:
    """Matthews' correlation of (true positives, true negatives, false positives, false negatives); 0 where one side
    has one class only."""
    tp, tn, fp, fn = (sums[..., column] for column in range(4))
    below = np.sqrt((tp + fp) * (tp + fn) * (tn + fp) * (tn + fn))
    return np.where(below > 0, (tp * tn - fp * fn) / np.where(below > 0, below, 1.0), 0.0)


def pearson(sums: Floats) -> Floats:
    """Pearson's correlation of (1, x, y, xx, yy, xy); nan where x or y does not vary by more than rounding."""
    n, x, y, xx, yy, xy = (sums[..., column] for column in range(6))
    spread_x, spread_y = n * xx - x * x, n * yy - y * y
    varies = (spread_x > ROUNDING * n * xx) & (spread_y > ROUNDING * n * yy)
    return _divided(n * xy - x * y, np.sqrt(np.where(varies, spread_x * spread_y, 0.0)))


def spearman(rows: Floats, counts_RN: Floats) -> Floats:
    """Spearman's correlations of (x, y), each example taken so many times: Pearson's of the ranks, ties given their
    mean rank."""
    x, y = (_ranks(rows[:, column], counts_RN) for column in range(2))
    terms = (np.ones_like(x), x, y, x * x, y * y, x * y)
    return pearson(np.stack([np.einsum("rn,rn->r", counts_RN, term) for term in terms], -1))


def pairs(x: Floats, y: Floats) -> Floats:
    """The rows that ``pearson`` adds up."""
    x, y = np.asarray(x, np.float64), np.asarray(y, np.float64)
    return np.stack([np.ones(len(x)), x, y, x * x, y * y, x * y], 1)


def confusion(gold: npt.NDArray[np.int64], answer: npt.NDArray[np.int64]) -> Floats:
    """The rows that ``matthews`` adds up, of labels 0 and 1."""
    cells = ((1, 1), (0, 0), (0, 1), (1, 0))
    return np.stack([(gold == right) & (answer == said) for right, said in cells], 1).astype(np.float64)


def by_class(gold: npt.NDArray[np.int64], answer: npt.NDArray[np.int64], classes: int) -> Floats:
    """The rows that ``macro_f1`` adds up."""
    each = np.arange(classes)
    right, said = gold[:, None] == each, answer[:, None] == each
    return np.stack([right & said, ~right & said, right & ~said], 2).reshape(len(gold), -1).astype(np.float64)


OF_SUMS: dict[str, Callable[[Floats], Floats]] = {
    "ratio": ratio,
    "exp_ratio": exp_ratio,
    "f1": f1,
    "macro_f1": macro_f1,
    "matthews": matthews,
    "pearson": pearson,
}
COLUMNS = {"ratio": 2, "exp_ratio": 2, "f1": 3, "matthews": 4, "pearson": 6, "spearman": 2}


@dataclass(frozen=True, kw_only=True)
class Outcome:
    """What was found for each example, and the metric it is read by."""

    metric: str
    """One of OF_SUMS, or `spearman`."""
    rows: Floats
    """(N, K); the same examples in the same order for every model."""
    lower_is_better: bool = False

    def __post_init__(self) -> None:
        if self.metric not in OF_SUMS and self.metric != "spearman":
            raise ValueError(f"metric: {self.metric!r} is not one of {', '.join([*OF_SUMS, 'spearman'])}")
        wanted = COLUMNS.get(self.metric, self.rows.shape[-1])
        if self.rows.ndim != 2 or self.rows.shape[1] != wanted:
            raise ValueError(f"rows: of shape {self.rows.shape}; {self.metric} needs (N, {wanted})")

    @property
    def value(self) -> float:
        """The figure over all examples."""
        return float(self.drawn(np.ones((1, len(self.rows))))[0])

    def drawn(self, counts_RN: Floats) -> Floats:
        """The figure over draws of the examples, (R,): how often each example was drawn."""
        if self.metric in OF_SUMS:
            return OF_SUMS[self.metric](counts_RN @ self.rows)
        return spearman(self.rows, counts_RN)


def _divided(above: Floats, below: Floats) -> Floats:
    with np.errstate(divide="ignore", invalid="ignore"):
        found: Floats = np.where(below > 0, above / below, np.nan)
    return found


def _ranks(values_N: Floats, counts_RN: Floats) -> Floats:
    """Ranks (R, N) of values that are there so many times: (3, 1, 3) once each -> 2.5, 1, 2.5."""
    _, group_N, sizes_G = np.unique(values_N, return_inverse=True, return_counts=True)
    starts_G = np.cumsum(sizes_G) - sizes_G
    counts_RG = np.add.reduceat(counts_RN[:, np.argsort(group_N, kind="stable")], starts_G, axis=1)
    found: Floats = (np.cumsum(counts_RG, 1) - (counts_RG - 1) / 2)[:, group_N]
    return found
