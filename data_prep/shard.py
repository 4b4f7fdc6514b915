"""One shard: an Arrow IPC stream of one record batch, a row for each document, memory-mapped.

Its list columns are used as one flat array plus offsets, so reading a document costs two slices. A column is checked on
first use, as far as the shape of the data goes (shard_columns.py).

Shape legend: D documents, T tokens, S sentences, P paragraphs, G segments, U units of one level.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from data_prep.arrow_arrays import values_of
from data_prep.portable import Portable
from data_prep.shard_columns import (
    ListColumn,
    UnitColumn,
    damaged,
    ends_problem,
    list_column,
    number_column,
    read_batch,
    text_at,
    text_buffers,
    text_column,
    unit_column,
)
from data_prep.shard_maps import opened
from data_prep.shard_parts import PartTable, parts_problem


class Addresses(NamedTuple):
    """Where the columns of a shard lie in memory, good as long as the arrays are held."""

    table: npt.NDArray[np.int64]
    """Documents, token ids, bytes of one of them, their offsets, sentence ends, their offsets; where asked, document
    ids (UTF-8), their offsets, and for each level starts, lengths, labels, offsets."""
    held: tuple[npt.NDArray[Any], ...]


@dataclass(frozen=True)
class Shard(Portable):
    """One memory-mapped shard. Opening is lazy and cheap; every array is a view of the file. Raises ValueError when it
    is damaged."""

    path: Path
    levels: tuple[str, ...]
    compared: bool = True
    """Are flags and ends compared with the tokens? Verification does it by itself, and tells everything that is
    wrong."""

    @cached_property
    def _batch(self) -> Any:
        opened(self)
        return read_batch(self.path)

    @cached_property
    def addresses(self) -> Addresses:
        """Where tokens and sentences lie in memory, for compiled loops over many shards."""
        ids, ends = self.token_ids, self.unchecked_sentence_ends
        held = (ids.values, ids.offsets_D1, ends.values, ends.offsets_D1)
        tokens, *others = (array.ctypes.data for array in held)
        return Addresses(np.array([len(self), tokens, ids.values.itemsize, *others], np.int64), held)

    @cached_property
    def all_addresses(self) -> Addresses:
        """The same with names and units of the documents."""
        units = [array for level in self.levels for array in (*self.units[level][1:], self.units[level].offsets_D1)]
        held = (*text_buffers(self._text("id")), *units)
        table, before = self.addresses
        return Addresses(np.append(table, [array.ctypes.data for array in held]), (*before, *held))

    def damage(self, what: str) -> ValueError:
        """The error that names this shard and what is wrong with it."""
        return damaged(self.path, what)

    def close(self) -> None:
        """Let the file go. Arrays that are still held stay good; the next use maps and checks it again."""
        for name in self.__dict__.keys() - self.__dataclass_fields__.keys():
            del self.__dict__[name]

    @cached_property
    def token_ids(self) -> ListColumn:
        """Token ids without special tokens."""
        return ListColumn(*list_column(self.path, self._batch, "token_ids", "uint16", "uint32"))

    @cached_property
    def _length_D(self) -> npt.NDArray[np.int32]:
        return np.diff(self.token_ids.offsets_D1)

    @cached_property
    def flags(self) -> ListColumn:
        """Bit field per token (see encoding.py)."""
        flags = ListColumn(*list_column(self.path, self._batch, "flags", "uint8"))
        if self.compared and not np.array_equal(np.diff(flags.offsets_D1), self._length_D):
            raise damaged(self.path, "flags: not one for each token")
        return flags

    @cached_property
    def sentence_ends(self) -> ListColumn:
        """Index one past the last token of each sentence, counted from the document's first token."""
        return self._ends("sentence_ends")

    @cached_property
    def paragraph_ends(self) -> ListColumn:
        """Index one past the last token of each paragraph."""
        return self._ends("paragraph_ends")

    @cached_property
    def unchecked_sentence_ends(self) -> ListColumn:
        """The same, of documents that the reader compares with their tokens itself: nothing of the size of the shard is
        read."""
        return ListColumn(*list_column(self.path, self._batch, "sentence_ends", "uint32"))

    def _ends(self, name: str) -> ListColumn:
        ends = ListColumn(*list_column(self.path, self._batch, name, "uint32"))
        if self.compared and (problem := ends_problem(*ends, self._length_D)):
            raise damaged(self.path, f"{name}: {problem}")
        return ends

    @cached_property
    def segment_ends(self) -> ListColumn:
        """Index one past the last token of each part of a pair: two for a pair, one for a single labelled text, none
        for other documents.

        Raises:
            ValueError: a shard without labelled pairs.
        """
        self._needs_pairs()
        return ListColumn(*list_column(self.path, self._batch, "segment_ends", "uint32"))

    @cached_property
    def segment_labels(self) -> ListColumn:
        """The role of each turn, an index into the manifest's roles of the split.

        Raises:
            ValueError: a shard without dialogues.
        """
        if not self.has_roles:
            raise ValueError(f"shard {self.path} holds no dialogues. Prepare them with `kind: dialogues`.")
        labels = ListColumn(*list_column(self.path, self._batch, "segment_labels", "int16"))
        if self.compared and not np.array_equal(labels.offsets_D1, self.segment_ends.offsets_D1):
            raise damaged(self.path, "segment_labels: not one for each segment")
        return labels

    @property
    def has_roles(self) -> bool:
        """Does it hold dialogues?"""
        return "segment_labels" in self._batch.schema.names

    @cached_property
    def part_addresses(self) -> Addresses:
        """Where the parts of pairs or dialogues lie: the offsets of the documents, ends, labels of documents, labels of
        parts (0: of pairs), and the offsets of tokens."""
        ends, tokens = self.segment_ends, self.token_ids
        roles = (self.segment_labels.values,) if self.has_roles else ()
        held = (ends.offsets_D1, ends.values, self.label, tokens.offsets_D1, *roles)
        table = [array.ctypes.data for array in held]
        return Addresses(np.array(table if roles else [*table, 0], np.int64), held)

    @cached_property
    def part_table(self) -> PartTable:
        """The parts of pairs or dialogues, to draw one in place of another. All tokens are read once."""
        ends, tokens = self.segment_ends, self.token_ids
        if problem := parts_problem(*ends, self._length_D):
            raise damaged(self.path, f"segment_ends: {problem}")
        roles_G = self.segment_labels.values if self.has_roles else None
        language_D, source_D = (self.codes_of(name).astype(np.int64) for name in ("language", "source"))
        origin_D = language_D * (int(source_D.max(initial=0)) + 1) + source_D
        return PartTable.of(tokens.values, tokens.offsets_D1, ends.values, ends.offsets_D1, roles_G, origin_D)

    @cached_property
    def label(self) -> npt.NDArray[np.int16]:
        """int16[D]: the class of each document, an index into the manifest's classes of the split; -1 when it has none.

        Raises:
            ValueError: a shard without labelled pairs.
        """
        self._needs_pairs()
        return number_column(self.path, self._batch, "label", "int16")

    def _needs_pairs(self) -> None:
        if "label" not in self._batch.schema.names:
            raise ValueError(
                f"shard {self.path} holds no labelled pairs. Prepare them with `kind: pairs` under `corpora`, or with "
                "`discourse`."
            )

    @cached_property
    def units(self) -> Mapping[str, UnitColumn]:
        """Units of every level."""
        return {level: UnitColumn(*unit_column(self.path, self._batch, f"units_{level}")) for level in self.levels}

    def __len__(self) -> int:
        return int(self._batch.num_rows)

    def text_of(self, name: str, document: int) -> str:
        """A metadata column (``id``, ``language``, ``source``, ``title``) of one document."""
        return text_at(self.path, name, self._text(name), document)

    def codes_of(self, name: str) -> npt.NDArray[np.int32]:
        """int32[D]: a number for each document, equal where a metadata column is."""
        codes: npt.NDArray[np.int32] = values_of(self._text(name).dictionary_encode().indices)
        return codes

    def _text(self, name: str) -> Any:
        if name not in self._texts:
            self._texts[name] = text_column(self.path, self._batch, name)
        return self._texts[name]

    @cached_property
    def _texts(self) -> dict[str, Any]:
        return {}
