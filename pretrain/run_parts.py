"""The small parts of a run: its prepared folders, how much text a step sees, when it is saved."""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from dataclasses import dataclass

LEAST_SAMPLE = 14
"""Tokens of the shortest sample that makes sense."""
LEAST_TEXT = 8
"""Of them, those that must be left for text."""


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
class Batching:
    """How much text a step sees."""

    max_sample_tokens: int = 128
    """Longest sample, special tokens included."""
    row_tokens: int = 0
    """Length of a packed row; 0 means 8 x max_sample_tokens."""
    rows_per_step: int = 8
    """Rows of one optimiser step over all processes: the global batch, unchanged when the number of processes
    changes."""
    rows_per_process: int = 1
    """Rows that a process feeds the model at once; the rest is gradient accumulation."""

    def __post_init__(self) -> None:
        if self.max_sample_tokens < LEAST_SAMPLE:
            raise ValueError(f"max_sample_tokens: {self.max_sample_tokens} must be at least {LEAST_SAMPLE}")
        if self.row_tokens and self.row_tokens < self.max_sample_tokens:
            raise ValueError(
                f"row_tokens: {self.row_tokens} must be 0 or at least max_sample_tokens = {self.max_sample_tokens}"
            )
        for name in ("rows_per_step", "rows_per_process"):
            if getattr(self, name) < 1:
                raise ValueError(f"{name}: {getattr(self, name)} must be at least 1")

    @property
    def row(self) -> int:
        """Length of a row in tokens."""
        return self.row_tokens or 8 * self.max_sample_tokens

    def accumulation(self, world: int) -> int:
        """Micro-batches per step and process.

        Raises:
            ValueError: the rows of a step cannot be divided evenly.
        """
        whole = world * self.rows_per_process
        if self.rows_per_step % whole:
            raise ValueError(
                f"batch.rows_per_step = {self.rows_per_step} cannot be divided by {world} processes x rows_per_process "
                f"= {self.rows_per_process}; use a multiple of {whole}"
            )
        return self.rows_per_step // whole


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
