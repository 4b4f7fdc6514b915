"""Losses of an objective, a number for each target, and what was right."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import torch
from torch import nn
from torch.utils.checkpoint import checkpoint

from pretrain.feed.means import part_of

BYTES_A_LOGIT = 12
"""Of a logit, its fp32 copy and the gradient of that."""
LOGIT_BYTES = 4 << 30
"""Most bytes of logits that a loss holds at once."""


class Loss(NamedTuple):
    """A sum and what it sums over, per target, so that it is divided once, by the global count."""

    per_target: torch.Tensor
    """float[M], the loss of each target."""
    correct: torch.Tensor
    """bool[M], or float[M] where right answers are shared (``hits``)."""
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
    return Loss(per_target, hits(logits_MV.detach(), label_M), group_M)


def hits(logits_MV: torch.Tensor, label_M: torch.Tensor) -> torch.Tensor:
    """Is the label the largest logit? In half precision several logits are often equal: a label among k largest ones
    counts 1 / k, so that the order of the vocabulary decides nothing."""
    if logits_MV.dtype == torch.float32:
        return logits_MV.argmax(-1) == label_M
    largest_M1 = logits_MV.amax(-1, keepdim=True)
    equal_M = (logits_MV == largest_M1).sum(-1)
    return (logits_MV.gather(1, label_M[:, None]) == largest_M1)[:, 0] / equal_M


def over_vocabulary(
    head: nn.Module, states: Sequence[torch.Tensor], label_M: torch.Tensor, group_M: torch.Tensor | None = None
) -> Loss:
    """``cross_entropy(head(*states), ...)``, a part of the targets after the other where their logits are large: the
    logits of a part are computed again for its gradient, and never more than LOGIT_BYTES of them are there.

    Args:
        head: with a layer ``decoder`` at its end; it must treat every target by itself and draw no random numbers.
        states: what it reads of each target, each (M, ...).
    """
    vocabulary: Any = head.decoder.out_features  # type: ignore[union-attr]
    rows = max(1, LOGIT_BYTES // (BYTES_A_LOGIT * int(vocabulary)))
    if len(label_M) <= rows:
        return cross_entropy(head(*states), label_M, group_M)

    def part(label: torch.Tensor, *parts: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        found = cross_entropy(head(*parts), label)
        return found.per_target, found.correct

    found = [
        checkpoint(part, *parts, use_reentrant=False, preserve_rng_state=False)
        for parts in zip(*(torch.split(tensor, rows) for tensor in (label_M, *states)), strict=True)
    ]
    per_target, correct = (torch.cat(column) for column in zip(*found, strict=True))
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
