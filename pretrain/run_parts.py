"""The small parts of a run: its prepared folders, and when it is saved."""

from __future__ import annotations

import itertools
import math
from collections.abc import Collection, Sequence
from dataclasses import dataclass


@dataclass(frozen=True, kw_only=True)
class Data:
    """One prepared folder."""

    path: str
    """Folder made by `kmask prepare`."""
    name: str = ""
    """Name for logs and cursors; the folder's name by default."""
    weight: float = 1.0
    """Share of rows relative to the other folders; 0: its held-out documents are measured, nothing of it is trained."""

    def __post_init__(self) -> None:
        if not 0 <= self.weight < math.inf:
            raise ValueError(f"weight: {self.weight} must be positive, or 0 for a folder that is only measured")

    @property
    def label(self) -> str:
        """Its name in logs and cursors."""
        return self.name or self.path.rstrip("/").rsplit("/", 1)[-1]


def check_data(data: Sequence[Data], control: Sequence[str]) -> None:
    """Raise ValueError unless names differ, something is trained, and a folder is left besides those of the control
    set."""
    names = [item.label for item in data]
    if len(set(names)) < len(names):
        raise ValueError(f"data: the names {names} must differ; set `name`")
    if not any(item.weight for item in data):
        raise ValueError("data: every folder has weight 0, so there is nothing to train on")
    if unknown := [name for name in control if name not in names]:
        raise ValueError(f"evaluation.control: {unknown[0]!r} is not among the folders of data ({', '.join(names)})")
    if set(names) == set(control):
        raise ValueError(
            f"evaluation.control: it names every folder of data ({', '.join(names)}); leave out those whose text the "
            "run is about"
        )


@dataclass(frozen=True, kw_only=True)
class Best:
    """Which checkpoint is the best one."""

    figure: str = "loss/knowledge_masking"
    """The held-out loss that is to be lowest, as metrics.jsonl names it: `loss/TASK`, `loss/TASK/GROUP`."""
    control: str = ""
    """The held-out loss that may not rise, as in `loss/control/knowledge_masking` (evaluation.control); empty: no
    condition."""
    tolerance: float = 0.05
    """By how much `control` may lie above what it was at the first evaluation of the run."""

    def __post_init__(self) -> None:
        if not self.figure.startswith("loss/"):
            raise ValueError(f"figure: {self.figure!r} is not the name of a loss, as in loss/knowledge_masking")
        if self.control and not self.control.startswith("loss/"):
            raise ValueError(f"control: {self.control!r} is not the name of a loss, as in loss/control/TASK")
        if self.control == self.figure:
            raise ValueError(f"control: {self.control!r} is the figure itself")
        if not 0 <= self.tolerance < math.inf:
            raise ValueError(f"tolerance: {self.tolerance} must be 0 or more")

    def check(self, tasks: Collection[str], every: int, control: Sequence[str]) -> None:
        """Raise ValueError unless a run measures these figures."""
        if not every:
            raise ValueError("checkpoints.best: nothing is measured; set evaluation.every")
        for key in ("figure", "control"):
            name = getattr(self, key).removeprefix("loss/")
            apart = name.startswith("control/")
            if apart and not control:
                raise ValueError(
                    f"checkpoints.best.{key}: loss/{name} needs a control set; name it in evaluation.control"
                )
            if name and (task := name.removeprefix("control/").partition("/")[0]) not in tasks:
                raise ValueError(f"checkpoints.best.{key}: {task!r} is not among the tasks ({', '.join(tasks)})")


@dataclass(frozen=True, kw_only=True)
class Checkpoints:
    """When training is saved."""

    every: int = 500
    """Steps between checkpoints; the end of a stage is always saved."""
    keep: int = 2
    """Newest checkpoints that stay on disk."""
    keep_every: int = 0
    """Checkpoints of steps that are multiples of this stay on disk too (a multiple of `every`); 0: none."""
    best: Best | None = None
    """Keep the best one as well: it is saved when an evaluation finds it, whatever `every` says, stays until a better
    one is found, and `kmask export --best` and `kmask eval --best` take it."""

    def __post_init__(self) -> None:
        for name in ("every", "keep"):
            if getattr(self, name) < 1:
                raise ValueError(f"{name}: {getattr(self, name)} must be at least 1")
        if self.keep_every < 0 or self.keep_every % self.every:
            raise ValueError(f"keep_every: {self.keep_every} must be 0 or a multiple of every = {self.every}")

    def most(self, steps: Sequence[int]) -> int:
        """Checkpoints of stages of so many ``steps`` that lie on disk at once at most, the one that is being written
        included."""
        if not self.keep_every:
            return self.keep + 1 + bool(self.best)
        ends = list(itertools.accumulate(steps))
        before = sorted({*range(self.every, ends[-1], self.every), *ends[:-1]})
        return 1 + bool(self.best) + len({*before[-self.keep :], *range(self.keep_every, ends[-1], self.keep_every)})
