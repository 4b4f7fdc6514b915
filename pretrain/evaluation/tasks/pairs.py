"""Pairs of texts: inference, paraphrase, similarity."""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from pathlib import Path

from pretrain.evaluation.readers.splits import Example
from pretrain.evaluation.readers.tables import rows
from pretrain.evaluation.tasks import Problem, Task
from pretrain.evaluation.tasks._texts import Classes, Scores, check_columns, check_figures

ROLES = ("first", "second", "label")


@dataclass(frozen=True, kw_only=True)
class Pairs(Task):
    """Two texts, read together, and one of several classes, or a score."""

    columns: dict[str, str | int] = field(default_factory=lambda: {name: name for name in ROLES})
    """Where `first`, `second` and `label` stand: names in the header (of JSON: keys), or numbers from 0 in a file
    without one."""
    separator: str = "\t"
    """Between the columns of a file that is no JSON."""
    ignore: list[str] = field(default_factory=list)
    """Labels whose examples are left out, as `-` in OCNLI."""
    scores: bool = False
    """Are labels numbers that are predicted (squared error), and not names of classes?"""
    figures: list[str] = field(default_factory=list)
    """What is reported; the first one chooses. Of classes `accuracy`, `macro_f1` (both by default), of two classes also
    `f1` and `matthews`; of scores `spearman` and `pearson` (both by default)."""
    positive: str = ""
    """The class that `f1` is of; empty: the last in the order of their names."""

    def __post_init__(self) -> None:
        super().__post_init__()
        check_columns(self.columns, ROLES, self.separator)
        check_figures(self.figures, self.scores)

    def examples(self, path: Path) -> list[Example]:
        found = []
        for row in rows(path, self.columns, self.separator):
            label = row.values["label"].strip()
            if label in self.ignore:
                continue
            if self.scores and not _is_number(label):
                raise ValueError(f"{row.place}: label {label!r} is not a number, and `scores` is true")
            found.append(Example(row.place, (row.values["first"], row.values["second"]), label))
        return found

    def bind(self) -> Problem:
        if self.scores:
            return Scores(self.divided(), self.figures or ["spearman", "pearson"])
        return Classes(self.divided(), self.train, self.figures or ["accuracy", "macro_f1"], self.positive)


def _is_number(text: str) -> bool:
    try:
        return math.isfinite(float(text))
    except ValueError:
        return False
