"""Span boundary objective targets (SpanBERT section 3.2): predict each token of a span from the two tokens around it.

    tokens  [CLS] x a b y [SEP]   chosen [2, 3) [3, 4), adjacent, so one span [2, 4) = a b
    targets position 2 3   left 1 1   right 4 4   offset 1 2

A span that touches the beginning or the end of the text has no token on that side; SpanBERT gives it no targets, and
neither do we: [CLS] and [SEP] serve as boundaries only where asked (``special_boundaries``).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from masking.spans import Spans, Units


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


def boundary_targets(spans: Spans, units: Units, max_length: int, special_boundaries: bool = False) -> BoundaryTargets:
    """Targets of all spans; tokens past ``max_length`` of a merged span are left out (SpanBERT: max_pair_targets,
    default 20)."""
    from masking import kernels

    where = (spans.start_N, spans.end_N, spans.sample_N, units.sample_start_S, units.sample_end_S, units.maskable_T)
    return BoundaryTargets(*kernels.boundaries(*where, max_length, special_boundaries))
