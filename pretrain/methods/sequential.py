"""One task after the other: a stage trains only the tasks that join in it (the paper's "continual learning").

    order [[a], [b], [c]], iterations {a: 50, b: 50, c: 50}     stage 1: a 50     stage 2: b 50         stage 3: c 50
    replay 0.1                                                  stage 1: a 50     stage 2: b 50 a 6     3: c 50 a 3 b 3

What was learned before is forgotten; a small share of the earlier tasks' rows is known to slow that down (experience
replay). Replayed rows come on top of the iterations of their tasks.
"""

from __future__ import annotations

from dataclasses import dataclass

from pretrain.methods import Counts, Method
from pretrain.stages.schedule import apportion


@dataclass(frozen=True, kw_only=True)
class Sequential(Method):
    """Every stage trains the tasks that join in it, and no other."""

    replay: float = 0.0
    """Share of a stage's rows that all earlier tasks get together, divided by their iterations; rounded to whole
    iterations."""

    def __post_init__(self) -> None:
        super().__post_init__()
        if not 0 <= self.replay < 1:
            raise ValueError(f"replay: {self.replay:g} must be at least 0 and below 1")

    def counts(self) -> list[Counts]:
        found: list[Counts] = []
        earlier: list[str] = []
        for number, group in enumerate(self.order, 1):
            own = {task: self.iterations.get(task, 0) for task in group}
            found.append({**self._replayed(earlier, sum(own.values()), number), **own} if self.replay else own)
            earlier += group
        return found

    def _replayed(self, earlier: list[str], new: int, number: int) -> Counts:
        """Iterations of the earlier tasks beside ``new`` ones."""
        weights = {task: float(count) for task in earlier if (count := self.iterations.get(task, 0))}
        if not weights:
            return {}
        total = round(new * self.replay / (1 - self.replay))
        shares = apportion(weights, total)
        if poor := [task for task, count in shares.items() if not count]:
            raise ValueError(
                f"replay: {self.replay:g} of stage {number} is {total} iterations, none of them for {poor[0]}; raise it"
            )
        return {task: shares.get(task, 0) for task in earlier}
