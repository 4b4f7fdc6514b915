"""How informative a token is to hide (InforMask, Sadeq et al. 2022): a rate for every token of the vocabulary.

    PMI(a, b)              how much more often two tokens stand in one stretch of text than by chance
    informative relevance  of a mask: the sum of PMI(hidden, visible) over all such pairs of its stretch
    rate of a token        how often the best of 30 random masks of a stretch hides it

Hiding 北京 where 首都 stays visible is informative; hiding 的 tells nothing. The paper draws these masks and counts.
Here the rate is computed: the relevance of random masks is nearly a sum of independent terms c of their tokens, so that
the best of n hides a token more often by rate (1 - rate) E(n) c / sigma, where E(n) is the expected maximum of n
standard normal numbers and sigma the deviation of the sum. kmask's own besides: stretches of 64 tokens, pairs within
one language only, pairs seen in fewer than three stretches count as independent, and rare tokens are drawn towards the
mean.
"""

from __future__ import annotations

import math
from collections.abc import Iterable

import numpy as np
import numpy.typing as npt

from masking.salience import Ids, Rarity, hashes
from masking.spans import Keys

STRETCH = 64
"""Tokens of a stretch."""
SLOTS = 1 << 24
"""Pairs of ids that are counted, 192 MiB while it lasts; three quarters are used."""
RATE, LEAST = 0.15, 3
"""Tokens hidden by a mask, and stretches that a pair must share."""
BEST_OF_30 = 2.0428
"""Expected maximum of 30 standard normal numbers: the paper takes the best of 30 masks."""
PRIOR = 20.0
"""Occurrences at the mean rate that every token is given beforehand."""


def informativeness(texts: Iterable[tuple[Ids, Ids]], size: int) -> Rarity:
    """The weight of every token as a table of units of one token: its rate relative to the mean rate.

    Args:
        texts: of each language the tokens of its stretches, and where each begins and the last ends.
        size: of the vocabulary.
    """
    from masking import kernels

    sum_V, seen_V = np.zeros(size), np.zeros(size, np.int64)
    for ids_T, offsets_C1 in texts:
        pair_N, count_N, count_V = np.zeros(SLOTS, np.uint64), np.zeros(SLOTS, np.int32), np.zeros(size, np.int64)
        kernels.count_pairs(ids_T, offsets_C1, pair_N, count_N, count_V)
        kernels.relevance(ids_T, offsets_C1, pair_N, count_N, count_V, LEAST, sum_V, seen_V)
    return Rarity(*_by_hash(relative_rates(sum_V, seen_V)), 1.0)


def relative_rates(sum_V: npt.NDArray[np.float64], seen_V: Ids) -> npt.NDArray[np.float64]:
    """float64[V]: how often each token is hidden by the best mask, relative to the mean of all occurrences.

    c / sigma of a token is its relevance in units of the root of the sum of squares, divided by sqrt(rate (1 - rate)).
    """
    lift = BEST_OF_30 * math.sqrt((1 - RATE) / RATE)
    mean = sum_V.sum() / max(seen_V.sum(), 1)
    rates: npt.NDArray[np.float64] = 1 + lift * (sum_V + PRIOR * mean) / (seen_V + PRIOR)
    relative: npt.NDArray[np.float64] = np.maximum(rates, 0.01) / (1 + lift * mean)
    return relative


def _by_hash(weight_V: npt.NDArray[np.float64]) -> tuple[Keys, npt.NDArray[np.float32]]:
    """The hash of every token and its weight, by rising hash."""
    ids = np.arange(len(weight_V))
    hash_V = hashes(ids, ids, ids + 1)
    order = np.argsort(hash_V)
    return hash_V[order], weight_V[order].astype(np.float32)
