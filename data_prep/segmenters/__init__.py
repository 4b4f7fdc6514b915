"""Segmenters: one file here is one way to find words. ``kind: rjieba`` in a configuration is ``segmenters/rjieba.py``."""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass

from data_prep.documents import Spans
from data_prep.portable import Portable


@dataclass(frozen=True, kw_only=True)
class Segmenter(Portable, ABC):
    """Finds the words of one language. Objects are sent to worker processes, so heavy resources load on first use."""

    @abstractmethod
    def words(self, text: str) -> Spans:
        """int32[W, 2]: sorted, disjoint word spans of at least two characters, in characters of ``text``."""

    @abstractmethod
    def version(self) -> str:
        """Name and version of what decides the words; it enters the fingerprint of the shards."""
