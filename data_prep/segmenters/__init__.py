"""Segmenters: one file here is one way to find words. ``kind: rjieba`` in a configuration is ``segmenters/rjieba.py``."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterable
from dataclasses import dataclass

from data_prep.documents import Spans


@dataclass(frozen=True, kw_only=True)
class Segmenter(ABC):
    """Finds the words of one language. Objects are sent to worker processes, so heavy resources load on first use."""

    @abstractmethod
    def words(self, text: str) -> Spans:
        """int32[W, 2]: sorted, disjoint word spans of at least two characters, in characters of ``text``."""

    @abstractmethod
    def version(self) -> str:
        """Name and version of what decides the words; it enters the fingerprint of the shards."""


def load_user_words(paths: Iterable[str]) -> list[str]:
    """Words of user dictionaries, one a line; what follows a tab or a space (frequency, tag) is ignored.

    Raises:
        ValueError: a line is not UTF-8.
    """
    from pathlib import Path

    from data_prep.streams import open_bytes

    words: dict[str, None] = {}
    for path in paths:
        with open_bytes(Path(path)) as stream:
            for number, line in enumerate(stream, 1):
                try:
                    text = line.decode("utf-8-sig" if number == 1 else "utf-8").strip()
                except UnicodeDecodeError:
                    raise ValueError(f"{path}:{number}: not UTF-8. Convert the dictionary to UTF-8.") from None
                if text and not text.startswith("#"):
                    words[text.split("\t")[0].split(" ")[0]] = None
    return list(words)
