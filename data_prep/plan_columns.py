"""The files and slices of a plan as columns: in memory, or mapped from the folder they were written to."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from data_prep.arrow_arrays import values_of
from data_prep.arrow_files import read_table

FILES, SLICES = "files.arrow", "slices.arrow"


class PlannedFile(NamedTuple):
    """One file."""

    path: str
    corpus: int
    """Index of its entry under `corpora`."""
    source: str
    """Name under which its documents are counted."""
    sha256: str
    """Of its content, as the corpus surveys it."""
    size: int
    """Of its text in bytes."""


class PlannedSlice(NamedTuple):
    """A piece of a file, as a Slice of corpora/."""

    file: int
    start: int
    end: int
    line: int
    size: int


@dataclass(frozen=True)
class Columns:
    """Files and slices. In workers they are mapped from ``folder``; None: they are held in memory."""

    folder: Path | None
    held: tuple[Any, Any] | None = None
    """Arrow tables of files and slices."""

    @cached_property
    def tables(self) -> tuple[Any, Any]:
        """The Arrow tables of files and slices."""
        if self.held is not None:
            return self.held
        assert self.folder is not None
        return read_table(self.folder / FILES), read_table(self.folder / SLICES)

    def column(self, table: int, name: str) -> npt.NDArray[Any]:
        """A column of numbers of the files (0) or slices (1), without a copy."""
        found: npt.NDArray[Any] = (
            values_of(self.tables[table].column(name)) if self.tables[table].num_rows else np.zeros(0, np.int64)
        )
        return found

    def __getstate__(self) -> dict[str, Any]:
        return {"folder": self.folder, "held": None if self.folder else self.held}
