"""Find the order of shuffled segments (ERNIE 2.0, Sun et al. 2020, section 4.2.2).

A window is split into n = 1 .. m segments, the segments are permuted, and the permutation is one of k = 1! + 2! + ... + m! classes
read from the pooled [CLS]. [SEP] stands between segments, so that n is visible and the identities of different n differ.

    m = 3:  class 0 = one segment | 1, 2 = two segments in order, swapped | 3 .. 8 = the six orders of three

n is drawn evenly from 1 to the smaller of m and the number of sentences, then one of the n! orders. A window of one sentence could
only ever be class 0: it gets no label, so neither the loss nor the accuracy counts what nobody could get wrong. It is still a
sample of this task for the objectives that hide tokens.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
import numpy.typing as npt
import torch
from torch import nn

from masking.keyed import combine, uniform
from pretrain.feed.batch import Batch
from pretrain.feed.hiding import Specials
from pretrain.feed.packed import Packed
from pretrain.feed.samples import Sample
from pretrain.feed.sources import Text
from pretrain.objectives import Encoding, Loss, Objective, cross_entropy

SPLIT, ORDER = 11, 12
"""Sub-keys of a sample's key."""


@dataclass(frozen=True, kw_only=True)
class SentenceReordering(Objective):
    """Which permutation of its segments is this text? Windows of one sentence are not asked."""

    BUILDS_ROWS: ClassVar[bool] = True
    HAS_TASK_ID: ClassVar[bool] = True
    TRAINS_POOLER: ClassVar[bool] = True

    segments: int = 3
    """Largest number of segments m; 3 gives 9 classes."""

    def __post_init__(self) -> None:
        super().__post_init__()
        if not 2 <= self.segments <= 5:
            raise ValueError(f"segments: {self.segments} must lie between 2 and 5")

    @property
    def classes(self) -> int:
        """1! + 2! + ... + m!"""
        return sum(math.factorial(n) for n in range(1, self.segments + 1))

    def special_tokens(self) -> int:
        return 1 + self.segments

    def build(self, text: Text, key: int, name: str, specials: Specials) -> Sample:
        ends_S = text.sentence_ends_S
        count = 1 + int(uniform(combine(key, SPLIT), 0) * min(self.segments, len(ends_S)))
        cuts = draw_distinct(combine(key, SPLIT), len(ends_S) - 1, count - 1)
        edges = [0, *(int(ends_S[cut]) for cut in cuts), len(text.token_ids_T)]
        orders = list(itertools.permutations(range(count)))
        rank = int(uniform(combine(key, ORDER), 0) * len(orders))
        pieces, maskable = [np.array([specials.cls])], [np.zeros(1, np.bool_)]
        moved: dict[str, tuple[list[npt.NDArray[np.int64]], list[npt.NDArray[np.int64]]]] = {level: ([], []) for level in text.units}
        sentence_ends = []
        position = 1
        for segment in orders[rank]:
            start, end = edges[segment], edges[segment + 1]
            pieces += [text.token_ids_T[start:end], np.array([specials.sep])]
            maskable += [np.ones(end - start, np.bool_), np.zeros(1, np.bool_)]
            for level, (start_U, end_U) in text.units.items():
                inside = (start_U >= start) & (end_U <= end)
                moved[level][0].append(start_U[inside] + position - start)
                moved[level][1].append(end_U[inside] + position - start)
            sentence_ends.append(ends_S[(ends_S > start) & (ends_S <= end)] + position - start)
            position += end - start + 1
        token_ids_T = np.concatenate(pieces)
        labels = {name: sum(math.factorial(n) for n in range(1, count)) + rank} if len(ends_S) > 1 else {}
        return Sample(
            token_ids_T=token_ids_T,
            maskable_T=np.concatenate(maskable),
            segment_ids_T=np.zeros(len(token_ids_T), np.int64),
            units={level: (np.concatenate(starts), np.concatenate(ends)) for level, (starts, ends) in moved.items()},
            task=name,
            labels=labels,
            key=key,
            document_id=text.document_id,
            first_token=text.start,
            sentence_ends_S=np.concatenate(sentence_ends),
        )

    def targets(self, packed: Packed, name: str) -> tuple[Mapping[str, npt.NDArray[np.int64]], int]:
        mine = [index for index, sample in enumerate(packed.samples) if name in sample.labels]
        labels = [packed.samples[index].labels[name] for index in mine]
        return {"sample": np.array(mine, np.int64), "label": np.array(labels, np.int64)}, len(mine)

    def head(self, config: Any) -> nn.Module:
        return nn.Linear(config.hidden_size, self.classes)

    def loss(self, encoding: Encoding, batch: Batch, targets: Mapping[str, torch.Tensor], head: nn.Module) -> Loss:
        logits_MC = head(encoding.pooled_SD().index_select(0, targets["sample"]))
        return cross_entropy(logits_MC, targets["label"])


def draw_distinct(key: int, size: int, count: int) -> list[int]:
    """``count`` different numbers of range(size), sorted, uniformly drawn under ``key``."""
    chosen: set[int] = set()
    for draw, top in enumerate(range(size - count, size), 1):  # Floyd's algorithm
        number = int(uniform(key, draw) * (top + 1))
        chosen.add(top if number in chosen else number)
    return sorted(chosen)
