"""Losses of an objective, a number for each target, and what was right."""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import nn


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


def cross_entropy(logits_MV: torch.Tensor, label_M: torch.Tensor, group_M: torch.Tensor | None = None) -> Loss:
    """Loss, hit and group of every target."""
    per_target = nn.functional.cross_entropy(logits_MV.float(), label_M, reduction="none")
    with torch.no_grad():
        correct = logits_MV.argmax(-1) == label_M
    return Loss(per_target, correct, group_M)
