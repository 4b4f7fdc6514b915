"""What a lexicon's `boundaries` do: gold entities at the edges of units, the entity level, and the share of words cut
on raw text."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

from data_prep.annotating.annotation import CUT, Annotation
from data_prep.annotators.lexicon import BOUNDARIES, Lexicon
from data_prep.corpora import Slice
from data_prep.corpora.jsonl import Jsonl
from data_prep.documents import Document, Record
from data_prep.preparing.plan import Preparation
from launch.settings.components import read_config
from quality.entities import ENTITY_SETS, entity_rows
from quality.gold_sets import entities
from quality.scores import REAL, annotation_of, table

SAMPLED = 2_000_000
"""Bytes of text that are read of each raw file."""


def annotations(preparation: Preparation) -> dict[str, Annotation]:
    """The preparation's lexicons alone, under each setting."""
    lexicons = [annotator for annotator in preparation.annotators if isinstance(annotator, Lexicon)]
    return {
        name: annotation_of(preparation, [replace(lexicon, boundaries=name) for lexicon in lexicons])
        for name in BOUNDARIES
    }


def bench_boundaries(data: Path) -> None:
    """Three tables."""
    preparation = read_config(Preparation, REAL, [])
    settings = annotations(preparation)
    edges: list[list[str]] = []
    level: list[list[str]] = []
    for name, (language, file) in ENTITY_SETS.items():
        gold = entities(data / file)
        for setting, annotation in settings.items():
            row, scores = entity_rows(annotation, gold, language)
            edges.append([f"{name}, {setting}", *row])
            level.append([f"{name}, {setting}", *scores])
    table(
        "Gold entities at the edges of units (%), lexicons alone",
        ["", "both edges", "exactly one unit", "words cut of 1,000"],
        edges,
    )
    table(
        "The entity level of the lexicons (%)", ["", "found", "P", "R", "F1", "typed P", "typed R", "typed F1"], level
    )
    rows = []
    for file in sorted(data.glob("raw/*/*.jsonl.gz")):
        documents = list(sample(preparation, file))
        rows += [
            [f"{file.name.removesuffix('.jsonl.gz')}, {setting}", *cut_row(annotation, documents)]
            for setting, annotation in settings.items()
        ]
    head = ["", "words", "cut", "share", "entities", "phrases", "refused", "MB/s"]
    table(
        f"Words cut by the lexicons' units, first {SAMPLED / 1e6:.0f} MB of each file; MB/s of annotation alone, one process",
        head,
        rows,
    )


def sample(preparation: Preparation, file: Path) -> Iterator[Document]:
    """The first documents of a raw file, cleaned."""
    corpus, read = Jsonl(paths=[str(file)]), 0
    for record in corpus.read(Slice(*corpus.survey(file, 1 << 40).slices[0])):
        document = preparation.cleaning.clean(record, file.name) if isinstance(record, Record) else record
        if isinstance(document, Document):
            read += len(document.text.encode())
            yield document
        if read > SAMPLED:
            return


def cut_row(annotation: Annotation, documents: list[Document]) -> list[str]:
    """Cells of one file under one setting."""
    words, dropped, units = 0, Counter[str](), Counter[str]()
    annotation.annotate(documents[0])
    begun = time.process_time()
    for document in documents:
        annotated = annotation.annotate(document)
        words += annotated.words
        dropped.update(annotated.dropped)
        units.update({level: len(found) for level, found in annotated.units.items()})
    seconds = time.process_time() - begun
    cut, refused = dropped[CUT], sum(count for reason, count in dropped.items() if reason.endswith("crosses a word"))
    speed = sum(len(document.text.encode()) for document in documents) / seconds / 1e6
    counted = [f"{number:,}" for number in (units["entity"], units["phrase"], refused)]
    return [f"{words:,}", f"{cut:,}", f"{100 * cut / max(1, words):.2f} %", *counted, f"{speed:.1f}"]
