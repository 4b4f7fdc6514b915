"""Where a run stood still: the clock went on much longer than the seconds that training counted.

    train at 10:00:00, 50 s of training    train at 10:30:00, 60 s of training   ->   a pause of 29:50 before the second

A run that is stopped or killed writes nothing about it; when it goes on, this is how it shows.
"""

from __future__ import annotations

import math
from array import array
from collections.abc import Mapping
from typing import Any

from launch.reports.run.curves import is_number
from launch.shell.formatting import clock

LEAST_SECONDS = 10.0
"""A shorter one may be a slow disk."""
LEAST_BETWEEN_STAGES = 60.0
"""A stage begins with a new engine, which takes its time."""
USUAL_TIMES = 20.0
"""A pause is so many times as long as what usually lies between two lines."""


class Pauses:
    """Looks at every line of training and evaluation."""

    def __init__(self) -> None:
        self._step, self._time, self._seconds, self._stage = 0, math.nan, math.nan, ""
        self._measuring = 0.0
        self._idle = array("f")
        self._long: list[tuple[int, float]] = []

    def measured(self, record: Mapping[str, Any]) -> None:
        """The next line, one of evaluation: up to it nothing stood still."""
        if is_number(time := record.get("time")) and time > self._time:
            self._measuring = time - self._time

    def train(self, record: Mapping[str, Any]) -> None:
        """The next line, one of training."""
        time, seconds, stage = record.get("time"), record.get("seconds"), str(record.get("stage"))
        if not is_number(time) or not is_number(seconds):
            return
        idle = time - self._time - (seconds - self._seconds) - self._measuring
        if idle == idle:
            self._idle.append(max(idle, 0.0))
            if idle > (LEAST_SECONDS if stage == self._stage else LEAST_BETWEEN_STAGES):
                self._long.append((self._step, idle))
        self._step, self._time, self._seconds, self._stage = record["step"], time, seconds, stage
        self._measuring = 0.0

    def found(self) -> list[tuple[int, str]]:
        """(step before it, how long) of every pause."""
        usual = sorted(self._idle)[len(self._idle) // 2] if self._idle else 0.0
        return [
            (step, f"a pause of {clock(idle)}: stopped and continued, as a rule")
            for step, idle in self._long
            if idle > USUAL_TIMES * usual
        ]
