"""What each layer of a frozen encoder knows: linear probes from the embeddings to the last layer.

    states of every layer at the asked positions  ->  closed-form classifiers  ->  accuracy/layer 0, accuracy/layer 1,
    ...; accuracy: of the layer that a fifth of the training samples chooses

Early layers tend to know words, later ones what a text is about (Tenney et al. 2019). A probe may also have learned
tokens by heart; of questions about tokens, `selectivity` is its accuracy less that on classes given to tokens by lot
(Hewitt & Liang 2019).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

import torch

from data_prep.shards import MANIFEST, Prepared
from pretrain.evaluation.hidden_units import check_vocabulary
from pretrain.evaluation.measures import Measure, Say
from pretrain.evaluation.probing.asked import QUESTIONS, of_task, of_units
from pretrain.evaluation.probing.fitting import Reader, answers, fit
from pretrain.evaluation.results import Found
from pretrain.evaluation.subjects import Subject
from pretrain.evaluation.tasks import Task

POOLINGS = ("mean", "cls")


@dataclass(frozen=True, kw_only=True)
class Probe(Measure):
    """A question to the states of every layer."""

    PAPER: ClassVar[str] = "Alain & Bengio 2016; control tasks of Hewitt & Liang 2019"

    data: str = ""
    """Prepared folder whose own units are asked for; every model must know its vocabulary. Or give a `task`."""
    question: str = "words"
    """Of `data`: `words` (does a word begin at this token, or go on?) or `kinds` (is the token part of an entity, a
    phrase, a word of several tokens, or none?)."""
    task: Task | None = None
    """A task with labels, as of fine-tuning: classes of texts or pairs, labels of tokens."""
    tokens: int = 20000
    """Of `data`: tokens of training text that probes are fitted to; a quarter as many held-out ones are asked."""
    longest: int = 128
    """Tokens of a sample, special ones included."""
    pooling: str = "mean"
    """What a probe of a whole text reads: the `mean` of its states, or that of [CLS] (`cls`)."""

    def __post_init__(self) -> None:
        if bool(self.data) == (self.task is not None):
            raise ValueError("data: give a prepared folder or a `task`, one of the two")
        if self.question not in QUESTIONS:
            raise ValueError(f"question: {self.question!r} is not one of {', '.join(QUESTIONS)}")
        if self.pooling not in POOLINGS:
            raise ValueError(f"pooling: {self.pooling!r} is not one of {', '.join(POOLINGS)}")
        for name, least in (("tokens", 100), ("longest", 8)):
            if getattr(self, name) < least:
                raise ValueError(f"{name}: {getattr(self, name)} must be at least {least}")

    def files(self) -> Sequence[Path]:
        if self.task is None:
            return [Prepared.open(Path(self.data)).folder / MANIFEST]
        if not self.task.bind().classes:
            raise ValueError("task: it has no classes, and a probe tells classes apart")
        return self.task.files()

    def check(self, subject: Subject) -> None:
        if self.longest > subject.longest:
            raise ValueError(f"longest: {self.longest} is more than the {subject.longest} positions of {subject.name}")
        if self.task is None:
            check_vocabulary(Prepared.open(Path(self.data)), subject)

    def measure(self, subject: Subject, piece: str, device: torch.device, say: Say) -> Found:
        asked = (
            of_units(Path(self.data), self.question, self.tokens, self.longest)
            if self.task is None
            else of_task(self.task.bind(), subject.tokenizer, self.longest)
        )
        reader = Reader(subject, device, mean=self.pooling == "mean" and not asked.tokens)
        found = answers(reader, asked, fit(reader, asked))
        say(f"{subject.name}: {len(asked.train):,} samples fitted, {len(asked.test):,} asked")
        by_layer = {f"{asked.figure}/layer {n}": asked.outcome(scores) for n, scores in enumerate(found.scores)}
        outcomes = {asked.figure: by_layer[f"{asked.figure}/layer {found.layer}"], **by_layer}
        for number, (right, by_heart) in enumerate(zip(found.right, found.by_heart, strict=False)):
            outcomes[f"selectivity/layer {number}"] = asked.hits(right, by_heart)
        facts = {
            "layer": found.layer,
            "classes": list(asked.classes),
            "shares": found.share_K.tolist(),
            "samples": {"train": len(asked.train), "test": len(asked.test)},
            "positions": {name: sum(len(item.target_M) for item in getattr(asked, name)) for name in ("train", "test")},
            "curve": [asked.outcome(scores).value for scores in found.scores],
            "control": [asked.hits(by_heart).value for by_heart in found.by_heart],
        }
        return Found(outcomes=outcomes, facts=facts, examples=asked.examples)
