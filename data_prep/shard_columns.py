"""Columns of a shard as arrays that can be relied on: no damage may lead a compiled loop astray.

    read_batch(path)                     the memory-mapped record batch
    list_column(path, batch, "flags")    one list per document: its offsets never fall and stay inside the values
    text_column(path, batch, "id")       the same for strings
    ends_problem(offsets, ends, ...)     sentences and the like rise inside each document and end where it ends

Only offsets and ends are looked at, never a whole column of tokens or units: a corpus of any size opens at once. What
is in those is checked batch by batch in training (pretrain/feed/sample_checks.py), and everything at once by `kmask
prepare verify`.

Shape legend: D documents, E ends of all documents, U units.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

Offsets = npt.NDArray[np.int32]
UNIT_FIELDS = {"start": "uint32", "length": "uint16", "label": "uint8"}
UNREADABLE = (ValueError, OSError, LookupError, TypeError, AttributeError, NotImplementedError, MemoryError)
"""What pyarrow and numpy raise for bytes that are no shard, whichever of them are wrong."""


class UnitColumn(NamedTuple):
    """All units of one level of a shard, flat; document d owns ``[offsets_D1[d], offsets_D1[d + 1])``."""

    offsets_D1: npt.NDArray[np.int32]
    start_U: npt.NDArray[np.uint32]
    length_U: npt.NDArray[np.uint16]
    label_U: npt.NDArray[np.uint8]


class ListColumn(NamedTuple):
    """A list column of a shard, flat; document d owns ``values[offsets_D1[d] : offsets_D1[d + 1]]``."""

    offsets_D1: npt.NDArray[np.int32]
    values: npt.NDArray[Any]

    def row(self, document: int) -> npt.NDArray[Any]:
        """The values of one document, without a copy."""
        return self.values[self.offsets_D1[document] : self.offsets_D1[document + 1]]


class DamagedShardError(ValueError):
    """A shard whose content cannot be what was written."""

    what: str = ""
    """The damage alone, without the shard's name and the remedy."""


def damaged(path: Path, what: str) -> DamagedShardError:
    """The error that names a shard, what is wrong with it, and what to do."""
    folder = path.parents[2] if len(path.parents) > 2 and path.parents[1].name == "parts" else path.parent
    remedy = (
        f"Run `kmask prepare verify {folder}`, delete the part it names, and run `kmask prepare` again: it makes what "
        "is missing."
    )
    error = DamagedShardError(f"shard {path} is missing or damaged ({what}). {remedy}")
    error.what = what
    return error


@contextlib.contextmanager
def _reading(path: Path, column: str = "") -> Iterator[None]:
    try:
        yield
    except UNREADABLE as error:
        what = str(error) or type(error).__name__
        raise damaged(path, f"{column}: {what}" if column else what) from None


def read_batch(path: Path) -> Any:
    """The record batch of a shard; nothing but its description is read.

    Raises:
        ValueError: it is not there, or no shard.
    """
    import pyarrow as pa

    with _reading(path):
        try:
            batch = pa.ipc.open_stream(pa.memory_map(str(path))).read_next_batch()
            _ = batch.schema.names  # fails where they are no text
            return batch
        except (pa.ArrowException, StopIteration) as error:  # some of them are no exception listed above
            raise ValueError(str(error) or "no record batch in it") from None


def list_column(path: Path, batch: Any, name: str, *kinds: str) -> tuple[Offsets, npt.NDArray[Any]]:
    """The offsets int32[D + 1] and the flat values of a list column.

    Raises:
        ValueError: it is damaged.
    """
    with _reading(path, name):
        offsets, values = _lists(batch, name)
        return offsets, _flat(values, kinds)


def unit_column(
    path: Path, batch: Any, name: str
) -> tuple[Offsets, npt.NDArray[Any], npt.NDArray[Any], npt.NDArray[Any]]:
    """The offsets int32[D + 1] of a column of units, and their flat start_U, length_U, label_U.

    Raises:
        ValueError: it is damaged.
    """
    with _reading(path, name):
        offsets, values = _lists(batch, name)
        start_U, length_U, label_U = (_flat(values.field(field), (kind,)) for field, kind in UNIT_FIELDS.items())
        return offsets, start_U, length_U, label_U


def number_column(path: Path, batch: Any, name: str, kind: str) -> npt.NDArray[Any]:
    """A column of one number per document.

    Raises:
        ValueError: it is damaged.
    """
    with _reading(path, name):
        return _flat(_checked(batch, name), (kind,))


