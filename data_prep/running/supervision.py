"""Carry work through, whatever dies on the way.

    round 1    all parts, by the engine          a worker dies: its part is tried again in
    round 2    the parts that are left           it dies at the same document again:
    round 3    that part alone                   and again: the document is quarantined, and the part is made without it

A worker notes the record it is at in a small file (40 bytes, no fsync: only the death of a process matters). One that
is at a record for longer than it may is ended (see engines) and has died like any other. Where it works on a block of
records together, it notes the first of them, and after its death there the part is made record by record. Deaths are
counted by the living launcher that saw them, so killing a whole run blames nobody; neither does killing a worker here
and there, because only three deaths at one record count, the last of them without neighbours that take its memory.

    PREPARED/poison/parts/000017-000123.json     record 123 of part 17: path, line, offset, what happened
"""

from __future__ import annotations

import contextlib
import struct
import time
from abc import ABC, abstractmethod
from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

from data_prep.engines import Died, Engine
from data_prep.files import file_clock, read_json, write_json
from data_prep.running.claims import claim, is_claimed
from data_prep.running.notes import AMONG, NOTE, Moment, Note, Unwritten
from masking.keyed import hash_key, uniform

DEATHS, ELSEWHERE, MOST_DEATHS = 3, 5, 20
"""Deaths at one record before it is quarantined; in a row outside any record, and altogether on one part, before the
run gives up."""
POLL_SECONDS = 0.5
KILLED, ENDLESS = "killed its worker", "took too long"
"""Reasons of a record that is left out: its workers died of it, or were ended because they were at it for too long."""
NOTES = "notes"
"""What the folder of a launch's notes is staged as; it is never published."""


@dataclass(frozen=True, kw_only=True)
class Watch:
    """The notes of one launch and the quarantine of a prepared folder."""

    folder: Path
    """The prepared folder."""
    launch: str
    """Name of the folder of this launch's notes inside it; empty: none are kept."""
    record_seconds: float = 0.0
    """How long a worker may be at one record; 0: for ever."""

    def note_file(self, stage: str, part: int) -> Path:
        """Where the worker on a part notes what it is at."""
        return self.folder / self.launch / f"{stage}-{part:06d}"

    @contextlib.contextmanager
    def noting(self, stage: str, part: int) -> Iterator[Note]:
        """A note that is open while a part is read."""
        if not self.launch:
            yield Unwritten()
            return
        note = Note(self.note_file(stage, part), self.record_seconds)
        try:
            yield note
        finally:
            note.close()

    def turned(self, parts: list[int]) -> list[int]:
        """``parts`` from another one on for each launch: launches that begin together do not ask for the same parts one
        after the other."""
        at = int(uniform(hash_key("launch", self.launch), 0) * len(parts)) if self.launch else 0
        return parts[at:] + parts[:at]

    def take_note(self, stage: str, part: int) -> tuple[Moment | None, bool]:
        """What the dead worker on a part was at, None when it had not begun; and was it there for too long? The note is
        removed."""
        file = self.note_file(stage, part)
        try:
            moment = Moment(*NOTE.unpack(file.read_bytes()))
            seconds = file_clock(file.parent) - file.stat().st_mtime  # by a coarse clock
            endless = bool(self.record_seconds and moment.at and seconds >= 0.99 * self.record_seconds)
        except (OSError, struct.error):
            return None, False
        file.unlink(missing_ok=True)
        return moment, endless

    def work_singly(self, stage: str, part: int) -> None:
        """From now on this launch makes a part record by record: a worker has died in a block of it."""
        self.note_file(stage, part).with_suffix(".singly").touch()

    def is_single(self, stage: str, part: int) -> bool:
        """Is the part made record by record?"""
        return bool(self.launch) and self.note_file(stage, part).with_suffix(".singly").exists()

    def quarantine(self, stage: str, part: int, moment: Moment, path: str, endless: bool = False) -> None:
        """Leave a record out of ``stage`` from now on."""
        detail = f"{DEATHS} times while `{stage}` worked on it"
        if endless:
            detail += f", after {self.record_seconds / 60:g} minutes (engine.record_minutes)"
        entry = {
            "path": path,
            "line": moment.line,
            "offset": moment.offset,
            "reason": ENDLESS if endless else KILLED,
            "detail": detail,
        }
        write_json(self.folder / "poison" / stage / f"{part:06d}-{moment.number:06d}.json", entry)

    def quarantined(self, stage: str, part: int) -> dict[int, tuple[str, str]]:
        """Numbers of the records of a part that are left out of ``stage``, with reason and detail."""
        if not self.launch:
            return {}
        files = sorted((self.folder / "poison" / stage).glob(f"{part:06d}-*.json"))
        found = {int(file.stem.partition("-")[2]): read_json(file) for file in files}
        return {number: (str(entry["reason"]), str(entry["detail"])) for number, entry in found.items()}


