"""Which units occur most often, in bounded memory and at array speed.

    a batch of documents as one array of characters + units [start, end) + a class for each
        ->  the most frequent surfaces by class

Equal surfaces are recognised by a hash of their characters, so no string is made for a unit that is not kept:

    hash(c_0 ... c_n) = sum of (c_i + 1) * B^i  mod 2^64,  mixed with length and class

After each batch only the ``KEPT`` most frequent surfaces of a class are added up, so a surface loses at most the count
of the first one left out in each batch where it was left out itself. Two bounds follow for the whole: a surface that is
not listed occurs at most ``floor`` times, one that is listed at most ``count + error`` times (it was in one list at
least).

Shape legend: N characters of a batch, U units, C characters of all units, G groups of equal units.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from data_prep.code_points import text_of

BASE = 0x8F1BBCDCBFA53E0B
"""B: an odd number without structure."""
MIXER = np.uint64(0xD6E8FEB86659FD93)
KEPT = 100
"""Surfaces of one class that are kept of a batch and of a part."""
INDEX_BITS = 24
"""Low bits of a sort key that hold the unit's number instead of hash; 40 bits of hash and the length tell surfaces
apart."""


class Top(NamedTuple):
    """The most frequent surfaces of one class."""

    surfaces: Sequence[tuple[str, int]]
    """With their counts, the largest first."""
    floor: int
    """No surface that is not listed occurs more often."""
    error: int
    """A listed one may occur so many times more than its count says."""


@dataclass(kw_only=True)
class Surfaces:
    """Counts of the most frequent surfaces by class."""

    counts: dict[int, Counter[str]] = field(default_factory=dict)
    """By class."""
    lost: dict[int, list[int]] = field(default_factory=dict)
    """By class: the largest count left out, of each batch that left one out."""
    batches: Counter[int] = field(default_factory=Counter)
    """By class: batches that held a unit of it."""

    def add(
        self,
        characters_N: npt.NDArray[np.uint32],
        start_U: npt.NDArray[Any],
        end_U: npt.NDArray[Any],
        class_U: npt.NDArray[Any],
        weight: int = 1,
    ) -> None:
        """Count units, each ``weight`` times (more than 1 when only every weight-th is handed over)."""
        for begin in range(0, len(start_U), 1 << INDEX_BITS):
            chosen = slice(begin, begin + (1 << INDEX_BITS))
            self._add(characters_N, start_U[chosen], end_U[chosen], class_U[chosen], weight)

    def _add(
        self,
        characters_N: npt.NDArray[np.uint32],
        start_U: npt.NDArray[Any],
        end_U: npt.NDArray[Any],
        class_U: npt.NDArray[Any],
        weight: int,
    ) -> None:
        low = np.uint64((1 << INDEX_BITS) - 1)
        key_U = (surface_hashes(characters_N, start_U, end_U, class_U) & ~low) | np.arange(
            len(start_U), dtype=np.uint64
        )
        key_U.sort()
        new_U = np.diff(key_U >> np.uint64(INDEX_BITS), prepend=np.uint64(0)) > 0
        new_U[:1] = True
        first_G = np.flatnonzero(new_U)
        unit_G = (key_U[first_G] & low).astype(np.int64)
        count_G = np.diff(first_G, append=len(key_U))
        class_G = class_U[unit_G].astype(np.int64)
        order_G = np.lexsort((unit_G, -count_G, class_G))
        starts = np.flatnonzero(np.diff(class_G[order_G], prepend=-1))
        for begin, end in zip(starts.tolist(), [*starts[1:].tolist(), len(order_G)], strict=True):
            number = int(class_G[order_G[begin]])
            counts = self.counts.setdefault(number, Counter())
            self.batches[number] += 1
            for group in order_G[begin : min(end, begin + KEPT)].tolist():
                unit = unit_G[group]
                counts[surface(characters_N, int(start_U[unit]), int(end_U[unit]))] += weight * int(count_G[group])
            if end > begin + KEPT:
                self.lost.setdefault(number, []).append(weight * int(count_G[order_G[begin + KEPT]]))

    def top(self, number: int) -> Top:
        """The most frequent surfaces of a class."""
        lost, batches = self.lost.get(number, []), self.batches[number]
        present = min(lost) if lost and len(lost) == batches else 0
        return largest(self.counts.get(number, Counter()), sum(lost), sum(lost) - present, KEPT)


def largest(counts: Counter[str], floor: int, error: int, kept: int) -> Top:
    """The ``kept`` largest counts, equal ones by surface."""
    ordered = sorted(counts.items(), key=lambda item: (-item[1], item[0]))
    return Top(ordered[:kept], floor + (ordered[kept][1] if len(ordered) > kept else 0), error)


def merge_tops(tops: Iterable[Top], kept: int) -> Top:
    """Lists of one class as one, whatever their order."""
    counts: Counter[str] = Counter()
    floor, present = 0, []
    for top in tops:
        counts.update(dict(top.surfaces))
        floor += top.floor
        present.append(top.floor - top.error)
    return largest(counts, floor, floor - min(present, default=0), kept)


def surface_hashes(
    characters_N: npt.NDArray[np.uint32], start_U: npt.NDArray[Any], end_U: npt.NDArray[Any], class_U: npt.NDArray[Any]
) -> npt.NDArray[np.uint64]:
    """A uint64 for each unit, equal for equal surfaces of one class; its upper bits are as good as random."""
    length_U = end_U - start_U
    first_U = np.cumsum(length_U) - length_U
    within_C = np.arange(int(length_U.sum())) - np.repeat(first_U, length_U)
    powers = np.full(int(length_U.max(initial=0)) + 1, BASE, np.uint64)
    powers[0] = 1
    values_C = (characters_N[np.repeat(start_U, length_U) + within_C] + np.uint32(1)) * np.cumprod(
        powers, dtype=np.uint64
    )[within_C]
    raw_U: npt.NDArray[np.uint64] = np.add.reduceat(values_C, first_U) if len(start_U) else np.zeros(0, np.uint64)
    raw_U += (class_U.astype(np.uint64) << np.uint64(32) | length_U.astype(np.uint64)) * MIXER
    raw_U ^= raw_U >> np.uint64(32)
    return raw_U * MIXER


def surface(characters_N: npt.NDArray[np.uint32], start: int, end: int) -> str:
    """The text of one unit; what no UTF-8 file can hold becomes U+FFFD."""
    return text_of(characters_N[start:end])
