"""Minimal pairs: is the acceptable sentence likelier than the one beside it (BLiMP, Warstadt et al. 2020)?

    {"sentence_good": "Cats annoy Tim.", "sentence_bad": "Cats annoys Tim.", "field": "morphology"}

A sentence's score is its pseudo-log-likelihood: the sum over its tokens of their log probability, each hidden in a copy
of the sentence of its own (Salazar et al. 2020). With ``hide: word`` the rest of its word is hidden with it (Kauf &
Ivanova 2023), so that ##s does not give away what comes before. A pair is right when the good sentence scores higher;
equal scores are wrong.

`accuracy`, and `accuracy/KEY/VALUE` by what else the lines say, as `accuracy/field/morphology`.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from itertools import pairwise
from pathlib import Path
from typing import ClassVar, NamedTuple

import numpy as np
import torch

from data_prep.encoding import Tokenizer
from pretrain.evaluation.blanks import Blanked, Pace, ask, blanked, check_head, framed, left_to_right
from pretrain.evaluation.inputs import Ids
from pretrain.evaluation.measures import Measure, Say
from pretrain.evaluation.metrics import Floats, Outcome
from pretrain.evaluation.results import Found
from pretrain.evaluation.subjects import Subject
from pretrain.evaluation.text_rows import Row, check_files, json_rows
from pretrain.feed.texts import starts

HIDE = ("token", "word")
SIDES = ("sentence_good", "sentence_bad")
CHUNK = 256
"""Pairs whose copies are in memory together."""


class Pair(NamedTuple):
    """Two sentences and the groups they belong to."""

    place: str
    sentences: tuple[str, str]
    """The good one first."""
    groups: tuple[str, ...]


@dataclass(frozen=True, kw_only=True)
class MinimalPairs(Measure):
    """Acceptable sentences beside others that are not."""

    PAPER: ClassVar[str] = "BLiMP, Warstadt et al. 2020; scored as Salazar et al. 2020 or Kauf & Ivanova 2023"

    paths: list[str]
    """Files with `sentence_good` and `sentence_bad` on each line, `.gz` too."""
    groups: list[str] = field(default_factory=list)
    """Keys of the lines by whose values there are figures, too; BLiMP has `field`, `linguistics_term` and `UID`."""
    hide: str = "token"
    """`token`: each token alone, as published figures of BLiMP; `word`: with the rest of its word."""
    longest: int = 128
    """Tokens of a sentence with [CLS] and [SEP]; longer ones are refused."""

    def __post_init__(self) -> None:
        if self.hide not in HIDE:
            raise ValueError(f"hide: {self.hide!r} is not one of {', '.join(HIDE)}")
        if len(set(self.groups)) < len(self.groups):
            raise ValueError(f"groups: {', '.join(self.groups)} names one twice")

    def files(self) -> Sequence[Path]:
        return check_files("paths", self.paths)

    def check(self, subject: Subject) -> None:
        check_head(subject, self.longest)

    def measure(self, subject: Subject, piece: str, device: torch.device, say: Say) -> Found:
        pairs = [self._pair(row) for file in self.files() for row in json_rows(file)]
        right: list[bool] = []
        tokens, pace = 0, Pace(say)
        for first in range(0, len(pairs), CHUNK):
            chunk = pairs[first : first + CHUNK]
            encoded = [self._encoded(subject.tokenizer, pair, text) for pair in chunk for text in pair.sentences]
            score_S = sentence_scores(subject, encoded, self.hide, device)
            right += (score_S[0::2] > score_S[1::2]).tolist()
            tokens += sum(len(ids_T) * (len(ids_T) - 2) for ids_T in encoded)
            pace.tell(f"{len(right):,} of {len(pairs):,} pairs")
        rows_N2 = np.stack([right, np.ones(len(pairs))], 1).astype(np.float64)
        outcomes = {"accuracy": Outcome(metric="ratio", rows=rows_N2)}
        for group in sorted({group for pair in pairs for group in pair.groups}):
            mine_N = np.array([group in pair.groups for pair in pairs])
            outcomes[f"accuracy/{group}"] = Outcome(metric="ratio", rows=rows_N2[mine_N])
        return Found(outcomes=outcomes, facts={"pairs": len(pairs), "tokens read": tokens})

    def _pair(self, row: Row) -> Pair:
        good, bad = (row.text(side) for side in SIDES)
        if good == bad:
            raise ValueError(f"{row.place}: the two sentences are the same")
        return Pair(row.place, (good, bad), tuple(f"{key}/{row.name(key)}" for key in self.groups))

    def _encoded(self, tokenizer: Tokenizer, pair: Pair, text: str) -> Ids:
        ids_T = framed(tokenizer, tokenizer.encode_text(text)[0].astype(np.int64))
        if not 3 <= len(ids_T) <= self.longest:
            raise ValueError(
                f"{pair.place}: {text[:60]!r} has {len(ids_T)} tokens with [CLS] and [SEP]; 3 to `longest` = "
                f"{self.longest} are allowed"
            )
        return ids_T


def sentence_scores(subject: Subject, sentences: Sequence[Ids], hide: str, device: torch.device) -> Floats:
    """float64[S], the pseudo-log-likelihood of each sentence.

    Args:
        sentences: their token ids with [CLS] and [SEP].
        hide: `token` or `word`.
    """
    copies = [_copies(subject.tokenizer, ids_T, hide) for ids_T in sentences]
    answers = ask(subject, [copy for several in copies for copy in several], device)
    found: Floats = np.add.reduceat(answers.log_probability_M, starts([len(several) for several in copies])[:-1])
    return found


def _copies(tokenizer: Tokenizer, ids_T: Ids, hide: str) -> list[Blanked]:
    """A copy for each token but [CLS] and [SEP]."""
    mask, last = tokenizer.special_ids["[MASK]"], len(ids_T) - 1
    if hide == "token":
        return [blanked(ids_T, [place], [place], mask) for place in range(1, last)]
    begins = [place for place in range(1, last) if not tokenizer.tokens[ids_T[place]].startswith("##")]
    edges = sorted({1, *begins, last})
    return [copy for first, end in pairwise(edges) for copy in left_to_right(ids_T, first, end, mask)]
