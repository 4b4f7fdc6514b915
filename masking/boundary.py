"""Span boundary objective targets (SpanBERT section 3.2): predict each token of a span from the two tokens around it.

    tokens  [CLS] a b c d [SEP]   chosen [2, 3) [3, 4), adjacent, so one span [2, 4) = b c
    targets position 2 3   left 1 1   right 4 4   offset 1 2

Samples begin with [CLS] and end with [SEP], which are never hidden, so both boundaries always lie inside the sample.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from masking.spans import Spans


@dataclass(frozen=True)
class BoundaryTargets:
    """One entry per predicted token."""

    position_M: npt.NDArray[np.int64]
    left_M: npt.NDArray[np.int64]
    """Position of the visible token before the span."""
    right_M: npt.NDArray[np.int64]
    """Position of the visible token after the span."""
    offset_M: npt.NDArray[np.int64]
    """1 for the first token of the span, 2 for the second ..."""


def boundary_targets(spans: Spans, max_length: int) -> BoundaryTargets:
    """Targets of all spans; tokens past ``max_length`` of a merged span are left out (SpanBERT: max_pair_targets, default 20)."""
    from masking import kernels

    return BoundaryTargets(*kernels.boundaries(spans.start_N, spans.end_N, spans.sample_N, max_length))
