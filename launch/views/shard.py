"""`kmask show shard`: the shards of a prepared folder, and the documents of one of them."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

from launch.settings.yaml_files import ConfigError
from launch.views.words import Line, Word

SHOWN_DOCUMENTS = 20


def show_shard(folder: Path, number: int) -> Iterable[Line]:
    """Counts of the folder, then the documents of one shard."""
    from data_prep.shard import Shard
    from data_prep.shards import Prepared

    prepared = Prepared.open(folder)
    yield [
        Word(str(folder), "title"),
        Word(f"   fingerprint {prepared.fingerprint[:16]}, tokenizer {prepared.vocabulary_sha256[:16]}", "dim"),
    ]
    for index, entry in enumerate(prepared.entries):
        counts = f"{entry.documents:7,d} documents {entry.tokens:12,d} tokens"
        mark, style = ("> ", "title") if index == number else ("  ", "")
        yield [Word(f"{mark}{index:4d} {entry.path:32s} {counts}  {entry.sha256[:12]}", style)]
    if not 0 <= number < len(prepared.entries):
        raise ConfigError(f"{folder} has {len(prepared.entries)} shards, numbered from 0")
    shard = Shard(prepared.folder / prepared.entries[number].path, prepared.levels)
    for document in range(min(len(shard), SHOWN_DOCUMENTS)):
        units = {name: column.offsets_D1[document : document + 2] for name, column in shard.units.items()}
        counts = ", ".join(f"{name} {int(end - start)}" for name, (start, end) in units.items())
        name = f"{shard.text_of('id', document):24.24s} {shard.text_of('title', document):24.24s}"
        yield [Word(f"  {name} {len(shard.token_ids.row(document)):7,d} tokens  "), Word(counts, "dim")]
    if len(shard) > SHOWN_DOCUMENTS:
        yield [Word(f"  ... and {len(shard) - SHOWN_DOCUMENTS} more", "dim")]
