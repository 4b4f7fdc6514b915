"""What a probe asks: positions of samples and the class of each, from the units of a prepared folder or from a task.

    words   does a word begin at this token, or go on?     [CLS] 他 在 北 京 大 学 [SEP]     begin begin begin on on on
    kinds   what kind of unit is this token part of?       character character entity entity entity entity
    a task  the class of a text or a pair, or the BIO tag of a token

The control of a question about tokens gives every token of the vocabulary a class of its own by lot, with the shares
that the real classes have (Hewitt & Liang 2019): what a probe can answer there it has learned by heart.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from data_prep.encoding import Tokenizer
from data_prep.files import sha256_json
from data_prep.shards import Prepared
from masking.keyed import hash_key, uniform_array
from masking.spans import KINDS
from pretrain.evaluation.blanks import framed
from pretrain.evaluation.hidden_units import divided, keyed_windows
from pretrain.evaluation.inputs import Ids
from pretrain.evaluation.metrics import Outcome
from pretrain.evaluation.tasks import Problem, Sample
from pretrain.feed.sources import Source

WORDS, PARTS = "words", ("begins", "goes on")
QUESTIONS = (WORDS, "kinds")
TOKENS_A_WINDOW = 16
"""Fewer are seldom in a window: how many windows are looked at."""


class Item(NamedTuple):
    """A sample, and what is asked of it."""

    ids_T: Ids
    segments_T: Ids
    positions_M: Ids
    """Tokens that are asked about; of a whole text the first."""
    target_M: Ids
    """Numbers of classes."""
    example: int
    """Which row of the outcomes it belongs to."""


@dataclass(frozen=True, kw_only=True)
class Asked:
    """A question with its samples."""

    train: Sequence[Item]
    test: Sequence[Item]
    rows: int
    """Examples of ``test``."""
    classes: Sequence[str]
    tokens: bool
    """Is it about tokens, and not about texts?"""
    figure: str
    examples: str
    """A hash of what is asked in ``test``."""
    problem: Problem | None = None
    samples: Sequence[Sample] = ()
    """Those of ``test``, in their order, for the figures of ``problem``."""

    def outcome(self, scores: Sequence[npt.NDArray[np.float32]]) -> Outcome:
        """The figure of the scores (M, K) of every item of ``test``."""
        if self.problem is not None:
            return next(iter(self.problem.outcomes(self.problem.splits.test, self.samples, scores).values()))
        return self.hits([score.argmax(1) == item.target_M for score, item in zip(scores, self.test, strict=True)])

    def hits(self, right: Sequence[npt.NDArray[np.bool_]], less: Sequence[npt.NDArray[np.bool_]] = ()) -> Outcome:
        """Share of right answers, an example a row; less that of others."""
        rows = np.zeros((self.rows, 2))
        for number, item in enumerate(self.test):
            rows[item.example] += right[number].sum(), len(right[number])
            rows[item.example, 0] -= less[number].sum() if less else 0
        return Outcome(metric="ratio", rows=rows)


def of_task(problem: Problem, tokenizer: Tokenizer, longest: int) -> Asked:
    """The classes of a task.

    Raises:
        ValueError: it has none.
    """
    if not problem.classes:
        raise ValueError("task: it has no classes, and a probe tells classes apart")
    splits = problem.splits
    train, test = (problem.samples(part, tokenizer, longest) for part in (splits.train, splits.test))
    zeros = [np.zeros((len(sample.positions_M), problem.outputs), np.float32) for sample in test]
    return Asked(
        train=[_item(sample) for sample in train],
        test=[_item(sample) for sample in test],
        rows=len(splits.test),
        classes=problem.classes,
        tokens=problem.TOKENS,
        figure=next(iter(problem.outcomes(splits.test, test, zeros))),
        examples=sha256_json([repr(example[1:]) for example in splits.test]),
        problem=problem,
        samples=test,
    )


def _item(sample: Sample) -> Item:
    given = sample.input
    return Item(given.ids_T, given.segments_T, sample.positions_M, sample.target_N.astype(np.int64), sample.example)


def of_units(data: Path, question: str, tokens: int, longest: int) -> Asked:
    """Words, or kinds of units, of ``tokens`` tokens of training text, and of a quarter as many held-out ones.

    Raises:
        ValueError: the folder has no held-out text, or its text has one class only.
    """
    prepared = Prepared.open(data)
    parts = [
        _windows(prepared, question, split, count, longest)
        for split, count in (("train", tokens), ("heldout", -(-tokens // 4)))
    ]
    present = np.unique(np.concatenate([item.target_M for item in parts[0]]))
    names = PARTS if question == WORDS else KINDS
    if len(present) < 2:
        raise ValueError(f"data: {data}: all tokens are of one class, {names[present[0]]!r}; there is nothing to ask")
    train, test = ([item._replace(target_M=_renumbered(item.target_M, present)) for item in part] for part in parts)
    return Asked(
        train=train,
        test=test,
        rows=len(test),
        classes=[names[number] for number in present],
        tokens=True,
        figure="accuracy",
        examples=sha256_json([[item.ids_T.tolist(), item.target_M.tolist()] for item in test]),
    )


def _renumbered(target_M: Ids, present: npt.NDArray[np.int64]) -> Ids:
    """Places among the classes of training; -1 where it does not know one, which no answer is."""
    found = np.minimum(np.searchsorted(present, target_M), len(present) - 1)
    return np.where(present[found] == target_M, found, -1)


def _windows(prepared: Prepared, question: str, split: str, tokens: int, longest: int) -> list[Item]:
    source = Source(name="probe", prepared=prepared, split=split, max_tokens=longest - 2)
    windows = keyed_windows(source, -(-tokens // TOKENS_A_WINDOW))
    enough = int(np.searchsorted(np.cumsum(windows.tokens_W), tokens)) + 1
    texts = source.texts(windows.take(slice(0, enough)))
    start_U, end_U, kind_U = divided(texts, prepared.tokenizer, ["word"] if question == WORDS else None)
    label_T = np.full(len(texts.tokens.values), -1, np.int64)
    for start, end, kind in zip(start_U.tolist(), end_U.tolist(), kind_U.tolist(), strict=True):
        label_T[start:end] = 1 if question == WORDS else kind
    if question == WORDS:
        label_T[start_U] = 0
    found = list[Item]()
    for number in range(len(texts)):
        begin, end = texts.tokens.offsets_S1[number : number + 2]
        here = np.flatnonzero(label_T[begin:end] >= 0)
        if len(here):
            ids_T = framed(prepared.tokenizer, texts.tokens.values[begin:end])
            target_M = label_T[begin:end][here]
            found.append(Item(ids_T, np.zeros(len(ids_T), np.int64), here + 1, target_M, len(found)))
    return found


def by_lot(item: Item, share_K: npt.NDArray[np.float64]) -> Ids:
    """The class of every position by lot: a function of its token alone."""
    keys = np.uint64(hash_key("control")) + item.ids_T[item.positions_M].astype(np.uint64)
    return np.searchsorted(np.cumsum(share_K)[:-1], uniform_array(keys, 0), "right")
