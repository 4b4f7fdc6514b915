"""Arrow arrays from numpy and lists, and back, by their buffers: pyarrow's own conversions import pandas, which costs
half a second in every process of a preparation.

    numbers(np.array([1, 2], np.int32))   ->  pa.Array int32
    texts(["北京", "a"])                   ->  pa.Array string
    values_of(table.column("size"))       ->  np.ndarray, without a copy where the column is one piece
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt


def numbers(values: npt.NDArray[Any]) -> Any:
    """An Arrow array of the same type, without a copy where the values lie side by side."""
    import pyarrow as pa

    values = np.ascontiguousarray(values)
    return pa.Array.from_buffers(pa.from_numpy_dtype(values.dtype), len(values), [None, pa.py_buffer(values)])


def texts(values: Sequence[str], large: bool = False) -> Any:
    """An Arrow array of strings; ``large`` ones may have more than 2 GiB together.

    Raises:
        ValueError: they have more, and are not large.
    """
    import pyarrow as pa

    pieces = [value.encode() for value in values]
    offsets = np.zeros(len(pieces) + 1, np.int64)
    np.cumsum([len(piece) for piece in pieces], out=offsets[1:])
    if not large and offsets[-1] > np.iinfo(np.int32).max:
        raise ValueError(f"{len(pieces):,} texts of {offsets[-1]:,} bytes do not fit into one column")
    kind, width = (pa.large_string(), np.int64) if large else (pa.string(), np.int32)
    buffers = [None, pa.py_buffer(offsets.astype(width)), pa.py_buffer(b"".join(pieces))]
    return pa.Array.from_buffers(kind, len(pieces), buffers)


def values_of(column: Any) -> npt.NDArray[Any]:
    """The numbers of an Arrow array or a column of a table, none of them missing."""
    chunks = column.chunks if hasattr(column, "chunks") else [column]
    kind = np.dtype(column.type.to_pandas_dtype())
    if any(chunk.null_count for chunk in chunks):
        raise ValueError(f"a column of {column.type} lacks values")
    if str(column.type) == "bool":
        return np.array([value for chunk in chunks for value in chunk.to_pylist()], np.bool_)
    pieces = [
        np.frombuffer(chunk.buffers()[1], kind, len(chunk), chunk.offset * kind.itemsize)
        for chunk in chunks
        if len(chunk)
    ]
    return pieces[0] if len(pieces) == 1 else np.concatenate([np.zeros(0, kind), *pieces])
