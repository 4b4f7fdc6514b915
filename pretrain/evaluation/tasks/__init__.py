"""Tasks with labels: one file here is one kind of them. ``kind: classification`` is ``tasks/classification.py``.

A task says which files it reads; bound to them it is a ``Problem``: examples, what a head predicts of each, and the
figures. How a model is trained for it is no part of it (tuning/).
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar, NamedTuple

import numpy as np
import numpy.typing as npt
import torch

from data_prep.encoding import Tokenizer
from pretrain.evaluation.inputs import Ids, Input
from pretrain.evaluation.metrics import Outcome
from pretrain.evaluation.readers.splits import Example, Splits, divide


class Sample(NamedTuple):
    """An example, or a window of one, as a model reads it."""

    input: Input
    positions_M: Ids
    """Its tokens whose states a head reads; of a task on whole texts the first one."""
    target_N: npt.NDArray[Any]
    """Numbers of classes, a score, or the places of an answer."""
    example: int
    """Which example of its split it is of."""


class Problem(ABC):
    """A task with its examples."""

    TOKENS: ClassVar[bool] = False
    """Does a head read states of tokens, and not one state of a text?"""
    TAGS: ClassVar[bool] = False
    """Are its answers sequences of BIO tags, which a CRF can judge together?"""

    splits: Splits
    classes: list[str]
    """Names of what is told apart; of a task without classes none."""
    outputs: int
    """Numbers that a head gives."""

    @abstractmethod
    def samples(self, examples: Sequence[Example], tokenizer: Tokenizer, longest: int) -> list[Sample]:
        """What a model reads of each example, at most ``longest`` tokens at once."""

    def loss(self, logits_MK: torch.Tensor, target_N: torch.Tensor, counts_S: Sequence[int]) -> torch.Tensor:
        """Mean loss of the positions of several samples; ``counts_S`` says how many are of each."""
        return torch.nn.functional.cross_entropy(logits_MK.float(), target_N)

    @abstractmethod
    def outcomes(
        self, examples: Sequence[Example], samples: Sequence[Sample], logits: Sequence[npt.NDArray[np.float32]]
    ) -> Mapping[str, Outcome]:
        """Figures of the logits (positions, outputs) of each sample; the first one chooses and stands in tables."""


@dataclass(frozen=True, kw_only=True)
class Task(ABC):
    """Files of labelled examples."""

    train: str
    """File that is trained on, plain or .gz."""
    dev: str | float = 0.1
    """File by which epoch and settings are chosen, or a share of `train`, drawn by text: equal first texts stay
    together. 0: none, and the last epoch is taken."""
    test: str | float = 0.1
    """File whose figures are reported, or a share of `train`."""
    apart: bool = False
    """Leave out of training what stands, with the same texts, in dev or test. Published splits often overlap, and
    published figures were measured so; how many texts they share is kept with every result (`seen`)."""
    limit: int = 0
    """Number of training examples that are used, drawn by key: the same for all models and seeds. 0: all."""

    def __post_init__(self) -> None:
        for name in ("dev", "test"):
            value = getattr(self, name)
            if not isinstance(value, str) and not 0 <= value < 1:
                raise ValueError(f"{name}: {value} is neither a file nor a share of train in [0, 1)")
        shares = [value for value in (self.dev, self.test) if not isinstance(value, str)]
        if sum(shares) >= 1:
            raise ValueError(f"dev: the shares of dev and test ({self.dev} and {self.test}) leave nothing to train on")
        if self.test == 0:
            raise ValueError("test: 0 leaves nothing to report; give a file or a share of train")
        if self.limit < 0:
            raise ValueError(f"limit: {self.limit} must be 0 (all) or a number of examples")

    def files(self) -> list[Path]:
        """What it reads.

        Raises:
            ValueError: one is missing.
        """
        names = [name for name in ("train", "dev", "test") if isinstance(getattr(self, name), str)]
        for name in names:
            if not Path(getattr(self, name)).is_file():
                raise ValueError(f"{name}: {getattr(self, name)}: no such file (looked from {Path.cwd()})")
        return [Path(getattr(self, name)) for name in names]

    def divided(self) -> Splits:
        """Its examples by split."""
        return divide(self.examples, self.train, self.dev, self.test, self.limit, self.apart)

    @abstractmethod
    def examples(self, path: Path) -> list[Example]:
        """The examples of a file.

        Raises:
            ValueError: it is not such a file; with file and line.
        """

    @abstractmethod
    def bind(self) -> Problem:
        """The task with its examples.

        Raises:
            ValueError: a file cannot be used: wrong columns, a split without examples, a label that training does not
                know; with file and line.
        """


def numbered(examples: Sequence[Example], classes: Sequence[str], split: str, train: str) -> npt.NDArray[np.int64]:
    """The number of each example's class.

    Raises:
        ValueError: it is none of the classes.
    """
    number_of = {name: number for number, name in enumerate(classes)}
    for example in examples:
        if example.label not in number_of:
            raise ValueError(
                f"{split}: {example.place}: label {example.label!r} does not occur in {train}, which has "
                f"{', '.join(map(repr, classes[:20]))}"
            )
    return np.array([number_of[example.label] for example in examples], np.int64)
