"""One wide table, RUN/metrics.csv: a row for each line of metrics.jsonl, in the same order, a column for each figure.

    step,event,stage,time,loss/knowledge_masking,...
    20,train,one,1763...,6.1,...
    20,evaluation,one,1763...,6.0,...

Columns never move and none goes away: figures that come later (those of a new task) join at the right, for which the
file is written anew. Every row is there when its line is; the file is replaced in one rename or grows by whole rows.
"""

from __future__ import annotations

import csv
import io
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar

from data_prep.files import write_atomic
from pretrain.sinks import Place, Record, Sink

FILE = "metrics.csv"
FIRST = ("step", "event", "stage", "time")


@dataclass(frozen=True, kw_only=True)
class Csv(Sink):
    """A table of all figures."""

    REWRITTEN: ClassVar[bool] = True

    def open(self, place: Place, kept: Sequence[Record]) -> CsvWriter:
        return CsvWriter(place.folder / FILE, kept)

    def replay(self, place: Place, records: Sequence[Record]) -> None:
        CsvWriter(place.folder / FILE, records).close()


class CsvWriter:
    """A table on disk."""

    def __init__(self, file: Path, kept: Sequence[Record]) -> None:
        self.file = file
        self.back_to(kept)

    def back_to(self, kept: Sequence[Record]) -> None:
        """Write the whole table: what a killed process left behind these lines is gone."""
        self.columns = list(dict.fromkeys([*FIRST, *(name for record in kept for name in cells(record))]))
        write_atomic(self.file, self._text([dict(zip(self.columns, self.columns, strict=True)), *map(cells, kept)]))

    def write(self, record: Record) -> None:
        """One more row; with new columns, the whole table again."""
        row = cells(record)
        if new := [name for name in row if name not in self.columns]:
            with self.file.open(encoding="utf-8", newline="") as handle:
                rows = list(csv.DictReader(handle))
            self.columns += new
            write_atomic(self.file, self._text([dict(zip(self.columns, self.columns, strict=True)), *rows, row]))
            return
        with self.file.open("a", encoding="utf-8", newline="") as handle:
            handle.write(self._text([row]))

    def _text(self, rows: Iterable[dict[str, Any]]) -> str:
        buffer = io.StringIO()
        csv.DictWriter(buffer, self.columns, lineterminator="\n").writerows(rows)
        return buffer.getvalue()

    def close(self) -> None:
        """Nothing is left to be written."""


def cells(record: Record) -> dict[str, Any]:
    """The values of a line that fit into a cell: numbers and texts."""
    return {name: value for name, value in record.items() if isinstance(value, int | float | str)}
