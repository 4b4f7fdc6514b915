"""Words as spans: which of them hold a letter, and how the words of a guest language join those of the main one."""

from __future__ import annotations

import re
from functools import cache
from typing import Any

import numpy as np
import numpy.typing as npt

from data_prep.cleaning.characters import DIGIT, LETTER, UNASSIGNED_HAN, class_table
from data_prep.cleaning.characters import HAN as HAN_CLASS
from data_prep.documents import Document, Spans


def has_letters(words_W2: Spans, characters_N: npt.NDArray[np.uint32]) -> npt.NDArray[np.bool_]:
    """bool[W]: does a word hold a letter, a digit or an ideograph?"""
    bearing_C = _bearing()
    kept_W = bearing_C.take(characters_N.take(words_W2[:, 0]), mode="clip")
    unsure_V = np.flatnonzero(~kept_W)  # those that do not begin with one: few
    if len(unsure_V):
        bearing_N = np.append(bearing_C.take(characters_N, mode="clip"), False)
        kept_W[unsure_V] = np.logical_or.reduceat(bearing_N, words_W2[unsure_V].reshape(-1))[::2]
    return kept_W


@cache
def _bearing() -> npt.NDArray[np.bool_]:
    """By code point: a letter, a digit or an ideograph?"""
    return np.isin(class_table(), (HAN_CLASS, UNASSIGNED_HAN, LETTER, DIGIT))


def with_guests(words_W2: Spans, guest_W2: Spans, document: Document, letter: re.Pattern[str]) -> Spans:
    """The guest's words that begin with one of its letters join the others, which are cut at their edges and give way
    inside them."""
    from data_prep import kernels

    guest_W2 = guest_W2[[letter.match(document.text, start) is not None for start in guest_W2[:, 0].tolist()]]
    if not len(guest_W2):
        return words_W2
    pieces_W2, _ = kernels.cut(words_W2, np.ascontiguousarray(guest_W2.reshape(-1)))
    free_W = kernels.free_of(guest_W2[:, 0], guest_W2[:, 1], pieces_W2[:, 0], pieces_W2[:, 1])
    joined: Any = np.concatenate([guest_W2, pieces_W2[free_W]])
    return joined[np.argsort(joined[:, 0], kind="stable")]  # type: ignore[no-any-return]
