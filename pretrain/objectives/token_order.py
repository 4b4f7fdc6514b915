"""Put shuffled tokens back in order (word structural objective of StructBERT, Wang et al. 2020, section 2.2).

    seen 他 在 大 北 京 学   targets at the three positions: 北 京 大

The windows are shuffled by ``masking.shuffle``, which this task needs; the head is that of masked language modelling.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from pretrain.feed.packed import Packed
from pretrain.objectives import TokenPrediction


@dataclass(frozen=True, kw_only=True)
class TokenOrder(TokenPrediction):
    """The original token at every position of a shuffled window."""

    def targets(self, packed: Packed, name: str) -> tuple[Mapping[str, npt.NDArray[np.int64]], int]:
        position_M = packed.shuffled_M
        arrays = {
            "position": position_M,
            "label": packed.original_T[position_M],
            "kind": packed.kind_T[position_M].astype(np.int64),
        }
        return arrays, len(position_M)
