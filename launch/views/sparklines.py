"""A curve as one line of blocks: ▇▆▅▅▄│▃▃▂ with a line where a stage ends.

sparkline(steps, values, Axis(0, 100, 10, [50]))     ten columns for the steps 0 to 100, and a line at 50
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

BLOCKS = "▁▂▃▄▅▆▇█"
END = "│"


@dataclass(frozen=True)
class Axis:
    """Columns of a terminal for the steps of a run."""

    first: int
    last: int
    columns: int
    ends: Sequence[int] = ()
    """Steps at which a line is drawn between two columns."""

    def column(self, step: float) -> int:
        """Of a step."""
        share = (step - self.first) / max(self.last - self.first, 1)
        return min(max(int(share * self.columns), 0), self.columns - 1)

    def with_ends(self, columns: Sequence[str]) -> str:
        """The columns as text, with the lines between them."""
        places = {self.column(step) for step in self.ends if self.first < step < self.last}
        return "".join((END if place in places else "") + text for place, text in enumerate(columns))

    @property
    def width(self) -> int:
        """Columns of the whole line."""
        return len(self.with_ends(" " * self.columns))


def sparkline(steps: Sequence[float], values: Sequence[float], axis: Axis, low: float, high: float) -> str:
    """Blocks between ``low`` and ``high``; a column without a value repeats the one before it, up to the last."""
    sums: list[list[float]] = [[] for _ in range(axis.columns)]
    for step, value in zip(steps, values, strict=True):
        sums[axis.column(step)].append(value)
    known = [place for place, found in enumerate(sums) if found]
    drawn, before = [" "] * axis.columns, ""
    for place in range(known[0], known[-1] + 1) if known else ():
        if sums[place]:
            before = block(sum(sums[place]) / len(sums[place]), low, high)
        drawn[place] = before
    return axis.with_ends(drawn)


def block(value: float, low: float, high: float) -> str:
    """The block of a value; the middle one where all values are equal."""
    if high <= low:
        return BLOCKS[3]
    share = (value - low) / (high - low)
    return BLOCKS[min(max(round(share * (len(BLOCKS) - 1)), 0), len(BLOCKS) - 1)]
