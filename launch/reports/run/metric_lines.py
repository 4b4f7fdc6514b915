"""metrics.jsonl as records, in two passes over the file and none of it held in memory.

    first pass    the step of every line  ->  the last step, and which lines were done again after a resume
    second pass   the records of all other lines; lines that are none are counted, the first of them kept by number

A file that is being written may end in half a line: that is no fault.
"""

from __future__ import annotations

import json
import re
from array import array
from bisect import bisect_left
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, BinaryIO

import orjson

HEAD = re.compile(rb'\{"event": "(\w+)", "step": (\d{1,15})[,}]')
"""How every line of kmask begins."""
TOLD = 5
"""Faulty lines that are kept by number."""


@dataclass(kw_only=True)
class MetricLines:
    """What the first pass found, and what the second counts."""

    file: Path
    size: int = 0
    """Bytes that were there in the first pass; what is written later is left out."""
    last_step: int = 0
    """The highest step of a line of training or evaluation."""
    first_step: int = 0
    """The lowest one."""
    repeated: list[tuple[int, int]] = field(default_factory=list)
    """Ranges of lines (from 0, half-open) whose steps were done again by later lines."""
    bad: int = 0
    """Lines that are no events."""
    told: list[str] = field(default_factory=list)
    """The first of them: `line 7: why`."""
    unfinished: bool = False
    """Does the file end in half a line?"""

    @property
    def repeated_lines(self) -> int:
        """How many lines were left out because their steps were done again."""
        return sum(end - begin for begin, end in self.repeated)

    def records(self) -> Iterator[dict[str, Any]]:
        """Every event that counts, in order: a dict with a text `event` and a whole `step` of 0 or more."""
        with self.file.open("rb", buffering=1 << 20) as handle:
            self._scan(handle)
            handle.seek(0)
            ranges = iter([*self.repeated, (1 << 62, 1 << 62)])
            begin, end = next(ranges)
            for number, line in enumerate(_lines(handle, self.size)):
                if number >= end:
                    begin, end = next(ranges)
                if number < begin and (record := self._record(number, line)) is not None:
                    yield record

    def _scan(self, handle: BinaryIO) -> None:
        """The first pass."""
        steps, numbers = array("q"), array("q")
        lowest, highest = None, 0
        for number, line in enumerate(_lines(handle, 1 << 62)):
            self.size += len(line)
            head = HEAD.match(line)
            if head:
                event, step = head[1], int(head[2])
            elif (record := event_of(line)) and not isinstance(record, str):
                event, step = str(record["event"]).encode(), record["step"]
            else:
                continue
            if event == b"train":
                if steps and step <= steps[-1]:
                    place = bisect_left(steps, step)
                    self._leave_out(numbers[place], number)
                    del steps[place:], numbers[place:]
                steps.append(step)
                numbers.append(number)
            if event in (b"train", b"evaluation"):
                lowest = step if lowest is None else min(lowest, step)
                highest = max(highest, step)
        self.last_step = highest if not steps else steps[-1]
        self.first_step = lowest or 0

    def _leave_out(self, begin: int, end: int) -> None:
        while self.repeated and self.repeated[-1][1] >= begin:
            begin = min(begin, self.repeated.pop()[0])
        self.repeated.append((begin, end))

    def _record(self, number: int, line: bytes) -> dict[str, Any] | None:
        found = event_of(line)
        if not isinstance(found, str):
            return found
        if not line.endswith(b"\n"):
            self.unfinished = True
        elif line.strip():
            self.bad += 1
            if len(self.told) < TOLD:
                self.told.append(f"line {number + 1:,}: {found}")
        return None


def _lines(handle: BinaryIO, size: int) -> Iterator[bytes]:
    """Lines of the first ``size`` bytes."""
    left = size
    for line in handle:
        left -= len(line)
        if left < 0:
            return
        yield line


def event_of(line: bytes) -> dict[str, Any] | str:
    """The event of a line, or why it is none."""
    try:
        value = orjson.loads(line)
    except ValueError:  # or a number that is none, which Python's own reader takes
        try:
            value = json.loads(line)
        except UnicodeDecodeError:
            return "is not UTF-8"
        except (ValueError, RecursionError):
            return "is not JSON"
    if not isinstance(value, dict) or not isinstance(value.get("event"), str):
        return "is no object with an `event`"
    step = value.get("step")
    if type(step) is not int or not 0 <= step < 10**15:
        return f"its step {json.dumps(step)[:40]} is not a whole number of 0 or more"
    return value
