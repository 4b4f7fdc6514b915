"""Engines: one file here is one place where parts run. ``kind: local`` in a configuration is ``engines/local.py``.

An engine may run a part anywhere, any number of times and in any order: a part is a pure function of (plan, part), published by
one rename. It tells when a process ended without an answer and leaves it to its caller what follows (see supervision.py).
"""

from __future__ import annotations

import os
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

OUT_OF_MEMORY = 137


class Died(NamedTuple):
    """Stands for the result of a part whose process ended without one: killed, out of memory, or crashed in compiled code."""

    part: int


@dataclass(frozen=True, kw_only=True)
class Engine(ABC):
    """Runs the same function on many part numbers."""

    @abstractmethod
    def run(self, work: Callable[[int], Any], parts: Sequence[int]) -> Iterator[Any]:
        """Results of ``work(part)`` as they finish; ``Died(part)`` where a process ended without one. ``work`` can be pickled.

        Raises:
            Exception: whatever ``work`` raised, in its own type.
        """


def answer(work: Callable[[int], Any], part: int) -> Any:
    """``work(part)`` inside a worker. One that is out of memory ends as if the kernel had ended it: nothing it still holds can be trusted."""
    try:
        return work(part)
    except MemoryError:
        os._exit(OUT_OF_MEMORY)
