"""Counter-based randomness: a random number is a pure function of what it is for.

    key = hash_key("mask", seed, epoch, document_id, first_token)     one uint64 per sample
    uniform(key, n) = splitmix64(key + n * GOLDEN) / 2**64            the n-th draw under that key

No generator state exists, so nothing has to be saved, and draws are equal for any number of workers, ranks or restarts.
The mixing function is splitmix64 (Steele, Lea, Flood: Fast splittable pseudorandom number generators, OOPSLA 2014).
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Sequence

import numpy as np
import numpy.typing as npt

GOLDEN = 0x9E3779B97F4A7C15
MASK64 = (1 << 64) - 1


def hash_key(*parts: str | int) -> int:
    """A uint64 from any names and numbers; changes in any of them give unrelated keys."""
    return int.from_bytes(
        hashlib.blake2b(_written(*parts).encode("utf-8", "surrogatepass"), digest_size=8).digest(), "little"
    )


def hash_keys(name: str, parts: Iterable[str]) -> npt.NDArray[np.uint64]:
    """``hash_key(name, part)`` of many texts."""
    head = f"s{len(name)}:{name}s"
    texts = (f"{head}{len(part)}:{part}".encode("utf-8", "surrogatepass") for part in parts)
    return np.frombuffer(b"".join([hashlib.blake2b(text, digest_size=8).digest() for text in texts]), "<u8").astype(
        np.uint64
    )


def place_keys(parts: Sequence[str | int], names: Iterable[str], numbers: Iterable[int]) -> npt.NDArray[np.uint64]:
    """``hash_key(*parts, name, number)`` of many names with a number each."""
    head = _written(*parts)
    texts = (
        f"{head}s{len(name)}:{name}i{len(str(number))}:{number}".encode("utf-8", "surrogatepass")
        for name, number in zip(names, numbers, strict=True)
    )
    return np.frombuffer(b"".join([hashlib.blake2b(text, digest_size=8).digest() for text in texts]), "<u8").astype(
        np.uint64
    )


def _written(*parts: str | int) -> str:
    return "".join(f"{type(part).__name__[0]}{len(str(part))}:{part}" for part in parts)


def mix(value: int) -> int:
    """splitmix64's output function on one integer."""
    value &= MASK64
    value = ((value ^ (value >> 30)) * 0xBF58476D1CE4E5B9) & MASK64
    value = ((value ^ (value >> 27)) * 0x94D049BB133111EB) & MASK64
    return value ^ (value >> 31)


def combine(key: int, number: int) -> int:
    """A new key from a key and a number."""
    return mix(key + (number + 1) * GOLDEN)


def uniform(key: int, draw: int) -> float:
    """The draw-th uniform number in [0, 1) under ``key``."""
    return (combine(key, draw) >> 11) * 2.0**-53


def mix_array(values: npt.NDArray[np.uint64]) -> npt.NDArray[np.uint64]:
    """splitmix64's output function on an array."""
    values = values ^ (values >> np.uint64(30))
    values = values * np.uint64(0xBF58476D1CE4E5B9)
    values = values ^ (values >> np.uint64(27))
    values = values * np.uint64(0x94D049BB133111EB)
    return values ^ (values >> np.uint64(31))


def combine_array(keys: npt.NDArray[np.uint64], number: int) -> npt.NDArray[np.uint64]:
    """``combine`` for an array of keys."""
    return mix_array(keys + np.uint64(((number + 1) * GOLDEN) & MASK64))


def uniform_array(keys: npt.NDArray[np.uint64], draw: int) -> npt.NDArray[np.float64]:
    """``uniform`` for an array of keys."""
    return (combine_array(keys, draw) >> np.uint64(11)).astype(np.float64) * 2.0**-53


def permute(indices: npt.NDArray[np.uint64], size: int, key: int) -> npt.NDArray[np.uint64]:
    """The images of ``indices`` under a keyed bijection of ``range(size)``: a shuffle without a table.

    A four-round Feistel network over the smallest even number of bits that holds ``size``; values that fall outside
    are sent through again (cycle walking), at most four times on average.
    """
    if size <= 1:
        return indices.astype(np.uint64)
    half = max(1, ((size - 1).bit_length() + 1) // 2)
    low_mask, shift = np.uint64((1 << half) - 1), np.uint64(half)
    values = indices.astype(np.uint64)
    outside = np.ones(len(values), bool)
    while outside.any():
        left, right = values[outside] >> shift, values[outside] & low_mask
        for round_number in range(4):
            mixed = mix_array(right + np.uint64(combine(key, round_number)))
            left, right = right, left ^ (mixed & low_mask)
        values[outside] = (left << shift) | right
        outside = values >= size
    return values
