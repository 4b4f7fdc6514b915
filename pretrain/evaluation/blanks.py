"""Samples in which tokens are hidden, and how likely a model finds tokens at hidden places.

    Blanked   [CLS] 他 在 [MASK] [MASK] 工 作 [SEP], asked: 北 at 3, 京 at 4
    Blanked, many of them, --ask-->  Answers: log probability of each asked token, and is it the likeliest?

Copies of one length lie together in batches without padding (inputs.py); the vocabulary projection sees asked places
only.

Shape legend: T tokens of a sample, M asked tokens, P different places of a batch, V vocabulary, D width.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from typing import NamedTuple

import numpy as np
import numpy.typing as npt
import torch

from data_prep.encoding import Tokenizer
from pretrain.evaluation.inputs import TOKENS, Ids, flat, groups
from pretrain.evaluation.subjects import Subject
from pretrain.feed.texts import starts

Say = Callable[[str], None]
LINES = 512
"""Places whose logits are in memory together."""
EVERY_SECONDS = 30.0
"""How often a long measurement says how far it is."""


class Pace:
    """Says how far a long measurement is, not too often."""

    def __init__(self, say: Say) -> None:
        self.say = say
        self.told = time.monotonic()

    def tell(self, words: str) -> None:
        """Say it, unless something was said a short while ago."""
        if (now := time.monotonic()) - self.told > EVERY_SECONDS:
            self.told = now
            self.say(words)


class Blanked(NamedTuple):
    """A sample with hidden tokens, and what is asked of it."""

    ids_T: Ids
    place_M: Ids
    """Where in the sample; a place may be asked for several tokens."""
    token_M: Ids


class Answers(NamedTuple):
    """What a model says to many samples, flat: those to sample s are ``[offsets_S1[s], offsets_S1[s + 1])``."""

    log_probability_M: npt.NDArray[np.float64]
    first_M: npt.NDArray[np.bool_]
    """Is the token the likeliest of the whole vocabulary?"""
    offsets_S1: npt.NDArray[np.int64]


def check_head(subject: Subject, longest: int) -> None:
    """Raise ValueError unless the model predicts hidden tokens and can read samples of this length."""
    if subject.head is None:
        raise ValueError(
            f"model {subject.name} has no masked-LM head, so it cannot be asked for hidden tokens; leave it out of "
            "this measure"
        )
    if longest > subject.longest:
        raise ValueError(f"longest: {longest} is more than the {subject.longest} positions of model {subject.name}")


def blanked(ids_T: Ids, hidden: Sequence[int] | Ids, asked: Sequence[int] | Ids, mask: int) -> Blanked:
    """A sample with ``hidden`` places behind [MASK], asked for what stood at some of them."""
    copy_T = ids_T.copy()
    copy_T[hidden] = mask
    place_M = np.asarray(asked, np.int64)
    return Blanked(copy_T, place_M, ids_T[place_M])


def left_to_right(ids_T: Ids, first: int, last: int, mask: int) -> list[Blanked]:
    """The unit [first, last) once for each of its tokens, which is hidden with all that follow it in the unit: the
    chain rule inside the unit (Kauf & Ivanova 2023, "PLL-word-l2r").

    Hiding one token at a time (Salazar et al. 2020) lets the rest of a unit give its token away: 京 after 北.
    """
    return [blanked(ids_T, np.arange(place, last), [place], mask) for place in range(first, last)]


def framed(tokenizer: Tokenizer, ids_T: Ids) -> Ids:
    """[CLS] ids [SEP]."""
    special = tokenizer.special_ids
    return np.concatenate([[special["[CLS]"]], ids_T, [special["[SEP]"]]]).astype(np.int64)


@torch.no_grad()
def ask(subject: Subject, samples: Sequence[Blanked], device: torch.device, say: Say | None = None) -> Answers:
    """The model's log probabilities of all asked tokens, in float32."""
    lengths = [len(sample.ids_T) for sample in samples]
    offsets_S1 = starts([len(sample.token_M) for sample in samples])
    log_probability_M, first_M = np.empty(offsets_S1[-1]), np.empty(offsets_S1[-1], np.bool_)
    began, pace = time.monotonic(), Pace(say) if say else None
    done, total = 0, sum(lengths)
    for numbers in groups(lengths, TOKENS):
        chosen = [samples[number] for number in numbers.tolist()]
        where_M = np.concatenate([np.arange(*offsets_S1[number : number + 2]) for number in numbers.tolist()])
        log_probability_M[where_M], first_M[where_M] = _ask_batch(subject, chosen, device)
        done += sum(len(sample.ids_T) for sample in chosen)
        if pace:
            speed = done / (time.monotonic() - began)
            pace.tell(f"{done / total:.0%} of {total:,} tokens read, {speed:,.0f} a second")
    return Answers(log_probability_M, first_M, offsets_S1)


def _ask_batch(
    subject: Subject, samples: Sequence[Blanked], device: torch.device
) -> tuple[npt.NDArray[np.float64], npt.NDArray[np.bool_]]:
    assert subject.head is not None
    hidden_TD = subject.hidden(flat([sample.ids_T for sample in samples]).to(device))
    begin_S = starts([len(sample.ids_T) for sample in samples])
    position_M = np.concatenate([sample.place_M + begin for sample, begin in zip(samples, begin_S, strict=False)])
    token_M = torch.from_numpy(np.concatenate([sample.token_M for sample in samples])).to(device)
    position_P, line_M = np.unique(position_M, return_inverse=True)
    states_PD = hidden_TD[torch.from_numpy(position_P).to(device)]
    found_M = torch.empty(len(token_M), dtype=torch.float32, device=device)
    first_M = torch.empty(len(token_M), dtype=torch.bool, device=device)
    for first in range(0, len(position_P), LINES):
        logits_PV = subject.head(states_PD[first : first + LINES]).float()
        here = np.flatnonzero((line_M >= first) & (line_M < first + LINES))
        chosen, line = torch.from_numpy(here).to(device), torch.from_numpy(line_M[here] - first).to(device)
        found_M[chosen] = logits_PV[line, token_M[chosen]] - logits_PV.logsumexp(-1)[line]
        first_M[chosen] = logits_PV.argmax(-1)[line] == token_M[chosen]
    return found_M.cpu().numpy().astype(np.float64), first_M.cpu().numpy()
