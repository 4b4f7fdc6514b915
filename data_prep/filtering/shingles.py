"""Hashes of what stands side by side: the common ground of near duplicates and contamination.

    "New York, 北京 2008"  ->  tokens  new | york | 北 | 京 | 2008      ->  2-grams
        (new york) (york 北) (北 京) (京 2008)

A token is one Han character or a run of other letters and digits, in lower case; white space and punctuation do not
count. So n tokens are n characters of Chinese and n words of English. Everything is arithmetic on whole arrays, modulo
2^64 (or 2^32): no strings are made.

Shape legend: C characters, T tokens, N n-grams.
"""

from __future__ import annotations

from functools import cache
from typing import Any, TypeVar

import numpy as np
import numpy.typing as npt

from data_prep.cleaning.characters import ALONE, fold_table
from masking.keyed import mix_array

U = TypeVar("U", bound=np.unsignedinteger[Any])
MULTIPLIER = 0xD1B54A32D192ED03
INVERSE = pow(MULTIPLIER, -1, 1 << 64)
BLOCK = 1 << 16
"""Characters worked on together."""


@cache
def _powers(multiplier: int) -> npt.NDArray[np.uint64]:
    """uint64[BLOCK]: 1, m, m^2 ... modulo 2^64."""
    powers = np.full(BLOCK, multiplier, np.uint64)
    powers[0] = 1
    np.multiply.accumulate(powers, out=powers)
    return powers


def tokens(characters: npt.NDArray[np.uint32]) -> tuple[npt.NDArray[np.uint64], npt.NDArray[np.int64]]:
    """The hash of each token of a text, uint64[T], and where it starts, int64[T]. Equal hashes of different tokens are
    chance (2^-64 a pair)."""
    folded_C = fold_table().take(characters, mode="clip")
    pieces = []
    start = 0
    while len(folded_C) - start > BLOCK:
        piece = folded_C[start : start + BLOCK]
        breaks = np.flatnonzero((piece == 0) | (piece >= ALONE))  # no token goes on after one of these
        end = start + (int(breaks[-1]) + 1 if len(breaks) else BLOCK)
        pieces.append(_block_tokens(folded_C[start:end], start))
        start = end
    last = _block_tokens(folded_C[start:], start)
    if not pieces:
        return last
    hashes, starts = zip(*pieces, last, strict=True)
    return np.concatenate(hashes), np.concatenate(starts)


def _block_tokens(
    folded_C: npt.NDArray[np.uint32], offset: int
) -> tuple[npt.NDArray[np.uint64], npt.NDArray[np.int64]]:
    """A token c0 c1 c2 has the value c0 + c1 m + c2 m^2: a difference of running sums of c_i m^i, divided by the power
    at its start."""
    inside = folded_C != 0
    joins = inside & (folded_C < ALONE)
    joins = joins[1:] & joins[:-1]  # is a character in one token with the one before it?
    starts, ends = inside.copy(), inside.copy()
    np.greater(inside[1:], joins, out=starts[1:])
    np.greater(inside[:-1], joins, out=ends[:-1])
    start_T, end_T = starts.nonzero()[0], ends.nonzero()[0]
    sums = np.zeros(len(folded_C) + 1, np.uint64)
    (folded_C * _powers(MULTIPLIER)[: len(folded_C)]).cumsum(out=sums[1:])
    values_T = (sums[end_T + 1] - sums[start_T]) * _powers(INVERSE)[start_T]
    return mix_array(values_T), start_T + offset


@cache
def _steps(n: int, bits: int) -> tuple[tuple[int, Any, Any], ...]:
    """How n-grams are built from single values: (length so far, factor of the first half, factor for one more or
    None)."""
    if n == 1:
        return ()
    half = n // 2
    kind = np.uint64 if bits == 64 else np.uint32
    modulus = 1 << bits
    return (
        *_steps(half, bits),
        (half, kind(pow(MULTIPLIER, half, modulus)), kind(MULTIPLIER % modulus) if n % 2 else None),
    )


def ngram_hashes(values: npt.NDArray[U], n: int) -> npt.NDArray[U]:
    """A hash of every n neighbours, of the type of ``values`` (uint32 or uint64): [max(0, len - n + 1)]. Polynomial, by
    doubling: log2(n) steps."""
    if len(values) < n:
        return values[:0]
    joined = values
    for half, factor, one_more in _steps(n, 8 * values.itemsize):
        joined = joined[:-half] * factor + joined[half:]
        if one_more is not None:
            joined = joined[:-1] * one_more + values[2 * half :]
    return joined