def text_column(path: Path, batch: Any, name: str) -> Any:
    """A column of strings whose every row may be asked for.

    Raises:
        ValueError: it is damaged.
    """
    import pyarrow as pa

    with _reading(path, name):
        column = _checked(batch, name)
        if not pa.types.is_string(column.type):
            raise ValueError(f"text expected, {column.type} found")
        _, offsets, text = column.buffers()
        _offsets(offsets, len(column), text.size if text is not None else 0)
        return column


def text_at(path: Path, name: str, column: Any, document: int) -> str:
    """One row of a column of strings.

    Raises:
        ValueError: the bytes there are no text.
    """
    with _reading(path, name):
        return str(column[document].as_py())


def text_buffers(column: Any) -> tuple[npt.NDArray[np.uint8], Offsets]:
    """The bytes (UTF-8) of a column of strings, and the offsets int32[D + 1] of its rows."""
    _, offsets, text = column.buffers()
    size = text.size if text is not None else 0
    return np.frombuffer(text, np.uint8) if size else np.zeros(1, np.uint8), _offsets(offsets, len(column), size)


def ends_problem(offsets_D1: Offsets, ends: npt.NDArray[np.uint32], length_D: npt.NDArray[np.integer]) -> str:
    """What is wrong with the ends of the documents' sentences or paragraphs; empty when nothing is.

    They rise, from 1 or more to the document's length; a document without tokens has none.

    offsets [0, 2, 2, 3], ends [4, 10, 3], lengths [10, 0, 3]  ->  nothing; ends [4, 9, 3]
        ->  `the last of document 0 is not its end`
    """
    first_D, end_D = offsets_D1[:-1], offsets_D1[1:]
    some_D = end_D > first_D
    bare_D = some_D != (length_D > 0)
    if bare_D.any():
        document = int(bare_D.argmax())
        return (
            f"document {document} has {int(length_D[document])} tokens and {int(end_D[document] - first_D[document])} "
            "ends"
        )
    first_F, last_F = first_D[some_D], end_D[some_D] - 1
    wrong_F = ends[last_F] != length_D[some_D]
    if wrong_F.any():
        return f"the last of document {int(np.flatnonzero(some_D)[wrong_F.argmax()])} is not its end"
    falls_E = np.zeros(len(ends), np.bool_)
    np.less_equal(ends[1:], ends[:-1], out=falls_E[1:])
    falls_E[first_F] = ends[first_F] < 1
    falls_E[: offsets_D1[0]] = falls_E[offsets_D1[-1] :] = False
    if falls_E.any():
        return f"those of document {int(np.searchsorted(offsets_D1, falls_E.argmax(), 'right')) - 1} do not rise"
    return ""


def _checked(batch: Any, name: str) -> Any:
    """A column with a value in every row, and buffers as long as they must be."""
    import pyarrow as pa

    column = batch.column(name)
    if len(column) != batch.num_rows:
        raise ValueError(f"{len(column)} rows, the shard has {batch.num_rows} documents")
    try:
        column.validate()
    except pa.ArrowException as error:
        raise ValueError(str(error)) from None
    if column.null_count:
        raise ValueError("documents without a value")
    return column


def _lists(batch: Any, name: str) -> tuple[Offsets, Any]:
    import pyarrow as pa

    column = _checked(batch, name)
    if not pa.types.is_list(column.type):
        raise ValueError(f"lists expected, {column.type} found")
    if column.values.null_count:
        raise ValueError("entries without a value")
    return _offsets(column.buffers()[1], len(column), len(column.values)), column.values


def _flat(values: Any, kinds: tuple[str, ...]) -> npt.NDArray[Any]:
    if str(values.type) not in kinds:
        raise ValueError(f"{' or '.join(kinds)} expected, {values.type} found")
    kind = np.dtype(str(values.type))
    if not len(values):
        return np.zeros(0, kind)
    # `values.to_numpy` would import pandas, in every process of a run
    return np.frombuffer(values.buffers()[1], kind, len(values), values.offset * kind.itemsize)


def _offsets(buffer: Any, rows: int, size: int) -> Offsets:
    if not rows:
        return np.zeros(1, np.int32)
    offsets_D1 = np.frombuffer(buffer, np.int32)[: rows + 1]
    if len(offsets_D1) != rows + 1:
        raise ValueError(f"{len(offsets_D1)} list offsets for {rows} documents")
    if offsets_D1[0] != 0 or offsets_D1[-1] > size or (offsets_D1[1:] < offsets_D1[:-1]).any():
        raise ValueError("list offsets do not ascend inside the column")
    return offsets_D1