NOWHERE = Watch(folder=Path(), launch="")
"""For work outside a prepared folder: no notes are kept."""


class Busy(NamedTuple):
    """Stands for the result of a part that another launch is at."""

    part: int


class Task(ABC):
    """Work on part numbers that several launches may share. Objects are sent to worker processes."""

    stage: str
    """Name of the work, in claims and notes."""
    watch: Watch

    @abstractmethod
    def finished(self, part: int) -> Any | None:
        """The result of a part that is there already, None otherwise."""

    @abstractmethod
    def make(self, part: int) -> Any:
        """Do the work, publish it, return its result."""

    @abstractmethod
    def path_of(self, part: int, moment: Moment | None) -> str:
        """The user's file that the worker on a part read at ``moment`` (None: when it began)."""

    def claim_file(self, part: int) -> Path:
        """The claim on a part."""
        return self.watch.folder / "claims" / f"{self.stage}-{part:06d}"

    def __call__(self, part: int) -> Any:
        """The result of a part, made now unless it is there; Busy when another launch is at it."""
        if (result := self.finished(part)) is not None:
            return result
        with claim(self.claim_file(part)) as mine:
            if not mine:
                return Busy(part)
            result = self.finished(part)
            return self.make(part) if result is None else result


def run_all(engine: Engine, task: Task, parts: Sequence[int]) -> Iterator[Any]:
    """The results of all parts as they finish. Parts whose worker died are tried again; those that others are at are
    waited for.

    Raises:
        RuntimeError: workers die without a document that could be blamed.
    """
    left = task.watch.turned(list(parts))
    deaths: dict[int, list[Moment | None]] = defaultdict(list)
    while left:
        suspects = [part for part in left if _is_suspect(deaths[part])]
        groups = [[part for part in left if part not in suspects], *([part] for part in suspects)]
        left, busy = [], []
        for group in filter(None, groups):
            for result in engine.run(task, group):
                if isinstance(result, Died):
                    left.append(result.part)
                    _blame(task, result.part, deaths[result.part])
                elif isinstance(result, Busy):
                    busy.append(result.part)
                else:
                    yield result
        while busy and not left and all(is_claimed(task.claim_file(part)) for part in busy):
            time.sleep(POLL_SECONDS)
        left = task.watch.turned(sorted(left + busy))


def _is_suspect(deaths: Sequence[Moment | None]) -> bool:
    """Did a worker die at the same record before?"""
    return deaths[-1:] != [None] and len(deaths) > 1 and deaths[-1] in deaths[:-1]


def _blame(task: Task, part: int, deaths: list[Moment | None]) -> None:
    """Remember a death; quarantine the record that caused it, or give up when no record can be blamed."""
    moment, endless = task.watch.take_note(task.stage, part)
    deaths.append(moment)
    if moment and moment.at == AMONG:
        task.watch.work_singly(task.stage, part)
    if moment and moment.at == 1 and deaths.count(moment) >= DEATHS:
        task.watch.quarantine(task.stage, part, moment, task.path_of(part, moment), endless)
        deaths.clear()
        return
    in_a_row = len(deaths) >= ELSEWHERE and len(set(deaths[-ELSEWHERE:])) == 1
    if not in_a_row and len(deaths) < MOST_DEATHS:
        return
    path = task.path_of(part, moment)
    place = (
        f"before the first document of {path}"
        if not moment or moment.number < 0
        else f"after line {moment.line} of {path}"
    )
    raise RuntimeError(
        f"a worker process died {len(deaths)} times on part {part} of `{task.stage}`, the last time {place} (out of "
        "memory, or killed). Nothing finished is lost: run the same command again, with fewer workers "
        "(engine.workers=1) if memory is short."
    )
