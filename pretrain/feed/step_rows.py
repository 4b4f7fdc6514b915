"""How many rows each step has: all the same, or growing at first. Pure: any step can be asked.

rows 8, first 2, growing in 6 steps  ->  2 2 4 4 6 6 8 8 8 ...     linear, in whole multiples of the first
"""

from __future__ import annotations

import bisect
from dataclasses import dataclass


@dataclass(frozen=True, kw_only=True)
class StepRows:
    """The rows of every step."""

    rows: int
    """Rows of a step, once they have grown."""
    first: int = 0
    """Rows of the first step, which divide ``rows``; without meaning where nothing grows."""
    growing: int = 0
    """Steps in which they grow; 0: all steps have ``rows``."""
    begin: int = 0
    """The step of the run that is the first."""

    def of(self, step: int) -> int:
        """Rows of a step of the run."""
        done = step - self.begin
        if done >= self.growing:
            return self.rows
        return self.first * (1 + done * self._more // self.growing)

    def between(self, begin: int, end: int) -> int:
        """Rows of all steps from ``begin`` to before ``end``."""
        return self._before(end - self.begin) - self._before(begin - self.begin)

    def filled(self, begin: int, rows: int) -> int:
        """The fewest steps from ``begin`` on that have so many rows together."""
        return bisect.bisect_left(range(rows), rows, key=lambda steps: self.between(begin, begin + steps))

    @property
    def _more(self) -> int:
        """How often ``first`` is added."""
        return self.rows // self.first - 1

    def _before(self, steps: int) -> int:
        """Rows of the first steps: those of a step without growth, less what each addition comes too late for."""
        if not self.growing:
            return steps * self.rows
        begins = (-(-added * self.growing // self._more) for added in range(1, self._more + 1))
        return self.first * (steps + sum(max(0, steps - begin) for begin in begins))
