"""Decontamination: documents that share a long n-gram with the user's evaluation files are dropped.

    evaluation files  --tokens, n-gram hashes-->  sorted uint64[M] with the place of each     (once a process)
    Document          --tokens, n-gram hashes-->  a bit table, then binary searches
                      ->  Rejected(place, "contaminated: FILE", "FILE:LINE: ...")

An n-gram is 25 characters of Chinese or 13 words of English, whatever stands between them (white space, punctuation,
letter case do not count; see `shingles.py`); the language of each evaluation text decides which. A document is looked
through for both. Texts shorter than their n-gram cannot be recognised; ``Evaluation.short`` counts them, per file.
"""

from __future__ import annotations

import dataclasses
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from data_prep.code_points import code_points
from data_prep.documents import Document, Place, Rejected
from data_prep.files import sha256_file
from data_prep.filtering.cleaning import Cleaning
from data_prep.filtering.evaluation_files import file_format, find_evaluation_files, read_texts
from data_prep.filtering.shingles import ngram_hashes, tokens

RULES_VERSION = 1
MIN_BITS, MAX_BITS = 16, 27
"""Size of the bit table: 2^bits flags, at least 32 a hash, up to 16 MiB in all."""


@dataclass(frozen=True, kw_only=True)
class Decontamination:
    """Which evaluation files must not occur in the corpus, and what counts as occurring."""

    paths: list[str]
    """Evaluation files or patterns: .txt (a text a line), .jsonl, .json, .csv, .tsv, each also .gz, .zst, .bz2, .xz."""
    keys: list[str] = field(default_factory=list)
    """JSON keys (at any depth) or column names whose texts count; all texts when empty."""
    words: int = 13
    """Length of a tell-tale n-gram in English, in words."""
    characters: int = 25
    """Length of a tell-tale n-gram in Chinese, in characters."""
    min_matches: int = 1
    """A document is dropped when at least so many of its n-grams are found."""

    def __post_init__(self) -> None:
        if not self.paths:
            raise ValueError("paths: give at least one file or pattern")
        for path in self.paths:
            if Path(path).is_file():
                file_format(Path(path))
        for name, least in (("words", 3), ("characters", 5), ("min_matches", 1)):
            if getattr(self, name) < least:
                raise ValueError(f"{name}: {getattr(self, name)} must be at least {least}")

    def fingerprint(self) -> dict[str, Any]:
        """What decides which documents stay: the settings, and the files by name and content.

        Raises:
            FileNotFoundError: a path or pattern matches nothing.
        """
        settings = {item.name: getattr(self, item.name) for item in dataclasses.fields(self) if item.name != "paths"}
        files = [[path.name, sha256_file(path)] for path in find_evaluation_files(self.paths)]
        return {"kind": "decontamination", "rules": RULES_VERSION, **settings, "files": files}

    def load(self, cleaning: Cleaning) -> Evaluation:
        """Read the evaluation files, cleaned like the corpus.

        Raises:
            ValueError, OSError: a file cannot be read; names file and line.
        """
        shortest = min(self.words, self.characters)
        beginnings: list[npt.NDArray[np.uint64]] = []
        hashes: dict[int, list[npt.NDArray[np.uint64]]] = {self.words: [], self.characters: []}
        owners: dict[int, list[int]] = {self.words: [], self.characters: []}
        places: list[str] = []
        texts: Counter[str] = Counter()
        short: Counter[str] = Counter()
        for path in find_evaluation_files(self.paths):
            for place, raw in read_texts(path, self.keys):
                text = cleaning.text(raw)
                language = cleaning.known.get(cleaning.language(text))
                n = self.words if language is None or language.spaced else self.characters
                hashes_T = tokens(code_points(text))[0]
                texts[path.name] += 1
                if len(hashes_T) < n:
                    short[path.name] += 1
                    continue
                hashes[n].append(ngram_hashes(hashes_T, n))
                beginnings.append(ngram_hashes(hashes_T, shortest)[: len(hashes[n][-1])])
                owners[n].append(len(places))
                places.append(place)
        if not places:
            raise ValueError(
                f"paths: no text in {', '.join(texts) or 'the files'} is as long as {self.words} words or "
                f"{self.characters} Chinese characters"
            )
        grams = [_Grams.of(n, hashes[n], owners[n]) for n in hashes if hashes[n]]
        sieve = _Sieve.of(_Grams.of(shortest, beginnings, list(range(len(places)))))
        return Evaluation(sieve, grams, places, dict(texts), dict(short), self.min_matches)


