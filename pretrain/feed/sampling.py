"""Which windows make up which rows, and which rows make up which step: order without state.

    windows of a source  --keyed bijection per epoch-->  shuffled positions
    blocks of 1,024 positions  --best fit-->  rows of row_tokens
    streams (source x task)  --largest deficit-->  the rows of a step, before they are split over ranks

A stream's Cursor(epoch, block, row) is all that a checkpoint keeps; everything else is recomputed from it.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any, NamedTuple

import numpy as np

from masking.keyed import hash_key, permute
from pretrain.feed.sources import Source
from pretrain.objectives import Objective

BLOCK = 1024


class Cursor(NamedTuple):
    """The next row of a stream. A run starts at (0, 0, 0)."""

    epoch: int = 0
    block: int = 0
    row: int = 0
    served: int = 0
    """Rows taken in the current stage."""


class RowSpec(NamedTuple):
    """One row: a stream, an epoch and window numbers."""

    stream: str
    epoch: int
    windows: list[int]


class MicroBatchSpec(NamedTuple):
    """What one rank feeds the model at once; sent to data workers."""

    step: int
    rows: list[RowSpec]
    progress: float
    first: int = 0
    """Number of its first row among all rows of the step: keys dropout, whatever the number of processes."""


@dataclass(frozen=True, kw_only=True)
class Stream:
    """The windows of one source, as samples of one task, in keyed order."""

    source: Source
    task: str
    objective: Objective
    row_tokens: int
    seed: int
    share: float
    """Share of rows, relative to the other streams."""

    @property
    def name(self) -> str:
        """Key of its cursor."""
        return f"{self.source.name}/{self.task}"

    @cached_property
    def blocks(self) -> int:
        """Blocks per epoch."""
        return -(-len(self.source) // BLOCK)

    @cached_property
    def _rows(self) -> dict[tuple[int, int], list[list[int]]]:
        return {}

    def rows(self, epoch: int, block: int) -> list[list[int]]:
        """The rows of a block: windows packed best-fit, rows in keyed order. The last block is kept."""
        if (epoch, block) not in self._rows:
            size = len(self.source)
            positions = np.arange(block * BLOCK, min((block + 1) * BLOCK, size), dtype=np.uint64)
            windows = permute(positions, size, hash_key("order", self.seed, self.name, epoch)).astype(np.int64)
            lengths = self.source.tokens_N[windows] + self.objective.special_tokens()
            packed = best_fit(lengths, self.row_tokens)
            order = permute(np.arange(len(packed), dtype=np.uint64), len(packed), hash_key("rows", self.seed, self.name, epoch, block))
            self._rows.clear()
            self._rows[epoch, block] = [[int(windows[item]) for item in packed[int(row)]] for row in order]
        return self._rows[epoch, block]

    def next(self, cursor: Cursor) -> tuple[RowSpec, Cursor]:
        """The row at ``cursor`` and the cursor after it."""
        rows = self.rows(cursor.epoch, cursor.block)
        spec = RowSpec(self.name, cursor.epoch, rows[cursor.row])
        epoch, block, row = cursor.epoch, cursor.block, cursor.row + 1
        if row == len(rows):
            block, row = block + 1, 0
        if block == self.blocks:
            epoch, block = epoch + 1, 0
        return spec, Cursor(epoch, block, row, cursor.served + 1)


def best_fit(lengths: Any, capacity: int) -> list[list[int]]:
    """Items into bins, longest first, each into the fullest bin that still holds it.

    lengths 5 4 3 2, capacity 7  ->  [5, 2], [4, 3]
    """
    bins: list[list[int]] = []
    free = np.empty(len(lengths), np.int64)
    for item in np.argsort(-lengths, kind="stable").tolist():
        length = int(lengths[item])
        room = free[: len(bins)]
        fitting = np.flatnonzero(room >= length)
        if len(fitting):
            best = int(fitting[np.argmin(room[fitting])])
            bins[best].append(item)
            free[best] -= length
        else:
            free[len(bins)] = capacity - length
            bins.append([item])
    return bins


@dataclass(frozen=True, kw_only=True)
class Sampler:
    """The rows of every step of a stage. Pure: the same cursors give the same rows on every rank."""

    streams: Mapping[str, Stream]
    rows_per_step: int

    def step(self, cursors: Mapping[str, Cursor]) -> tuple[list[RowSpec], dict[str, Cursor]]:
        """Rows of the step that begins at ``cursors``, and the cursors after it; streams are taken by largest deficit."""
        state = {name: cursors.get(name, Cursor()) for name in self.streams}
        whole = sum(stream.share for stream in self.streams.values())
        rows = []
        for _ in range(self.rows_per_step):
            taken = sum(cursor.served for cursor in state.values())
            name = max(self.streams, key=lambda name: self.streams[name].share / whole * (taken + 1) - state[name].served)
            row, state[name] = self.streams[name].next(state[name])
            rows.append(row)
        return rows, {**cursors, **state}


def micro_batches(
    sampler: Sampler, cursors: Mapping[str, Cursor], steps: range, total: int, rows: int, rank: int, world: int, states: dict[int, dict[str, Cursor]]
) -> Iterator[MicroBatchSpec]:
    """This rank's micro-batches of ``rows`` rows for all ``steps``; the cursors after each step are noted in ``states``."""
    for step in steps:
        specs, cursors = sampler.step(cursors)
        states[step] = dict(cursors)
        for first in range(rank * rows, len(specs), world * rows):
            yield MicroBatchSpec(step, specs[first : first + rows], step / max(total, 1), first)
