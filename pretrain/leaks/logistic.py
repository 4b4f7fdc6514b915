"""A multinomial logistic regression: the accuracy that features alone reach on targets that were not fitted.

Fitted by torch's L-BFGS on standardised columns with a small ridge, so that the result is the optimum and no setting of
an optimiser.
"""

from __future__ import annotations

import math
from collections.abc import Collection
from typing import NamedTuple

import numpy as np
import torch

from pretrain.leaks.features import Table

RIDGE = 1e-3
STEPS = 200


class Score(NamedTuple):
    """A share of right answers."""

    accuracy: float
    error: float
    """Its standard error."""


def majority(fitted: Table, asked: Table) -> Score:
    """The share of the most frequent class of ``fitted`` among the targets of ``asked``."""
    return scored(np.full(len(asked), np.bincount(fitted.label_N).argmax()), asked)


def baseline(fitted: Table, asked: Table, groups: Collection[str]) -> Score:
    """Fit features of these groups to the classes of one table, and measure on the other."""
    columns = [column for column in fitted.columns() if column[0] in groups]
    classes = int(max(fitted.label_N.max(), asked.label_N.max())) + 1
    known, new = fitted.values(columns), asked.values(columns)
    mean_F, spread_F = known.mean(0), known.std(0)
    known, new = ((values - mean_F) / np.where(spread_F > 0, spread_F, 1.0) for values in (known, new))
    weights_FC = fit(torch.from_numpy(with_ones(known)), torch.from_numpy(fitted.label_N), classes)
    return scored((torch.from_numpy(with_ones(new)) @ weights_FC).argmax(-1).numpy(), asked)


def with_ones(values_NF: np.ndarray) -> np.ndarray:
    """A column of ones put behind: the intercept."""
    return np.concatenate([values_NF, np.ones((len(values_NF), 1))], 1)


def fit(values_NF: torch.Tensor, label_N: torch.Tensor, classes: int) -> torch.Tensor:
    """Weights float64 (F, C) of least ridge-regularised cross-entropy."""
    weights_FC = torch.zeros(values_NF.shape[1], classes, dtype=torch.float64, requires_grad=True)
    optimizer = torch.optim.LBFGS([weights_FC], max_iter=STEPS, line_search_fn="strong_wolfe")

    def closure() -> torch.Tensor:
        optimizer.zero_grad()
        loss = torch.nn.functional.cross_entropy(values_NF @ weights_FC, label_N) + RIDGE * weights_FC.square().sum()
        loss.backward()  # type: ignore[no-untyped-call]
        return loss

    with torch.enable_grad():
        optimizer.step(closure)  # type: ignore[no-untyped-call]
    return weights_FC.detach()


def scored(answer_N: np.ndarray, asked: Table) -> Score:
    """How many of the answers are right."""
    accuracy = float((answer_N == asked.label_N).mean())
    return Score(accuracy, math.sqrt(accuracy * (1 - accuracy) / max(len(asked), 1)))
