"""From the pieces of a text to where they stand in it.

    他 | 在 | 北京大学  ->  lengths 1 1 4  ->  end_P [1, 2, 6], start_P [0, 1, 2]  ->  long pieces only: [[2, 6]]

Shape legend: P pieces, W words; a ``_W2`` array holds start and end in characters.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence

import numpy as np
import numpy.typing as npt

from data_prep.documents import Spans

STRETCH = 1 << 18
APART = re.compile("[\n。，！？；、]")


def places(pieces: Sequence[str], text: str) -> tuple[npt.NDArray[np.int32], npt.NDArray[np.int32]]:
    """``start_P, end_P`` of pieces that follow each other and make up the whole text.

    Raises:
        RuntimeError: they do not: the segmenter has lost or added characters, and every later offset would be wrong.
    """
    length_P = np.fromiter(map(len, pieces), np.int32, len(pieces))
    end_P = np.cumsum(length_P, dtype=np.int32)
    if (int(end_P[-1]) if len(end_P) else 0) != len(text):
        raise RuntimeError(f"the pieces of a text of {len(text)} characters have {int(length_P.sum())} in all")
    return end_P - length_P, end_P


def long_spans(start_P: npt.NDArray[np.int32], end_P: npt.NDArray[np.int32]) -> Spans:
    """int32[W, 2]: the pieces of two characters or more."""
    long_P = end_P - start_P > 1
    return np.stack([start_P[long_P], end_P[long_P]], 1)


def stretches(text: str, length: int = STRETCH) -> Iterator[tuple[int, str]]:
    """A long text in pieces of about ``length`` characters, each with its start. They end behind line ends and Chinese punctuation, which
    jieba's algorithm never joins with anything: words are the same, and the list of them is never as long as the text."""
    start = 0
    while len(text) - start > length:
        found = APART.search(text, start + length)
        if found is None:
            break
        yield start, text[start : found.end()]
        start = found.end()
    yield start, text[start:] if start else text
