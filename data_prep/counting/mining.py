"""Mine a lexicon: the n-grams of a corpus that hold together and stand free, as a list for a person to review.

    map      the documents of a part -> blocks: keys of tokens, texts, tables of words and of neighbouring pairs
             (ngrams.py)
    reduce   blocks -> n-grams with counts, NPMI and branching entropy -> chosen, fragments dropped -> lexicon.tsv
             (collocations.py)

    人民 共和 国   seen 90 times, NPMI .81, left entropy 4.1, right entropy 3.7   ->  kept
    人民 共和      seen 91 times, 90 of them inside the line above                ->  dropped as its fragment

Counts are exact, so the file is the same for any number of workers and any size of parts. What bounds time and disk
(about six times the text read) on a large corpus is `sample_bytes`: documents are drawn by a hash of their id. Memory:
500 MB a worker.

    kmask lexicon mine configs/data/demo.yaml -o mined.tsv min_count=3

The masking vocabulary of PMI-Masking (Levine et al. 2021; segmentations.py) is mined with its own measure and quotas,
and no other threshold:

    kmask lexicon mine ... score=pmi_squared quotas=[0.5,0.25,0.125,0.125] min_npmi=-1 min_entropy=0 nested_share=1
        max_entries=800000

(Function words begin and end no entry here, and one entry replaces fragments that never occur without it; theirs keep
both.)
"""

from __future__ import annotations

import dataclasses
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from data_prep.counting.collocations import (
    Ngrams,
    by_block,
    count_ngrams,
    frequent,
    look_up,
    ngram_keys,
    ngram_words,
    npmi,
)
from data_prep.counting.counted_tables import Keys
from data_prep.counting.ngrams import StoredTokenBlock, TokenKeys
from data_prep.counting.segmentations import weakest_pmi, within_quotas
from data_prep.languages import Language

CONTEXT = 16
SCORES = ("npmi", "pmi", "pmi_squared")


@dataclass(frozen=True, kw_only=True)
class Mining:
    """What counts as a term."""

    languages: list[str] = field(default_factory=lambda: ["zh", "en"])
    """Documents of these languages are read; each language has statistics of its own."""
    max_words: int = 5
    """Longest n-gram in tokens (words, or letters that no word covers)."""
    min_count: int = 10
    """An entry occurs at least so often in the documents read."""
    min_npmi: float = 0.4
    """An entry's parts attract each other at least so much, from 0 (chance) to 1 (never apart)."""
    min_entropy: float = 1.5
    """An entry has at least so much freedom on its left and on its right, in bits."""
    nested_share: float = 0.8
    """An entry is a fragment when at least this share of its occurrences lie inside one longer entry."""
    max_entries: int = 100_000
    """The best so many are kept."""
    score: str = "npmi"
    """What is best: `npmi` times the lesser entropy; `pmi` at the most likely division into parts, in bits
    (PMI-Masking, equation 3); `pmi_squared` the same with the squared probability of the entry, which favours frequent
    ones (as in the lists its authors released)."""
    quotas: list[float] = field(default_factory=list)
    """Shares of `max_entries` for entries of 2, 3 ... words, each length ranked by itself (PMI-Masking: 0.5, 0.25,
    0.125, 0.125); empty: all together."""
    sample_bytes: int = 500_000_000
    """About so many bytes of text are read; of a larger corpus, documents chosen by a hash of their id."""

    def __post_init__(self) -> None:
        if not self.languages:
            raise ValueError("languages: give at least one, such as zh, en")
        if not 2 <= self.max_words <= 10:
            raise ValueError(f"max_words: {self.max_words} must lie between 2 and 10")
        if self.min_count < 2:
            raise ValueError(f"min_count: {self.min_count} must be at least 2")
        if not -1 <= self.min_npmi <= 1:
            raise ValueError(f"min_npmi: {self.min_npmi} must lie between -1 and 1")
        if self.min_entropy < 0:
            raise ValueError(f"min_entropy: {self.min_entropy} must be 0 or more")
        if not 0 < self.nested_share <= 1:
            raise ValueError(f"nested_share: {self.nested_share} must lie above 0 and not above 1")
        if self.score not in SCORES:
            raise ValueError(f"score: {self.score!r} is not one of {', '.join(SCORES)}")
        if self.quotas and not (
            len(self.quotas) < self.max_words and min(self.quotas) >= 0 and 0 < sum(self.quotas) <= 1 + 1e-9
        ):
            raise ValueError(
                f"quotas: {self.quotas} must be shares for 2 .. max_words = {self.max_words} words, 0 or more, with a "
                "sum of at most 1"
            )
        for name in ("max_entries", "sample_bytes"):
            if getattr(self, name) < 1:
                raise ValueError(f"{name}: {getattr(self, name)} must be at least 1")


@dataclass(frozen=True)
class Entry:
    """A line of the lexicon."""

    surface: str
    score: float
    count: int
    npmi: float
    left: float
    right: float
    example: str


@dataclass(frozen=True)
class Candidates:
    """The n-grams of one length that pass the thresholds."""

    key_Dn: Keys
    """Keys of their words."""
    join_Dn: npt.NDArray[np.uint8]
    npmi_D: npt.NDArray[np.float64]
    score_D: npt.NDArray[np.float64]
    ngrams: Ngrams

    def __getitem__(self, chosen_D: npt.NDArray[Any]) -> Candidates:
        key_Dn, join_Dn, npmi_D, score_D = (
            getattr(self, name)[chosen_D] for name in ("key_Dn", "join_Dn", "npmi_D", "score_D")
        )
        return Candidates(key_Dn, join_Dn, npmi_D, score_D, take(self.ngrams, chosen_D))


