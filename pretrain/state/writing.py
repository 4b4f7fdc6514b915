"""A checkpoint is written while training goes on: one thread on rank 0, one save in flight at most.

    writer.start(pending, snapshot)    hands a moment over; every rank remembers that it is in flight
    writer.outcome()                   WRITTEN, FAILED, BROKEN, or NOTHING as long as it is being written; what rank 0
                                       tells the others (saving.py)
    writer.wait()                      the same, when it has ended
    writer.take()                      what became of it; the next may begin
    writer.close()                     waits for the end, whatever happened: the lock of the run goes after that

Nothing that later steps change is handed over: tensors are copies on the CPU (optimizer_state.py), the state is copied
here.
"""

from __future__ import annotations

import copy
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

from pretrain.state.checkpoint import Snapshot
from pretrain.state.store import Store

NOTHING, WRITTEN, FAILED, BROKEN = range(4)
"""What became of a save: not known yet, on the disk, no room for it (an OSError), another error."""


class Pending(NamedTuple):
    """A save in flight; the same on every rank."""

    step: int
    stage: str
    must: bool
    """Does the run end with it? Then it may not fail."""
    waits: bool
    """Does training wait for it to be written?"""
    stall: float
    """Seconds that training waited before it was handed over: for the save before, gathering, copying, judging."""


class Written(NamedTuple):
    """What became of a save; on rank 0."""

    path: Path = Path()
    seconds: float = 0.0
    """From the hand-over to its end."""
    size: int = 0
    """Bytes."""
    error: Exception | None = None


class Writer:
    """The one that writes the checkpoints of a run; on other ranks it only knows that a save is in flight."""

    def __init__(self, folder: Path, keep: int, keep_every: int, note: Callable[[str], None]) -> None:
        self.store, self.note = Store(folder, keep, self.say, keep_every), note
        self.pending: Pending | None = None
        self._notes: list[str] = []
        self._written = Written()
        self._thread: threading.Thread | None = None

    def start(self, pending: Pending, snapshot: Snapshot | None) -> None:
        """Begin to write; None on ranks other than the first."""
        assert self.pending is None, "one save in flight at most"
        self.pending = pending
        if snapshot is None:
            return
        self._written = Written(error=RuntimeError("the checkpoint's writer ended without a word"))
        own = Snapshot(state=copy.deepcopy(snapshot.state), tensors=snapshot.tensors)
        self._thread = threading.Thread(target=self._write, args=(own,), name="checkpoint writer", daemon=True)
        self._thread.start()

    def outcome(self) -> int:
        """How the save in flight ended; NOTHING when there is none, or not here, or it is being written."""
        if self._thread is None or self._thread.is_alive():
            return NOTHING
        error = self._written.error
        return WRITTEN if error is None else FAILED if isinstance(error, OSError) else BROKEN

    def wait(self) -> int:
        """The outcome, when the writer has ended."""
        if self._thread is not None:
            self._thread.join()
        return self.outcome()

    def take(self) -> tuple[Pending, Written]:
        """The save that has ended, and what became of it; what it had to say is told."""
        assert self.pending is not None
        found, self.pending, self._thread = (self.pending, self._written), None, None
        self._written = Written()
        for text in self._notes:
            self.note(text)
        self._notes.clear()
        return found

    def close(self) -> None:
        """Wait for the writer's end; what it wrote is complete or absent."""
        self.wait()

    def say(self, text: str) -> None:
        """A line for the user about the checkpoints; from the writer's thread it waits until the save is taken."""
        if threading.current_thread() is self._thread:
            self._notes.append(text)
        else:
            self.note(text)

    def _write(self, snapshot: Snapshot) -> None:
        started = time.perf_counter()
        path, size, error = Path(), 0, None
        try:
            path = self.store.save(snapshot)
            size = sum(file.stat().st_size for file in path.iterdir())
        except Exception as caught:
            error = caught
        self._written = Written(path, time.perf_counter() - started, size, error)
