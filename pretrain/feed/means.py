"""What the losses of a task are divided by: the global number of all its targets, or of each part of them.

    a task with one mean          {"words": 90}
    a task with means of parts    {"electra": 604, "electra/generator": 92, "electra/detector": 512}

    told_counts(targets)  ->  counts of a batch  --summed over a step and all processes-->  scales(...)

So every mean of a task is exact over the whole step, however its targets are spread over batches and processes.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Protocol


class Divided(Protocol):
    """A task, as far as its losses are divided."""

    @property
    def weight(self) -> float:
        """Factor of its mean loss in the total."""
        ...

    @property
    def means(self) -> Mapping[str, float]:
        """Weights of the parts that have a mean each; none: one mean of all targets."""
        ...


def part_of(task: str, part: str) -> str:
    """The name of a part in counts and scales; names of tasks hold no `/`."""
    return f"{task}/{part}"


def counted(tasks: Mapping[str, Divided]) -> list[str]:
    """Everything that is counted for these tasks: all targets of each, then those of its parts."""
    return [name for task, one in tasks.items() for name in (task, *(part_of(task, part) for part in one.means))]


def told_counts(task: str, means: Mapping[str, float], count: int | Mapping[str, int]) -> dict[str, int]:
    """What `targets` said of a batch, by the names of ``counted``.

    Raises:
        ValueError: a number where the task has parts, or the other way round, or other parts.
    """
    parts = count if isinstance(count, Mapping) else {}
    if set(parts) != set(means) or isinstance(count, Mapping) != bool(means):
        told = f"counts of {', '.join(parts) or 'no part'}" if isinstance(count, Mapping) else "one count"
        raise ValueError(f"task {task!r}: `targets` tells {told}, and `means` names {', '.join(means) or 'none'}")
    whole = sum(parts.values()) if isinstance(count, Mapping) else count
    return {task: whole, **{part_of(task, part): parts[part] for part in means}}


def scales(tasks: Mapping[str, Divided], counts: Mapping[str, float]) -> dict[str, float]:
    """weight / global number of targets, of every task and of every part of one."""
    found = {task: one.weight / max(counts[task], 1.0) for task, one in tasks.items()}
    for task, one in tasks.items():
        for part, weight in one.means.items():
            found[part_of(task, part)] = one.weight * weight / max(counts[part_of(task, part)], 1.0)
    return found
