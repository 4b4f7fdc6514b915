"""The rows of a stream, kept as one Arrow file: nobody has to read the stream from its start to reach its end.

    survey of org/name          ->  CACHE/<dataset>.arrow      while the survey passes anyway: batches of 256 rows,
                                                               compressed
    read of rows 81,920 ...     ->  that file, from batch 320 on

It is only a cache: it appears whole by one rename, is made anew by whoever misses it, and is given up with a warning
where it cannot be written (a full disk).
"""

from __future__ import annotations

import contextlib
import hashlib
import logging
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from data_prep.files import fsync_file, staging_name

ROWS = 256
"""Rows of every batch but the last one."""
Rows = dict[str, list[bytes | None]]
"""One value a row, by what a column holds."""


def rows_file(cache: Path, owner: str) -> Path:
    """Where the rows of what has the identity ``owner`` belong."""
    return cache / f"{hashlib.blake2b(owner.encode('utf-8', 'surrogateescape'), digest_size=12).hexdigest()}.arrow"


class RowWriter:
    """Receives rows and keeps them in a file that is there when ``finish`` has returned. Without a file it does
    nothing."""

    def __init__(self, file: Path | None, roles: Sequence[str], name: object) -> None:
        """``roles`` are the columns to keep, ``name`` is what a warning calls the stream."""
        self._file, self._name = file, name
        self._staging = file.with_name(staging_name(file.name)) if file else None
        self._waiting: Rows = {role: [] for role in roles}
        self._stack = contextlib.ExitStack()
        self._writer: Any = None

    def __enter__(self) -> RowWriter:
        return self

    def __exit__(self, *error: object) -> None:
        self._discard()

    @property
    def works(self) -> bool:
        """Is anything being kept?"""
        return self._file is not None

    def write(self, values: Rows) -> None:
        """The next rows; a column that is not there holds nothing."""
        if self._file is None:
            return
        count = len(next(iter(values.values())))
        for role, column in self._waiting.items():
            column += values.get(role) or [None] * count
        self._flush(ROWS)

    def finish(self) -> None:
        """All rows are there."""
        self._flush(1)
        if self._file is None or self._staging is None or self._writer is None:
            return
        with self._giving_up():
            self._stack.close()
            fsync_file(self._staging)
            self._staging.replace(self._file)

    def _flush(self, least: int) -> None:
        """Write batches while so many rows wait."""
        while self._file is not None and len(next(iter(self._waiting.values()))) >= least:
            with self._giving_up():
                batch = _batch({role: column[:ROWS] for role, column in self._waiting.items()})
                if self._writer is None:
                    self._open(batch.schema)
                self._writer.write_batch(batch)
                for column in self._waiting.values():
                    del column[:ROWS]

    def _open(self, schema: Any) -> None:
        import pyarrow as pa

        assert self._staging is not None
        self._staging.parent.mkdir(parents=True, exist_ok=True)
        sink = self._stack.enter_context(pa.OSFile(str(self._staging), "wb"))
        self._writer = self._stack.enter_context(
            pa.ipc.new_file(sink, schema, options=pa.ipc.IpcWriteOptions(compression="zstd"))
        )

    @contextlib.contextmanager
    def _giving_up(self) -> Iterator[None]:
        try:
            yield
        except OSError as error:
            logging.getLogger(__name__).warning("%s is read without a cache, which is slower: %s", self._name, error)
            self._discard()
            self._file = None

    def _discard(self) -> None:
        with contextlib.suppress(OSError):
            self._stack.close()
        with contextlib.suppress(OSError):
            if self._staging is not None:
                self._staging.unlink()


def kept_rows(file: Path, start: int) -> Iterator[Rows] | None:
    """The rows of a file from row ``start`` on, None where there is no such file or it is no longer what was
    written."""
    import pyarrow as pa

    try:
        source = pa.memory_map(str(file))
        reader = pa.ipc.open_file(source)
    except (OSError, pa.ArrowInvalid):
        return None
    return _rows(file, source, reader, start)


def _rows(file: Path, source: Any, reader: Any, start: int) -> Iterator[Rows]:
    import pyarrow as pa

    with source:
        for number in range(start // ROWS, reader.num_record_batches):
            try:
                batch = reader.get_batch(number).slice(max(start - number * ROWS, 0))
                batch.validate(full=True)
            except (OSError, pa.ArrowInvalid) as error:
                raise ValueError(
                    f"{file} is damaged ({error}). It is only a cache: remove it and run the same command again."
                ) from None
            yield {role: batch.column(role).to_pylist() for role in batch.schema.names}


def _batch(values: Rows) -> Any:
    import pyarrow as pa

    return pa.record_batch({role: pa.array(column, pa.large_binary()) for role, column in values.items()})
