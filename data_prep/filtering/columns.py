"""Plain arrays in files: a column is a file, and holds the values and nothing else.

    append(file, [0, 2]); append(file, [1])   ->   rows(file, np.int64, 1, 3) = [2, 1]

So it can be written piece by piece and read in slices; whoever reads it knows the type. A column that is mapped stays
open, and a process may have about a thousand files open: where there are many columns, slices are read instead, or a
mapped one is let go before the next.
"""

from __future__ import annotations

from collections.abc import Sequence
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


def rows(file: Path, kind: Any, start: int, stop: int, width: int = 0) -> Array:
    """Rows ``start`` to ``stop`` of a column, read into memory: [rows], or [rows, width]."""
    wide = max(1, width)
    count = (stop - start) * wide
    values = (
        np.fromfile(file, kind, count, offset=start * wide * np.dtype(kind).itemsize) if count else np.zeros(0, kind)
    )
    if len(values) != count:
        raise ValueError(
            f"{file} is damaged (it ends before row {stop}). Delete its folder and run the same command again."
        )
    return values.reshape(-1, width) if width else values


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
