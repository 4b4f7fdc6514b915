"""What a worker notes while it works, so that its death can be traced to a record: 40 bytes in a file, written over and
over.

Note.at(17, ...)     it is at record 17      Note.among(17, ...)     at a block that begins there
    Note.after(17, ...)     done
"""

from __future__ import annotations

import os
import struct
from pathlib import Path
from typing import NamedTuple

from data_prep.documents import Place
from data_prep.engines import end_after

AMONG = 2


class Moment(NamedTuple):
    """What a worker was doing: at a record, at a block of records, or between records (reading the next one, or
    writing)."""

    at: int
    """1 while it worked on the record, 0 after it; AMONG while it worked on a block that begins with it."""
    number: int
    """Of the record among the part's, from 0; -1 before the first one."""
    file: int
    """Number of its file in the plan."""
    line: int
    offset: int


NOTE = struct.Struct("<5q")


class Note:
    """The open note of one part, and the time that its worker has for a record."""

    def __init__(self, path: Path, seconds: float) -> None:
        self._seconds = seconds
        path.parent.mkdir(parents=True, exist_ok=True)
        self._descriptor = os.open(path, os.O_CREAT | os.O_WRONLY, 0o666)
        self._write(0, -1, 0, 0, 0)

    def _write(self, at: int, number: int, file: int, line: int, offset: int) -> None:
        os.pwrite(self._descriptor, NOTE.pack(at, number, file, line, offset), 0)

    def at(self, number: int, file: int, place: Place) -> None:
        """Work on this record begins."""
        self._write(1, number, file, place.line, place.offset)
        end_after(self._seconds)

    def among(self, number: int, file: int, place: Place) -> None:
        """Work on a block that begins with this record begins."""
        self._write(AMONG, number, file, place.line, place.offset)
        end_after(self._seconds)

    def after(self, number: int, file: int, place: Place) -> None:
        """Work on this record is done."""
        end_after(0)
        self._write(0, number, file, place.line, place.offset)

    def close(self) -> None:
        """No more notes on this part."""
        end_after(0)
        os.close(self._descriptor)


class Unwritten(Note):
    """A note that nobody will read."""

    def __init__(self) -> None:
        self._seconds = 0.0

    def _write(self, at: int, number: int, file: int, line: int, offset: int) -> None:
        pass
