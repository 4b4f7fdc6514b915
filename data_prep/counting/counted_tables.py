"""Counts too many for memory: sorted tables on disk, joined by a streaming merge.

    part 0   key 3: 2, key 8: 1         \\
    part 1   key 3: 5, key 9: 1         /   ->   key 3: 7, key 8: 1, key 9: 1

A table is an Arrow IPC file sorted by its column ``key`` (uint64, no key twice); other columns are added up or taken
from the first table that has the key. Memory is a few record batches per table, whatever the tables' size; more than
FAN_IN tables are merged in rounds. Keys made from text are 64-bit hashes: among ten million terms two share one with
probability 3e-6.
"""

from __future__ import annotations

import uuid
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from data_prep.arrow_arrays import numbers, values_of
from masking.keyed import mix_array

BATCH_ROWS = 1 << 16
FAN_IN = 64

Keys = npt.NDArray[np.uint64]


def unique_rows(key_R: Keys) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.int64], npt.NDArray[np.int64]]:
    """Order of the rows by key (equal keys in their given order), where each distinct key begins in that order, and its
    number of rows."""
    order_R = np.argsort(key_R, kind="stable")
    sorted_R = key_R[order_R]
    first_D = np.flatnonzero(np.concatenate([np.ones(min(1, len(key_R)), bool), sorted_R[1:] != sorted_R[:-1]]))
    return order_R, first_D, np.diff(np.append(first_D, len(key_R)))


def fold(key_R: Keys, word_R: Keys, join_R: npt.NDArray[Any]) -> Keys:
    """The key of an n-gram from the key of its first n - 1 words, the key of its last word, and how the two are
    joined."""
    return mix_array(key_R * np.uint64(0x9E3779B97F4A7C15) + word_R + join_R.astype(np.uint64))


def write_sorted_table(path: Path, columns: Any) -> None:
    """Write a ``pyarrow.Table`` that is sorted by ``key``."""
    write_sorted_pieces(path, [columns])


def write_sorted_pieces(path: Path, pieces: Iterable[Any]) -> None:
    """Write pieces (``pyarrow.Table``) one after the other; at least one, their keys ascending throughout."""
    import pyarrow

    with pyarrow.OSFile(str(path), "wb") as sink:
        writer = None
        for piece in pieces:
            writer = writer or pyarrow.ipc.new_file(sink, piece.schema)
            writer.write_table(piece, max_chunksize=BATCH_ROWS)
        assert writer is not None, "a table needs at least one piece, empty or not"
        writer.close()


class _Head:
    """The part of a table that is read and not yet merged."""

    def __init__(self, path: Path) -> None:
        import pyarrow

        self.file = pyarrow.ipc.open_file(pyarrow.memory_map(str(path)))
        self.next, self.batches = 0, self.file.num_record_batches
        self.rows: Any = self.file.schema.empty_table()
        self.refill()

    def refill(self) -> None:
        """Read on when nothing is left."""
        import pyarrow

        while not len(self.rows) and self.next < self.batches:
            self.rows = pyarrow.Table.from_batches([self.file.get_batch(self.next)])
            self.next += 1
        self.keys: Keys = values_of(self.rows.column("key"))

    def last(self) -> int | None:
        """The largest key in memory, or None when no row follows it."""
        return int(self.keys[-1]) if self.next < self.batches else None

    def take(self, limit: int | None) -> Any:
        """Cut off the rows with keys up to ``limit``."""
        count = len(self.keys) if limit is None else int(np.searchsorted(self.keys, np.uint64(limit), "right"))
        taken, self.rows = self.rows.slice(0, count), self.rows.slice(count)
        self.refill()
        return taken


def merged(paths: Sequence[Path], sums: Sequence[str], folder: Path) -> Iterator[Any]:
    """The union of tables, as pieces (``pyarrow.Table``) in ascending order of ``key``, one row a key.

    Columns named in ``sums`` are added up; the others come from the first table that has the key. Intermediate tables
    are written into ``folder`` and removed.
    """
    temporary: list[Path] = []
    while len(paths) > FAN_IN:
        groups = [paths[start : start + FAN_IN] for start in range(0, len(paths), FAN_IN)]
        paths = [folder / f"round-{uuid.uuid4().hex}.arrow" for _ in groups]
        for target, group in zip(paths, groups, strict=True):
            write_sorted_pieces(target, _merge(group, sums))
        for path in temporary:
            path.unlink()
        temporary = list(paths)
    yield from _merge(paths, sums)
    for path in temporary:
        path.unlink()


def _merge(paths: Sequence[Path], sums: Sequence[str]) -> Iterator[Any]:
    import pyarrow

    heads = [_Head(path) for path in paths]
    empty = heads[0].file.schema.empty_table() if heads else None
    some = False
    while heads := [head for head in heads if len(head.rows)]:
        limits = [limit for head in heads if (limit := head.last()) is not None]
        limit = min(limits) if limits else None
        rows = pyarrow.concat_tables([head.take(limit) for head in heads]).combine_chunks()
        order_R, first_D, _ = unique_rows(values_of(rows.column("key")))
        result = rows.take(order_R[first_D])
        for name in sums:
            values = np.add.reduceat(values_of(rows.column(name))[order_R], first_D)
            result = result.set_column(result.schema.get_field_index(name), name, numbers(values))
        yield result
        some = True
    if not some and empty is not None:
        yield empty
