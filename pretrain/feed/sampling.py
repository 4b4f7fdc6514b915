"""Which windows make up which rows, and which rows make up which step: order without state.

    slots of a source  --keyed bijection per epoch-->  shuffled slots (sources.py), each with the windows that begin in
                       it
    blocks of 1,024 slots  --best fit-->  rows of row_tokens
    streams (source x task)  --turns-->  the rows of a step, before they are split over ranks

A stream's Cursor(epoch, block, row) is all that a checkpoint keeps; everything else is recomputed from it.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Hashable, Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any, NamedTuple, TypeVar

import numpy as np
import numpy.typing as npt

from masking.keyed import hash_key, permute
from pretrain.feed.building import Builder
from pretrain.feed.sources import Source
from pretrain.feed.step_rows import StepRows
from pretrain.feed.texts import Long, Windows, starts

BLOCK = 1024
MANY = 1_000_000
"""Rows whose turns are looked at together."""
Name = TypeVar("Name", bound=Hashable)


class Cursor(NamedTuple):
    """The next row of a stream. A run starts at (0, 0, 0)."""

    epoch: int = 0
    block: int = 0
    row: int = 0
    served: int = 0
    """Rows taken in the current stage."""


@dataclass(frozen=True)
class RowSpec:
    """One row: a stream, an epoch and windows."""

    stream: str
    epoch: int
    windows: Windows


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
    objective: Builder
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
        return -(-self.source.slots // BLOCK)

    @cached_property
    def _rows(self) -> dict[tuple[int, int], list[RowSpec]]:
        return {}

    def rows(self, epoch: int, block: int) -> list[RowSpec]:
        """The rows of a block: windows packed best-fit, rows in keyed order. The last block is kept."""
        if (epoch, block) not in self._rows:
            windows, item_N, offsets_B1 = self._packed(epoch, block)
            windows, rows = windows.take(item_N), len(offsets_B1) - 1
            order = permute(
                np.arange(rows, dtype=np.uint64), rows, hash_key("rows", self.seed, self.name, epoch, block)
            ).tolist()
            self._rows.clear()
            self._rows[epoch, block] = [
                RowSpec(self.name, epoch, windows.take(slice(offsets_B1[row], offsets_B1[row + 1]))) for row in order
            ]
        return self._rows[epoch, block]

    def _packed(self, epoch: int, block: int) -> tuple[Windows, Long, Long]:
        """The windows of a block, and which of them make up each row (best_fit)."""
        slots = self.source.slots
        positions = np.arange(block * BLOCK, min((block + 1) * BLOCK, slots), dtype=np.uint64)
        windows = self.source.windows(
            permute(positions, slots, hash_key("order", self.seed, self.name, epoch)).astype(np.int64)
        )
        return windows, *best_fit(self.lengths(windows), self.row_tokens)

    def lengths(self, windows: Windows) -> Long:
        """Most tokens of the samples of each window.

        Raises:
            ValueError: those of one window do not fit into a row, with the task's name.
        """
        found_W = self.objective.lengths(np.minimum(windows.tokens_W, self.source.max_tokens))
        if len(found_W) and found_W.max() > self.row_tokens:
            raise ValueError(
                f"task {self.task!r} ({type(self.objective).__name__}) makes up to "
                f"{int(found_W.max())} tokens of a window; "
                f"batch.row_tokens is {self.row_tokens}"
            )
        return found_W

    def forget(self) -> None:
        """Make the next block anew, for measurements."""
        self._rows.clear()

    def next(self, cursor: Cursor) -> tuple[RowSpec, Cursor]:
        """The row at ``cursor`` and the cursor after it."""
        epoch, block, row = cursor.epoch, cursor.block, cursor.row
        while row >= len(self.rows(epoch, block)):  # a block of one slot may hold no window
            epoch, block, row = (epoch, block + 1, 0) if block + 1 < self.blocks else (epoch + 1, 0, 0)
        rows = self.rows(epoch, block)
        spec, row = rows[row], row + 1
        if row == len(rows):
            epoch, block, row = (epoch, block + 1, 0) if block + 1 < self.blocks else (epoch + 1, 0, 0)
        return spec, Cursor(epoch, block, row, cursor.served + 1)

    def after(self, cursor: Cursor, rows: int) -> Cursor:
        """The cursor that ``next`` gives after so many rows; blocks are packed, rows are not made."""
        epoch, block, row, left = cursor.epoch, cursor.block, cursor.row, rows
        while left:
            there = len(self._packed(epoch, block)[2]) - 1 - row
            if left < there:
                row, left = row + left, 0
            else:
                left -= max(there, 0)
                epoch, block, row = (epoch, block + 1, 0) if block + 1 < self.blocks else (epoch + 1, 0, 0)
        return Cursor(epoch, block, row, cursor.served + rows)


def best_fit(lengths: npt.NDArray[np.integer[Any]], capacity: int) -> tuple[Long, Long]:
    """Items into rows, longest first, each into the fullest row that still holds it, of equally full ones the first.

    lengths 5 4 3 2, capacity 7  ->  items 0 3 1 2, offsets 0 2 4: rows [5, 2] and [4, 3]

    Returns:
        (item_N, offsets_B1): row b holds the items ``item_N[offsets_B1[b] : offsets_B1[b + 1]]``.
    """
    from pretrain.feed import kernels

    order_N = np.argsort(-lengths, kind="stable")
    row_N, rows = kernels.best_fit(np.asarray(lengths, np.int64), order_N, capacity)
    return order_N[np.argsort(row_N[order_N], kind="stable")], starts(np.bincount(row_N, minlength=rows))


@dataclass(frozen=True, kw_only=True)
class Sampler:
    """The rows of every step of a stage. Pure: the same cursors give the same rows on every rank."""

    streams: Mapping[str, Stream]
    rows_per_step: int | StepRows
    """Of all steps, or of each."""

    @property
    def step_rows(self) -> StepRows:
        """The rows of every step."""
        return self.rows_per_step if isinstance(self.rows_per_step, StepRows) else StepRows(rows=self.rows_per_step)

    def step(self, cursors: Mapping[str, Cursor], step: int = 0) -> tuple[list[RowSpec], dict[str, Cursor]]:
        """Rows of the step that begins at ``cursors``, and the cursors after it.

        Args:
            step: its number in the run, where rows grow.
        """
        state = {name: cursors.get(name, Cursor()) for name in self.streams}
        shares = {name: stream.share for name, stream in self.streams.items()}
        rows = []
        for name in turns(shares, {name: cursor.served for name, cursor in state.items()}, self.step_rows.of(step)):
            row, state[name] = self.streams[name].next(state[name])
            rows.append(row)
        return rows, {**cursors, **state}

    def after(self, cursors: Mapping[str, Cursor], steps: int, begin: int = 0) -> dict[str, Cursor]:
        """The cursors after so many steps, without making their rows.

        Args:
            begin: the first of them in the run, where rows grow.
        """
        state = {name: cursors.get(name, Cursor()) for name in self.streams}
        shares = {name: stream.share for name, stream in self.streams.items()}
        left = self.step_rows.between(begin, begin + steps)
        served = {name: cursor.served for name, cursor in state.items()}
        taken = dict.fromkeys(state, 0)
        while left:
            part = min(left, MANY)
            for name, count in Counter(turns(shares, served, part)).items():
                served[name] += count
                taken[name] += count
            left -= part
        return {**cursors, **{name: self.streams[name].after(state[name], count) for name, count in taken.items()}}


def turns(shares: Mapping[Name, float], served: Mapping[Name, int], rows: int) -> list[Name]:
    """The streams of the next ``rows`` rows, where each has had so many: never a whole row from their shares.

    shares a 2, b 1, nothing served, 6 rows  ->  a b a a b a
    """
    from pretrain.feed import kernels

    served_N = np.array([served.get(name, 0) for name in shares], np.int64)
    out_R = np.empty(rows, np.int64)
    kernels.turns(np.array(list(shares.values()), np.float64), served_N, out_R)
    names = list(shares)
    return [names[number] for number in out_R.tolist()]


def micro_batches(
    sampler: Sampler,
    cursors: Mapping[str, Cursor],
    steps: range,
    total: int,
    rows: int,
    rank: int,
    world: int,
    states: dict[int, dict[str, Cursor]],
) -> Iterator[MicroBatchSpec]:
    """This rank's micro-batches of ``rows`` rows for all ``steps``; the cursors after each step are noted in
    ``states``."""
    for step in steps:
        specs, cursors = sampler.step(cursors, step)
        states[step] = dict(cursors)
        for first in range(rank * rows, len(specs), world * rows):
            yield MicroBatchSpec(step, specs[first : first + rows], step / max(total, 1), first)
