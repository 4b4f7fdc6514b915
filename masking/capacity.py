"""No more hidden tokens in a packed row than a limit: what fixed-size buffers of targets ask for.

limit 3, a row with units of 2, 2 and 1 tokens   ->   one or two of them, as their keys say
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from masking.keyed import combine_array, mix_array
from masking.spans import Int, Keys, Spans

CAPACITY = 0x636170
"""Separates these draws from all others under a sample's key."""


def limit_rows(
    spans: Spans, row_N: npt.NDArray[np.int64], sample_start_S: Int, keys_S: Keys, limit: int
) -> tuple[Spans, int]:
    """Give up whole units of every row whose units cover more than ``limit`` tokens.

    The units of a row lie on a circle in keyed order, each as long as it has tokens; kept are those that begin within
    an arc at a keyed place, so long that the last of them cannot exceed the limit. So all units of a row are kept
    equally often, whatever their length, but those that are longer than the limit: they never are.

    Args:
        row_N: the row that each unit lies in, not falling.

    Returns:
        The units that stay, and how many were given up.
    """
    length_N = (spans.end_N - spans.start_N).astype(np.int64)
    tokens_B = np.bincount(row_N, length_N, minlength=1).astype(np.int64)
    kept_N = np.ones(len(spans), np.bool_)
    place_N = (spans.start_N - sample_start_S[spans.sample_N]).astype(np.uint64)
    order_N = mix_array(combine_array(keys_S, CAPACITY)[spans.sample_N] + place_N)
    for row in np.flatnonzero(tokens_B > limit):
        units = np.flatnonzero(row_N == row)
        kept_N[units] = length_N[units] <= limit
        units = units[kept_N[units]]
        if (whole := int(length_N[units].sum())) <= limit:
            continue
        units = units[np.argsort(order_N[units], kind="stable")]
        begin = int(mix_array(order_N[units[:1]])[0]) % whole
        start_U = length_N[units].cumsum() - length_N[units]
        kept_N[units] = (start_U + begin) % whole <= limit - length_N[units].max()
    return spans.take(kept_N), int((~kept_N).sum())
