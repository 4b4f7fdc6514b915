"""Loss and accuracy on held-out documents, always with the same rows and the same masks.

Whatever the run trains with, evaluation hides 15 % by whole units (entity > phrase > word > character) and replaces
80/10/10, so that runs compare. Rows are the first ones of epoch 0 in keyed order, plain ones for tasks that ride and
the task's own for each that builds rows; neither seed nor stage of the run changes them. Ranks share them and the sums
are added up.

A run that never sees [MASK] (MacBERT) is judged by text unlike its own: with ``masking: both`` the same rows are
measured under its own masks as well, as they are at the end of training; the names of those figures end in
`/own_masks`.

Folders of the control set (``control``) are measured apart from the others: the names of their figures begin with
`control/`, as in `loss/control/knowledge_masking`.

    makers (Corpus.heldout)  --evaluate-->  Measured  --readable-->  loss, accuracy, and the share of the
        most frequent class
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple, Protocol

import torch

from masking.keyed import hash_key
from masking.strategies.whole_unit import WholeUnit
from masking.structure import Shuffle
from pretrain.feed.batch import Batch
from pretrain.feed.hiding import Masking
from pretrain.feed.loading import BatchMaker
from pretrain.feed.sampling import Cursor, MicroBatchSpec, RowSpec, Stream
from pretrain.metrics.sums import Groups, check_groups, readable, rows_of
from pretrain.processes.heartbeat import doing
from pretrain.processes.world import World

HELDOUT_SEED = 0
MASKINGS = ("fixed", "both")
OWN_MASKS = "/own_masks"
"""Ends the names of the figures under the run's own masks."""
CONTROL = "control/"
"""Begins the names of the figures of the control set."""


class Measured(NamedTuple):
    """Sums over held-out rows."""

    groups: Groups
    """By measured task."""
    stats: torch.Tensor
    """float64 (R, 3): loss sum, hits, targets of each task and its groups (metrics/sums.py)."""
    labels: dict[str, torch.Tensor]
    """How often each class was right, for sentence-level tasks: a model that always answers the most frequent one gets
    its share."""

    def values(self, world: World) -> dict[str, float]:
        """Named means over the rows of all ranks; a collective."""
        stats = world.sum(self.stats).cpu()
        check_groups(stats, self.groups)
        found: dict[str, float] = {}
        for suffix in ("", OWN_MASKS):
            mine = {
                task: rows
                for task, rows in rows_of(stats, self.groups).items()
                if task.endswith(OWN_MASKS) == bool(suffix)
            }
            named = {task.removesuffix(OWN_MASKS): self.groups[task] for task in mine}
            found |= (
                {name + suffix: value for name, value in readable(torch.cat(list(mine.values())), named).items()}
                if mine
                else {}
            )
        for task, count_C in self.labels.items():
            total_C = world.sum(count_C)
            if total_C.sum():
                found[f"majority/{task}"] = float(total_C.max() / total_C.sum())
        return found


@dataclass(frozen=True, kw_only=True)
class Evaluation:
    """Measurements on held-out documents."""

    every: int = 500
    """Steps between evaluations; the start and the end of a stage are always measured. 0 switches it off."""
    rows: int = 64
    """Rows per task and folder."""
    masking: str = "fixed"
    """`fixed`: under the masks that every evaluation uses, so that runs compare; `both`: under the run's own as well,
    as figures that end in `/own_masks` (takes twice as long)."""
    control: list[str] = field(default_factory=list)
    """Names of prepared folders that are the control set: text that the model must not forget while it learns that of
    the others. Their held-out figures stand apart, as `loss/control/TASK`; with `weight: 0` a folder is measured
    alone, and with a weight it is replayed as well."""

    def __post_init__(self) -> None:
        if self.every < 0:
            raise ValueError(f"every: {self.every} must be 0 (off) or more")
        if self.rows < 1:
            raise ValueError(f"rows: {self.rows} must be at least 1")
        if self.masking not in MASKINGS:
            raise ValueError(f"masking: {self.masking!r} is not one of {', '.join(MASKINGS)}")

    def maskings(self, levels: tuple[str, ...], own: Masking) -> dict[str, Masking]:
        """What rows of a folder with these levels are masked by, by the end of the names of their figures."""
        fixed = {"": fixed_masking(levels, own.shuffle)}
        return fixed | {OWN_MASKS: own} if self.masking == "both" else fixed


