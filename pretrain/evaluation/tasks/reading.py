"""Reading comprehension: the stretch of a text that answers a question (Devlin et al. 2019, section 4.2).

    [CLS] question [SEP] a window of the context [SEP]   ->   logits of start and end for every token

A window that lacks the answer points at [CLS]. Of all windows the pair of tokens with the
largest sum of logits answers.
"""

from __future__ import annotations

import re
import string
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

import numpy as np
import numpy.typing as npt
import torch

from data_prep.encoding import Tokenizer
from pretrain.evaluation.inputs import Tokens, assemble
from pretrain.evaluation.metrics import Outcome
from pretrain.evaluation.readers.splits import Example, Splits
from pretrain.evaluation.readers.squad import questions
from pretrain.evaluation.tasks import Problem, Sample, Task

COMPARED = ("words", "characters")
ARTICLES = re.compile(r"\b(a|an|the)\b")
CMRC_MARKS = str.maketrans(dict.fromkeys("-:_*^/\\~`+=，。：？！“”；’《》·、「」（）－～『』"))
CMRC_PARTS = re.compile(r"[\u4e00-\u9fa5]|[^\W\u4e00-\u9fa5]+(?:[.,][^\W\u4e00-\u9fa5]+)*|[^\w\s]")
"""A Chinese character, a Latin word or number, a mark that is left."""


@dataclass(frozen=True, kw_only=True)
class Reading(Task):
    """Questions about paragraphs in SQuAD's JSON; every question has an answer."""

    compare: str = "words"
    """What F1 counts: `words` in lower case, without articles and punctuation (SQuAD's program); or `characters`, with
    Latin words and numbers whole, of the longest common stretch (CMRC 2018's program, which cuts what is not Chinese by
    NLTK; here words, numbers and marks are cut)."""
    stride: int = 128
    """Tokens from one window to the next."""
    question: int = 64
    """Tokens of a question that are read."""
    answer: int = 30
    """Tokens of the longest answer that is given."""

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.compare not in COMPARED:
            raise ValueError(f"compare: {self.compare!r} is not one of {', '.join(COMPARED)}")
        for name in ("stride", "question", "answer"):
            if getattr(self, name) < 1:
                raise ValueError(f"{name}: {getattr(self, name)} must be at least 1")

    def examples(self, path: Path) -> list[Example]:
        return list(questions(path))

    def bind(self) -> Problem:
        return Answers(self.divided(), self)


class Answers(Problem):
    """Two logits of each token of a context."""

    TOKENS: ClassVar[bool] = True

    def __init__(self, splits: Splits, settings: Reading) -> None:
        self.splits, self.settings, self.classes, self.outputs = splits, settings, [], 2

    def samples(self, examples: Sequence[Example], tokenizer: Tokenizer, longest: int) -> list[Sample]:
        return [
            sample
            for number, example in enumerate(examples)
            for sample in self._windows(example, number, tokenizer, longest)
        ]

    def _windows(self, example: Example, number: int, tokenizer: Tokenizer, longest: int) -> list[Sample]:
        context, question = (Tokens(*tokenizer.encode_text(text)) for text in example.texts)
        question = Tokens(*(part[: min(self.settings.question, (longest - 3) // 2)] for part in question))
        answer, room = example.label[0], longest - 3 - len(question.ids_T)
        inside = np.flatnonzero((context.start_T < answer.end) & (context.end_T > answer.start))
        found, start = [], 0
        while True:
            stop = min(start + room, len(context.ids_T))
            window = assemble(tokenizer, [question, Tokens(*(part[start:stop] for part in context))])
            here = len(inside) and start <= inside[0] and inside[-1] < stop
            target = inside[[0, -1]] - start + 1 if here else np.zeros(2, np.int64)
            positions = np.append(0, len(question.ids_T) + 2 + np.arange(stop - start))
            found.append(Sample(window, positions.astype(np.int64), target.astype(np.int64), number))
            if stop == len(context.ids_T):
                return found
            start += min(self.settings.stride, room)

    def loss(self, logits_MK: torch.Tensor, target_N: torch.Tensor, counts_S: Sequence[int]) -> torch.Tensor:
        """Mean over samples of both cross entropies, each over the positions of its sample."""
        parts = torch.split(logits_MK.float(), list(counts_S))
        targets = target_N.view(-1, 2)
        each = [torch.nn.functional.cross_entropy(part.T, target) for part, target in zip(parts, targets, strict=True)]
        return torch.stack(each).mean()

    def outcomes(
        self, examples: Sequence[Example], samples: Sequence[Sample], logits: Sequence[npt.NDArray[np.float32]]
    ) -> Mapping[str, Outcome]:
        said = [("", -np.inf)] * len(examples)
        for sample, scores in zip(samples, logits, strict=True):
            start, end, value = best_pair(scores[1:], self.settings.answer)
            if value > said[sample.example][1]:
                places = sample.input.characters_T2[sample.positions_M[1:]]
                context = examples[sample.example].texts[0]
                said[sample.example] = context[places[start, 0] : places[end, 1]], value
        rows = np.ones((2, len(examples), 2))
        for number, example in enumerate(examples):
            answers = [example.texts[0][span.start : span.end] for span in example.label]
            pairs = [compare(said[number][0], answer, self.settings.compare) for answer in answers]
            rows[:, number, 0] = np.max(pairs, 0)
        return {"f1": Outcome(metric="ratio", rows=rows[1]), "exact": Outcome(metric="ratio", rows=rows[0])}


def best_pair(scores_M2: npt.NDArray[np.float32], longest: int) -> tuple[int, int, float]:
    """Start and end with the largest sum of logits, at most ``longest`` tokens, and that sum; nothing to choose from:
    minus infinity."""
    best = (0, 0, -np.inf)
    for length in range(min(longest, len(scores_M2))):
        sums = scores_M2[: len(scores_M2) - length, 0] + scores_M2[length:, 1]
        start = int(sums.argmax())
        if sums[start] > best[2]:
            best = (start, start + length, float(sums[start]))
    return best


def compare(said: str, answer: str, by: str) -> tuple[float, float]:
    """Exact match and F1 of an answer."""
    said, answer = normal(said, by), normal(answer, by)
    exact = float(said == answer)
    said_parts, answer_parts = (text.split() if by == "words" else CMRC_PARTS.findall(text) for text in (said, answer))
    if by == "words":
        common = sum((Counter(said_parts) & Counter(answer_parts)).values())
    else:
        common = _common_stretch(said_parts, answer_parts)
    return exact, 2 * common / (len(said_parts) + len(answer_parts)) if common else exact


def normal(text: str, by: str) -> str:
    """What is compared for exact match: as ``evaluate-v1.1.py`` of SQuAD, or ``cmrc2018_evaluate.py``."""
    text = text.lower()
    if by == "characters":
        return text.translate(CMRC_MARKS).strip()
    text = "".join(character for character in text if character not in string.punctuation)
    return " ".join(ARTICLES.sub(" ", text).split())


def _common_stretch(first: Sequence[str], second: Sequence[str]) -> int:
    """Length of the longest stretch that both have."""
    best, before = 0, [0] * (len(second) + 1)
    for one in first:
        row = [0] * (len(second) + 1)
        for place, other in enumerate(second, 1):
            if one == other:
                row[place] = before[place - 1] + 1
                best = max(best, row[place])
        before = row
    return best