class _Grams(NamedTuple):
    """The n-grams of one length."""

    n: int
    hashes_M: npt.NDArray[np.uint64]
    """Sorted, none twice."""
    owner_M: npt.NDArray[np.int32]
    """Which text has it (the first one)."""

    @staticmethod
    def of(n: int, pieces: list[npt.NDArray[np.uint64]], owners: list[int]) -> _Grams:
        owner = np.repeat(np.array(owners, np.int32), [len(piece) for piece in pieces])
        hashes_M, first = np.unique(np.concatenate(pieces), return_index=True)
        return _Grams(n, hashes_M, owner[first])

    def find(self, hashes_N: npt.NDArray[np.uint64]) -> npt.NDArray[np.int32]:
        """The owners of those hashes that are here, in order."""
        places = np.minimum(self.hashes_M.searchsorted(hashes_N), len(self.hashes_M) - 1)
        owners: npt.NDArray[np.int32] = self.owner_M[places[self.hashes_M[places] == hashes_N]]
        return owners


class _Sieve(NamedTuple):
    """Recognises documents without any n-gram quickly, by the shortest n: every longer n-gram begins with one of that
    length."""

    grams: _Grams
    flags: npt.NDArray[np.uint8]
    """Is there a hash with these upper bits? Eight answers a byte."""
    shift: np.uint64
    """Leaves the upper bits of a hash that number a byte of ``flags``; the next three number the bit."""

    @staticmethod
    def of(grams: _Grams) -> _Sieve:
        bits = min(MAX_BITS, max(MIN_BITS, len(grams.hashes_M).bit_length() + 5))
        flags = np.zeros(1 << bits, np.bool_)
        flags[grams.hashes_M >> np.uint64(64 - bits)] = True
        return _Sieve(grams, np.packbits(flags, bitorder="little"), np.uint64(64 - bits + 3))

    def passes(self, hashes_T: npt.NDArray[np.uint64]) -> bool:
        """May a document with these tokens hold an n-gram?"""
        hashes_N = ngram_hashes(hashes_T, self.grams.n)
        bytes_N = self.flags[hashes_N >> self.shift]
        bytes_N >>= (hashes_N >> (self.shift - np.uint64(3))).astype(np.uint8) & np.uint8(7)
        maybe = hashes_N[(bytes_N & np.uint8(1)).view(np.bool_)]
        return len(maybe) > 0 and len(self.grams.find(maybe)) > 0


@dataclass(frozen=True)
class Evaluation:
    """The n-grams of the evaluation files."""

    sieve: _Sieve
    grams: list[_Grams]
    places: list[str]
    """`FILE:LINE` of every text that is long enough."""
    texts: dict[str, int]
    """Texts read, by file."""
    short: dict[str, int]
    """Texts too short to be recognised, by file."""
    min_matches: int

    def check(self, document: Document, place: Place) -> Rejected | None:
        """Why the document is dropped; None when it stays."""
        hashes_T = tokens(document.characters)[0]
        if not self.sieve.passes(hashes_T):
            return None
        found = [
            (grams.n, owners) for grams in self.grams if len(owners := grams.find(ngram_hashes(hashes_T, grams.n)))
        ]
        total = sum(len(owners) for _, owners in found)
        if total < self.min_matches:
            return None
        n, owners = found[0]
        file, _, line = self.places[owners[0]].rpartition(":")
        return Rejected(
            place, f"contaminated: {file}", f"{file}:{line}: {total} n-gram(s) of {n} words or characters in common"
        )
