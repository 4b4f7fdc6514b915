"""What a feature is known by, and the windows of one that is too long for a sample."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from typing import Any

import numpy as np
import numpy.typing as npt

from pretrain.collating.feature_checks import Long, Pair

Feature = Mapping[str, Any]
COLUMN = "units_"
ADDED = 2
"""[CLS] and [SEP] around a window."""


def named(feature: Any, number: int) -> str:
    """What errors call a feature."""
    known = feature.get("id") if isinstance(feature, Mapping) else None
    return f"feature {number} of the batch" + ("" if known is None else f" (id {known!r})")


def identity(feature: Feature, ids_T: Long) -> str:
    """What a feature is known by in every epoch: its ``id``, else its tokens."""
    known = feature.get("id")
    if known is None:
        return hashlib.blake2b(ids_T.tobytes(), digest_size=16).hexdigest()
    return str(known.item() if hasattr(known, "item") else known)


def windows(ends_S: Long, tokens: int, limit: int) -> tuple[npt.NDArray[Any], npt.NDArray[Any]]:
    """(start_W, end_W): as many whole sentences as fit into ``limit`` tokens, as in training (sources.py); a longer
    sentence is divided."""
    if tokens <= limit:
        return np.zeros(1, np.int32), np.full(1, tokens, np.int32)
    from masking import kernels

    known_S = ends_S if len(ends_S) and ends_S[-1] == tokens else np.append(ends_S, tokens)
    _, start_W, end_W = kernels.group_ragged(known_S.astype(np.uint32), np.array([0, len(known_S)], np.int32), limit)
    return start_W, end_W


def inside(start_U: Long, end_U: Long, start: int, end: int) -> Pair:
    """The units within [start, end), counted from there. Those that its edge cuts are left out; a wrong unit stays, to
    be refused."""
    kept_U = ((start_U >= start) & (end_U <= end)) | (start_U >= end_U) | (start_U < 0)
    return start_U[kept_U] - start, end_U[kept_U] - start