def take(ngrams: Ngrams, chosen_D: npt.NDArray[Any]) -> Ngrams:
    """The chosen rows."""
    return Ngrams(*(getattr(ngrams, item.name)[chosen_D] for item in dataclasses.fields(ngrams)))


def select(
    blocks: Sequence[StoredTokenBlock], mining: Mining, languages: Mapping[str, Language], folder: Path
) -> list[Entry]:
    """The entries of the lexicon, best first. ``folder`` is for intermediate tables."""
    counted = count_ngrams(blocks, mining.min_count, mining.max_words, folder)
    words = frequent([block.folder / "words.arrow" for block in blocks], mining.min_count, folder)
    total = Counter[str]()
    for block in blocks:
        total[block.language] += int((block.array("ends") > block.array("starts")).sum())
    total_B = np.array([total[block.language] for block in blocks], np.int64)
    stop_D = np.array(
        [TokenKeys(language)[word] for language in mining.languages for word in languages[language].function_words],
        np.uint64,
    )
    chosen: dict[int, Candidates] = {}
    for length, ngrams in counted.items():
        free = take(ngrams, np.minimum(*ngrams.entropy()) >= mining.min_entropy)
        key_Dn, join_Dn = ngram_words(blocks, free.place_D, length)
        edges_D = ~(np.isin(key_Dn[:, 0], stop_D) | np.isin(key_Dn[:, -1], stop_D))
        found = Candidates(key_Dn, join_Dn, np.zeros(len(free)), np.zeros(len(free)), free)[edges_D]
        total_D = total_B[found.ngrams.place_D >> np.uint64(32)]
        where = (found.key_Dn, found.join_Dn, total_D, (words["key"], words["count"]), counted)
        npmi_D = npmi(*where)
        by_npmi = mining.score == "npmi"
        squared = mining.score == "pmi_squared"
        score_D = npmi_D * np.minimum(*found.ngrams.entropy()) if by_npmi else weakest_pmi(*where, squared)
        chosen[length] = dataclasses.replace(found, npmi_D=npmi_D, score_D=score_D)[npmi_D >= mining.min_npmi]
    whole = without_fragments(chosen, mining.nested_share)
    return entries(blocks, whole, mining.max_entries, mining.quotas)


def without_fragments(chosen: dict[int, Candidates], share: float) -> dict[int, Candidates]:
    """Leave out n-grams of whose occurrences at least ``share`` lie inside one longer n-gram that was chosen."""
    keep = {length: np.ones(len(found.ngrams), bool) for length, found in chosen.items()}
    for length, found in chosen.items():
        for inner in range(2, length):
            for start in range(length - inner + 1):
                index = look_up(
                    chosen[inner].ngrams.key_D, ngram_keys(found.key_Dn, found.join_Dn, start, start + inner)
                )
                inside = (
                    found.ngrams.count_D >= share * chosen[inner].ngrams.count_D[index]
                    if len(chosen[inner].ngrams)
                    else index >= 0
                )
                keep[inner][index[(index >= 0) & inside]] = False
    return {length: found[keep[length]] for length, found in chosen.items()}


def entries(
    blocks: Sequence[StoredTokenBlock], chosen: dict[int, Candidates], limit: int, quotas: Sequence[float]
) -> list[Entry]:
    """The best ``limit`` with surface and example, best first; equal scores by count, then by surface."""
    length_D = np.concatenate([np.full(len(found.ngrams), length) for length, found in chosen.items()])
    npmi_D, score_D = (
        np.concatenate([getattr(found, name) for found in chosen.values()]) for name in ("npmi_D", "score_D")
    )
    key_D, count_D, place_D = (
        np.concatenate([getattr(found.ngrams, name) for found in chosen.values()])
        for name in ("key_D", "count_D", "place_D")
    )
    left_D, right_D = (np.concatenate([found.ngrams.entropy()[side] for found in chosen.values()]) for side in (0, 1))
    score_D = np.round(score_D, 3)
    order = np.lexsort((key_D, -count_D, -score_D))
    best = within_quotas(order, length_D, quotas, limit) if quotas else order[:limit]
    found: list[Entry] = []
    for number, here in by_block(place_D[best]):
        block, rows = blocks[number], best[here]
        text, start_N, end_N = block.text(), block.array("starts"), block.array("ends")
        for row in rows.tolist():
            first = int(place_D[row]) & 0xFFFFFFFF
            start, end = int(start_N[first]), int(end_N[first + int(length_D[row]) - 1])
            score, npmi_, left, right = (round(float(column[row]), 3) for column in (score_D, npmi_D, left_D, right_D))
            found.append(
                Entry(text[start:end], score, int(count_D[row]), npmi_, left, right, example(text, start, end))
            )
    distinct: dict[str, Entry] = {}
    for entry in sorted(found, key=lambda entry: (-entry.score, -entry.count, entry.surface)):
        distinct.setdefault(entry.surface, entry)
    return list(distinct.values())


def example(text: str, start: int, end: int) -> str:
    """The line around ``text[start:end]``, with the entry in brackets."""
    before = text[max(0, start - CONTEXT) : start].rpartition("\n")[2]
    after = text[end : end + CONTEXT].partition("\n")[0]
    return f"{before}【{text[start:end]}】{after}".replace("\t", " ")
