"""Knowledge masking that fails on the second process alone, in its so-manieth batch."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar

import numpy as np
import numpy.typing as npt

from pretrain.feed.packed import Packed
from pretrain.objectives.knowledge_masking import KnowledgeMasking


@dataclass(frozen=True, kw_only=True)
class FaultyRank(KnowledgeMasking):
    """Counts the batches of its process."""

    CALLS: ClassVar[list[int]] = []

    after: int = 3
    """Batches that are made before the fault."""

    def targets(self, packed: Packed, name: str) -> tuple[Mapping[str, npt.NDArray[np.int64]], int]:
        self.CALLS.append(1)
        if os.environ.get("RANK") == "1" and len(self.CALLS) > self.after:
            raise ValueError(f"batch {len(self.CALLS)} of this process is odd")
        return super().targets(packed, name)
