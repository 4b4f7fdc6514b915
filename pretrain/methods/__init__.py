"""Methods: one file here is one way to spread tasks over stages. ``kind: joint`` is ``methods/joint.py``.

    schedule:
      kind: continual_multi_task
      order: [[knowledge_masking, span_boundary], [sentence_reordering]]     # the tasks that join in each stage
      iterations: {knowledge_masking: 30_000, sentence_reordering: 20_000}   # of each task, over the whole run

A method only writes stages, when the configuration is read: what it wrote is what is shown, trained and recorded, and
an equal list under `stages` trains the same.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from pretrain.objectives import Objective
from pretrain.stages.schedule import Amount, Stage

Counts = dict[str, int]
"""Iterations by task; 0: it rides on the rows of others."""


@dataclass(frozen=True, kw_only=True)
class Method(ABC):
    """How the tasks of a run are spread over its stages."""

    order: list[list[str]]
    """The tasks that join, stage by stage. Those that build no rows of their own ride from the stage in which they
    join."""
    iterations: dict[str, int]
    """Iterations of each task that builds rows, over the whole run; one is `batch.rows_per_step` rows. 0: it only
    rides."""
    names: list[str] = field(default_factory=list)
    """Names of the stages; by default those of the tasks that join, with + between them."""

    def __post_init__(self) -> None:
        if not self.order:
            raise ValueError("order: name the tasks of at least one stage")
        for number, group in enumerate(self.order, 1):
            if not group:
                raise ValueError(f"order: stage {number} is empty; name the tasks that join there")
        for task, count in Counter(self.tasks).items():
            if count > 1:
                where = [str(number) for number, group in enumerate(self.order, 1) for name in group if name == task]
                raise ValueError(f"order: {task} is named {count} times (stages {', '.join(where)}); a task joins once")
        for task, count in self.iterations.items():
            if task not in self.tasks:
                raise ValueError(f"iterations: {task!r} is in no stage of order ({', '.join(self.tasks)})")
            if count < 0:
                raise ValueError(f"iterations: {task}: {count} must not be negative")

    @property
    def tasks(self) -> list[str]:
        """All its tasks, in the order in which they join."""
        return [task for group in self.order for task in group]

    @abstractmethod
    def counts(self) -> list[Counts]:
        """The iterations of every task of every stage.

        Raises:
            ValueError: they do not add up.
        """

    def stage_names(self) -> Sequence[str]:
        """What stages are called where the user gives no names."""
        return ["+".join(group) for group in self.order]

    def stages(self, tasks: Mapping[str, Objective]) -> list[Stage]:
        """The stages of a run with these tasks.

        Raises:
            ValueError: a task is unknown, lacks iterations or must not have any, or numbers do not add up.
        """
        for name in self.tasks:
            if name not in tasks:
                raise ValueError(f"schedule: order names {name!r}, which is not in tasks ({', '.join(tasks)})")
            if tasks[name].BUILDS_ROWS and name not in self.iterations:
                raise ValueError(f"schedule: iterations lacks {name}, which builds rows; give it a number")
            if not tasks[name].BUILDS_ROWS and self.iterations.get(name):
                raise ValueError(
                    f"schedule: iterations gives {name} {self.iterations[name]:,}, but it builds no rows: it rides on "
                    "those of others; leave it out there"
                )
        try:
            counts = self.counts()
        except ValueError as error:
            raise ValueError(f"schedule: {error}") from None
        names = self.names or self.stage_names()
        if len(names) != len(counts):
            raise ValueError(f"schedule: names has {len(names)} entries, there are {len(counts)} stages")
        for number, items in enumerate(counts, 1):
            if not any(items.values()):
                raise ValueError(
                    f"schedule: stage {number} has no rows: {', '.join(items)} only rides on those of others; let it "
                    "join beside a task that has iterations"
                )
        return [
            Stage(name=name, tasks={task: Amount(iterations=count) if count else 0.0 for task, count in items.items()})
            for name, items in zip(names, counts, strict=True)
        ]
