"""What the quality rules say of a page, and what they look at.

Page(text, characters)  ->  counts of character classes, once  ->  Verdict("digit ratio", .61, .5, above=True)
    ->  "0.61 > 0.50"
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from data_prep.cleaning.characters import (
    CLASS_COUNT,
    DIGIT,
    HAN,
    LETTER,
    NEWLINE,
    OTHER,
    SPACE,
    SYMBOL,
    UNASSIGNED_HAN,
    classes,
)
from data_prep.cleaning.quality_limits import QualityLimits


class Verdict(NamedTuple):
    """What one rule says of a document."""

    rule: str
    value: float
    threshold: float
    above: bool
    """Is the threshold an upper limit?"""

    @property
    def passed(self) -> bool:
        """Does the document stay?"""
        return self.value <= self.threshold if self.above else self.value >= self.threshold

    @property
    def figures(self) -> str:
        """``0.61 > 0.50``: the value and the limit it keeps or breaks."""
        sign = {(True, True): "<=", (True, False): ">", (False, True): ">=", (False, False): "<"}[
            self.above, self.passed
        ]
        value, threshold = _shown(self.value, self.threshold)
        return f"{value} {sign} {threshold}"


def _shown(value: float, threshold: float) -> tuple[str, str]:
    """Both with two decimals (whole numbers with none), the value with as many as tell it from the threshold."""
    whole = threshold >= 1 and threshold == int(threshold)
    limit = f"{threshold:.0f}" if whole else f"{threshold:.2f}"
    for digits in range(0 if whole and value == int(value) else 2, 17):
        if value == threshold or float(f"{value:.{digits}f}") != threshold:
            return f"{value:.{digits}f}", limit
    return repr(value), limit


class Page:
    """A text and its characters by class."""

    def __init__(self, text: str, characters: npt.NDArray[np.uint32]) -> None:
        self.text, self.characters = text, characters
        self.classes_C = classes(characters)
        """The class of each character, uint8[C]."""
        self.counts: list[int] = np.bincount(self.classes_C, minlength=CLASS_COUNT).tolist()
        """How many characters of each class there are."""
        self.visible: int = max(1, len(text) - self.counts[SPACE] - self.counts[NEWLINE])
        """Characters that are not white space, at least 1."""

    @property
    def words(self) -> int:
        """Runs between white space."""
        return 1 + self.counts[SPACE] + self.counts[NEWLINE] - self.text.count("\n\n")

    @property
    def han(self) -> int:
        """Han characters, those that Unicode has not assigned yet included."""
        return self.counts[HAN] + self.counts[UNASSIGNED_HAN]

    @property
    def letters(self) -> int:
        """Letters of any script."""
        return self.counts[LETTER] + self.counts[HAN]

    @property
    def marks(self) -> int:
        """Marks on letters, and what else has no class."""
        return self.counts[OTHER]

    def share(self, characters: int) -> float:
        """So many of the visible characters."""
        return characters / self.visible

    def signs(self, limits: QualityLimits) -> Iterator[Verdict]:
        """The rules on symbols and digits, which are every language's."""
        yield Verdict("symbol ratio", self.share(self.counts[SYMBOL]), limits.max_symbol_ratio, True)
        yield Verdict("digit ratio", self.share(self.counts[DIGIT]), limits.max_digit_ratio, True)
