"""Cloze questions from files: the candidate that a model finds likeliest in the blank.

    你 [MASK] [MASK] [MASK] [MASK] 吧   雪 中 送 炭 -2.1   画 蛇 添 足 -5.0   ->   the first

A candidate of n tokens is put where n tokens are hidden together; its score is the mean of their log probabilities, so
candidates of different lengths compare (Kassner et al. 2021 do the same). A text is read once for each length that its
candidates have. A text that is too long is cut around the blank, to the same context for all candidates. A candidate
with a token that the vocabulary lacks is never chosen; where it is the answer, the question counts as wrong.

`accuracy`               share of questions answered rightly; `accuracy/GROUP` of one group (a relation)
`macro_accuracy`         mean of the groups
`consistency`            of all pairs of wordings of a fact the share with the same answer, right or wrong
`consistent_accuracy`    share of facts that are answered rightly in every wording
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

import numpy as np
import numpy.typing as npt
import torch

from data_prep.encoding import Tokenizer
from masking.keyed import hash_keys
from pretrain.evaluation.blanks import Blanked, Pace, ask, check_head
from pretrain.evaluation.inputs import Ids
from pretrain.evaluation.measures import Measure, Say
from pretrain.evaluation.metrics import Outcome
from pretrain.evaluation.questions import Question, Questions
from pretrain.evaluation.results import Found
from pretrain.evaluation.subjects import Subject

CHUNK = 1024
"""Questions whose samples are in memory together."""


class Sample(NamedTuple):
    """A question with the blank of one length, and the candidates of that length."""

    blanked: Blanked
    candidates: Ids
    length: int


@dataclass(frozen=True, kw_only=True)
class ClozeQuestions(Measure):
    """Questions with a blank and candidates, in one of several published formats."""

    questions: Questions
    """Format and files of the questions."""
    limit: int = 0
    """At most so many questions (of facts in several wordings: facts), chosen by keys; 0: all."""
    longest: int = 512
    """Tokens of a sample with [CLS] and [SEP]; models with fewer positions are refused."""

    def __post_init__(self) -> None:
        if self.limit < 0:
            raise ValueError(f"limit: {self.limit} must be 0 (all questions) or more")
        if self.longest < 8:
            raise ValueError(f"longest: {self.longest} must be at least 8 tokens")

    def files(self) -> Sequence[Path]:
        return self.questions.files()

    def check(self, subject: Subject) -> None:
        check_head(subject, self.longest)

    def measure(self, subject: Subject, piece: str, device: torch.device, say: Say) -> Found:
        asked = _chosen(list(self.questions.read()), self.limit)
        if not asked:
            raise ValueError(f"questions: {', '.join(map(str, self.files()))} hold no question that can be asked")
        encoded = Candidates(subject.tokenizer)
        answers, right, unknown, pace = [], [], 0, Pace(say)
        for first in range(0, len(asked), CHUNK):
            chunk = asked[first : first + CHUNK]
            for question, answer in zip(chunk, self._answers(subject, chunk, encoded, device), strict=True):
                ids = [encoded[text] for text in question.candidates] if answer >= 0 else []
                answers.append(answer)
                right.append(bool(ids) and ids[answer] == ids[question.answer])
                unknown += not encoded[question.candidates[question.answer]]
            pace.tell(f"{len(answers):,} of {len(asked):,} questions")
        facts: dict[str, float] = {
            "questions": len(asked),
            "candidates": sum(len(question.candidates) for question in asked) / len(asked),
            "chance": sum(1 / len(question.candidates) for question in asked) / len(asked),
            "answers that the vocabulary lacks": unknown,
        }
        if any(question.group for question in asked):
            facts["most frequent answer of each group"] = _majority(asked)
        return Found(outcomes=_outcomes(asked, np.array(answers), np.array(right)), facts=facts)

    def _answers(
        self, subject: Subject, asked: Sequence[Question], encoded: Candidates, device: torch.device
    ) -> Iterator[int]:
        """The number of the chosen candidate of each question; -1: the vocabulary lacks all."""
        per_question = [list(self._samples(question, subject.tokenizer, encoded)) for question in asked]
        samples = [sample.blanked for several in per_question for sample in several]
        answers = ask(subject, samples, device) if samples else None
        number = 0
        for question, several in zip(asked, per_question, strict=True):
            score_C = np.full(len(question.candidates), -np.inf)
            for sample in several:
                assert answers is not None
                found_M = answers.log_probability_M[slice(*answers.offsets_S1[number : number + 2])]
                score_C[sample.candidates] = found_M.reshape(-1, sample.length).mean(1)
                number += 1
            yield int(score_C.argmax()) if np.isfinite(score_C).any() else -1

    def _samples(self, question: Question, tokenizer: Tokenizer, encoded: Candidates) -> Iterator[Sample]:
        """The question once for each length of its candidates."""
        special, ids = tokenizer.special_ids, [encoded[text] for text in question.candidates]
        lengths = sorted({len(one) for one in ids} - {0})
        if lengths and (room := self.longest - 2 - lengths[-1]) < 0:
            raise ValueError(f"{question.place}: a candidate of {lengths[-1]} tokens; `longest` is {self.longest}")
        for length in lengths:
            before, after = _context(question, tokenizer, length)
            left = min(len(before), max(room - len(after), (room + 1) // 2))
            right = min(len(after), room - left)
            hidden = [special["[MASK]"]] * length
            ids_T = [special["[CLS]"], *before[len(before) - left :], *hidden, *after[:right], special["[SEP]"]]
            chosen = [number for number, one in enumerate(ids) if len(one) == length]
            place_M = np.tile(np.arange(left + 1, left + 1 + length), len(chosen))
            token_M = np.array([token for number in chosen for token in ids[number]], np.int64)
            yield Sample(Blanked(np.array(ids_T, np.int64), place_M, token_M), np.array(chosen), length)


class Candidates(dict[str, tuple[int, ...]]):
    """Token ids of candidates, each found once; empty: the vocabulary lacks one of its characters."""

    def __init__(self, tokenizer: Tokenizer) -> None:
        super().__init__()
        self.tokenizer = tokenizer

    def __missing__(self, text: str) -> tuple[int, ...]:
        ids = tuple(self.tokenizer.encode_text(text)[0].tolist())
        self[text] = () if self.tokenizer.special_ids["[UNK]"] in ids else ids
        return self[text]


def _context(question: Question, tokenizer: Tokenizer, length: int) -> tuple[list[int], list[int]]:
    """Token ids before and after the asked blank; other blanks are as long as it."""
    mask = tokenizer.special_ids["[MASK]"]
    sides: list[list[int]] = []
    for texts in (question.texts[: question.blank + 1], question.texts[question.blank + 1 :]):
        side: list[int] = []
        for number, text in enumerate(texts):
            side += [mask] * length if number else []
            side += tokenizer.encode_text(text)[0].tolist()
        sides.append(side)
    return sides[0], sides[1]


def _chosen(questions: Sequence[Question], limit: int) -> Sequence[Question]:
    """Those of the facts that come first in keyed order; all where there are not more."""
    asks = [question.fact or str(number) for number, question in enumerate(questions)]
    facts = list(dict.fromkeys(asks))
    if not limit or len(facts) <= limit:
        return questions
    order = np.argsort(hash_keys("questions", facts), kind="stable")[:limit]
    kept = {facts[number] for number in order.tolist()}
    return [question for question, fact in zip(questions, asks, strict=True) if fact in kept]


def _majority(asked: Sequence[Question]) -> float:
    """Accuracy of who knows nothing but the most frequent answer of each group."""
    counts: dict[str, Counter[str]] = {}
    for question in asked:
        counts.setdefault(question.group, Counter())[question.candidates[question.answer]] += 1
    return sum(found.most_common(1)[0][1] for found in counts.values()) / len(asked)


def _outcomes(
    asked: Sequence[Question], answer_N: npt.NDArray[np.int64], right_N: npt.NDArray[np.bool_]
) -> dict[str, Outcome]:
    rows_N2 = np.stack([right_N, np.ones(len(asked))], 1).astype(np.float64)
    found = {"accuracy": Outcome(metric="ratio", rows=rows_N2)}
    names, group_N, count_G = np.unique([question.group for question in asked], return_inverse=True, return_counts=True)
    if len(names) > 1:
        found["macro_accuracy"] = Outcome(metric="ratio", rows=rows_N2 / count_G[group_N][:, None])
    if facts := [question.fact for question in asked if question.fact]:
        found |= _consistency(asked, list(dict.fromkeys(facts)), answer_N, right_N)
    for number, name in enumerate(names.tolist()):
        if name:
            found[f"accuracy/{name}"] = Outcome(metric="ratio", rows=rows_N2[group_N == number])
    return found


def _consistency(
    asked: Sequence[Question],
    facts: Sequence[str],
    answer_N: npt.NDArray[np.int64],
    right_N: npt.NDArray[np.bool_],
) -> dict[str, Outcome]:
    """Figures of facts in several wordings, a row each."""
    number_of = {fact: number for number, fact in enumerate(facts)}
    said: list[list[int]] = [[] for _ in facts]
    right = np.ones(len(facts))
    for question, answer, hit in zip(asked, answer_N.tolist(), right_N.tolist(), strict=True):
        said[number_of[question.fact]].append(answer)
        right[number_of[question.fact]] *= hit
    counts = [Counter(answers) for answers in said]
    same = [sum(count * (count - 1) // 2 for count in found.values()) for found in counts]
    pairs = [len(answers) * (len(answers) - 1) // 2 for answers in said]
    return {
        "consistency": Outcome(metric="ratio", rows=np.array([same, pairs], np.float64).T),
        "consistent_accuracy": Outcome(metric="ratio", rows=np.stack([right, np.ones(len(facts))], 1)),
    }
