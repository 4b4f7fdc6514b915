"""The small parts of a run: its prepared folders, and when it is saved."""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from dataclasses import dataclass


@dataclass(frozen=True, kw_only=True)
class Data:
    """One prepared folder."""

    path: str
    """Folder made by `kmask prepare`."""
    name: str = ""
    """Name for logs and cursors; the folder's name by default."""
    weight: float = 1.0
    """Share of rows relative to the other folders."""

    def __post_init__(self) -> None:
        if not self.weight > 0:
            raise ValueError(f"weight: {self.weight} must be positive")

    @property
    def label(self) -> str:
        """Its name in logs and cursors."""
        return self.name or self.path.rstrip("/").rsplit("/", 1)[-1]


@dataclass(frozen=True, kw_only=True)
class Checkpoints:
    """When training is saved."""

    every: int = 500
    """Steps between checkpoints; the end of a stage is always saved."""
    keep: int = 2
    """Newest checkpoints that stay on disk."""
    keep_every: int = 0
    """Checkpoints of steps that are multiples of this stay on disk too (a multiple of `every`); 0: none."""

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
            return self.keep + 1
        ends = list(itertools.accumulate(steps))
        before = sorted({*range(self.every, ends[-1], self.every), *ends[:-1]})
        return 1 + len({*before[-self.keep :], *range(self.keep_every, ends[-1], self.keep_every)})
