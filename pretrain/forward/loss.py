"""Losses of an objective, a number for each target, and what was right."""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple

import torch
from torch import nn

from pretrain.feed.means import part_of


class Loss(NamedTuple):
    """A sum and what it sums over, per target, so that it is divided once, by the global count."""

    per_target: torch.Tensor
    """float[M], the loss of each target."""
    correct: torch.Tensor
    """bool[M]."""
    group: torch.Tensor | None = None
    """int64[M], the index of each target's group in ``Objective.groups``; None exactly where the objective has no
    groups."""
    factor: torch.Tensor | None = None
    """float[M], factor of each target in what is minimised (None: 1); figures are told without it."""
    mean: torch.Tensor | None = None
    """int64[M], the index of the mean that each target counts in, among ``Objective.means``; None exactly where the
    objective has one mean of all."""


def cross_entropy(logits_MV: torch.Tensor, label_M: torch.Tensor, group_M: torch.Tensor | None = None) -> Loss:
    """Loss, hit and group of every target."""
    per_target = nn.functional.cross_entropy(logits_MV.float(), label_M, reduction="none")
    with torch.no_grad():
        correct = logits_MV.argmax(-1) == label_M
    return Loss(per_target, correct, group_M)


def minimised(task: str, loss: Loss, means: Mapping[str, float], scale: Mapping[str, float]) -> torch.Tensor:
    """The scalar that is minimised: the sum of all targets' losses, scaled, or that of every mean by a scale of its own
    (pretrain/feed/means.py; the scale of the task times the weight of the mean where ``scale`` does not name it).

    Raises:
        ValueError: the loss tells means where the objective names none, or the other way round.
    """
    if (loss.mean is None) == bool(means):
        told = "its loss gives its targets no mean" if means else "its loss gives its targets means"
        raise ValueError(f"task {task!r}: {told}, and `means` names {', '.join(means) or 'none'}")
    weighted_M = loss.per_target if loss.factor is None else loss.per_target * loss.factor
    if loss.mean is None:
        return scale[task] * weighted_M.sum()
    parts = [torch.where(loss.mean == index, weighted_M, 0.0).sum() for index in range(len(means))]
    factors = [scale.get(part_of(task, part), scale[task] * weight) for part, weight in means.items()]
    return torch.stack([factor * part for factor, part in zip(factors, parts, strict=True)]).sum()
