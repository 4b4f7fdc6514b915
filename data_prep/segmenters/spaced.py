"""Words of any alphabet, where the writing divides them: white space and punctuation, as for English; Japanese, Thai
and the like have none.

"Мама мыла раму"  ->  Мама | мыла | раму          "これはペンです"  ->  no words: a run between two marks would be a
                                                                        whole clause
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache

import numpy as np
import numpy.typing as npt

from data_prep.code_points import Ranges, code_points, members
from data_prep.documents import Spans
from data_prep.segmenters.pretokenizer import Pretokenizer

UNSPACED_RANGES: Ranges = (
    *(
        (0x0E00, 0x0EFF),
        (0x0F00, 0x0FFF),
        (0x1000, 0x109F),
        (0x1780, 0x17FF),
        (0x1950, 0x19DF),
        (0x1A20, 0x1AAF),
        (0x3005, 0x3007),
    ),
    *((0x3041, 0x30FF), (0x31F0, 0x31FF), (0xA9E0, 0xA9FF), (0xAA60, 0xAA7F), (0xFF66, 0xFF9F), (0x1AFF0, 0x1B16F)),
)
"""Thai, Lao, Tibetan, Burmese, Khmer, Tai scripts, kana and the Han marks beside them: written without white space
between words."""


@cache
def _unspaced() -> npt.NDArray[np.bool_]:
    return members(UNSPACED_RANGES)


@dataclass(frozen=True, kw_only=True)
class Spaced(Pretokenizer):
    """White space and punctuation separate words; runs of scripts that are written without white space are left
    alone."""

    def words(self, text: str) -> Spans:
        words_W2: Spans = super().words(text)
        if text.isascii() or not len(words_W2):
            return words_W2
        before_C1 = np.concatenate([[0], np.cumsum(_unspaced()[code_points(text)])])
        kept_W2: Spans = words_W2[before_C1[words_W2[:, 1]] == before_C1[words_W2[:, 0]]]
        return kept_W2
