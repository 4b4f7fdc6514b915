"""Sequences of texts that are made when they are asked for: some of another sequence, or several one after another."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from pretrain.feed.texts import Text


class Picked(Sequence[Text | None]):
    """Some items of a sequence by their numbers; each is made when it is asked for."""

    def __init__(self, texts: Sequence[Text | None], numbers: Sequence[int]) -> None:
        self.texts, self.numbers = texts, numbers

    def __len__(self) -> int:
        return len(self.numbers)

    def __getitem__(self, number: Any) -> Any:
        return self.texts[self.numbers[number]]


class Joined(Sequence[Text | None]):
    """Several sequences one after another."""

    def __init__(self, several: Sequence[Sequence[Text | None]]) -> None:
        self.several = several
        self.ends = np.cumsum([len(texts) for texts in several])

    def __len__(self) -> int:
        return int(self.ends[-1])

    def __getitem__(self, number: Any) -> Any:
        group = int(np.searchsorted(self.ends, number, "right"))
        return self.several[group][number - (int(self.ends[group - 1]) if group else 0)]
