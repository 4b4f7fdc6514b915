"""Duplicates: which documents say what an earlier one has said already.

    map     Document  ->  digest of its text without white space (128 bits), MinHash sketch and band keys of its 5-grams
    reduce  equal digests; equal keys -> candidate pairs -> kept if their sketches agree enough -> clusters; the first
            document of each, by part and number, stays
    read    Dropped.open(result).reason(part, number)  ->  ("near duplicate", "0.91 like zhwiki/17") or None

    part 0: "a b c d e f"                          part 1, number 0: ("duplicate", "same text as x/0")
    part 1: "a b c  d e f", "a b c d e f g h"      part 1, number 1: similarity 2/4 = 0.5, below the threshold: stays

An n-gram is n characters of Chinese and n words of English (`shingles.py`). Clusters are transitive: with A like B and
B like C, C goes too, and its figure, always against the document that stays, may lie below the threshold.

A part keeps of each document a digest (16 bytes), its band keys (8 bytes each) and a sketch (1 byte a place): .5 kB.
What follows is made by tasks in rounds, each within a gigabyte of memory (`duplicate_runs.py`, `duplicate_pairs.py`),
but for one that holds 5 bytes a document (`duplicate_clusters.py`).

Shape legend: D documents of a block, N n-grams, T tokens, K places of a signature.
"""

from __future__ import annotations

import dataclasses
import hashlib
import shutil
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import cached_property, partial
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from data_prep.code_points import code_points
from data_prep.documents import Document
from data_prep.filtering.columns import append, write_texts
from data_prep.filtering.duplicate_clusters import describe, join, publish_clusters
from data_prep.filtering.duplicate_pairs import find_alike, find_candidates, find_equal
from data_prep.filtering.duplicate_runs import Layout, gather_digests, gather_keys, lay_out
from data_prep.filtering.minhash import band_keys, bands_for, least_agreement, signatures, sketches
from data_prep.filtering.shingles import ngram_hashes, tokens
from data_prep.running.rounds import Round, StepOutputs
from data_prep.running.steps import Step

RULES_VERSION = 2
BLOCK_DOCUMENTS = 1 << 12
BLOCK_CHARACTERS = 1 << 18


@dataclass(frozen=True, kw_only=True)
class Duplicates(Step):
    """Finds exact and near duplicates over the whole corpus."""

    name = "duplicates"
    near: bool = True
    """Find near duplicates too, not only texts that are equal but for white space."""
    threshold: float = 0.8
    """Similarity of near duplicates: the share of n-grams that two documents have in common (Jaccard). 99 in 100 pairs
    at it are found, of pairs below it fewer and fewer."""
    ngram: int = 5
    """Length of the n-grams: characters of Chinese, words of English."""
    permutations: int = 256
    """Places of a signature, a power of two; the similarity is known to about 0.5 / sqrt(permutations). More of them
    drop fewer documents below the threshold and need more disk."""
    bands: int = 0
    """Bands of a signature; 0 chooses them so that 99 in 100 pairs at the threshold are found; more find more
    candidates, fewer miss some."""

    def __post_init__(self) -> None:
        if not 0 < self.threshold <= 1:
            raise ValueError(f"threshold: {self.threshold} must lie in (0, 1]")
        if self.ngram < 1:
            raise ValueError(f"ngram: {self.ngram} must be at least 1")
        if not 16 <= self.permutations <= 1024 or self.permutations & (self.permutations - 1):
            raise ValueError(f"permutations: {self.permutations} must be a power of two from 16 to 1024")
        if not 0 <= self.bands <= self.permutations:
            raise ValueError(
                f"bands: {self.bands} must lie between 0 (automatic) and permutations ({self.permutations})"
            )
        _ = self._division

    def fingerprint(self) -> dict[str, Any]:
        return {
            "kind": self.name,
            "rules": RULES_VERSION,
            **{item.name: getattr(self, item.name) for item in dataclasses.fields(self)},
        }

    @cached_property
    def _division(self) -> tuple[int, int]:
        """Bands and rows."""
        return (
            (self.bands, self.permutations // self.bands)
            if self.bands
            else bands_for(self.threshold, self.permutations)
        )

    def map(self, documents: Iterable[tuple[int, Document]], folder: Path) -> None:
        ids: list[str] = []
        block: list[tuple[int, str]] = []
        length = 0
        for number, document in documents:
            ids.append(document.id)
            block.append((number, document.text))
            length += len(document.text)
            if length >= BLOCK_CHARACTERS or len(block) == BLOCK_DOCUMENTS:
                self._write_block(block, folder)
                block, length = [], 0
        self._write_block(block, folder)
        write_texts(folder, "ids", ids)

    def _write_block(self, block: Sequence[tuple[int, str]], folder: Path) -> None:
        """Numbers, digests and signatures of some documents."""
        append(folder / "numbers", np.array([number for number, _ in block], np.int64))
        solid = (text.encode("utf-8", "surrogatepass").translate(None, b" \n") for _, text in block)
        digests = b"".join(hashlib.blake2b(content, digest_size=16).digest() for content in solid)
        append(folder / "digests", np.array(bytearray(digests), np.uint8))
        if self.near:
            hashes_N, document_N = self._ngrams([text for _, text in block])
            append(folder / "usable", np.bincount(document_N, minlength=len(block)) > 0)
            signatures_DK = signatures(hashes_N, document_N, len(block), self.permutations)
            append(folder / "sketches", sketches(signatures_DK))
            bands, rows = self._division
            append(folder / "bands", np.stack([band_keys(signatures_DK, band, rows) for band in range(bands)], axis=1))

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
        hashes_N, document_N = np.concatenate(pieces), np.concatenate(owners)
        order = np.argsort(document_N, kind="stable")
        return hashes_N[order], document_N[order]

    def rounds(self) -> Sequence[Round]:
        bands, _ = self._division
        near = (
            Round("runs", _runs, partial(gather_keys, bands=bands, places=self.permutations)),
            Round("candidates", _key_tasks, find_candidates),
            Round(
                "alike",
                _runs,
                partial(find_alike, places=self.permutations, least=least_agreement(self.threshold, self.permutations)),
            ),
        )
        return (
            Round("layout", _one, partial(lay_out, bands=bands if self.near else 0)),
            Round("digests", _runs, gather_digests),
            Round("equal", _equal_tasks, find_equal),
            *(near if self.near else ()),
            Round("clusters", _one, partial(join, near=self.near)),
            Round("entries", _runs, partial(describe, near=self.near, places=self.permutations)),
        )

    def reduce(self, folders: Sequence[Path], folder: Path) -> None:
        made = StepOutputs(folders, folder / "rounds")
        for each in self.rounds():
            for task in range(each.tasks(made)):
                made.task(each.name, task).mkdir(parents=True)
                each.make(made, task, made.task(each.name, task))
        self.finish(made, folder)
        shutil.rmtree(made.folder)

    def finish(self, made: StepOutputs, folder: Path) -> None:
        publish_clusters(made, folder)


def _one(made: StepOutputs) -> int:
    return 1


def _runs(made: StepOutputs) -> int:
    return Layout.read(made).runs


def _equal_tasks(made: StepOutputs) -> int:
    return Layout.read(made).equal_tasks


def _key_tasks(made: StepOutputs) -> int:
    return Layout.read(made).key_tasks
