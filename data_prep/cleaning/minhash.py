"""MinHash signatures: two documents have equal places in their signatures about as often as their sets of n-grams overlap.

    set of n-gram hashes  --one permutation, k bins-->  signature uint32[k]  --bands of r places-->  keys uint64[bands]

One hash per n-gram instead of k: the range of the hash is cut into k bins, and the smallest hash of each bin is its place in the signature
(Li, Owen, Zhang: One permutation hashing, NIPS 2012). An empty bin takes the value of another bin, chosen by a fixed random order, so
short documents have whole signatures too (Shrivastava: Optimal densification for fast and accurate minwise hashing, ICML 2017). The
cost is that of sorting the hashes.

Shape legend: N n-grams, K places of a signature, D documents, B bands.
"""

from __future__ import annotations

from functools import cache

import numpy as np
import numpy.typing as npt

from masking.keyed import combine_array, hash_key, mix_array

DOCUMENT_BITS = 12
MAX_DOCUMENTS = 1 << DOCUMENT_BITS


@cache
def _donors(places: int) -> npt.NDArray[np.int32]:
    """int32[K, K]: for every bin, the order in which the others are asked for a value."""
    key = np.uint64(hash_key("minhash donors", places))
    draws = combine_array(np.arange(places * places, dtype=np.uint64) + key, 0).reshape(places, places)
    return np.argsort(draws, axis=1, kind="stable").astype(np.int32)


def signatures(hashes_N: npt.NDArray[np.uint64], document_N: npt.NDArray[np.int64], documents: int, places: int) -> npt.NDArray[np.uint32]:
    """uint32[D, K]: the signatures of some documents (at most MAX_DOCUMENTS), from their n-grams together; zeros for one without any.

    ``document_N`` says whose each n-gram is; ``places`` is a power of two. One sort does it all: by document, bin, and hash.
    """
    bits = places.bit_length() - 1
    rest = np.uint64(64 - DOCUMENT_BITS - bits)
    keys_N = mix_array(hashes_N) >> np.uint64(DOCUMENT_BITS)
    keys_N |= document_N.astype(np.uint64) << np.uint64(64 - DOCUMENT_BITS)
    keys_N.sort()
    bins_N = (keys_N >> rest).astype(np.int64)
    first = np.flatnonzero(np.diff(bins_N, prepend=-1))
    values = np.zeros(documents * places, np.uint32)
    filled = np.zeros(documents * places, np.bool_)
    values[bins_N[first]] = keys_N[first].astype(np.uint32)
    filled[bins_N[first]] = True
    values_DK, filled_DK = values.reshape(-1, places), filled.reshape(-1, places)
    _densify(values_DK, filled_DK)
    return values_DK


def _densify(values_DK: npt.NDArray[np.uint32], filled_DK: npt.NDArray[np.bool_]) -> None:
    """Give every empty bin of a document that has any n-gram the value of the first donor that has one."""
    rows, bins = np.nonzero(~filled_DK & filled_DK.any(axis=1, keepdims=True))
    values = values_DK.copy()
    for attempt in range(values_DK.shape[1]):
        if not len(rows):
            break
        donors = _donors(values_DK.shape[1])[bins, attempt]
        has = filled_DK[rows, donors]
        values_DK[rows[has], bins[has]] = values[rows[has], donors[has]]
        rows, bins = rows[~has], bins[~has]


def band_keys(signatures_DK: npt.NDArray[np.uint32], band: int, rows: int) -> npt.NDArray[np.uint64]:
    """uint64[D]: documents with equal rows ``band * rows ...`` have equal keys."""
    keys = np.full(len(signatures_DK), hash_key("minhash band", band), np.uint64)
    for row in range(band * rows, (band + 1) * rows):
        keys = mix_array(keys ^ signatures_DK[:, row])
    return keys


def bands_for(threshold: float, places: int) -> tuple[int, int]:
    """The number of bands and rows that finds at least 99 in 100 pairs at ``threshold`` with the fewest false candidates.

    Two documents of similarity s share a band of r rows with probability 1 - (1 - s^r)^b.
    """
    for rows in range(places, 1, -1):
        if 1 - (1 - threshold**rows) ** (places // rows) >= 0.99:
            return places // rows, rows
    return places, 1
