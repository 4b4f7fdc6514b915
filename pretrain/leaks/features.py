"""What is known of a target without reading its text, as a row of numbers in named groups.

    samples with a class   length     tokens and sentences of each piece between [SEP]
                           position   where the window lies in its document
                           source     the source and the language of the document
                           overlap    words that the first piece shares with the others

    choices of a sample    length     how far apart its tokens and those of each candidate are
                           overlap    tokens that it shares with each candidate
                           source     is the candidate of the same source and language

    tokens with a class    length     of the token in characters, of its sentence and sample
                           position   in the sample and in the sentence
                           form       does the token continue a word
                           source     as above

A task whose classes such a table tells teaches these, not the text.

Shape legend: N targets, F features, S samples, T tokens.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from pretrain.feed.packed import Packed
from pretrain.feed.samples import NO_LABEL, Sample

COLUMNS = 64
"""Features that are used: sources beyond them count as one."""
PIECES = 4
"""Pieces of a sample that are looked at."""
CANDIDATES = 16
"""Samples to choose from that are looked at."""
Row = dict[tuple[str, str], float]


@dataclass(frozen=True, kw_only=True)
class Table:
    """Targets as rows of numbers."""

    rows: Sequence[Row]
    """(group, name) -> value of each target; what a row lacks is 0."""
    label_N: npt.NDArray[np.int64]

    def __len__(self) -> int:
        return len(self.rows)

    @staticmethod
    def join(several: Sequence[Table]) -> Table:
        """One after another."""
        labels = [np.zeros(0, np.int64), *(table.label_N for table in several)]
        return Table(rows=[row for table in several for row in table.rows], label_N=np.concatenate(labels))

    def columns(self) -> list[tuple[str, str]]:
        """(group, name) of the most frequent features."""
        counts = Counter(column for row in self.rows for column in row)
        return sorted(column for column, _ in counts.most_common(COLUMNS))

    def values(self, columns: Sequence[tuple[str, str]]) -> npt.NDArray[np.float64]:
        """float64[N, F]."""
        number = {column: index for index, column in enumerate(columns)}
        found = np.zeros((len(self.rows), len(columns)))
        for index, row in enumerate(self.rows):
            for column, value in row.items():
                if column in number:
                    found[index, number[column]] = value
        return found


def sample_table(packed: Packed, task: str, sep: int) -> Table:
    """The samples that a task asks, with their classes."""
    label_S = packed.samples.labels.get(task, np.full(len(packed.samples), NO_LABEL))
    asked = np.flatnonzero(label_S != NO_LABEL)
    return Table(rows=[sample_row(packed.samples[index], sep) for index in asked.tolist()], label_N=label_S[asked])


def sample_row(sample: Sample, sep: int) -> Row:
    """What is known of a sample without reading it."""
    ids = sample.token_ids_T
    ends = np.flatnonzero(ids == sep)
    starts = np.concatenate([[0], ends[:-1]]) + 1
    row: Row = {
        ("length", "tokens"): math.log1p(len(ids)),
        ("length", "pieces"): float(len(ends)),
        ("position", "log first token"): math.log1p(sample.first_token),
        ("position", "at the start"): float(sample.first_token == 0),
    }
    texts = [set(ids[start:end].tolist()) for start, end in zip(starts, ends, strict=True)]
    for number, (start, end) in enumerate(zip(starts[:PIECES].tolist(), ends[:PIECES].tolist(), strict=True)):
        inside = (sample.sentence_ends_S > start) & (sample.sentence_ends_S <= end)
        row["length", f"tokens of piece {number + 1}"] = math.log1p(end - start)
        row["length", f"sentences of piece {number + 1}"] = float(inside.sum())
        if number:
            shared = len(texts[0] & texts[number])
            row["overlap", f"share of piece {number + 1}"] = shared / max(len(texts[number]), 1)
            row["overlap", f"tokens shared with piece {number + 1}"] = math.log1p(shared)
    return row | source_row(sample)


def choice_table(packed: Packed, targets: Mapping[str, Any]) -> Table:
    """The samples for which a task asks which of several others belongs to them.

    Args:
        targets: `sample`, `candidate` (a row for each) and `label` of the task.
    """
    sample_M, label_M = np.asarray(targets["sample"]), np.asarray(targets["label"])
    candidate_MK = np.asarray(targets["candidate"])
    known = {number: packed.samples[number] for number in {*sample_M.tolist(), *candidate_MK.flatten().tolist()}}
    rows = [
        choice_row(known[first], [known[number] for number in candidates[:CANDIDATES]])
        for first, candidates in zip(sample_M.tolist(), candidate_MK.tolist(), strict=True)
    ]
    return Table(rows=rows, label_N=label_M.astype(np.int64))


def choice_row(first: Sample, candidates: Sequence[Sample]) -> Row:
    """What is known of a sample and its candidates without reading them."""
    row: Row = {}
    words, source = set(first.token_ids_T.tolist()), source_row(first)
    for number, other in enumerate(candidates, 1):
        theirs = set(other.token_ids_T.tolist())
        apart = abs(len(first.token_ids_T) - len(other.token_ids_T))
        row["length", f"apart from candidate {number}"] = math.log1p(apart)
        row["overlap", f"share of candidate {number}"] = len(words & theirs) / len(theirs)
        row["source", f"same as candidate {number}"] = float(source == source_row(other))
    return row


def source_row(sample: Sample) -> Row:
    """Where the document comes from, and its language."""
    if sample.text is None:
        return {}
    shard, document = sample.text.shard, sample.text.document
    return {("source", f"{name} {shard.text_of(name, document)}"): 1.0 for name in ("source", "language")}


def token_table(packed: Packed, targets: Mapping[str, Any], tokens: Sequence[str], limit: int) -> Table:
    """The tokens that a task asks, up to ``limit`` of them, evenly chosen.

    Args:
        targets: `position` and `label` of the task.
        tokens: the vocabulary.
    """
    position_M, label_M = np.asarray(targets["position"]), np.asarray(targets["label"])
    chosen = np.unique(np.linspace(0, len(position_M) - 1, min(limit, len(position_M))).astype(np.int64))
    start_S = packed.sample_start_S
    sample_M = np.searchsorted(start_S, position_M, "right") - 1
    samples = {number: packed.samples[number] for number in np.unique(sample_M[chosen]).tolist()}
    rows = [
        token_row(
            samples[int(sample_M[index])],
            int(position_M[index] - start_S[sample_M[index]]),
            tokens[int(packed.original_T[position_M[index]])],
        )
        for index in chosen.tolist()
    ]
    return Table(rows=rows, label_N=label_M[chosen].astype(np.int64))


def token_row(sample: Sample, place: int, token: str) -> Row:
    """What is known of a token without knowing which it is."""
    edges = np.concatenate([[1], sample.sentence_ends_S])
    sentence = min(int(np.searchsorted(edges, place, "right")) - 1, len(edges) - 1)
    first = int(edges[max(sentence, 0)])
    last = int(edges[sentence + 1]) if sentence + 1 < len(edges) else len(sample.token_ids_T)
    return {
        ("length", "characters"): float(len(token.removeprefix("##"))),
        ("length", "tokens of the sentence"): math.log1p(max(last - first, 0)),
        ("length", "tokens of the sample"): math.log1p(len(sample.token_ids_T)),
        ("position", "in the sample"): place / len(sample.token_ids_T),
        ("position", "in the sentence"): math.log1p(max(place - first, 0)),
        ("position", "first of its sentence"): float(place == first),
        ("form", "continues a word"): float(token.startswith("##")),
    } | source_row(sample)
