"""Put shuffled tokens back in order (word structural objective of StructBERT, Wang et al. 2020, section 2.2).

    seen 他 在 大 北 京 学   targets at the three positions: 北 京 大

The windows are shuffled by ``masking.shuffle``, which this task needs; the head is that of masked language modelling.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from torch import nn

from pretrain.batch import Batch
from pretrain.objectives import Encoding, Loss, Objective, cross_entropy
from pretrain.packed import Packed


@dataclass(frozen=True, kw_only=True)
class TokenOrder(Objective):
    """The original token at every position of a shuffled window."""

    def targets(self, packed: Packed, name: str) -> tuple[Mapping[str, npt.NDArray[np.int64]], int]:
        position_M = packed.shuffled_M
        arrays = {"position": position_M, "label": packed.original_T[position_M], "kind": packed.kind_T[position_M].astype(np.int64)}
        return arrays, len(position_M)

    def head(self, config: Any) -> nn.Module:
        from transformers.models.ernie.modeling_ernie import ErnieLMPredictionHead

        head: nn.Module = ErnieLMPredictionHead(config)
        return head

    def loss(self, encoding: Encoding, batch: Batch, targets: Mapping[str, torch.Tensor], head: nn.Module) -> Loss:
        hidden_MD = encoding.hidden_TD().index_select(0, targets["position"])
        return cross_entropy(head(hidden_MD), targets["label"], targets["kind"])
