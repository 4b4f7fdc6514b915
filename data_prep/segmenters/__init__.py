"""Segmenters: one file here is one way to find words. ``kind: rjieba`` in a configuration is
``segmenters/rjieba.py``."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass

from data_prep.documents import Spans
from data_prep.pieces import single_words
from data_prep.portable import Portable


@dataclass(frozen=True, kw_only=True)
class Segmenter(Portable, ABC):
    """Finds the words of one language. Objects are sent to worker processes, so heavy resources load on first use."""

    @abstractmethod
    def words(self, text: str) -> Spans:
        """int32[W, 2]: sorted, disjoint word spans of at least two characters, in characters of ``text``."""

    def block_words(self, texts: Sequence[str]) -> Spans:
        """The words of several texts, over the characters of all of them one behind the other. A segmenter may do them
        in one go."""
        return single_words(self.words, texts)

    @abstractmethod
    def version(self) -> str:
        """Name and version of what decides the words; it enters the fingerprint of the shards."""
