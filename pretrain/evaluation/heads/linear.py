"""A linear layer on states, behind dropout: the head of BERT's own fine-tuning (Devlin et al. 2019, section 4)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import nn

from pretrain.evaluation.heads import Head, HeadModule, projection
from pretrain.evaluation.tasks import Problem


@dataclass(frozen=True, kw_only=True)
class Linear(Head):
    """Dropout and a linear layer."""

    def build(self, width: int, problem: Problem, dropout: float) -> HeadModule:
        return LinearModule(width, problem.outputs, dropout)


class LinearModule(HeadModule):
    """States (M, D) to logits (M, K)."""

    def __init__(self, width: int, outputs: int, dropout: float) -> None:
        super().__init__()
        self.dropout, self.project = nn.Dropout(dropout), projection(width, outputs)

    def forward(self, states_MD: torch.Tensor, counts_S: Sequence[int]) -> torch.Tensor:
        """Logits."""
        logits: torch.Tensor = self.project(self.dropout(states_MD))
        return logits
