"""Many strings as one compiled trie: built once per process, walked by the loops of kernels.py.

Trie.build(["北京", "北京大学"])  ->  arrays; entry numbers count in the order given
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from data_prep.code_points import code_points


class Trie(NamedTuple):
    """See kernels.py. Shape legend: H slots of the hash table, N nodes, E entries."""

    keys_H: npt.NDArray[np.int64]
    children_H: npt.NDArray[np.int32]
    value_N: npt.NDArray[np.int32]
    """Entry that ends at a node, or -1. Of equal entries the first in sorted order."""
    shift: int
    """64 minus the bits of a slot number."""

    @staticmethod
    def build(entries: Sequence[str], roots: Sequence[int] | None = None) -> Trie:
        """A trie over ``entries``, none of them empty; ``roots`` says for each under which of several roots it hangs
        (default 0)."""
        from data_prep import kernels

        order = sorted(
            range(len(entries)),
            key=entries.__getitem__ if roots is None else lambda entry: (roots[entry], entries[entry]),
        )
        characters_C = code_points("".join([entries[entry] for entry in order]))
        offsets_E1 = np.zeros(len(entries) + 1, np.int64)
        np.cumsum([len(entries[entry]) for entry in order], out=offsets_E1[1:])
        root_E = np.array([roots[entry] for entry in order] if roots is not None else np.zeros(len(entries)), np.int64)
        bits = max(4, int(1.6 * kernels.count_nodes(characters_C, offsets_E1) + 2).bit_length())
        keys_H, children_H, value_N = kernels.build_trie(
            characters_C, offsets_E1, root_E, 1 + int(root_E.max(initial=0)), bits
        )
        number_E: npt.NDArray[Any] = np.array([*order, -1], np.int32)
        return Trie(keys_H, children_H, number_E[value_N], 64 - bits)

    def first(self) -> npt.NDArray[np.int32]:
        """int32[65536]: the node of each character under the first root, -1 where no entry begins with it."""
        first_C = np.full(65536, -1, np.int32)
        beginnings_H = (self.keys_H >= 0) & (self.keys_H < 65536)
        first_C[self.keys_H[beginnings_H]] = self.children_H[beginnings_H]
        return first_C


def pair_bits(entries: Sequence[str]) -> npt.NDArray[np.uint8]:
    """A bit for the first two characters of every entry (see kernels.py)."""
    from data_prep import kernels

    characters_C = code_points("".join([entry[:2] for entry in entries]))
    bits_B: npt.NDArray[np.uint8] = kernels.pair_bits(
        characters_C, np.cumsum([0, *(min(2, len(entry)) for entry in entries)])
    )
    return bits_B
