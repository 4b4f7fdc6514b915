"""What an objective may read from the model: the states of a batch, and the batch encoded in another way."""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple, Protocol

import torch
from torch import nn


class Encode(Protocol):
    """Encode a batch again."""

    def __call__(
        self,
        input_ids: torch.Tensor | None = None,
        prefix_S: torch.Tensor | None = None,
        encoder: nn.Module | None = None,
    ) -> torch.Tensor:
        """Last states (T, D) of the batch; positions, segments and task ids are the batch's.

        Args:
            input_ids: int64[T], other ids at its positions.
            prefix_S: int64[S], how many first tokens of each sample see each other in both directions; every later
            token sees these, the
                tokens before it and itself. The length of a sample or more is ordinary attention.
            encoder: another encoder, of the task's own head (network/encoder.py:
            ``build_encoder(config, pooler=False)``); D is its width then.
        """
        ...


class Encoding(NamedTuple):
    """What an objective may read from the model."""

    hidden_TD: Callable[[], torch.Tensor]
    """The encoder's last states (T, D) of the batch as it is; computed once, on first use."""
    pooled_SD: Callable[[], torch.Tensor]
    """The pooled [CLS] state of every sample (S, D)."""
    encode: Encode
    """The batch again, with other ids, another attention pattern or another encoder."""
