"""A linear-chain CRF over tags (Lafferty et al. 2001; over neural states Lample et al. 2016), with the transitions that
BIO forbids shut: no I without a B or I of its type before it.

    score of tags t = start[t1] + sum of logits[i, ti] + sum of transition[ti, ti+1] + end[tn]
    loss            = log sum over all t of e^score - score of the gold tags, per position

Shape legend: M positions of S samples; L longest sample, K tags.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import nn

from pretrain.evaluation.heads import Head, HeadModule, projection
from pretrain.evaluation.tasks import Problem

SHUT = -1e4
"""Added to what is forbidden."""


@dataclass(frozen=True, kw_only=True)
class Crf(Head):
    """Dropout, a linear layer and a CRF. Its few parameters want a rate of their own: `head_lr` of 1.0e-3 or so."""

    FOR_TAGS: ClassVar[bool] = True

    def build(self, width: int, problem: Problem, dropout: float) -> HeadModule:
        return CrfModule(width, problem.classes, dropout)


class CrfModule(HeadModule):
    """Logits, and their best sequence."""

    shut_first_K: torch.Tensor
    shut_next_KK: torch.Tensor

    def __init__(self, width: int, tags: Sequence[str], dropout: float) -> None:
        super().__init__()
        self.dropout, self.project = nn.Dropout(dropout), projection(width, len(tags))
        self.start, self.end = nn.Parameter(torch.zeros(len(tags))), nn.Parameter(torch.zeros(len(tags)))
        self.transition = nn.Parameter(torch.zeros(len(tags), len(tags)))
        first_K, next_KK = shut(tags)
        self.register_buffer("shut_first_K", first_K, persistent=False)
        self.register_buffer("shut_next_KK", next_KK, persistent=False)

    def forward(self, states_MD: torch.Tensor, counts_S: Sequence[int]) -> torch.Tensor:
        """Logits."""
        logits: torch.Tensor = self.project(self.dropout(states_MD))
        return logits

    def _tables(self) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
        return self.start + self.shut_first_K, self.transition + self.shut_next_KK, self.end

    def loss(
        self, problem: Problem, logits_MK: torch.Tensor, target_N: torch.Tensor, counts_S: Sequence[int]
    ) -> torch.Tensor:
        """Negative log likelihood of the gold tags, a position."""
        logits_SLK, real_SL = padded(logits_MK.float(), counts_S)
        target_SL, _ = padded(target_N, counts_S)
        gold_S = score(logits_SLK, target_SL, real_SL, *self._tables())
        return (log_sum(logits_SLK, real_SL, *self._tables()) - gold_S).sum() / len(target_N)

    def answers(self, logits_MK: torch.Tensor, counts_S: Sequence[int]) -> torch.Tensor:
        """1 at the tags of the best sequence, else 0."""
        logits_SLK, real_SL = padded(logits_MK.float(), counts_S)
        best_SL = best(logits_SLK, real_SL, *self._tables())
        return nn.functional.one_hot(best_SL[real_SL], logits_MK.shape[1]).float()


def shut(tags: Sequence[str]) -> tuple[torch.Tensor, torch.Tensor]:
    """What BIO forbids at the first position (K) and from a tag to the next (K, K)."""
    opened = {tag: ("B" + tag[1:], tag) for tag in tags if tag.startswith("I-")}
    first_K = torch.tensor([SHUT if tag in opened else 0.0 for tag in tags])
    next_KK = torch.tensor([[SHUT if tag not in opened.get(after, (tag,)) else 0.0 for after in tags] for tag in tags])
    return first_K, next_KK


def padded(values: torch.Tensor, counts_S: Sequence[int]) -> tuple[torch.Tensor, torch.Tensor]:
    """Values of samples in lines (S, L, ...), and which places are real (S, L)."""
    lines = nn.utils.rnn.pad_sequence(list(torch.split(values, list(counts_S))), batch_first=True)
    counts = torch.tensor(counts_S, device=values.device)
    return lines, torch.arange(lines.shape[1], device=values.device) < counts[:, None]


def score(
    logits_SLK: torch.Tensor,
    tags_SL: torch.Tensor,
    real_SL: torch.Tensor,
    start_K: torch.Tensor,
    next_KK: torch.Tensor,
    end_K: torch.Tensor,
) -> torch.Tensor:
    """Score of one sequence of tags a sample, (S)."""
    own_SL = logits_SLK.gather(2, tags_SL[..., None])[..., 0] * real_SL
    step_SL = next_KK[tags_SL[:, :-1], tags_SL[:, 1:]] * real_SL[:, 1:]
    last_S = tags_SL.gather(1, real_SL.sum(1, keepdim=True) - 1)[:, 0]
    return start_K[tags_SL[:, 0]] + own_SL.sum(1) + step_SL.sum(1) + end_K[last_S]


def log_sum(
    logits_SLK: torch.Tensor,
    real_SL: torch.Tensor,
    start_K: torch.Tensor,
    next_KK: torch.Tensor,
    end_K: torch.Tensor,
) -> torch.Tensor:
    """Log of the sum of e^score over all sequences, (S)."""
    alpha_SK = start_K + logits_SLK[:, 0]
    for place in range(1, logits_SLK.shape[1]):
        further = torch.logsumexp(alpha_SK[:, :, None] + next_KK, 1) + logits_SLK[:, place]
        alpha_SK = torch.where(real_SL[:, place, None], further, alpha_SK)
    return torch.logsumexp(alpha_SK + end_K, 1)


def best(
    logits_SLK: torch.Tensor,
    real_SL: torch.Tensor,
    start_K: torch.Tensor,
    next_KK: torch.Tensor,
    end_K: torch.Tensor,
) -> torch.Tensor:
    """Tags of the highest score, (S, L); behind the end of a sample the last one again (Viterbi)."""
    alpha_SK, back = start_K + logits_SLK[:, 0], []
    stay_K = torch.arange(logits_SLK.shape[2], device=logits_SLK.device)
    for place in range(1, logits_SLK.shape[1]):
        value_SK, from_SK = (alpha_SK[:, :, None] + next_KK).max(1)
        real_S1 = real_SL[:, place, None]
        alpha_SK = torch.where(real_S1, value_SK + logits_SLK[:, place], alpha_SK)
        back.append(torch.where(real_S1, from_SK, stay_K))
    tag_S = (alpha_SK + end_K).argmax(1)
    found = [tag_S]
    for from_SK in reversed(back):
        tag_S = from_SK.gather(1, tag_S[:, None])[:, 0]
        found.append(tag_S)
    return torch.stack(found[::-1], 1)
