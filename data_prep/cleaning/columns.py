"""Plain arrays in files, one folder per part, read as one long column.

    part 0: numbers = [0, 2]     part 1: numbers = [1]      ->  Columns([part 0, part 1]).read("numbers") = [0, 2, 1]

A file holds the values and nothing else, so it can be written piece by piece; whoever reads it knows the type. Files are memory-mapped.

Shape legend: D documents of all parts in order.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

Array = npt.NDArray[Any]


def append(file: Path, values: Array) -> None:
    """Add ``values`` to the end of a column (an empty column is a file too)."""
    with file.open("ab") as stream:
        stream.write(np.ascontiguousarray(values).data if values.size else b"")


def mapped(file: Path, kind: Any, width: int = 0) -> Array:
    """A column as [rows], or [rows, width]; empty when there is no file or nothing in it."""
    count = file.stat().st_size if file.exists() else 0
    values = np.memmap(file, kind, "r") if count else np.zeros(0, kind)
    return np.asarray(values).reshape(-1, width) if width else np.asarray(values)


def write_texts(folder: Path, name: str, texts: Sequence[str]) -> None:
    """A column of texts: their bytes, and where each ends."""
    encoded = [text.encode("utf-8", "surrogatepass") for text in texts]
    (folder / f"{name}.bytes").write_bytes(b"".join(encoded))
    append(folder / f"{name}.ends", np.cumsum([len(item) for item in encoded], dtype=np.int64))


class Texts:
    """A column of texts on disk."""

    def __init__(self, folder: Path, name: str) -> None:
        self._bytes, self._ends = mapped(folder / f"{name}.bytes", np.uint8), mapped(folder / f"{name}.ends", np.int64)

    def __len__(self) -> int:
        return len(self._ends)

    def __getitem__(self, index: int) -> str:
        start = int(self._ends[index - 1]) if index else 0
        return self._bytes[start : int(self._ends[index])].tobytes().decode("utf-8", "surrogatepass")


class Columns:
    """The columns of many folders, one after the other; folders without documents are there too."""

    def __init__(self, folders: Sequence[Path]) -> None:
        self.folders = folders
        self.counts = [len(mapped(folder / "numbers", np.int64)) for folder in folders]
        self.starts = np.cumsum([0, *self.counts])
        self.count = int(self.starts[-1])

    def read(self, name: str, kind: Any, width: int = 0) -> Array:
        """A whole column in memory, [D] or [D, width]."""
        return np.concatenate([np.zeros((0, width) if width else 0, kind), *(mapped(folder / name, kind, width) for folder in self.folders)])

    def read_block(self, name: str, kind: Any, block: int) -> Array:
        """The ``block``-th [D] of a column whose folders each hold [blocks, documents]."""
        pieces = zip(self.folders, self.counts, strict=True)
        return np.concatenate([np.zeros(0, kind), *(mapped(folder / name, kind)[block * count : (block + 1) * count] for folder, count in pieces)])

    def places(self, indices: npt.NDArray[np.int64]) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.int64]]:
        """The folder of each document, and its row there."""
        parts = np.searchsorted(self.starts, indices, "right") - 1
        return parts, indices - self.starts[parts]

    def rows(self, name: str, kind: Any, width: int) -> Callable[[npt.NDArray[np.int64]], Array]:
        """A function that fetches rows of a column by their indices, from disk."""
        columns = [mapped(folder / name, kind, width) for folder in self.folders]

        def fetch(indices: npt.NDArray[np.int64]) -> Array:
            parts, positions = self.places(indices)
            found = np.empty((len(indices), width), kind)
            for part in np.unique(parts):
                chosen = parts == part
                found[chosen] = columns[part][positions[chosen]]
            return found

        return fetch

    def texts(self, name: str, indices: npt.NDArray[np.int64]) -> list[str]:
        """Texts by their ascending indices."""
        parts, positions = self.places(indices)
        found = []
        for part in np.unique(parts):
            column = Texts(self.folders[part], name)
            found += [column[position] for position in positions[parts == part].tolist()]
        return found
