"""Duplicates: which documents say what an earlier one has said already.

    map     Document  ->  digest of its text without white space (128 bits), MinHash signature of its 5-grams, band keys
    reduce  equal digests, then band after band: equal keys -> candidate pairs -> kept if their signatures agree enough
            -> clusters; the first document of each, by part and number, stays
    read    Dropped.open(result).reason(part, number)  ->  ("near duplicate", "0.91 like zhwiki/17") or None

    part 0: "a b c d e f"                          part 1, number 0: ("duplicate", "same text as x/0")
    part 1: "a b c  d e f", "a b c d e f g h"      part 1, number 1: similarity 2/4 = 0.5, below the threshold: stays

An n-gram is n characters of Chinese and n words of English (`shingles.py`). Clusters are transitive: with A like B and B like C, C goes
too, and its figure, always against the document that stays, may lie below the threshold.

Memory of the reduction: about 64 bytes a document (digests or one band's keys, with their sorting order) plus the candidate pairs of one
band in blocks; signatures and keys stay on disk (4 bytes a place and 8 a band for each document: 0.7 kB).

Shape legend: D documents of all parts, P candidate pairs, K places of a signature, B bands.
"""

from __future__ import annotations

import dataclasses
import hashlib
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from data_prep.cleaning.columns import Array, Columns, append, mapped, write_texts
from data_prep.cleaning.dropped import ENTRY
from data_prep.cleaning.minhash import MAX_DOCUMENTS, band_keys, bands_for, signatures
from data_prep.cleaning.shingles import ngram_hashes, tokens
from data_prep.code_points import code_points
from data_prep.documents import Document
from data_prep.files import write_json
from data_prep.running.steps import Step

RULES_VERSION = 1
BLOCK_DOCUMENTS = 1 << 14
BLOCK_CHARACTERS = 1 << 18
BLOCK_PAIRS = 1 << 16


