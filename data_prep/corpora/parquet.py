"""Parquet files, one document a row.

    survey   the column of texts  ->  slices [first row, row after the last) of about as many bytes of text as wanted
    read     only the columns that are wanted, a few hundred rows at a time

Slices do not keep to row groups, so tiny row groups are joined and one huge row group is still split among all workers.
Sizes are counted, not taken from the statistics in the file: pyarrow ends the whole process when these are damaged.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from data_prep.corpora import Corpus, Slice, Survey
from data_prep.documents import Record, Rejected
from data_prep.files import sha256_file
from data_prep.inputs.tables import TableColumns, naming

ROWS_AT_ONCE = 256
DAMAGED = ("is damaged or not a Parquet file", ". Fetch it again, or remove it.")


@dataclass(frozen=True, kw_only=True)
class Parquet(TableColumns, Corpus):
    """Parquet files with a column of texts."""

    def survey(self, path: Path, slice_bytes: int, cache: Path | None = None) -> Survey:
        digest = sha256_file(path)
        slices: list[Slice] = []
        start = row = size = total = 0
        with naming(path, *DAMAGED), open_parquet(path) as file:
            text = self.columns(file.schema_arrow, path)["text"]
            expected = sum(_group_rows(file))
            for batch in file.iter_batches(ROWS_AT_ONCE, columns=[text]):
                row += batch.num_rows
                size += _text_bytes(batch.column(0))
                if size >= slice_bytes or (row == expected and row > start):
                    slices.append(Slice(str(path), start, row, start + 1, size))
                    start, size, total = row, 0, total + size
            if row != expected:
                raise ValueError(f"{row} rows instead of {expected}")
        return Survey(digest, total, slices)

    def read(self, piece: Slice, cache: Path | None = None) -> Iterator[Record | Rejected]:
        path = Path(piece.path)
        with naming(path, *DAMAGED), open_parquet(path) as file:
            columns = list(self.columns(file.schema_arrow, path).values())
            row = 0
            for group, rows in enumerate(_group_rows(file)):
                at = row
                if row < piece.end and row + rows > piece.start:
                    for batch in file.iter_batches(ROWS_AT_ONCE, [group], columns):
                        start, end = max(piece.start - at, 0), min(piece.end - at, batch.num_rows)
                        if start < end:
                            values = self.values(batch.slice(start, end - start), path)
                            yield from self.records(
                                values, at + start, piece.path, self.source_of(piece.path), self.language
                            )
                        at += batch.num_rows
                        if at >= piece.end:
                            break
                    if at < min(row + rows, piece.end):
                        raise ValueError(f"row group {group} has {at - row} rows instead of {rows}")
                row += rows
        if row < piece.end:
            raise ValueError(
                f"{piece.path} became shorter while it was read. Run `kmask prepare` again on unchanged files."
            )


@contextlib.contextmanager
def open_parquet(path: Path) -> Iterator[Any]:
    """An open Parquet file that is read in small pieces and checks its checksums where it has any."""
    from pyarrow.parquet import ParquetFile

    with ParquetFile(
        path, memory_map=True, buffer_size=1 << 20, pre_buffer=False, page_checksum_verification=True
    ) as file:
        yield file


def _text_bytes(column: Any) -> int:
    """Bytes of the texts in a column."""
    import pyarrow as pa
    import pyarrow.compute as pc

    values = column.dictionary_decode() if pa.types.is_dictionary(column.type) else column
    return int(pc.sum(pc.binary_length(values)).as_py() or 0)


def _group_rows(file: Any) -> list[int]:
    """Rows of each row group."""
    rows = [file.metadata.row_group(group).num_rows for group in range(file.metadata.num_row_groups)]
    if min(rows, default=0) < 0 or sum(rows) != file.metadata.num_rows:
        raise ValueError(f"its row groups have {rows} rows, the file {file.metadata.num_rows}")
    return rows
