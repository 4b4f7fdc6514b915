"""Labelled stretches of text: named entities, chunks.

    tagged words     EU B-ORG / rejects O         one prediction a word, at its first token
    text and spans   {"text": ..., "label": ...}  one prediction a token

A model predicts BIO tags; spans are compared in characters, so that models with other tokenizers are measured alike: a
span that no token boundary fits is missed. Sentences that are too long are read in windows, none is cut.
"""

from __future__ import annotations

import itertools
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import ClassVar

import numpy as np
import numpy.typing as npt

from data_prep.encoding import Tokenizer
from pretrain.evaluation.inputs import Tokens, assemble
from pretrain.evaluation.metrics import Outcome
from pretrain.evaluation.readers.lines import is_json
from pretrain.evaluation.readers.span_objects import labelled_texts
from pretrain.evaluation.readers.splits import Example, Splits
from pretrain.evaluation.readers.tagged_words import Sentence, sentences
from pretrain.evaluation.readers.tags import PREFIXES, Span, bio, spans_of, split_tag
from pretrain.evaluation.tasks import Problem, Sample, Task

FIGURES = ("f1", "f1_strict")
WORDS, OBJECTS = {"word": 0, "tag": -1}, {"text": "text", "label": "label"}


@dataclass(frozen=True, kw_only=True)
class TokenLabels(Task):
    """Spans of several types in sentences."""

    columns: dict[str, str | int] = field(default_factory=dict)
    """Of files of tagged words: the numbers of the columns `word` and `tag`, from 0, negative ones from the end (0 and
    -1 by default). Of JSON: the keys `text` and `label` (by those names by default); a label is {type: {mention:
    [[first, last], ...]}} as in CLUENER, or [[start, end, type], ...] with the end behind the last character."""
    separator: str = ""
    """Between the columns of tagged words; empty: spaces and tabs."""
    scheme: str = "bio"
    """Of the tags in files of tagged words: `bio`, `iob1`, `bioes`, `bilou` or `bmes`."""
    overlaps: str = "refuse"
    """Of JSON: what is done about spans that overlap. `refuse` them, or keep the `longest` and drop the others, from
    training and from what is to be found (CLUENER has a few)."""
    figures: list[str] = field(default_factory=lambda: list(FIGURES))
    """`f1` of spans as conlleval reads tags, `f1_strict` of those alone that BIO allows. The first one chooses."""

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.scheme not in PREFIXES:
            raise ValueError(f"scheme: {self.scheme!r} is not one of {', '.join(PREFIXES)}")
        if self.overlaps not in ("refuse", "longest"):
            raise ValueError(f"overlaps: {self.overlaps!r} is not one of refuse, longest")
        if not self.figures or set(self.figures) - set(FIGURES):
            raise ValueError(f"figures: {self.figures} must be of {', '.join(FIGURES)}")
        numbers = all(isinstance(column, int) for column in self.columns.values())
        if self.columns and not (set(self.columns) == set(WORDS if numbers else OBJECTS)):
            raise ValueError(
                f"columns: {self.columns} must be numbers for word and tag (tagged words), or keys for text and label "
                "(JSON)"
            )

    def examples(self, path: Path) -> list[Example]:
        keys = {name: key for name, key in self.columns.items() if isinstance(key, str)}
        numbers = {name: number for name, number in self.columns.items() if isinstance(number, int)}
        if is_json(path):
            if numbers:
                raise ValueError(f"columns: {path} is JSON; give the keys of text and label")
            return list(labelled_texts(path, keys or OBJECTS, self.overlaps == "longest"))
        if keys:
            raise ValueError(f"columns: {path} is no JSON; give the numbers of the columns word and tag")
        return [self._example(sentence) for sentence in sentences(path, numbers or WORDS, self.separator)]

    def _example(self, sentence: Sentence) -> Example:
        ends = np.cumsum([len(word) + 1 for word in sentence.words]) - 1
        units = [Span("", int(end) - len(word), int(end)) for word, end in zip(sentence.words, ends, strict=True)]
        try:
            spans = spans_of([split_tag(tag, self.scheme) for tag in sentence.tags])
        except ValueError as error:
            raise ValueError(f"{sentence.place}: {error} (in the sentence that begins there)") from None
        label = [Span(span.type, units[span.start].start, units[span.end - 1].end) for span in spans]
        return Example(sentence.place, (" ".join(sentence.words),), label, tuple(units))

    def bind(self) -> Problem:
        return Tagging(self.divided(), self.train, self.figures)


