"""Find the order of shuffled segments (ERNIE 2.0, Sun et al. 2020, section 4.2.2).

A window is split into n = 1 .. m segments, the segments are permuted, and the permutation is one of k = 1! + 2! + ... +
m! classes read from the pooled [CLS]. [SEP] stands between segments, so that n is visible and the identities of
different n differ.

    m = 3:  class 0 = one segment | 1, 2 = two segments in order, swapped | 3 .. 8 = the six orders of three

n is drawn evenly from 1 to the smaller of m and the number of sentences, then one of the n! orders. A window of one
sentence could only ever be class 0: it gets no label, so neither the loss nor the accuracy counts what nobody could get
wrong. It is still a sample of this task for the objectives that hide tokens.
"""

from __future__ import annotations

import itertools
import math
from dataclasses import dataclass

import numpy as np

from pretrain.feed.building import Built, Keys, each, shuffled_samples
from pretrain.feed.hiding import Specials
from pretrain.feed.samples import Sample
from pretrain.feed.texts import Text, Texts
from pretrain.objectives import SentencePrediction

SPLIT, ORDER = 11, 12
"""Sub-keys of a sample's key."""


@dataclass(frozen=True, kw_only=True)
class SentenceReordering(SentencePrediction):
    """Which permutation of its segments is this text? Windows of one sentence are not asked."""

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

    @property
    def class_names(self) -> tuple[str, ...]:
        """The orders, as `2-1-3`: which segment of the text stands where."""
        orders = (
            order for n in range(1, self.segments + 1) for order in itertools.permutations(map(str, range(1, n + 1)))
        )
        return tuple("-".join(order) for order in orders)

    def special_tokens(self) -> int:
        return 1 + self.segments

    def build(self, text: Text, key: int, name: str, specials: Specials) -> Sample:
        return shuffled_samples(
            Texts.of([text]), np.array([key], np.uint64), name, specials, self.segments, (SPLIT, ORDER)
        ).samples[0]

    def build_all(self, texts: Texts, key_W: Keys, name: str, specials: Specials) -> Built:
        if type(self).build is not SentenceReordering.build:
            return each(self.build, texts, key_W, name, specials)
        return shuffled_samples(texts, key_W, name, specials, self.segments, (SPLIT, ORDER))
