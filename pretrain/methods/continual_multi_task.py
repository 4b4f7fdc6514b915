"""Continual multi-task learning (ERNIE 2.0, Sun et al. 2020, section 3.2): a stage trains its new tasks and all before.

The N iterations of a task are spread over the stage in which it joins and all later ones, so that later stages still
hold the old tasks:

    order [[a], [b], [c]], iterations {a: 50, b: 50, c: 50}     1: a 17     2: a 17 b 25     3: a 16 b 25 c 50
    spread {a: [20, 10, 20], b: [30, 20]}                       1: a 20     2: a 10 b 30     3: a 20 b 20 c 50

The second is the table of the paper, in thousands.
"""

from __future__ import annotations

from dataclasses import dataclass, field

from pretrain.methods import Counts, Method
from pretrain.stages.schedule import apportion


@dataclass(frozen=True, kw_only=True)
class ContinualMultiTask(Method):
    """Every stage trains the tasks that join and all earlier ones; the iterations of each are spread over its
    stages."""

    spread: dict[str, list[int]] = field(default_factory=dict)
    """Iterations of a task in the stage in which it joins and in each later one; evenly where nothing is written. 0: it
    pauses there."""

    def __post_init__(self) -> None:
        super().__post_init__()
        for task, counts in self.spread.items():
            if not self.iterations.get(task):
                raise ValueError(
                    f"spread: {task} has no iterations to be spread; give their sum, {sum(counts):,}, in iterations"
                    if task in self.tasks
                    else f"spread: {task!r} is in no stage of order ({', '.join(self.tasks)})"
                )
            if len(counts) != self._stages_of(task):
                raise ValueError(
                    f"spread: {task} has {len(counts)} numbers, but from stage {self._joins(task) + 1} on, where it "
                    f"joins, there are {self._stages_of(task)} stages"
                )
            if min(counts) < 0 or not counts[0]:
                raise ValueError(f"spread: {task}: {counts} must not be negative, and the first must be at least 1")
            if sum(counts) != self.iterations[task]:
                raise ValueError(
                    f"spread: {task}: {' + '.join(f'{count:,}' for count in counts)} = {sum(counts):,}, but iterations "
                    f"gives it {self.iterations[task]:,}"
                )

    def _joins(self, task: str) -> int:
        return next(index for index, group in enumerate(self.order) if task in group)

    def _stages_of(self, task: str) -> int:
        return len(self.order) - self._joins(task)

    def _spread(self, task: str) -> list[int]:
        """Its iterations from the stage in which it joins on."""
        if task in self.spread:
            return self.spread[task]
        total, stages = self.iterations.get(task, 0), self._stages_of(task)
        if 0 < total < stages:
            raise ValueError(f"iterations: {task} has {total:,} for {stages} stages; give it one for each, or a spread")
        return list(apportion(dict.fromkeys(map(str, range(stages)), 1.0), total).values())

    def counts(self) -> list[Counts]:
        found: list[Counts] = [{} for _ in self.order]
        for task in self.tasks:
            for index, count in enumerate(self._spread(task), self._joins(task)):
                if count or not self.iterations.get(task):
                    found[index][task] = count
        return found