@dataclass(frozen=True, kw_only=True)
class Duplicates(Step):
    """Finds exact and near duplicates over the whole corpus."""

    name = "duplicates"
    near: bool = True
    """Find near duplicates too, not only texts that are equal but for white space."""
    threshold: float = 0.8
    """Least similarity of near duplicates: the share of n-grams that two documents have in common (Jaccard)."""
    ngram: int = 5
    """Length of the n-grams: characters of Chinese, words of English."""
    permutations: int = 128
    """Places of a signature, a power of two; the similarity is known to about 0.5 / sqrt(permutations)."""
    bands: int = 0
    """Bands of a signature; 0 chooses them so that 99 in 100 pairs at the threshold are found."""

    def __post_init__(self) -> None:
        if not 0 < self.threshold <= 1:
            raise ValueError(f"threshold: {self.threshold} must lie in (0, 1]")
        if self.ngram < 1:
            raise ValueError(f"ngram: {self.ngram} must be at least 1")
        if not 16 <= self.permutations <= 1024 or self.permutations & (self.permutations - 1):
            raise ValueError(f"permutations: {self.permutations} must be a power of two from 16 to 1024")
        if not 0 <= self.bands <= self.permutations:
            raise ValueError(f"bands: {self.bands} must lie between 0 (automatic) and permutations ({self.permutations})")

    def fingerprint(self) -> dict[str, Any]:
        return {"kind": self.name, "rules": RULES_VERSION, **{item.name: getattr(self, item.name) for item in dataclasses.fields(self)}}

    @cached_property
    def _division(self) -> tuple[int, int]:
        """Bands and rows."""
        return (self.bands, self.permutations // self.bands) if self.bands else bands_for(self.threshold, self.permutations)

    def map(self, documents: Iterable[tuple[int, Document]], folder: Path) -> None:
        ids: list[str] = []
        block: list[tuple[int, str]] = []
        length = 0
        for number, document in documents:
            ids.append(document.id)
            block.append((number, document.text))
            length += len(document.text)
            if length >= BLOCK_CHARACTERS or len(block) == MAX_DOCUMENTS:
                self._write_block(block, folder)
                block, length = [], 0
        self._write_block(block, folder)
        write_texts(folder, "ids", ids)
        self._write_bands(folder)

    def _write_block(self, block: Sequence[tuple[int, str]], folder: Path) -> None:
        """Numbers, digests and signatures of some documents."""
        append(folder / "numbers", np.array([number for number, _ in block], np.int64))
        solid = (text.encode("utf-8", "surrogatepass").translate(None, b" \n") for _, text in block)
        digests = b"".join(hashlib.blake2b(content, digest_size=16).digest() for content in solid)
        append(folder / "digests", np.array(bytearray(digests), np.uint8))
        if self.near:
            hashes_N, document_N = self._ngrams([text for _, text in block])
            append(folder / "usable", np.bincount(document_N, minlength=len(block)) > 0)
            append(folder / "signatures", signatures(hashes_N, document_N, len(block), self.permutations))

    def _ngrams(self, texts: Sequence[str]) -> tuple[npt.NDArray[np.uint64], npt.NDArray[np.int64]]:
        """The n-grams of several texts with the text each is of; a text shorter than an n-gram is one whole."""
        hashes_T, start_T = tokens(code_points("\n".join(texts)))
        edges = np.cumsum([0, *(len(text) + 1 for text in texts)])
        firsts = np.searchsorted(start_T, edges)  # the first token of each text
        text_T = np.repeat(np.arange(len(texts)), np.diff(firsts))
        hashes_N = ngram_hashes(hashes_T, self.ngram)
        inside = text_T[: len(hashes_N)] == text_T[self.ngram - 1 :][: len(hashes_N)]
        pieces, owners = [hashes_N[inside]], [text_T[: len(hashes_N)][inside]]
        for index in np.flatnonzero((np.diff(firsts) > 0) & (np.diff(firsts) < self.ngram)).tolist():
            short = hashes_T[firsts[index] : firsts[index + 1]]
            pieces.append(ngram_hashes(short, len(short)))
            owners.append(np.array([index]))
        return np.concatenate(pieces), np.concatenate(owners)

    def _write_bands(self, folder: Path) -> None:
        """Band keys, one band after the other: uint64[B, D]."""
        signatures_DK = mapped(folder / "signatures", np.uint32, self.permutations)
        bands, rows = self._division
        for band in range(bands if self.near else 0):
            for start in range(0, len(signatures_DK), BLOCK_DOCUMENTS):
                append(folder / "bands", band_keys(signatures_DK[start : start + BLOCK_DOCUMENTS], band, rows))

    def reduce(self, folders: Sequence[Path], folder: Path) -> None:
        columns = Columns(folders)
        first_D = _first_with_equal(columns.read("digests", np.uint64, 2))
        parents_D = first_D.copy()
        if self.near:
            usable_D = columns.read("usable", np.bool_) & (first_D == np.arange(columns.count))
            fetch = columns.rows("signatures", np.uint32, self.permutations)
            candidates_D = np.flatnonzero(usable_D)
            for band in range(self._division[0]):
                self._join_band(columns.read_block("bands", np.uint64, band), candidates_D, fetch, parents_D)
        self._write(columns, first_D, parents_D, folder)

    def _join_band(
        self,
        keys_D: npt.NDArray[np.uint64],
        candidates_D: npt.NDArray[np.int64],
        fetch: Callable[[npt.NDArray[np.int64]], Array],
        parents_D: npt.NDArray[np.int64],
    ) -> None:
        """Join the clusters of documents with equal keys and similar signatures."""
        keys = keys_D[candidates_D]
        order = np.argsort(keys, kind="stable")
        keys = keys[order]
        members = candidates_D[order]
        equal = np.flatnonzero(keys[1:] == keys[:-1]) + 1
        if not len(equal):
            return
        group_starts = np.flatnonzero(np.append(True, keys[1:] != keys[:-1]))
        heads = members[group_starts[np.searchsorted(group_starts, equal, "right") - 1]]
        for left, right in ((heads, members[equal]), (members[equal - 1], members[equal])):
            for start in range(0, len(left), BLOCK_PAIRS):
                a_P, b_P = left[start : start + BLOCK_PAIRS], right[start : start + BLOCK_PAIRS]
                apart = _roots(parents_D, a_P) != _roots(parents_D, b_P)
                a_P, b_P = a_P[apart], b_P[apart]
                alike = (fetch(a_P) == fetch(b_P)).mean(axis=1) >= self.threshold
                _join(parents_D, a_P[alike], b_P[alike])

    def _write(self, columns: Columns, first_D: npt.NDArray[np.int64], parents_D: npt.NDArray[np.int64], folder: Path) -> None:
        roots_D = _roots(parents_D, np.arange(columns.count))
        dropped = np.flatnonzero(roots_D != np.arange(columns.count))
        kept, kept_index = np.unique(roots_D[dropped], return_inverse=True)
        entries = np.zeros(len(dropped), ENTRY)
        entries["part"] = columns.places(dropped)[0]
        entries["number"] = columns.rows("numbers", np.int64, 1)(dropped)[:, 0]
        entries["kept"] = kept_index
        entries["similarity"] = 1
        inexact = np.flatnonzero(first_D[dropped] != roots_D[dropped])
        if self.near:
            fetch = columns.rows("signatures", np.uint32, self.permutations)
            for start in range(0, len(inexact), BLOCK_PAIRS):
                chosen = inexact[start : start + BLOCK_PAIRS]
                like = (fetch(dropped[chosen]) == fetch(roots_D[dropped[chosen]])).mean(axis=1)
                entries["similarity"][chosen] = like
        entries["near"][inexact] = True
        append(folder / "entries", entries)
        append(folder / "part_ends", np.searchsorted(entries["part"], np.arange(len(columns.folders)), "right"))
        write_texts(folder, "kept", columns.texts("ids", kept))
        counts = {"documents": columns.count, "duplicates": len(dropped) - len(inexact), "near_duplicates": len(inexact), "clusters": len(kept)}
        write_json(folder / "counts.json", counts)


def _first_with_equal(digests_D2: npt.NDArray[np.uint64]) -> npt.NDArray[np.int64]:
    """int64[D]: for every document the first one with the same digest."""
    order = np.lexsort((digests_D2[:, 1], digests_D2[:, 0]))  # stable: equal digests stay in their order
    first_D = np.arange(len(order))
    if len(order) > 1:
        sorted_D2 = digests_D2[order]
        starts = np.append(True, (sorted_D2[1:] != sorted_D2[:-1]).any(axis=1))
        first_D[order] = order[np.flatnonzero(starts)][np.cumsum(starts) - 1]
    return first_D


def _roots(parents_D: npt.NDArray[np.int64], indices: npt.NDArray[np.int64]) -> npt.NDArray[np.int64]:
    """The first document of each one's cluster."""
    roots = parents_D[indices]
    while ((further := parents_D[roots]) != roots).any():
        roots = further
    parents_D[indices] = roots
    return roots


def _join(parents_D: npt.NDArray[np.int64], a_P: npt.NDArray[np.int64], b_P: npt.NDArray[np.int64]) -> None:
    """Make one cluster of each pair's clusters; the smaller index is its root. (Repeated, for pairs that share a cluster.)"""
    while len(a_P):
        a_root, b_root = _roots(parents_D, a_P), _roots(parents_D, b_P)
        apart = a_root != b_root
        a_P, b_P, a_root, b_root = a_P[apart], b_P[apart], a_root[apart], b_root[apart]
        np.minimum.at(parents_D, np.maximum(a_root, b_root), np.minimum(a_root, b_root))
