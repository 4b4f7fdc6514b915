"""Encoded documents -> one shard on disk (the format and its reader: shards.py).

write_shard(path, [Encoded, Encoded], ["word", "entity"], 21128)   ->   an Arrow IPC stream of one record batch with two rows
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from data_prep.encoding import Encoded, TokenUnits

NO_UNITS = TokenUnits(np.zeros(0, np.uint32), np.zeros(0, np.uint16), np.zeros(0, np.uint8))


def arrow_schema(levels: Sequence[str], vocabulary_size: int, pairs: bool) -> Any:
    """The Arrow schema of a shard: ids in the smallest integer type that holds the vocabulary; ``pairs`` adds two columns at the end."""
    import pyarrow as pa

    token = pa.uint16() if vocabulary_size <= 1 << 16 else pa.uint32()
    unit = pa.struct([pa.field("start", pa.uint32(), False), pa.field("length", pa.uint16(), False), pa.field("label", pa.uint8(), False)])

    def listed(kind: Any) -> Any:
        return pa.list_(pa.field("item", kind, nullable=False))

    fields = [("id", pa.string()), ("language", pa.string()), ("source", pa.string()), ("title", pa.string())]
    fields += [("token_ids", listed(token)), ("flags", listed(pa.uint8()))]
    fields += [("sentence_ends", listed(pa.uint32())), ("paragraph_ends", listed(pa.uint32()))]
    fields += [(f"units_{level}", listed(unit)) for level in levels]
    fields += [("segment_ends", listed(pa.uint32())), ("label", pa.int16())] if pairs else []
    return pa.schema([pa.field(name, kind, nullable=False) for name, kind in fields])


def write_shard(path: Path, documents: Sequence[Encoded], levels: Sequence[str], vocabulary_size: int, pairs: bool = False) -> None:
    """Write ``documents`` as one shard. Deterministic: equal documents give equal bytes. ``pairs``: with their segments and labels."""
    import pyarrow as pa

    schema = arrow_schema(levels, vocabulary_size, pairs)

    def listed(arrays: Sequence[npt.NDArray[Any]], field: Any, values: Any = None) -> Any:
        offsets = np.zeros(len(arrays) + 1, np.int32)
        np.cumsum([len(array) for array in arrays], out=offsets[1:])
        if values is None:
            flat = np.concatenate(arrays) if arrays else np.zeros(0)
            values = pa.array(flat.astype(str(field.type.value_type)))
        return pa.ListArray.from_arrays(pa.array(offsets), values, type=field.type)

    columns = [pa.array([getattr(document, name) for document in documents], pa.string()) for name in ("id", "language", "source", "title")]
    for name in ("token_ids", "flags", "sentence_ends", "paragraph_ends"):
        suffix = {"token_ids": "_T", "flags": "_T", "sentence_ends": "_S", "paragraph_ends": "_P"}[name]
        columns.append(listed([getattr(document, name + suffix) for document in documents], schema.field(name)))
    for level in levels:
        field = schema.field(f"units_{level}")
        tables = [document.units.get(level) or NO_UNITS for document in documents]
        parts = [
            pa.array(np.concatenate([getattr(table, name) for table in tables]) if tables else np.zeros(0, kind), type=arrow_kind)
            for name, kind, arrow_kind in (("start_U", np.uint32, pa.uint32()), ("length_U", np.uint16, pa.uint16()), ("label_U", np.uint8, pa.uint8()))
        ]
        values = pa.StructArray.from_arrays(parts, fields=list(field.type.value_type))
        columns.append(listed([table.start_U for table in tables], field, values))
    if pairs:
        columns.append(listed([document.segment_ends_G for document in documents], schema.field("segment_ends")))
        columns.append(pa.array([document.label for document in documents], pa.int16()))
    batch = pa.record_batch(columns, schema=schema)
    with pa.OSFile(str(path), "wb") as sink, pa.ipc.new_stream(sink, schema) as writer:
        writer.write_batch(batch)
