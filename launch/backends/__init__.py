"""Backends: one file is one way to start the processes of a run. ``kind: hostfile`` is ``backends/hostfile.py``."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple


class Command(NamedTuple):
    """One process to start."""

    argv: list[str]
    environment: dict[str, str]
    """Variables set on top of the caller's."""


@dataclass(frozen=True, kw_only=True)
class Backend(ABC):
    """Starts `kmask train` on one or more machines."""

    @abstractmethod
    def commands(self, arguments: Sequence[str], rank_logs: str) -> list[Command]:
        """What would be started for ``kmask <arguments>``; shown by --dry-run."""

    @abstractmethod
    def run(self, arguments: Sequence[str], rank_logs: str) -> int:
        """Start it, wait for the end and return the exit code."""