class Forward(Protocol):
    """The engine as evaluation sees it."""

    def forward(self, batch: Batch, scale: Mapping[str, float]) -> tuple[torch.Tensor, torch.Tensor]:
        """(loss, stats) of a batch."""
        ...


def fixed_masking(levels: tuple[str, ...], shuffle: Shuffle | None) -> Masking:
    """The masking of every evaluation; tokens are shuffled as the run does, or the task that puts them back would have
    nothing to do."""
    return Masking(
        strategy=WholeUnit(units=[level for level in ("entity", "phrase", "word") if level in levels]), shuffle=shuffle
    )


def heldout_rows(stream: Stream, limit: int) -> list[RowSpec]:
    """The first ``limit`` rows of epoch 0 (fewer when there are not so many)."""
    rows: list[RowSpec] = []
    cursor = Cursor()
    while len(stream.source) and len(rows) < limit and cursor.epoch == 0:
        row, cursor = stream.next(cursor)
        rows.append(row)
    return rows


@torch.no_grad()
def evaluate(engine: Forward, makers: Sequence[BatchMaker], limit: int, world: World) -> Measured | None:
    """This rank's sums over its share of the held-out rows; None when there are none at all."""
    sums: dict[str, torch.Tensor] = {}
    groups = {
        figure_of(maker, name): objective.groups for maker in makers for name, objective in maker.objectives.items()
    }
    labels: dict[str, torch.Tensor] = {}
    for maker in makers:
        names = list(maker.objectives)
        figures = [figure_of(maker, name) for name in names]
        rows = [row for stream in maker.streams.values() for row in heldout_rows(stream, limit)]
        batches = prepared_batches(maker, rows, world)
        for first, batch in zip(range(0, len(rows), world.size), batches, strict=True):
            doing("evaluation")
            mine = first + world.rank
            batch = batch.to(world.device)
            world.seed(hash_key("evaluation", mine) % 2**63)  # a loss that draws measures the same every time
            _, found = engine.forward(batch, dict.fromkeys(names, 0.0))
            parts = rows_of(
                found if mine < len(rows) else torch.zeros_like(found),
                {name: maker.objectives[name].groups for name in names},
            )
            for name, figure in zip(names, figures, strict=True):
                sums[figure] = sums[figure] + parts[name] if figure in sums else parts[name]
                if count := maker.objectives[name].classes:
                    label = batch.targets[name]["label"] if mine < len(rows) else batch.targets[name]["label"][:0]
                    known = labels.get(figure, torch.zeros(count, dtype=torch.int64, device=world.device))
                    labels[figure] = known + torch.bincount(label, minlength=count)
    return (
        Measured({figure: groups[figure] for figure in sums}, torch.cat(list(sums.values())), labels) if sums else None
    )


def figure_of(maker: BatchMaker, task: str) -> str:
    """What the figures of a task are called on the rows of a maker: control/TASK, TASK/own_masks, ..."""
    begin, end = maker.figures
    return begin + task + end


def prepared_batches(maker: BatchMaker, rows: Sequence[RowSpec], world: World) -> list[Batch]:
    """This rank's batches, made before any of them is used: a fault of one rank is told by all.

    Every rank runs every forward (ZeRO-3 gathers in it); one without a row of its own repeats another, which is
    discarded.

    Raises:
        ValueError: a batch that cannot be made, on every rank.
    """
    found: list[Batch] = []
    fault: Exception | None = None
    try:
        for first in range(0, len(rows), world.size):
            found.append(maker[MicroBatchSpec(0, [rows[min(first + world.rank, len(rows) - 1)]], 1.0)])
    except (ValueError, OSError) as error:
        fault = error
    world.all_or_none(fault)
    return found