class Tagging(Problem):
    """BIO tags of units: words that are given, or tokens."""

    TOKENS: ClassVar[bool] = True
    TAGS: ClassVar[bool] = True

    def __init__(self, splits: Splits, train: str, figures: Sequence[str]) -> None:
        self.splits, self.figures = splits, figures
        types = sorted({span.type for example in splits.known for span in example.label})
        if not types:
            raise ValueError(f"train: {train}: no span is labelled")
        self.classes = bio(types)
        self.outputs = len(self.classes)
        self.number_of = {tag: number for number, tag in enumerate(self.classes)}
        for name, examples in (("dev", splits.dev), ("test", splits.test)):
            for example in examples:
                for span in example.label:
                    if span.type not in types:
                        raise ValueError(
                            f"{name}: {example.place}: type {span.type!r} does not occur in {train}, which has "
                            f"{', '.join(types)}"
                        )

    def samples(self, examples: Sequence[Example], tokenizer: Tokenizer, longest: int) -> list[Sample]:
        return [
            sample
            for number, example in enumerate(examples)
            for sample in self._windows(example, number, tokenizer, longest)
        ]

    def _windows(self, example: Example, number: int, tokenizer: Tokenizer, longest: int) -> list[Sample]:
        tokens = Tokens(*tokenizer.encode_text(example.texts[0]))
        unit_T = _unit_of(tokens, example)
        first_U = np.flatnonzero(np.diff(unit_T, prepend=-1))
        begin_U, end_U = tokens.start_T[first_U], tokens.end_T[np.append(first_U[1:], len(unit_T)) - 1]
        target_U = self._targets(example, begin_U, end_U)
        found, edges = [], _cuts(first_U, len(unit_T), longest - 2)
        for start, stop in itertools.pairwise(edges):
            kept = slice(start, min(stop, start + longest - 2))
            own_U = (first_U >= start) & (first_U < stop)
            window = assemble(tokenizer, [Tokens(*(part[kept] for part in tokens))])
            positions = (first_U[own_U] - start + 1).astype(np.int64)
            found.append(Sample(window, positions, target_U[own_U], number))
        return found

    def _targets(
        self, example: Example, begin_U: npt.NDArray[np.int32], end_U: npt.NDArray[np.int32]
    ) -> npt.NDArray[np.int64]:
        """The tag of every unit; one that overlaps a span belongs to it."""
        target_U = np.zeros(len(begin_U), np.int64)
        for span in example.label:
            inside = np.flatnonzero((begin_U < span.end) & (end_U > span.start))
            target_U[inside] = self.number_of[f"I-{span.type}"]
            target_U[inside[:1]] = self.number_of[f"B-{span.type}"]
        return target_U

    def outcomes(
        self, examples: Sequence[Example], samples: Sequence[Sample], logits: Sequence[npt.NDArray[np.float32]]
    ) -> Mapping[str, Outcome]:
        tags: list[list[tuple[str, str]]] = [[] for _ in examples]
        places: list[list[tuple[int, int]]] = [[] for _ in examples]
        for sample, scores in zip(samples, logits, strict=True):
            tags[sample.example] += [split_tag(self.classes[number], "bio") for number in scores.argmax(1)]
            places[sample.example] += _places(examples[sample.example], sample)
        found = {}
        for name in self.figures:
            rows = np.zeros((len(examples), 3))
            for number, example in enumerate(examples):
                own = places[number]
                said = {
                    Span(span.type, own[span.start][0], own[span.end - 1][1])
                    for span in spans_of(tags[number], strict=name == "f1_strict")
                }
                right = len(said & set(example.label))
                rows[number] = right, len(said) - right, len(set(example.label)) - right
            found[name] = Outcome(metric="f1", rows=rows)
        return found


def _unit_of(tokens: Tokens, example: Example) -> npt.NDArray[np.int64]:
    """The unit of every token: its word, or itself."""
    if not example.units:
        return np.arange(len(tokens.ids_T))
    return np.searchsorted([unit.start for unit in example.units], tokens.start_T, "right") - 1


def _cuts(first_U: npt.NDArray[np.int64], tokens: int, room: int) -> list[int]:
    """Where windows of at most ``room`` tokens begin, always at a unit, and the end of the last one."""
    cuts = [0]
    while tokens - cuts[-1] > room:
        after = first_U[(first_U > cuts[-1]) & (first_U <= cuts[-1] + room)]
        later = first_U[first_U > cuts[-1]]
        if not len(later):
            break
        cuts.append(int(after[-1] if len(after) else later[0]))
    return [*cuts, tokens] if tokens else [0]


def _places(example: Example, sample: Sample) -> list[tuple[int, int]]:
    """First character and end of the units of a window."""
    start_M, end_M = sample.input.characters_T2[sample.positions_M].T.tolist()
    if not example.units:
        return list(zip(start_M, end_M, strict=True))
    starts = [unit.start for unit in example.units]
    numbers = np.searchsorted(starts, start_M, "right") - 1
    return [(example.units[number].start, example.units[number].end) for number in numbers]
