"""Sentences of tagged words, one word a line, an empty line between sentences (CoNLL).

EU      B-ORG
rejects O            ->   Sentence("FILE:1", ["EU", "rejects"], ["B-ORG", "O"])
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import NamedTuple

from pretrain.evaluation.readers.lines import text_lines

DOCUMENT = "-DOCSTART-"
"""The word of a line that begins a document (CoNLL-2003); left out."""


class Sentence(NamedTuple):
    """Words with a tag each."""

    place: str
    """FILE:LINE of its first word."""
    words: list[str]
    tags: list[str]


def sentences(path: Path, columns: Mapping[str, int], separator: str) -> Iterator[Sentence]:
    """The sentences of a file.

    Args:
        columns: numbers of the columns `word` and `tag`, from 0; negative ones count from the end.
        separator: between columns; empty: spaces and tabs.

    Raises:
        ValueError: a line has too few columns; with file and line.
    """
    least = max(column + 1 if column >= 0 else -column for column in columns.values())
    begin, words, tags = 0, list[str](), list[str]()
    for number, line in text_lines(path):
        if not line.strip():
            if words:
                yield Sentence(f"{path}:{begin}", words, tags)
            words, tags = [], []
            continue
        fields = line.split(separator or None)
        if len(fields) < max(least, 2):
            between = repr(separator) if separator else "spaces or tabs"
            raise ValueError(
                f"{path}:{number}: {len(fields)} columns between {between}, at least {max(least, 2)} needed"
            )
        if fields[columns["word"]] == DOCUMENT:
            continue
        begin = begin if words else number
        words.append(fields[columns["word"]])
        tags.append(fields[columns["tag"]])
    if words:
        yield Sentence(f"{path}:{begin}", words, tags)
