"""Encoded documents -> one shard on disk (the format and its reader: shards.py).

write_shard(path, [Encoded, Encoded], ["word", "entity"], 21128)   ->   an Arrow IPC stream of one record batch with two
                                                                        rows
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from data_prep.arrow_arrays import numbers, texts
from data_prep.blocks import Offsets
from data_prep.encoded import NO_UNITS, Encoded, EncodedBlock


def arrow_schema(levels: Sequence[str], vocabulary_size: int, pairs: bool, roles: bool = False) -> Any:
    """The Arrow schema of a shard: ids in the smallest integer type that holds the vocabulary; ``pairs`` adds two
    columns at the end, ``roles`` a third."""
    import pyarrow as pa

    token = pa.uint16() if vocabulary_size <= 1 << 16 else pa.uint32()
    unit = pa.struct(
        [
            pa.field("start", pa.uint32(), False),
            pa.field("length", pa.uint16(), False),
            pa.field("label", pa.uint8(), False),
        ]
    )

    def listed(kind: Any) -> Any:
        return pa.list_(pa.field("item", kind, nullable=False))

    fields = [("id", pa.string()), ("language", pa.string()), ("source", pa.string()), ("title", pa.string())]
    fields += [("token_ids", listed(token)), ("flags", listed(pa.uint8()))]
    fields += [("sentence_ends", listed(pa.uint32())), ("paragraph_ends", listed(pa.uint32()))]
    fields += [(f"units_{level}", listed(unit)) for level in levels]
    fields += [("segment_ends", listed(pa.uint32())), ("label", pa.int16())] if pairs or roles else []
    fields += [("segment_labels", listed(pa.int16()))] if roles else []
    return pa.schema([pa.field(name, kind, nullable=False) for name, kind in fields])


def write_shard(
    path: Path,
    documents: Sequence[Encoded | EncodedBlock],
    levels: Sequence[str],
    vocabulary_size: int,
    pairs: bool = False,
    roles: bool = False,
) -> None:
    """Write ``documents`` as one shard. Deterministic: equal documents give equal bytes. ``pairs``: with their segments
    and labels; ``roles``: with the label of each segment besides."""
    import pyarrow as pa

    schema = arrow_schema(levels, vocabulary_size, pairs, roles)
    blocks = [item if isinstance(item, EncodedBlock) else EncodedBlock.of(item) for item in documents]

    def listed(name: str, values: Any, offsets: Sequence[Offsets]) -> Any:
        lengths = [np.diff(offsets_D1) for offsets_D1 in offsets]
        offsets_D1 = np.cumsum(np.concatenate([[0], *lengths]), dtype=np.int32)
        return pa.ListArray.from_arrays(numbers(offsets_D1), values, type=schema.field(name).type)

    def flat(arrays: Sequence[npt.NDArray[Any]], kind: Any) -> Any:
        return numbers((np.concatenate(arrays) if arrays else np.zeros(0)).astype(str(kind)))

    columns = [texts([names[place] for block in blocks for names in block.names]) for place in range(4)]

    def plain(name: str) -> Any:
        found = [getattr(block, name) for block in blocks]
        values = flat([values for values, _ in found], schema.field(name).type.value_type)
        return listed(name, values, [offsets for _, offsets in found])

    columns += [plain(name) for name in ("token_ids", "flags", "sentence_ends", "paragraph_ends")]
    for level in levels:
        name = f"units_{level}"
        tables = [block.units.get(level) or (NO_UNITS, np.zeros(len(block) + 1, np.int64)) for block in blocks]
        fields = list(schema.field(name).type.value_type)
        parts = [flat([getattr(units, f"{field.name}_U") for units, _ in tables], field.type) for field in fields]
        values = pa.StructArray.from_arrays(parts, fields=fields)
        columns.append(listed(name, values, [offsets for _, offsets in tables]))
    if pairs or roles:
        columns += [plain("segment_ends"), flat([block.label_D for block in blocks], "int16")]
    if roles:
        columns.append(plain("segment_labels"))
    batch = pa.RecordBatch.from_arrays(columns, schema=schema)
    with pa.OSFile(str(path), "wb") as sink, pa.ipc.new_stream(sink, schema) as writer:
        writer.write_batch(batch)
