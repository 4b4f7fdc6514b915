"""Loss and accuracy on held-out documents, always with the same rows and the same masks.

Whatever the run trains with, evaluation hides 15 % by whole units (entity > phrase > word > character) and replaces 80/10/10,
so that runs compare. Rows are the first ones of epoch 0 in keyed order; ranks share them and the sums are added up.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Protocol

import torch

from masking.strategies.whole_unit import WholeUnit
from masking.structure import Shuffle
from pretrain.batch import Batch
from pretrain.loading import BatchMaker
from pretrain.packed import Masking
from pretrain.sampling import Cursor, MicroBatchSpec, RowSpec, Stream

SEED = 0


@dataclass(frozen=True, kw_only=True)
class Evaluation:
    """Measurements on held-out documents."""

    every: int = 500
    """Steps between evaluations; the start and the end of a stage are always measured. 0 switches it off."""
    rows: int = 64
    """Rows per task and folder."""

    def __post_init__(self) -> None:
        if self.every < 0:
            raise ValueError(f"every: {self.every} must be 0 (off) or more")
        if self.rows < 1:
            raise ValueError(f"rows: {self.rows} must be at least 1")


class Forward(Protocol):
    """The engine as evaluation sees it."""

    def forward(self, batch: Batch, scale: Mapping[str, float]) -> tuple[torch.Tensor, torch.Tensor]:
        """(loss, stats) of a batch."""
        ...


def fixed_masking(levels: tuple[str, ...], shuffle: Shuffle | None) -> Masking:
    """The masking of every evaluation; tokens are shuffled as the run does, or the task that puts them back would have nothing to do."""
    return Masking(strategy=WholeUnit(units=[level for level in ("entity", "phrase", "word") if level in levels]), shuffle=shuffle)


def heldout_rows(stream: Stream, limit: int) -> list[RowSpec]:
    """The first ``limit`` rows of epoch 0 (fewer when there are not so many)."""
    rows: list[RowSpec] = []
    cursor = Cursor()
    while len(stream.source) and len(rows) < limit and cursor.epoch == 0:
        row, cursor = stream.next(cursor)
        rows.append(row)
    return rows


@torch.no_grad()
def evaluate(engine: Forward, maker: BatchMaker, limit: int, rank: int, size: int, device: torch.device) -> torch.Tensor | None:
    """This rank's summed stats over its share of the held-out rows; None when there are none at all."""
    rows = [row for stream in maker.streams.values() for row in heldout_rows(stream, limit)]
    if not rows:
        return None
    scale = dict.fromkeys(maker.objectives, 0.0)
    total: torch.Tensor | None = None
    for first in range(0, len(rows), size):
        # Every rank runs every forward (ZeRO-3 gathers in it); one without a row of its own repeats another and discards it.
        mine = first + rank
        batch = maker[MicroBatchSpec(0, [rows[min(mine, len(rows) - 1)]], 0.0)].to(device)
        _, stats = engine.forward(batch, scale)
        stats = stats if mine < len(rows) else torch.zeros_like(stats)
        total = stats if total is None else total + stats
    return total
