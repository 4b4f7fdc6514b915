"""Heads of fine-tuning: one file here is one way from states to answers. ``kind: crf`` is ``heads/crf.py``."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import nn

from pretrain.evaluation.tasks import Problem

INIT_RANGE = 0.02


class HeadModule(nn.Module):
    """What is trained on top of an encoder. Shape legend: M positions of S samples, D width, K outputs."""

    def loss(
        self, problem: Problem, logits_MK: torch.Tensor, target_N: torch.Tensor, counts_S: Sequence[int]
    ) -> torch.Tensor:
        """Mean loss of a batch: the task's."""
        return problem.loss(logits_MK, target_N, counts_S)

    def answers(self, logits_MK: torch.Tensor, counts_S: Sequence[int]) -> torch.Tensor:
        """Logits (M, K) whose largest is the answer of each position."""
        return logits_MK


@dataclass(frozen=True, kw_only=True)
class Head(ABC):
    """Settings of a head."""

    FOR_TAGS: ClassVar[bool] = False
    """Does it judge sequences of tags together, so that it fits tasks of token labels only?"""

    @abstractmethod
    def build(self, width: int, problem: Problem, dropout: float) -> HeadModule:
        """The module: ``forward(states_MD, counts_S)`` gives logits (M, K). Drawn from torch's generator."""


def projection(width: int, outputs: int) -> nn.Linear:
    """A linear layer as BERT's heads begin: weights of deviation .02, bias 0."""
    layer = nn.Linear(width, outputs)
    nn.init.normal_(layer.weight, std=INIT_RANGE)
    nn.init.zeros_(layer.bias)
    return layer
