"""Sinks: one file here is one place where metrics can be seen. ``kind: csv`` is ``sinks/csv.py``.

    metrics.jsonl  --every line, as it is written-->  Writer     while training goes on (tracking.py)
                   --all lines at once-->             replay     afterwards (`kmask track RUN --to csv`)

metrics.jsonl is the source of truth. A sink reads the same lines and may fail without harm: whatever it missed is
replayed from the file.
"""

from __future__ import annotations

import sys
from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import Any, ClassVar, NamedTuple, Protocol

Record = Mapping[str, Any]
"""A line of metrics.jsonl: `event`, `step`, `time` and the values of the event."""


class Place(NamedTuple):
    """What a sink is opened for."""

    folder: Path
    """Of the run."""
    config: Mapping[str, Any]
    """The resolved configuration, as plain values."""
    id: str
    """By which a service knows what is written; the same again after a restart."""


class Writer(Protocol):
    """An open sink."""

    def write(self, record: Record) -> None:
        """Take a line that was just written."""
        ...

    def back_to(self, kept: Sequence[Record]) -> None:
        """The run went back to a checkpoint: the file holds ``kept`` again, and lines of these steps come anew."""
        ...

    def close(self) -> None:
        """Finish; every line has reached the sink afterwards."""
        ...


@dataclass(frozen=True, kw_only=True)
class Sink(ABC):
    """A place where metrics can be seen."""

    PACKAGE: ClassVar[str] = ""
    """What must be installed for it; empty: nothing."""
    REWRITTEN: ClassVar[bool] = False
    """Is a replay the whole sink anew (a file)? Otherwise (a service) it goes on behind the lines that an earlier
    replay has sent."""

    @abstractmethod
    def open(self, place: Place, kept: Sequence[Record]) -> Writer:
        """Begin to write.

        Args:
            kept: the lines that metrics.jsonl holds already; those that the sink has beyond them come again.
        """

    def replay(self, place: Place, records: Sequence[Record]) -> None:
        """Send lines that come behind those of an earlier replay, or all; a sink that is REWRITTEN gets all of them."""
        writer = self.open(place, [])
        for record in records:
            writer.write(record)
        writer.close()


def name_of(sink: Sink) -> str:
    """Its name in configurations: that of its file."""
    return type(sink).__module__.removeprefix(f"{__name__}.")


def check_sinks(sinks: Sequence[Sink]) -> None:
    """Raise ValueError when the package of a sink is not installed; names the package."""
    for sink in sinks:
        if sink.PACKAGE and not _installed(sink.PACKAGE):
            raise ValueError(
                f"tracking.sinks: {name_of(sink)} needs the package {sink.PACKAGE!r}, which is not installed (pip "
                f"install {sink.PACKAGE}); metrics.jsonl holds everything without it, and `kmask track` replays it "
                "whenever you like"
            )


def _installed(package: str) -> bool:
    """Can it be imported? A mere folder of this name, as trackers leave them behind, is no package."""
    if package in sys.modules:
        return True
    found = find_spec(package)
    return found is not None and found.origin is not None


def numbers(record: Record) -> dict[str, float]:
    """The figures of a line as sinks name them: {"train/loss/knowledge_masking": 6.1, ...}."""
    event = record["event"]
    return {
        f"{event}/{name}": value
        for name, value in record.items()
        if name not in ("event", "step", "time") and type(value) in (int, float)
    }
