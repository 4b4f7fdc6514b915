"""The last layer over the vocabulary, in the sizes that a GPU multiplies fast."""

from __future__ import annotations

import torch
from torch import nn

ALIGNED = 64
"""Rows of the vocabulary are made up to a multiple of this for the multiplication, on GPUs."""


class Decoder(nn.Linear):
    """states (M, D) -> logits (M, V), or on a GPU (M, V made up to a multiple of 64).

    The rows that are added exist in the multiplication alone: neither checkpoints nor exports have them, their logits
    are minus infinity, and so loss, probabilities and gradients are those of V rows.
    """

    def forward(self, states_MD: torch.Tensor) -> torch.Tensor:
        """The logits."""
        return aligned(states_MD, self.weight, self.bias, ALIGNED if self.weight.is_cuda else 1)


def aligned(states_MD: torch.Tensor, weight_VD: torch.Tensor, bias_V: torch.Tensor, multiple: int) -> torch.Tensor:
    """Logits (M, V made up to a multiple of ``multiple``)."""
    if missing := -len(weight_VD) % multiple:
        weight_VD = nn.functional.pad(weight_VD, (0, 0, 0, missing))
        bias_V = nn.functional.pad(bias_V, (0, missing), value=float("-inf"))
    return nn.functional.linear(states_MD, weight_VD, bias_V)
