"""MinHash signatures: two documents have equal places in their signatures about as often as their sets of n-grams
overlap.

    set of n-gram hashes  --K permutations-->  signature uint32[K]
        --bands of r places-->  keys uint64[B]     equal keys: a candidate pair
        --lowest 8 bits-->      sketch uint8[K]    how alike a pair is

A place is the least value of the set under its own permutation of 32 bits (Broder: On the resemblance and containment
of documents, 1997). Of two documents of similarity s, a place is equal with probability s, so

    they share a key                       1 - (1 - s^r)^B
    m of the K places of sketches agree    s + (1 - s) / 256 of them on average: eight bits agree by chance too
                                           (Li, König: b-bit minwise hashing, 2010)

``bands_for`` and ``least_agreement`` choose r, B and the least m so that a pair *at* the threshold fails each with
probability .005 at most: 99 in 100 such pairs are found, and more above it. The price is paid below the threshold, see
``found_share``.

Shape legend: N n-grams, K places of a signature, D documents, B bands.
"""

from __future__ import annotations

from functools import cache
from math import exp, lgamma, log

import numpy as np
import numpy.typing as npt

from masking.keyed import combine_array, hash_key, mix_array

MISSES = 0.005
"""Most pairs at the threshold that may have no key in common; as many again may agree in too few places."""
CHANCE = 1 / 256
"""How often places of sketches agree by chance."""


@cache
def _permutations(places: int) -> tuple[npt.NDArray[np.uint32], npt.NDArray[np.uint32]]:
    """Odd factors and offsets, uint32[K] each."""
    draws = combine_array(np.arange(2 * places, dtype=np.uint64) + np.uint64(hash_key("minhash", places)), 0)
    factors, offsets = (draws >> np.uint64(32)).astype(np.uint32).reshape(2, places)
    return factors | np.uint32(1), offsets


def signatures(
    hashes_N: npt.NDArray[np.uint64], document_N: npt.NDArray[np.int64], documents: int, places: int
) -> npt.NDArray[np.uint32]:
    """uint32[D, K]: the signatures of some documents from their n-grams together; the greatest value everywhere for one
    without any.

    ``document_N`` says whose each n-gram is, in ascending order; how often a document has an n-gram does not matter.
    """
    from data_prep.kernels import least_values

    values_DK = np.full((documents, places), np.iinfo(np.uint32).max, np.uint32)
    least_values(hashes_N, document_N, *_permutations(places), values_DK)
    return values_DK


def band_keys(signatures_DK: npt.NDArray[np.uint32], band: int, rows: int) -> npt.NDArray[np.uint64]:
    """uint64[D]: documents with equal rows ``band * rows ...`` have equal keys."""
    keys = np.full(len(signatures_DK), hash_key("minhash band", band), np.uint64)
    for row in range(band * rows, (band + 1) * rows):
        keys = mix_array(keys ^ signatures_DK[:, row])
    return keys


def sketches(signatures_DK: npt.NDArray[np.uint32]) -> npt.NDArray[np.uint8]:
    """uint8[D, K]: what is kept of signatures to compare two documents."""
    return signatures_DK.astype(np.uint8)


def similarity(agreement: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    """The estimate from the share of places of two sketches that agree."""
    return np.maximum(0, (agreement - CHANCE) / (1 - CHANCE))


def shared_key(alike: float, bands: int, rows: int) -> float:
    """How probably two documents of this similarity have a key in common."""
    return float(1 - (1 - alike**rows) ** bands)


def bands_for(threshold: float, places: int) -> tuple[int, int]:
    """The number of bands and rows that misses at most MISSES of the pairs at ``threshold`` with the fewest false
    candidates.

    Raises:
        ValueError: no division of so few places does.
    """
    for rows in range(places, 0, -1):
        if shared_key(threshold, places // rows, rows) >= 1 - MISSES:
            return places // rows, rows
    raise ValueError(f"threshold: {threshold} cannot be kept with permutations: {places}; raise one of them")


def agreeing(alike: float, places: int, least: int) -> float:
    """How probably at least ``least`` of the places of two documents of this similarity agree."""
    chance = alike + (1 - alike) * CHANCE
    if chance >= 1 or least <= 0:
        return 1.0
    ways = (
        lgamma(places + 1) - lgamma(m + 1) - lgamma(places - m + 1) + m * log(chance) + (places - m) * log(1 - chance)
        for m in range(least, places + 1)
    )
    return min(1.0, sum(map(exp, ways)))


@cache
def least_agreement(threshold: float, places: int) -> int:
    """The most places that may be asked to agree so that at most MISSES of the pairs at ``threshold`` fail."""
    return next(least for least in range(places, -1, -1) if agreeing(threshold, places, least) >= 1 - MISSES)


def found_share(alike: float, threshold: float, places: int, bands: int, rows: int) -> tuple[float, float]:
    """The least and the greatest share of pairs of this similarity that are found: a key in common, and enough places
    that agree.

    Both depend on the same places, so the truth lies between the two failing apart from each other as often as they can
    and together.
    """
    key, enough = shared_key(alike, bands, rows), agreeing(alike, places, least_agreement(threshold, places))
    return max(0.0, key + enough - 1), min(key, enough)
