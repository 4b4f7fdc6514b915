"""`kmask show document`: a document of a prepared folder, a sentence a line, its units in brackets of all levels."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import Any

from launch.settings.yaml_files import ConfigError
from launch.views.words import Line, Word, joined, kind_of


def show_document(folder: Path, number: int) -> Iterable[Line]:
    """One document with its units in brackets."""
    from data_prep.shards import Prepared

    prepared = Prepared.open(folder)
    total = 0
    for split in ("train", "heldout"):
        for shard in prepared.shards(split):
            if number < total + len(shard):
                yield from document_lines(prepared, shard, number - total, split)
                return
            total += len(shard)
    raise ConfigError(f"{folder} has {total} documents, numbered from 0")


def document_lines(prepared: Any, shard: Any, document: int, split: str) -> Iterable[Line]:
    """Title, facts, then one line per sentence."""
    tokens = [prepared.tokenizer.tokens[index] for index in shard.token_ids.row(document)]
    facts = [shard.text_of(name, document) for name in ("id", "title", "language", "source")]
    yield [
        Word(f"{facts[0]}  {facts[1]}", "title"),
        Word(f"   {facts[2]}, {facts[3]}, {split}, {len(tokens)} tokens", "dim"),
    ]
    yield bracket_legend()
    before: dict[int, list[Word]] = {}
    after: dict[int, list[Word]] = {}
    for level in sorted(prepared.levels, key=lambda name: name != "entity"):
        column = shard.units[level]
        for unit in range(int(column.offsets_D1[document]), int(column.offsets_D1[document + 1])):
            start, length = int(column.start_U[unit]), int(column.length_U[unit])
            style = kind_of(level)
            label = prepared.labels[int(column.label_U[unit])].type
            before.setdefault(start, []).append(Word("[" if level == "word" else f"[{label or level} ", style))
            after.setdefault(start + length - 1, []).insert(0, Word("]", style))
    ends = set(shard.sentence_ends.row(document).tolist())
    line: Line = []
    for position, text in enumerate(joined(tokens)):
        glued = tokens[position].startswith("##")
        line += ([Word(" ")] if text.startswith(" ") and not glued and line else []) + before.get(position, [])
        line += [Word(text.strip() if not glued else text), *after.get(position, [])]
        if position + 1 in ends:
            yield line
            line = []


def bracket_legend() -> Line:
    """What the brackets of a document mean."""
    return [
        Word("[ORG 北京大学]", "entity"),
        Word(" an entity, "),
        Word("[term 机器翻译]", "phrase"),
        Word(" a phrase with its kind, "),
        Word("[机器]", "word"),
        Word(" a word of several tokens; levels overlap, brackets of all are drawn", "dim"),
    ]
