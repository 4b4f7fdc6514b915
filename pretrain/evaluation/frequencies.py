"""How often entities stand in training text: what a model could learn of each.

    (北 京), (New York)  +  prepared folders  ->  {(北 京): 812, (New York): 0}

Counted are the units of level `entity` with these tokens in training documents, which is what knowledge masking hides.
Shards are read one after another; what is kept in memory are the sequences that are asked for.

Shape legend: U entities of a shard, N those of one length.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from data_prep.shard import Shard
from data_prep.shards import Prepared

Surface = tuple[int, ...]
LEVEL = "entity"
BLOCK = 1 << 18
"""Entities that are compared together."""
SEEN = ((0, 0), (1, 9), (10, 99), (100, 999), (1000, None))
"""Least and most occurrences of each group of entities."""


def group_name(least: int, most: int | None) -> str:
    """`seen 0`, `seen 1-9`, `seen 1000+`."""
    return f"seen {least}+" if most is None else f"seen {least}" if least == most else f"seen {least}-{most}"


def open_training(folders: Sequence[Path], like: Prepared) -> list[Prepared]:
    """The folders, checked.

    Raises:
        ValueError: one is no prepared folder, has other tokens than ``like``, or no entities.
    """
    opened = [Prepared.open(folder) for folder in folders]
    for folder in opened:
        folder.check_tokenizer(like.tokenizer)
        if LEVEL not in folder.levels:
            raise ValueError(f"training: {folder.folder} has no entities; its levels are {', '.join(folder.levels)}")
        if not folder.tokens("train"):
            raise ValueError(f"training: {folder.folder} holds no training document")
    return opened


def surface_counts(folders: Sequence[Prepared], surfaces: Collection[Surface]) -> dict[Surface, int]:
    """How often each of these token sequences is an entity in the training documents of the folders."""
    counts = dict.fromkeys(surfaces, 0)
    begins: dict[int, set[int]] = {}
    for surface in counts:
        begins.setdefault(len(surface), set()).add(surface[0])
    for folder in folders:
        for shard in folder.shards("train"):
            for length, first_tokens in begins.items():
                for row, times in _entities(shard, length, np.array(sorted(first_tokens))):
                    if row in counts:
                        counts[row] += times
            shard.close()
    return counts


def _entities(shard: Shard, length: int, first_tokens: npt.NDArray[Any]) -> Iterator[tuple[Surface, int]]:
    """Different entities of so many tokens that begin with one of these, and how often each stands in a block."""
    units, ids_T = shard.units[LEVEL], shard.token_ids.values
    documents_U = np.repeat(shard.token_ids.offsets_D1[:-1].astype(np.int64), np.diff(units.offsets_D1))
    begin_N = (units.start_U + documents_U)[units.length_U == length]
    begin_N = begin_N[np.isin(ids_T[begin_N], first_tokens)]
    for first in range(0, len(begin_N), BLOCK):
        rows, times = np.unique(
            ids_T[begin_N[first : first + BLOCK, None] + np.arange(length)], axis=0, return_counts=True
        )
        yield from zip(map(tuple, rows.tolist()), times.tolist(), strict=True)
