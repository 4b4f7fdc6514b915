"""Predict a hidden token from the two visible tokens around its span (SpanBERT, Joshi et al. 2020, section 3.2).

h0 = [x_left; x_right; p_offset]    h1 = LN(GeLU(W1 h0))    h2 = LN(GeLU(W2 h1))    logits = h2 E^T + b
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
import numpy.typing as npt
import torch
from torch import nn

from masking.boundary import boundary_targets
from masking.spans import KINDS
from pretrain.feed.batch import Batch
from pretrain.feed.packed import Packed
from pretrain.forward.encoding import Encoding
from pretrain.forward.loss import Loss, over_vocabulary
from pretrain.network.decoder import Decoder
from pretrain.network.kinds import word_width
from pretrain.objectives import WORDS, Objective


class BoundaryHead(nn.Module):
    """Two layers over both boundary states and a learned position, decoder tied to the word embeddings plus a bias."""

    def __init__(self, hidden: int, words: int, position: int, max_length: int, vocabulary: int, eps: float) -> None:
        super().__init__()
        self.positions = nn.Embedding(max_length, position)
        self.first = nn.Linear(2 * hidden + position, hidden)
        self.first_norm = nn.LayerNorm(hidden, eps=eps)
        self.second = nn.Linear(hidden, words)
        self.second_norm = nn.LayerNorm(words, eps=eps)
        self.decoder = Decoder(words, vocabulary)

    def forward(self, left_MD: torch.Tensor, right_MD: torch.Tensor, offset_M: torch.Tensor) -> torch.Tensor:
        """Logits (M, V)."""
        states = torch.cat([left_MD, right_MD, self.positions(offset_M - 1)], -1)
        states = self.first_norm(nn.functional.gelu(self.first(states)))
        states = self.second_norm(nn.functional.gelu(self.second(states)))
        logits: torch.Tensor = self.decoder(states)
        return logits


@dataclass(frozen=True, kw_only=True)
class SpanBoundary(Objective):
    """The span boundary objective (SBO) over the hidden spans."""

    READS_HIDDEN: ClassVar[bool] = True

    max_length: int = 20
    """Tokens of a merged span that are predicted; the rest of a longer span is left to knowledge masking (SpanBERT:
    20)."""
    position_size: int = 200
    """Width of the position embedding (SpanBERT: 200)."""
    special_boundaries: bool = False
    """May [CLS] and [SEP] be boundaries? SpanBERT: no, a span beside one of them has no target."""

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.max_length < 1 or self.position_size < 1:
            raise ValueError(f"max_length: {self.max_length} and position_size {self.position_size} must be at least 1")

    @property
    def groups(self) -> tuple[str, ...]:
        """The kinds of units."""
        return tuple(KINDS)

    def targets(self, packed: Packed, name: str) -> tuple[Mapping[str, npt.NDArray[np.int64]], int]:
        found = boundary_targets(packed.spans, packed.units, self.max_length, self.special_boundaries)
        arrays = {
            "label": packed.original_T[found.position_M],
            "left": found.left_M,
            "right": found.right_M,
            "offset": found.offset_M,
            "kind": packed.kind_T[found.position_M].astype(np.int64),
        }
        return arrays, len(found.position_M)

    def head(self, config: Any) -> nn.Module:
        hidden, words = config.hidden_size, word_width(config)
        return BoundaryHead(
            hidden, words, self.position_size, self.max_length, config.vocab_size, config.layer_norm_eps
        )

    def tied(self, name: str) -> Mapping[str, str]:
        return {"decoder.weight": WORDS}

    def loss(self, encoding: Encoding, batch: Batch, targets: Mapping[str, torch.Tensor], head: nn.Module) -> Loss:
        hidden_TD = encoding.hidden_TD()
        left_MD, right_MD = hidden_TD.index_select(0, targets["left"]), hidden_TD.index_select(0, targets["right"])
        return over_vocabulary(head, [left_MD, right_MD, targets["offset"]], targets["label"], targets["kind"])
