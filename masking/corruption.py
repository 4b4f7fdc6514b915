"""What replaces a hidden token: [MASK], a random token, or itself (BERT section 3.1: 80/10/10).

ids [CLS] 北 京 大 学 [SEP]   spans [1, 5) per unit   ->   [CLS] [M] [M] [M] [M] [SEP],  targets 1 2 3 4 = 北 京 大 学
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from masking.spans import Byte, Int, Keys, Spans


@dataclass(frozen=True)
class Targets:
    """Hidden positions in order, the tokens that stood there, and what was done to each."""

    position_M: npt.NDArray[np.int64]
    label_M: npt.NDArray[np.int64]
    action_M: Byte
    """0 replaced by [MASK], 1 by a random token, 2 kept."""


@dataclass(frozen=True, kw_only=True)
class Corruption:
    """Shares of the three replacements."""

    mask: float = 0.8
    """Share replaced by [MASK]."""
    random: float = 0.1
    """Share replaced by a token drawn uniformly from the real vocabulary, special and unused entries excluded; the rest is kept."""
    per: str = "unit"
    """`unit`: one draw for a whole unit or span (SpanBERT); `token`: one for every token (BERT, ERNIE 1.0)."""

    def __post_init__(self) -> None:
        if not (0 <= self.mask <= 1 and 0 <= self.random <= 1 and self.mask + self.random <= 1 + 1e-9):
            raise ValueError(f"mask: shares mask={self.mask} and random={self.random} must each lie in [0, 1] and sum to at most 1")
        if self.per not in ("unit", "token"):
            raise ValueError(f"per: {self.per!r} is not one of unit, token")

    def corrupt(
        self, ids_T: npt.NDArray[np.int64], spans: Spans, sample_start_S: Int, keys_S: Keys, mask_id: int, pool_V: npt.NDArray[np.int64]
    ) -> tuple[npt.NDArray[np.int64], Targets]:
        """A corrupted copy of ``ids_T`` and the targets. ``pool_V`` holds the ids that a random token may be."""
        from masking import kernels

        if self.random > 0 and not len(pool_V):
            raise ValueError("no ordinary token in the vocabulary to draw random replacements from; set corruption.random=0")
        corrupted = ids_T.copy()
        arguments = (spans.start_N, spans.end_N, spans.sample_N, sample_start_S, keys_S, mask_id, pool_V, self.mask, self.random, self.per == "unit")
        return corrupted, Targets(*kernels.corrupt(corrupted, *arguments))
