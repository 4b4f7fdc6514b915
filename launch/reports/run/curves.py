"""Curves of figures over the steps of a run, reduced as they are read: mean, lowest and highest value of each bucket.

    Curves(last_step)   .add(record)  for every line   .close()   ->   {figure: Curve}

A bucket is an equal part of the steps, so that memory hangs on the number of figures alone. Lines wait in a buffer and
are added many at a time.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from math import isfinite
from operator import itemgetter
from typing import Any, NamedTuple, TypeGuard

import numpy as np
from numpy.typing import NDArray

BUCKETS = 600
"""Points of a curve at most."""
WAITING = 4096
"""Lines that are added at once."""
FAMILIES = ("loss/", "accuracy/", "majority/")
"""What is kept of each task; `targets/` and others are left out of curves."""
SINGLE = ("lr", "tokens_per_second", "loader_wait", "grad_norm", "real_share", "masked_share", "tflops", "mfu")
"""Figures of the whole run that are kept as curves."""

LARGEST = 10**300
"""A whole number beyond it is no figure."""

Floats = NDArray[np.float64]


class Curve(NamedTuple):
    """One figure along the run; B buckets that hold something, in order."""

    step_B: Floats
    """Mean step of what is in the bucket."""
    mean_B: Floats
    low_B: Floats
    high_B: Floats
    lowest: float
    """Of all values, not of means."""
    highest: float
    last: float
    middle: float
    """Median of the means of the buckets."""


class _Figure:
    """Sums of one figure."""

    def __init__(self) -> None:
        self.count_B, self.step_B, self.sum_B = np.zeros((3, BUCKETS))
        self.low_B, self.high_B = np.full(BUCKETS, np.inf), np.full(BUCKETS, -np.inf)
        self.last = (-1.0, float("nan"))

    def take(self, steps: Floats, values: Floats, scale: float) -> None:
        kept = np.isfinite(values)
        if not kept.all():
            steps, values = steps[kept], values[kept]
        if not len(values):
            return
        bucket = np.minimum((steps * scale).astype(np.int64), BUCKETS - 1)
        self.count_B += np.bincount(bucket, minlength=BUCKETS)
        self.step_B += np.bincount(bucket, steps, BUCKETS)
        self.sum_B += np.bincount(bucket, values, BUCKETS)
        np.minimum.at(self.low_B, bucket, values)
        np.maximum.at(self.high_B, bucket, values)
        newest = len(steps) - 1 - int(np.argmax(steps[::-1]))
        if steps[newest] >= self.last[0]:
            self.last = (float(steps[newest]), float(values[newest]))

    def curve(self) -> Curve | None:
        there = self.count_B > 0
        if not there.any():
            return None
        count_B, low_B, high_B = self.count_B[there], self.low_B[there], self.high_B[there]
        mean_B = np.clip(self.sum_B[there] / count_B, low_B, high_B)
        lowest, highest = float(low_B.min()), float(high_B.max())
        step_B = self.step_B[there] / count_B
        return Curve(step_B, mean_B, low_B, high_B, lowest, highest, self.last[1], float(np.median(mean_B)))


class _Rows:
    """Lines with the same keys, which wait to be added together."""

    def __init__(self, keys: Sequence[str]) -> None:
        wanted = [name for name in keys if name in SINGLE or name.startswith(FAMILIES)]
        self.names = wanted
        self.read = itemgetter("step", *wanted)
        self.rows: list[Any] = []

    def columns(self) -> tuple[Floats, Floats]:
        """(steps, values by line and figure); what is no number is nan."""
        try:
            found = np.array(self.rows, np.float64)
        except (TypeError, ValueError, OverflowError):
            found = np.array([[float(v) if is_number(v) else np.nan for v in row] for row in self.rows])
        self.rows = []
        return found[:, 0], found[:, 1:]


class Curves:
    """All figures of one kind of lines."""

    def __init__(self, last_step: int) -> None:
        self.scale = BUCKETS / (last_step + 1)
        self._figures: dict[str, _Figure] = {}
        self._waiting: dict[tuple[str, ...], _Rows] = {}
        self._count = 0

    def add(self, record: Mapping[str, Any]) -> None:
        """One line with a `step`; figures that are absent, null or no numbers are left out."""
        keys = tuple(record)
        waiting = self._waiting.get(keys)
        if waiting is None:
            waiting = self._waiting[keys] = _Rows(keys)
        if waiting.names:
            waiting.rows.append(waiting.read(record))
            self._count += 1
            if self._count >= WAITING:
                self._flush()

    def _flush(self) -> None:
        parts: dict[str, list[tuple[Floats, Floats]]] = {}
        for waiting in self._waiting.values():
            if waiting.rows:
                steps, values = waiting.columns()
                for number, name in enumerate(waiting.names):
                    parts.setdefault(name, []).append((steps, values[:, number]))
        for name, found in parts.items():
            steps, column = (np.concatenate([pair[side] for pair in found]) for side in (0, 1))
            self._figures.setdefault(name, _Figure()).take(steps, column, self.scale)
        self._count = 0
        self._waiting.clear()

    def close(self) -> dict[str, Curve]:
        """The curves of figures that have any value, in order of appearance."""
        self._flush()
        curves = {name: figure.curve() for name, figure in self._figures.items()}
        return {name: curve for name, curve in curves.items() if curve is not None}


def is_number(value: Any) -> TypeGuard[float]:
    """Is it a finite number (and no truth value)?"""
    if type(value) is int:
        return abs(value) < LARGEST
    return type(value) is float and isfinite(value)
