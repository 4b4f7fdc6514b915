"""Engines: one file here is one place where parts run. ``kind: local`` in a configuration is ``engines/local.py``.

An engine may run a part anywhere, any number of times and in any order: a part is a pure function of (plan, part),
published by one rename. It tells when a process ended without an answer and leaves it to its caller what follows (see
supervision.py).

A worker that is stuck ends like one that died: the kernel's own timer ends it, because a compiled loop or a regular
expression lets no thread of Python run that could.
"""

from __future__ import annotations

import contextlib
import math
import os
import signal
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

OUT_OF_MEMORY = 137
_timed = False
"""May this process be ended? Only inside a worker."""


class Died(NamedTuple):
    """Stands for the result of a part whose process ended without one: killed, out of memory, or crashed in compiled
    code."""

    part: int


@dataclass(frozen=True, kw_only=True)
class Engine(ABC):
    """Runs the same function on many part numbers."""

    record_minutes: float = 30.0
    """Work on one document may take so long in each step; a worker that is at one for longer is ended and tries again,
    and the third time the document is set aside. Reading it from its file is not limited. 0: no limit."""

    def __post_init__(self) -> None:
        if not 0 <= self.record_minutes < math.inf:
            raise ValueError(f"record_minutes: {self.record_minutes} must be 0 (no limit) or more")

    @abstractmethod
    def run(self, work: Callable[[int], Any], parts: Sequence[int]) -> Iterator[Any]:
        """Results of ``work(part)`` as they finish; ``Died(part)`` where a process ended without one. ``work`` can be
        pickled.

        Raises:
            Exception: whatever ``work`` raised, in its own type.
        """


def answer(work: Callable[[int], Any], part: int) -> Any:
    """``work(part)`` inside a worker. One that is out of memory ends as if the kernel had ended it: nothing it still
    holds can be trusted."""
    global _timed
    with contextlib.suppress(
        ValueError
    ):  # a worker whose tasks do not run in its main thread keeps what it does at SIGALRM: end, by default
        signal.signal(signal.SIGALRM, signal.SIG_DFL)
    signal.pthread_sigmask(signal.SIG_UNBLOCK, [signal.SIGALRM])
    _timed = True
    try:
        return work(part)
    except MemoryError:
        os._exit(OUT_OF_MEMORY)
    finally:
        end_after(0)
        _timed = False


def end_after(seconds: float) -> float:
    """Have this worker ended by the kernel in so many seconds, unless this is called again; 0: never. Returns what was
    left of the last time."""
    return signal.setitimer(signal.ITIMER_REAL, seconds)[0] if _timed else 0.0


@contextlib.contextmanager
def untimed() -> Iterator[None]:
    """The block (loading something for the first time) does not count."""
    left = end_after(0)
    try:
        yield
    finally:
        end_after(left)
