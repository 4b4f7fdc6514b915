"""Fine-tuning on a task with labels, or a head on frozen states, once a seed.

    task files -> train, dev, test    each seed: head, order and dropout of its own -> epochs -> the best on dev -> test

A piece is a seed. With a grid, every point of it is trained in each piece and the best on dev is reported, which the
names of the figures say.
"""

from __future__ import annotations

import itertools
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, fields, replace
from pathlib import Path
from typing import Any, ClassVar

import torch

from data_prep.files import sha256_json
from pretrain.evaluation.heads import Head
from pretrain.evaluation.heads.linear import Linear
from pretrain.evaluation.measures import Measure, Say
from pretrain.evaluation.results import Found
from pretrain.evaluation.subjects import Subject
from pretrain.evaluation.tasks import Problem, Task
from pretrain.evaluation.tuning.training import Training
from pretrain.evaluation.tuning.trial import Data, Trained, Trial, train
from pretrain.network.adapters import Adapter

LEAST = 8
"""Tokens of the shortest window that makes sense."""


@dataclass(frozen=True, kw_only=True)
class FineTuning(Measure):
    """A task that the model is trained for, several times."""

    PAPER: ClassVar[str] = "Devlin et al. 2019, section 4; settings of Mosbach et al. 2021"
    PIECES: ClassVar[str] = "seeds"

    task: Task
    """What is learned, from which files."""
    seeds: list[int] = field(default_factory=lambda: [1, 2, 3])
    """Each is trained and kept by itself; tables tell mean and deviation."""
    longest: int = 128
    """Tokens of a sample, special ones included; longer texts are cut, and labelled tokens and contexts read in
    windows."""
    head: Head = field(default_factory=Linear)
    """What stands on the states."""
    adapter: Adapter | None = None
    """Trained in place of the encoder, which stays as it is: `lora` or `bottleneck`, as under `model.adapter` of a
    run. Wants a higher `lr`, 3.0e-4 or so."""
    training: Training = field(default_factory=Training)
    """Rates, epochs, what is frozen."""
    grid: dict[str, list[int | float | str]] = field(default_factory=dict)
    """Values of settings of `training` that are all tried: `{lr: [2.0e-5, 5.0e-5], batch: [16, 32]}`."""

    def __post_init__(self) -> None:
        if not self.seeds or len(set(self.seeds)) != len(self.seeds) or min(self.seeds) < 0:
            raise ValueError(f"seeds: {self.seeds} must be different numbers, 0 or more")
        if self.longest < LEAST:
            raise ValueError(f"longest: {self.longest} must be at least {LEAST}")
        if self.adapter is not None and self.training.frozen:
            raise ValueError("adapter: training.frozen trains the head alone; leave one of the two out")
        types = {item.name: type(item.default) for item in fields(Training)}
        for name, values in self.grid.items():
            if name not in types:
                raise ValueError(f"grid: {name!r} is not a setting of training: {', '.join(types)}")
            allowed = (int, float) if types[name] is float else types[name]
            wrong = [value for value in values if not isinstance(value, allowed)]
            if not values or wrong or len(set(values)) != len(values):
                raise ValueError(f"grid: {name}: {values} must be different values of {types[name].__name__}")
        for point in self.points():
            try:
                replace(self.training, **point)
            except ValueError as error:
                raise ValueError(f"grid: {error}") from None
        without = self.task.dev == 0
        if without and (self.grid or self.training.patience):
            raise ValueError("task: dev: 0 leaves nothing by which a grid or patience could choose")

    def points(self) -> list[dict[str, Any]]:
        """Every combination of the grid; one without changes where there is none."""
        return [dict(zip(self.grid, values, strict=True)) for values in itertools.product(*self.grid.values())]

    def pieces(self) -> Sequence[str]:
        return [str(seed) for seed in self.seeds]

    def files(self) -> Sequence[Path]:
        files = self.task.files()
        self._bound()
        return files

    def _bound(self) -> Problem:
        problem = self.task.bind()
        if self.head.FOR_TAGS and not problem.TAGS:
            raise ValueError("head: a CRF judges sequences of tags, and this task has none; take `kind: linear`")
        return problem

    def check(self, subject: Subject) -> None:
        if (
            self.training.frozen
            and self.training.pooling == "pooler"
            and not subject.pooler
            and not self._bound().TOKENS
        ):
            raise ValueError(
                f"{subject.name}: its pooler was never trained, and training: frozen reads it as it is; take "
                "pooling: cls or mean"
            )

    def measure(self, subject: Subject, piece: str, device: torch.device, say: Say) -> Found:
        problem, longest = self._bound(), min(self.longest, subject.longest)
        splits = problem.splits
        data = Data(
            *(problem.samples(part, subject.tokenizer, longest) for part in (splits.train, splits.dev, splits.test))
        )
        if shown := ", ".join(f"{count} of {name}" for name, count in splits.seen().items() if count):
            say(f"{self.task.train}: {shown} have texts that are trained on; task.apart leaves these out of training")
        if not data.train:
            raise ValueError(f"task: train: no example of {self.task.train} has a token of this model's tokenizer")
        tried: list[tuple[dict[str, Any], Trained]] = []
        for point in self.points():
            trial = Trial(
                subject, self.head, problem, replace(self.training, **point), int(piece), device, self.adapter
            )
            tried.append((point, train(trial, data, lambda text: say(f"{subject.name} {piece}: {text}"))))
        point, chosen = max(tried, key=lambda one: _dev(one[1]))
        note = f" (best of {len(tried)} by dev)" if len(tried) > 1 else ""
        return Found(
            outcomes={f"{name}{note}": outcome for name, outcome in chosen.outcomes.items()},
            facts=self._facts(problem, data, tried, point, chosen),
            examples=sha256_json([repr(example[1:]) for example in splits.test]),
        )

    def _facts(
        self,
        problem: Problem,
        data: Data,
        tried: Sequence[tuple[Mapping[str, Any], Trained]],
        point: Mapping[str, Any],
        chosen: Trained,
    ) -> dict[str, Any]:
        return {
            "epoch": chosen.epoch,
            "dev": chosen.dev,
            "loss": chosen.loss,
            "examples": {name: len(part) for name, part in problem.splits._asdict().items() if name != "known"},
            "seen": problem.splits.seen(),
            "samples": {name: len(part) for name, part in data._asdict().items()},
            "classes": problem.classes,
            **({"chosen": dict(point), "grid": [{**one, "dev": found.dev} for one, found in tried]} if point else {}),
        }


def _dev(trained: Trained) -> float:
    value = trained.dev[trained.epoch - 1] if trained.dev else 0.0
    return value if value == value else float("-inf")
