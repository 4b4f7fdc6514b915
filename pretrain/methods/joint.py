"""All tasks at once, from the first step to the last (the paper's "multi-task learning").

order [[a], [b], [c]], iterations {a: 50, b: 50, c: 50}     one stage: a 50 b 50 c 50
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from pretrain.methods import Counts, Method


@dataclass(frozen=True, kw_only=True)
class Joint(Method):
    """One stage trains all tasks; `order` only says which there are."""

    def stage_names(self) -> Sequence[str]:
        return ["joint"]

    def counts(self) -> list[Counts]:
        return [{task: self.iterations.get(task, 0) for task in self.tasks}]
