"""Tokens that are pieces of UTF-8 bytes, as those of RoBERTa and ModernBERT."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt


def without_spaces(
    characters_N: npt.NDArray[np.uint32], start_T: npt.NDArray[np.int32], end_T: npt.NDArray[np.int32]
) -> npt.NDArray[np.int32]:
    """Where tokens begin behind the white space that byte-level ones take in front of a word; one of white space alone
    keeps its last character."""
    space_N = np.char.isspace(characters_N.view("<U1"))
    while (leading_T := space_N[start_T] & (start_T < end_T - 1)).any():
        start_T = start_T + leading_T.astype(np.int32)
    return start_T
