"""In how many documents each term occurs: what tf-idf masking and retrieval tasks ask for, as a side table of the corpus.

    map      the annotated documents of a part -> sorted tables of (level, term): documents, occurrences
    reduce   their streaming merge -> frequencies.arrow (sorted by key) and frequencies.json (number of documents)

    three documents, 北京大学 an entity in two of them   ->   Frequencies.open(folder).idf("北京大学", "entity") = log(4 / 3) + 1 = 1.29

Level `word` holds the words and the single letters that no word covers; every other level holds the surfaces of its units. Counts are
exact for any number of workers and any size of parts; memory is a bounded dictionary a worker.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np

from data_prep.annotation import Annotation
from data_prep.counting.counted_tables import merged, write_table, write_tables
from data_prep.counting.ngrams import word_tokens
from data_prep.documents import Document
from data_prep.files import read_json, write_json
from data_prep.running.steps import Step
from masking.keyed import hash_key

TABLE, SUMMARY = "frequencies.arrow", "frequencies.json"
WORD = "word"
HELD_TERMS = 1_000_000
"""Distinct terms a worker holds before it writes a table."""

Counts = dict[tuple[str, str], list[int]]


@dataclass(frozen=True, kw_only=True)
class FrequencyStep(Step):
    """Document frequencies as a corpus-wide step."""

    annotation: Annotation
    """Finds words and units."""
    min_documents: int = 2
    """Terms of fewer documents are left out of the result."""
    lowercase: bool = True
    """Count `The` and `the` as one term."""
    name: str = "frequencies"

    def __post_init__(self) -> None:
        if self.min_documents < 1:
            raise ValueError(f"min_documents: {self.min_documents} must be at least 1")

    def fingerprint(self) -> dict[str, Any]:
        return {"min_documents": self.min_documents, "lowercase": self.lowercase, "rules": 1}

    def map(self, documents: Iterable[tuple[int, Document]], folder: Path) -> None:
        held: Counts = {}
        total = written = 0
        for _, document in documents:
            total += 1
            _add(held, terms(document, self.annotation, self.lowercase))
            if len(held) >= HELD_TERMS:
                _write(held, folder / f"{written:06d}.arrow")
                held, written = {}, written + 1
        _write(held, folder / f"{written:06d}.arrow")
        write_json(folder / SUMMARY, {"documents": total})

    def reduce(self, folders: Sequence[Path], folder: Path) -> None:
        tables = [table for part in folders for table in sorted(part.glob("*.arrow"))]
        pieces = merged(tables, ["documents", "occurrences"], folder)
        write_tables(folder / TABLE, (piece.filter(piece.column("documents").to_numpy() >= self.min_documents) for piece in pieces))
        total = sum(read_json(part / SUMMARY)["documents"] for part in folders)
        write_json(folder / SUMMARY, {"documents": total, "min_documents": self.min_documents, "lowercase": self.lowercase})


def terms(document: Document, annotation: Annotation, lowercase: bool) -> Iterator[tuple[str, str]]:
    """(level, term) of every word and unit of a document, as often as it occurs."""
    annotated = annotation.annotate(document)
    text = document.text
    for level, units in annotated.units.items():
        start_U, end_U = units.start_U, units.end_U
        if level == WORD:
            start_U, end_U = (array.astype(np.int32) for array in word_tokens(document.characters, np.stack([start_U, end_U], 1)))
        for start, end in zip(start_U.tolist(), end_U.tolist(), strict=True):
            yield level, text[start:end].lower() if lowercase else text[start:end]


def _add(held: Counts, found: Iterable[tuple[str, str]]) -> None:
    within: dict[tuple[str, str], int] = {}
    for term in found:
        within[term] = within.get(term, 0) + 1
    for term, occurrences in within.items():
        counts = held.get(term)
        if counts is None:
            held[term] = [1, occurrences]
        else:
            counts[0] += 1
            counts[1] += occurrences


def _write(held: Counts, path: Path) -> None:
    import pyarrow

    keys = np.fromiter((hash_key(*term) for term in held), np.uint64, len(held))
    order = np.argsort(keys)
    names, counts = list(held), list(held.values())
    columns: dict[str, Any] = {"key": pyarrow.array(keys[order])}
    for column, name in enumerate(("level", "term")):
        columns[name] = pyarrow.array([names[row][column] for row in order], pyarrow.string())
    for column, name in enumerate(("documents", "occurrences")):
        columns[name] = pyarrow.array([counts[row][column] for row in order], pyarrow.int64())
    write_table(path, pyarrow.table(columns))


@dataclass(frozen=True)
class Frequencies:
    """The table of a folder, memory-mapped."""

    folder: Path
    documents: int
    """Number of documents of the corpus."""
    lowercase: bool

    @staticmethod
    def open(folder: Path) -> Frequencies:
        """Open the result of a FrequencyStep.

        Raises:
            ValueError: the folder holds none.
        """
        if not (folder / SUMMARY).is_file() or not (folder / TABLE).is_file():
            raise ValueError(f"{folder} holds no document frequencies ({TABLE}, {SUMMARY})")
        summary = read_json(folder / SUMMARY)
        return Frequencies(folder, summary["documents"], summary["lowercase"])

    @cached_property
    def table(self) -> Any:
        """``pyarrow.Table``: key, level, term, documents, occurrences; sorted by key."""
        import pyarrow

        return pyarrow.ipc.open_file(pyarrow.memory_map(str(self.folder / TABLE))).read_all()

    @cached_property
    def _keys(self) -> Any:
        return self.table.column("key").to_numpy()

    def counts(self, term: str, level: str = WORD) -> tuple[int, int]:
        """Documents that hold the term, and its occurrences in all of them; (0, 0) when it is not in the table."""
        term = term.lower() if self.lowercase else term
        key = np.uint64(hash_key(level, term))
        row = int(np.searchsorted(self._keys, key))
        if row == len(self._keys) or self._keys[row] != key or self.table["term"][row].as_py() != term:
            return 0, 0
        return self.table["documents"][row].as_py(), self.table["occurrences"][row].as_py()

    def idf(self, term: str, level: str = WORD) -> float:
        """Inverse document frequency, smoothed: log((1 + documents) / (1 + documents with the term)) + 1. Unknown terms are the rarest."""
        return math.log((1 + self.documents) / (1 + self.counts(term, level)[0])) + 1
