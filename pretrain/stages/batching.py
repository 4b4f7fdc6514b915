"""How much text a step sees: the lengths of samples and rows, and how many rows a step has.

Batching              of a run, or of a stage that has its own
Batching.step_rows    the rows of every step (feed/step_rows.py), fewer at first under `warmup`
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

from pretrain.feed.step_rows import StepRows

LEAST_SAMPLE = 14
"""Tokens of the shortest sample that makes sense."""
LEAST_TEXT = 8
"""Of them, those that must be left for text."""


class Lengths(NamedTuple):
    """What the packing of a block hangs on."""

    sample: int
    """Tokens of the longest sample."""
    row: int
    """Tokens of a row."""


@dataclass(frozen=True, kw_only=True)
class BatchWarmup:
    """Fewer rows a step at first, growing in a straight line (Brown et al. 2020, appendix B; a batch that grows does
    what a rate that falls does: Smith et al. 2018)."""

    rows: int
    """Rows of the first step, over all processes; every step has a multiple of them. They divide `rows_per_step` and
    are a multiple of processes x `rows_per_process`."""
    steps: int
    """Steps until there are `rows_per_step`: step n, from 0, has `rows` x (1 + n x more / steps, rounded down), more
    being `rows_per_step` / `rows` - 1. Counted from the first step of the run in the run's `batch`, and from the first
    step of the stage in a stage's."""

    def __post_init__(self) -> None:
        for name in ("rows", "steps"):
            if getattr(self, name) < 1:
                raise ValueError(f"{name}: {getattr(self, name)} must be at least 1")


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
    warmup: BatchWarmup | None = None
    """Fewer rows a step at first; without it, `rows_per_step` from the first step on."""

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
        if self.warmup and self.rows_per_step % self.warmup.rows:
            raise ValueError(
                f"warmup: rows {self.warmup.rows} must divide rows_per_step = {self.rows_per_step}: every step has a "
                "multiple of them"
            )

    @property
    def row(self) -> int:
        """Length of a row in tokens."""
        return self.row_tokens or 8 * self.max_sample_tokens

    @property
    def lengths(self) -> Lengths:
        """Of samples and rows."""
        return Lengths(self.max_sample_tokens, self.row)

    def step_rows(self, begin: int = 0) -> StepRows:
        """The rows of every step.

        Args:
            begin: the step of the run from which a warm-up is counted.
        """
        if self.warmup is None:
            return StepRows(rows=self.rows_per_step)
        return StepRows(rows=self.rows_per_step, first=self.warmup.rows, growing=self.warmup.steps, begin=begin)

    def accumulation(self, world: int, key: str = "batch") -> int:
        """Micro-batches per step and process, once the rows have grown.

        Args:
            key: of this batch in the configuration, for messages.

        Raises:
            ValueError: the rows of a step cannot be divided evenly.
        """
        self._check_divides("rows_per_step", self.rows_per_step, world, key)
        return self.rows_per_step // (world * self.rows_per_process)

    def check_warmup(self, world: int, key: str = "batch") -> None:
        """Raise ValueError unless the rows of every step of the warm-up can be divided evenly."""
        if self.warmup:
            self._check_divides("warmup.rows", self.warmup.rows, world, key)

    def _check_divides(self, name: str, rows: int, world: int, key: str) -> None:
        whole = world * self.rows_per_process
        if rows % whole:
            raise ValueError(
                f"{key}.{name} = {rows} cannot be divided by {world} processes x rows_per_process "
                f"= {self.rows_per_process}; use a multiple of {whole}"
            )
