"""From the pieces of a text to where they stand in it.

    他 | 在 | 北京大学  ->  lengths 1 1 4  ->  end_P [1, 2, 6], start_P [0, 1, 2]  ->  long pieces only: [[2, 6]]

Shape legend: P pieces, W words, D texts; a ``_W2`` array holds start and end in characters.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Sequence

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
    """A long text in pieces of about ``length`` characters, each with its start. They end behind line ends and Chinese
    punctuation, which jieba's algorithm never joins with anything: words are the same, and the list of them is never as
    long as the text."""
    start = 0
    while len(text) - start > length:
        found = APART.search(text, start + length)
        if found is None:
            break
        yield start, text[start : found.end()]
        start = found.end()
    yield start, text[start:] if start else text


def joined_words(words: Callable[[str], Spans], texts: Sequence[str]) -> Spans:
    """The words of several texts over the characters of all of them, one behind the other; ``words`` is asked once for
    all.

    It must take a line break for the end of what came before, whatever stands there (a carriage return apart).

    texts "ab" "cd e"   ->   words of "ab\\ncd e": [0, 2] [3, 5]   ->   [0, 2] [2, 4]
    """
    joined = "\n".join(texts)
    if len(texts) > 1 and "\r" in joined:
        return single_words(words, texts)
    found_W2 = words(joined)
    begins_D = np.cumsum([0, *(len(text) + 1 for text in texts[:-1])], dtype=np.int32)
    text_W = np.searchsorted(begins_D, found_W2[:, 0], "right").astype(np.int32) - 1
    return found_W2 - text_W[:, None] if len(texts) > 1 else found_W2


def single_words(words: Callable[[str], Spans], texts: Sequence[str]) -> Spans:
    """The same, asked of each text alone.

    Raises:
        ValueError: words of one text lie outside it, where another one stands.
    """
    found, start = [np.zeros((0, 2), np.int32)], 0
    for text in texts:
        own_W2 = np.asarray(words(text), np.int32).reshape(-1, 2)
        if len(texts) > 1 and len(own_W2) and (own_W2.min() < 0 or own_W2.max() > len(text)):
            raise ValueError("words outside the text")
        found.append(own_W2 + np.int32(start))
        start += len(text)
    return np.concatenate(found)
