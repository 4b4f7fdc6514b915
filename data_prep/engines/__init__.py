"""Engines: one file here is one place where parts run. ``kind: local`` in a configuration is ``engines/local.py``.

An engine may run a part anywhere, any number of times and in any order: a part is a pure function of (plan, part), published by
one rename.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True, kw_only=True)
class Engine(ABC):
    """Runs the same function on many part numbers."""

    @abstractmethod
    def run(self, work: Callable[[int], Any], parts: Sequence[int]) -> Iterator[Any]:
        """Results of ``work(part)`` as they finish. ``work`` can be pickled.

        Raises:
            RuntimeError: a worker died without an exception of its own.
        """
