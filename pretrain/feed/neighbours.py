"""The other documents of a shard that a document may be compared with: of the same source and the same language.

    neighbours(shard, limit)  ->  Neighbours, kept for the shards that were asked for last

A document counts as often as windows of ``limit`` tokens begin in it, about: so the other document is drawn like the
own one, which a window was drawn of. Two sentences, or very few tokens, are no neighbour.

Shape legend: D documents, E documents that are neighbours, sorted by their group.
"""

from __future__ import annotations

import weakref
from collections import OrderedDict
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from data_prep.shard import Shard

KEPT_BYTES = 64 << 20
"""Tables that a process keeps."""
SAME = ("source", "language")
"""Columns that a document shares with its neighbours."""


class Neighbours(NamedTuple):
    """The documents of a shard by group, for compiled loops."""

    table: npt.NDArray[np.int64]
    """Addresses of order_E, totals_E1, place_D, low_E, high_E (kernels.py), good as long as the arrays are held."""
    held: tuple[npt.NDArray[Any], ...]

    @property
    def size(self) -> int:
        """Bytes of the arrays."""
        return sum(array.nbytes for array in self.held)

    @property
    def largest(self) -> int:
        """Documents of the largest group."""
        return int((self.held[4] - self.held[3]).max(initial=0))


def grouped(shard: Shard, limit: int) -> Neighbours:
    """The neighbours of every document of a shard.

    Raises:
        ValueError: a damaged shard.
    """
    from pretrain.feed import kernels

    length_D = np.diff(shard.token_ids.offsets_D1).astype(np.int64)
    sentences_D = np.diff(shard.unchecked_sentence_ends.offsets_D1)
    group_D = np.zeros(len(shard), np.int64)
    for name in SAME:
        codes_D = shard.codes_of(name)
        group_D = group_D * (int(codes_D.max(initial=0)) + 1) + codes_D
    fit = np.flatnonzero((sentences_D >= 3) & (length_D >= 2 * kernels.LEAST_PIECE))
    order_E = fit[np.argsort(group_D[fit], kind="stable")]
    place_D = np.full(len(shard), -1, np.int32)
    place_D[order_E] = np.arange(len(order_E))
    totals_E1 = np.concatenate([[0], np.cumsum(-(-length_D[order_E] // max(limit, 1)))])
    group_E = group_D[order_E]
    sides = (np.searchsorted(group_E, group_E, side) for side in ("left", "right"))
    held = (
        order_E.astype(np.uint32),
        totals_E1.astype(np.uint32),
        place_D,
        *(side_E.astype(np.uint32) for side_E in sides),
    )
    return Neighbours(np.array([array.ctypes.data for array in held], np.int64), held)


class Kept:
    """Tables of the shards that were asked for last, up to so many bytes."""

    def __init__(self, most: int) -> None:
        self.most, self.size = most, 0
        self._tables: OrderedDict[tuple[int, int], tuple[weakref.ref[Shard], Neighbours]] = OrderedDict()

    def of(self, shard: Shard, limit: int) -> Neighbours:
        """The table of a shard. The caller holds it while it uses the addresses."""
        name = (id(shard), limit)
        known = self._tables.pop(name, None)
        if known is not None and known[0]() is not shard:  # another object, where a forgotten one lay
            self.size -= known[1].size
            known = None
        if known is None:
            known = (weakref.ref(shard), grouped(shard, limit))
            self.size += known[1].size
        self._tables[name] = known
        while self.size > self.most and len(self._tables) > 1:
            self.size -= self._tables.popitem(last=False)[1][1].size
        return known[1]


_kept = Kept(KEPT_BYTES)


def neighbours(shard: Shard, limit: int) -> Neighbours:
    """The neighbours of every document of a shard; ``limit`` is the longest window."""
    return _kept.of(shard, limit)
