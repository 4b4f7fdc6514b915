"""PMI-Masking's measure of a collocation (Levine et al. 2021): an n-gram is as strong as its most likely division.

    PMI(abc) = log p(abc) - max over all divisions of the sum of log p(part)       a|bc, ab|c, a|b|c

The lists that the authors released rank by log p(abc)^2 instead of log p(abc): of two equally strong n-grams the more
frequent one comes first. The measure grows with length, so each length is ranked by itself and has a quota: theirs are
50 % of the entries for pairs, 25 % for three words, 12.5 % each for four and five (README of AI21Labs/pmi-masking).

Shape legend: D distinct n-grams of one length, n words of an n-gram.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from data_prep.counting.collocations import Ngrams, look_up, ngram_keys
from data_prep.counting.counted_tables import Keys

Floats = npt.NDArray[np.float64]


def weakest_pmi(
    key_Dn: Keys,
    join_Dn: npt.NDArray[np.uint8],
    total_D: npt.NDArray[np.int64],
    words: tuple[Keys, Any],
    longer: dict[int, Ngrams],
    squared: bool = False,
) -> Floats:
    """float64[D]: pointwise mutual information in bits of n-grams at their most likely division, for arguments as of
    ``npmi``; ``squared``: with the squared probability of the n-gram."""
    length = key_Dn.shape[1]

    def log_share(start: int, end: int) -> Floats:
        keys, counts = words if end - start == 1 else (longer[end - start].key_D, longer[end - start].count_D)
        found: Floats = np.log2(counts[look_up(keys, ngram_keys(key_Dn, join_Dn, start, end))] / total_D)
        return found

    likeliest = [np.zeros(len(key_Dn))]
    """Of the first 0, 1, 2 ... words, the greatest sum over the parts of a division."""
    for end in range(1, length + 1):
        first = 1 if end == length else 0  # the n-gram itself is no division of it
        likeliest.append(np.max([likeliest[start] + log_share(start, end) for start in range(first, end)], axis=0))
    return (2.0 if squared else 1.0) * log_share(0, length) - likeliest[length]


def within_quotas(
    order: npt.NDArray[np.int64],
    length_D: npt.NDArray[np.int64],
    shares: Sequence[float],
    entries: int,
) -> npt.NDArray[np.int64]:
    """Of the n-grams in ``order``, best first, those that their length has room for: ``shares[0] * entries`` of two
    words, ``shares[1] * entries`` of three, and so on; none of a length without a share."""
    kept = np.zeros(len(order), np.bool_)
    for number, share in enumerate(shares):
        kept[np.flatnonzero(length_D[order] == number + 2)[: round(share * entries)]] = True
    return order[kept]
