"""Probes of all layers fitted to a question, and what they answer.

    training samples  ->  four fifths fit, a fifth chooses ridge and layer  ->  all fit again  ->  Answers of the test

Shape legend: L layers with the embeddings, T positions of a batch, M asked positions, D width, K classes (those of the
question, then those of its control).
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt
import torch

from masking.keyed import hash_key, uniform
from pretrain.evaluation.inputs import flat, groups
from pretrain.evaluation.probing.asked import Asked, Item, by_lot
from pretrain.evaluation.probing.ridge import RIDGES, Moments, Weights
from pretrain.evaluation.subjects import Subject, layer_states

CHOOSE_SHARE, CHOOSE_MOST = 0.2, 4_000
"""Share of the training samples, and most positions of them, by which ridge and layer are chosen."""


class Answers(NamedTuple):
    """What the probes of every layer say of the test samples."""

    layer: int
    """The one that the training samples choose."""
    share_K: npt.NDArray[np.float64]
    """Of each class in training."""
    scores: list[list[npt.NDArray[Any]]]
    """By layer and item: (M, K)."""
    right: list[list[npt.NDArray[Any]]]
    """By layer and item: is the class with the highest score right?"""
    by_heart: list[list[npt.NDArray[Any]]]
    """The same of the control; empty where there is none."""


class Fit(NamedTuple):
    """Probes of all layers."""

    weights: Weights
    layer: int
    share_K: npt.NDArray[np.float64]


class Reader:
    """States of a frozen encoder, of all layers."""

    def __init__(self, subject: Subject, device: torch.device, mean: bool) -> None:
        self.subject, self.device, self.mean = subject, device, mean
        self.layers, self.width = subject.layers + 1, subject.width

    @torch.no_grad()
    def states(self, items: Sequence[Item]) -> Iterator[tuple[list[int], torch.Tensor]]:
        """Numbers of items and the states (L, M, D) at their positions, one item after another, batch by batch; or
        the mean of all states of each item."""
        self.subject.encoder.eval()
        for numbers in groups([len(item.ids_T) for item in items]):
            chosen = [items[number] for number in numbers.tolist()]
            batch = flat([item.ids_T for item in chosen], [item.segments_T for item in chosen]).to(self.device)
            states_LTD = layer_states(self.subject.encoder, batch)
            lengths_S = [len(item.ids_T) for item in chosen]
            if self.mean:
                means = [part_LTD.mean(1) for part_LTD in torch.split(states_LTD, lengths_S, 1)]
                yield numbers.tolist(), torch.stack(means, 1)
                continue
            begin_S = np.cumsum([0, *lengths_S[:-1]])
            place_M = np.concatenate([begin + item.positions_M for begin, item in zip(begin_S, chosen, strict=True)])
            yield numbers.tolist(), states_LTD[:, torch.from_numpy(place_M).to(self.device)]


def fit(reader: Reader, asked: Asked) -> Fit:
    """Fit all layers."""
    counts_K = np.bincount(np.concatenate([item.target_M for item in asked.train]), minlength=len(asked.classes))
    share_K = counts_K / counts_K.sum()
    choosing = _choosing(asked.train)
    chosen = [item for number, item in enumerate(asked.train) if number in choosing]
    fitting = [item for number, item in enumerate(asked.train) if number not in choosing] or chosen
    first, kept = _moments(reader, asked, fitting, share_K), _moments(reader, asked, chosen, share_K)
    right_RLQ = _shares_right(reader, asked, chosen, share_K, [first.solved(ridge) for ridge in RIDGES])
    best_LQ = right_RLQ.argmax(0)
    tried = [first.together(kept).solved(ridge) for ridge in RIDGES]
    weight_RLDQK = torch.stack([torch.unflatten(one.weight_LDK, -1, (best_LQ.shape[1], -1)) for one in tried])
    index = best_LQ[None, :, None, :, None].expand(1, *weight_RLDQK.shape[1:])
    weights = tried[0]._replace(weight_LDK=weight_RLDQK.gather(0, index)[0].flatten(2))
    return Fit(weights, int(right_RLQ.max(0).values[:, 0].argmax()), share_K)


def answers(reader: Reader, asked: Asked, fitted: Fit) -> Answers:
    """Ask the test samples."""
    classes = len(asked.classes)
    scores, right, by_heart = (
        [[np.zeros(0, np.float32)] * len(asked.test) for _ in range(reader.layers)] for _ in range(3)
    )
    for numbers, states_LMD in reader.states(asked.test):
        score_LMK, begin = fitted.weights.scores(states_LMD).float().cpu().numpy(), 0
        for number in numbers:
            item = asked.test[number]
            lot_M = by_lot(item, fitted.share_K)
            for layer, score_MK in enumerate(score_LMK[:, begin : begin + len(item.target_M)]):
                scores[layer][number] = score_MK[:, :classes]
                right[layer][number] = score_MK[:, :classes].argmax(1) == item.target_M
                by_heart[layer][number] = score_MK[:, classes:].argmax(1) == lot_M if asked.tokens else right[0][number]
            begin += len(item.target_M)
    return Answers(fitted.layer, fitted.share_K, scores, right, by_heart if asked.tokens else [])


def _choosing(items: Sequence[Item]) -> set[int]:
    """Numbers of the items that choose: about a fifth, by key, at least one."""
    found, positions = set[int](), 0
    for number, item in enumerate(items):
        if uniform(hash_key("probe", number), 0) < CHOOSE_SHARE and positions < CHOOSE_MOST:
            found.add(number)
            positions += len(item.target_M)
    return found or {len(items) - 1}


def _classes(asked: Asked, items: Sequence[Item], share_K: npt.NDArray[np.float64]) -> torch.Tensor:
    """Of every position the class, and that of its control: int64 (M, Q)."""
    targets = [np.concatenate([item.target_M for item in items])]
    if asked.tokens:
        targets.append(np.concatenate([by_lot(item, share_K) for item in items]))
    return torch.from_numpy(np.stack(targets, 1))


def _moments(reader: Reader, asked: Asked, items: Sequence[Item], share_K: npt.NDArray[np.float64]) -> Moments:
    found = Moments(reader.layers, reader.width, len(share_K) * (1 + asked.tokens), reader.device)
    for numbers, states_LMD in reader.states(items):
        target_MQ = _classes(asked, [items[number] for number in numbers], share_K).to(reader.device)
        found.add(states_LMD, torch.nn.functional.one_hot(target_MQ, len(share_K)).flatten(1))
    return found


def _shares_right(
    reader: Reader, asked: Asked, items: Sequence[Item], share_K: npt.NDArray[np.float64], tried: Sequence[Weights]
) -> torch.Tensor:
    """Share of right answers (R, L, Q) of every ridge, layer and question."""
    right_RLQ = torch.zeros(len(tried), reader.layers, 1 + asked.tokens, device=reader.device)
    count = 0
    for numbers, states_LMD in reader.states(items):
        target_MQ = _classes(asked, [items[number] for number in numbers], share_K).to(reader.device)
        count += len(target_MQ)
        for place, weights in enumerate(tried):
            answer_LMQ = torch.unflatten(weights.scores(states_LMD), -1, (-1, len(share_K))).argmax(-1)
            right_RLQ[place] += (answer_LMQ == target_MQ).sum(1)
    return right_RLQ / count
