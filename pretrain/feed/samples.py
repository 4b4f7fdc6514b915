"""Samples, and what builds them: the types between an objective and the batches it is trained on."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt

EMPTY: npt.NDArray[np.int64] = np.zeros(0, np.int64)


@dataclass(frozen=True, kw_only=True)
class Sample:
    """One input with its special tokens."""

    token_ids_T: npt.NDArray[np.int64]
    maskable_T: npt.NDArray[np.bool_]
    """False for special tokens."""
    segment_ids_T: npt.NDArray[np.int64]
    units: Mapping[str, tuple[npt.NDArray[np.int64], npt.NDArray[np.int64]]]
    task: str
    """Name of the task the sample was built for."""
    labels: Mapping[str, int]
    """Sentence-level labels by task name."""
    key: int
    """uint64 that decides everything random about this sample."""
    document_id: str
    first_token: int
    sentence_ends_S: npt.NDArray[np.int64] = field(default_factory=lambda: EMPTY)
    """One past the last token of each sentence, where the objective knows them."""
