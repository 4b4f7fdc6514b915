"""Which discourse pairs are kept: of each class the ``cap`` ones with the smallest hash of (class, texts), as a
corpus-wide step.

    map      the pairs of a part  ->  its smallest hashes by class
    reduce   the smallest of all  ->  the limit of each class
    Balance  keeps the pairs up to the limit: which ones that are depends neither on the parts nor on their order

Shape legend: K keys, C classes.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from data_prep.discourse.discourse import Discourse, DiscoursePair
from data_prep.documents import Document
from data_prep.languages import Language, by_code, ends_of
from data_prep.running.steps import Step
from data_prep.sentences import split_sentences

LIMITS, FOUND = "limits.npy", "found.npy"
NO_LIMIT = np.uint64(2**64 - 1)


@dataclass(frozen=True, kw_only=True)
class DiscourseStep(Step):
    """Finds the limit of each class: the key of the last of its ``cap`` pairs that are kept. Equal pairs count once."""

    discourse: Discourse
    """Finds the pairs."""
    languages: Mapping[str, Language] = field(default_factory=by_code)
    """The languages of the documents by code."""
    name: str = "discourse"

    def fingerprint(self) -> dict[str, Any]:
        return self.discourse.fingerprint()

    def map(self, documents: Iterable[tuple[int, Document]], folder: Path) -> None:
        number = {name: index for index, name in enumerate(self.discourse.classes)}
        found: list[tuple[int, int]] = []
        for _, document in documents:
            sentences = split_sentences(document.characters, ends_of(self.languages, document.language))
            found.extend((number[pair.name], pair.key) for pair in self.discourse.pairs(document, *sentences))
        np.save(folder / FOUND, self._smallest(np.array(found, np.uint64).reshape(-1, 2)))

    def reduce(self, folders: Sequence[Path], folder: Path) -> None:
        smallest_K2 = np.zeros((0, 2), np.uint64)
        for part in folders:
            smallest_K2 = self._smallest(np.concatenate([smallest_K2, np.load(part / FOUND)]))
        limit_C = np.full(len(self.discourse.classes), NO_LIMIT, np.uint64)
        classes_C, counts_C = np.unique(smallest_K2[:, 0], return_counts=True)
        last_C = np.cumsum(counts_C) - 1
        full_C = counts_C == self.discourse.cap
        limit_C[classes_C[full_C].astype(np.int64)] = smallest_K2[last_C[full_C], 1]
        np.save(folder / LIMITS, limit_C)

    def _smallest(self, found_K2: npt.NDArray[np.uint64]) -> npt.NDArray[np.uint64]:
        """Of each class the ``cap`` smallest distinct keys, sorted; rows are (class, key)."""
        found_K2 = np.unique(found_K2, axis=0)
        first_K = np.searchsorted(found_K2[:, 0], found_K2[:, 0], "left")
        return found_K2[np.arange(len(found_K2)) - first_K < self.discourse.cap]


@dataclass(frozen=True)
class Balance:
    """Which pairs are kept."""

    limits: dict[str, int]
    """Largest key that is kept, by class; classes without a limit are kept whole."""

    @staticmethod
    def read(discourse: Discourse, result: Path) -> Balance:
        """From the folder of the result of a ``DiscourseStep``."""
        return Balance(dict(zip(discourse.classes, np.load(result / LIMITS).tolist(), strict=True)))

    def keeps(self, pair: DiscoursePair) -> bool:
        """Is this pair among those of its class that are kept?"""
        return pair.key <= self.limits.get(pair.name, pair.key)
