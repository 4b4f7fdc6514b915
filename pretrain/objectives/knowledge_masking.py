"""Predict hidden words, phrases and entities (ERNIE 1.0, Sun et al. 2019, section 3.2; masked language modelling of
BERT).

The head is transformers' own: transform, layer norm, and a decoder tied to the word embeddings. It sees hidden
positions only.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar

import numpy as np
import numpy.typing as npt

from pretrain.feed.packed import Packed
from pretrain.objectives import TokenPrediction


@dataclass(frozen=True, kw_only=True)
class KnowledgeMasking(TokenPrediction):
    """Masked language modelling over the units that the masking strategy hides."""

    BUILDS_ROWS: ClassVar[bool] = True

    def targets(self, packed: Packed, name: str) -> tuple[Mapping[str, npt.NDArray[np.int64]], int]:
        position_M = packed.hidden.position_M
        arrays = {
            "position": position_M,
            "label": packed.hidden.label_M,
            "kind": packed.kind_T[position_M].astype(np.int64),
        }
        return arrays, len(position_M)
