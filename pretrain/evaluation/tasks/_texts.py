"""Problems whose head reads one state of a whole text or pair: classes and scores."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
import numpy.typing as npt
import torch

from data_prep.encoding import Tokenizer
from pretrain.evaluation.inputs import encode
from pretrain.evaluation.metrics import Outcome, by_class, confusion, pairs
from pretrain.evaluation.readers.splits import Example, Splits
from pretrain.evaluation.tasks import Problem, Sample, numbered

CLASS_FIGURES = ("accuracy", "macro_f1", "f1", "matthews")
SCORE_FIGURES = ("spearman", "pearson")
FIRST = np.zeros(1, np.int64)


def check_columns(columns: Mapping[str, str | int], roles: Sequence[str], separator: str) -> None:
    """Raise ValueError when a column is not said, or in an impossible way."""
    if set(columns) != set(roles):
        raise ValueError(f"columns: {dict(columns)} must say where {', '.join(roles)} stand, and nothing else")
    if len({type(column) for column in columns.values()}) > 1:
        raise ValueError(f"columns: {dict(columns)} must be all names or all numbers")
    for name, column in columns.items():
        if isinstance(column, int) and column < 0:
            raise ValueError(f"columns: {name}: {column} must be 0 or more")
    if not separator:
        raise ValueError("separator: must not be empty")


def check_figures(figures: Sequence[str], scores: bool) -> None:
    """Raise ValueError for a figure that there is not."""
    known = SCORE_FIGURES if scores else CLASS_FIGURES
    for figure in figures:
        if figure not in known:
            raise ValueError(f"figures: {figure!r} is not one of {', '.join(known)}")
    if len(set(figures)) != len(figures):
        raise ValueError(f"figures: {list(figures)} names one twice")


class _Texts(Problem):
    def samples(self, examples: Sequence[Example], tokenizer: Tokenizer, longest: int) -> list[Sample]:
        targets = self.targets(examples)
        return [
            Sample(encode(tokenizer, longest, *example.texts), FIRST, targets[number : number + 1], number)
            for number, example in enumerate(examples)
        ]

    def targets(self, examples: Sequence[Example]) -> npt.NDArray[np.int64] | npt.NDArray[np.float32]:
        """What is predicted of each example."""
        raise NotImplementedError


class Classes(_Texts):
    """Every text is of one of several classes."""

    def __init__(self, splits: Splits, train: str, figures: Sequence[str], positive: str) -> None:
        self.splits, self.figures, self.train = splits, figures, train
        self.classes = sorted({example.label for example in splits.known})
        self.outputs = len(self.classes)
        if "" in self.classes:
            place = next(example.place for example in splits.known if not example.label)
            raise ValueError(f"train: {place}: the label is empty")
        if self.outputs < 2:
            raise ValueError(f"train: {train}: all labels are {self.classes[0]!r}; there is nothing to tell apart")
        two = [figure for figure in figures if figure in ("f1", "matthews")]
        if two and self.outputs != 2:
            raise ValueError(f"figures: {two[0]} is of two classes, {train} has {', '.join(self.classes[:20])}")
        if positive and positive not in self.classes:
            raise ValueError(f"positive: {positive!r} is not a label of {train}: {', '.join(self.classes[:20])}")
        self.positive = self.classes.index(positive) if positive else self.outputs - 1
        for name, examples in (("dev", splits.dev), ("test", splits.test)):
            numbered(examples, self.classes, name, train)

    def targets(self, examples: Sequence[Example]) -> npt.NDArray[np.int64]:
        return numbered(examples, self.classes, "train", self.train)

    def outcomes(
        self, examples: Sequence[Example], samples: Sequence[Sample], logits: Sequence[npt.NDArray[np.float32]]
    ) -> Mapping[str, Outcome]:
        gold, answer = self.targets(examples), np.concatenate(logits).argmax(1)
        is_gold, said = (gold == self.positive).astype(np.int64), (answer == self.positive).astype(np.int64)
        rows = {
            "accuracy": ("ratio", np.stack([gold == answer, np.ones(len(gold), bool)], 1).astype(np.float64)),
            "macro_f1": ("macro_f1", by_class(gold, answer, self.outputs)),
            "f1": ("f1", confusion(is_gold, said)[:, [0, 2, 3]]),
            "matthews": ("matthews", confusion(is_gold, said)),
        }
        return {name: Outcome(metric=rows[name][0], rows=rows[name][1]) for name in self.figures}


class Scores(_Texts):
    """Every text has a score; targets are scaled to mean 0 and deviation 1 of training, unseen by correlations."""

    def __init__(self, splits: Splits, figures: Sequence[str]) -> None:
        self.splits, self.figures, self.classes, self.outputs = splits, figures, [], 1
        scores = np.array([float(example.label) for example in splits.train])
        self.mean, self.deviation = float(scores.mean()), float(scores.std())
        if not self.deviation:
            raise ValueError(f"train: all scores are {self.mean}; there is nothing to learn")

    def targets(self, examples: Sequence[Example]) -> npt.NDArray[np.float32]:
        scores = np.array([float(example.label) for example in examples])
        return ((scores - self.mean) / self.deviation).astype(np.float32)

    def loss(self, logits_MK: torch.Tensor, target_N: torch.Tensor, counts_S: Sequence[int]) -> torch.Tensor:
        return torch.nn.functional.mse_loss(logits_MK[:, 0].float(), target_N)

    def outcomes(
        self, examples: Sequence[Example], samples: Sequence[Sample], logits: Sequence[npt.NDArray[np.float32]]
    ) -> Mapping[str, Outcome]:
        gold = np.array([float(example.label) for example in examples])
        answer = np.concatenate(logits)[:, 0].astype(np.float64)
        rows = {"spearman": np.stack([gold, answer], 1), "pearson": pairs(gold, answer)}
        return {name: Outcome(metric=name, rows=rows[name]) for name in self.figures}
