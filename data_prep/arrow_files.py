"""Arrow tables as files: written whole, read memory-mapped."""

from __future__ import annotations

from pathlib import Path
from typing import Any


def read_table(file: Path) -> Any:
    """An Arrow table, memory-mapped."""
    import pyarrow as pa

    try:
        with pa.memory_map(str(file)) as source:
            return pa.ipc.open_file(source).read_all()
    except (pa.ArrowInvalid, OSError) as error:
        raise ValueError(
            f"{file} is missing or damaged ({error}). Delete the folder it lies in and run `kmask prepare` again: it "
            "is written anew."
        ) from None


def write_table(table: Any, file: Path) -> None:
    """Write an Arrow table as one batch."""
    import pyarrow as pa

    with pa.OSFile(str(file), "wb") as sink, pa.ipc.new_file(sink, table.schema) as writer:
        writer.write_table(table, max_chunksize=max(1, table.num_rows))
