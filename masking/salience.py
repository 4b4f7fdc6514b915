"""How telling a unit is: rare in the documents of the corpus, frequent in its own sample (tf-idf, Spaerck Jones 1972).

    10,000 documents, 北京 in 5,000   ->   idf log(10001 / 5001) + 1 = 1.69
    哈尔滨工业大学 in 9               ->   idf log(10001 / 10) + 1 = 7.91

Units are known by a hash of their token ids, so no text is needed while training.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from masking.keyed import GOLDEN, mix_array
from masking.spans import Int, Keys

Ids = npt.NDArray[np.int64]


def hashes(ids_T: Ids, start_U: npt.NDArray[np.integer], end_U: npt.NDArray[np.integer]) -> Keys:
    """uint64[U]: equal for equal sequences of ids."""
    from masking import kernels

    found: Keys = kernels.hash_sequences(ids_T, start_U, end_U)
    return found


@dataclass(frozen=True)
class Rarity:
    """Inverse document frequency of the units of one level, smoothed: log((1 + documents) / (1 + documents with the
    unit)) + 1."""

    hash_E: Keys
    """Hashes of the known units, rising."""
    idf_E: npt.NDArray[np.float32]
    unknown: float
    """The idf of all others, which occur in no document counted."""

    @staticmethod
    def of_counts(hash_E: Keys, documents_E: npt.NDArray[np.int64], documents: int) -> Rarity:
        """From the number of documents that hold each unit, among so many."""
        idf_E = np.log((1.0 + documents) / (1.0 + documents_E)) + 1.0
        return Rarity(hash_E, idf_E.astype(np.float32), float(np.log(1.0 + documents) + 1.0))

    def idf(self, ids_T: Ids, start_U: Int, end_U: Int) -> npt.NDArray[np.float32]:
        """float32[U]."""
        return self._look_up(hashes(ids_T, start_U, end_U))

    def tf_idf(self, ids_T: Ids, start_U: Int, end_U: Int, sample_start_S: Int) -> npt.NDArray[np.float32]:
        """float32[U]: idf times how often the unit occurs in its sample."""
        hash_U = hashes(ids_T, start_U, end_U)
        sample_U = np.searchsorted(sample_start_S, start_U, "right").astype(np.uint64)
        _, inverse_U, counts = np.unique(
            mix_array(hash_U + sample_U * np.uint64(GOLDEN)), return_inverse=True, return_counts=True
        )
        weights: npt.NDArray[np.float32] = self._look_up(hash_U) * counts[inverse_U].astype(np.float32)
        return weights

    def _look_up(self, hash_U: Keys) -> npt.NDArray[np.float32]:
        place_U = np.searchsorted(self.hash_E, hash_U)
        inside_U = np.minimum(place_U, max(len(self.hash_E) - 1, 0))
        known_U = (self.hash_E[inside_U] == hash_U) if len(self.hash_E) else np.zeros(len(hash_U), np.bool_)
        found = self.idf_E[inside_U] if len(self.hash_E) else np.zeros(len(hash_U), np.float32)
        weights: npt.NDArray[np.float32] = np.where(known_U, found, np.float32(self.unknown)).astype(np.float32)
        return weights
