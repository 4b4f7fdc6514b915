"""Shards as windows: pieces of documents that fit into one sample.

    Prepared (train | heldout)  ->  Source: windows 0 .. N-1, each (shard, document, first token, last token)
    Source.read(i)              ->  Text: the tokens of a window with its sentences and units

A window joins consecutive sentences of one document up to the limit; only a sentence longer than the limit is divided. The cut
is a pure function of (sentence ends, limit), so the number of a window means the same in every process and every run.

Shape legend: N windows, T tokens of one window, S its sentences, U its units of one level.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
import numpy.typing as npt

from data_prep.shards import Prepared, Shard
from masking.spans import Part

ROOM_FOR_SPECIALS = 6
"""Tokens of a sample kept free for [CLS] and up to five [SEP], whatever the tasks are: adding a task moves no window."""


@dataclass(frozen=True, kw_only=True)
class Text:
    """The content of one window and its place; objectives may look at the whole document through ``shard``."""

    shard: Shard
    document: int
    start: int
    """First token of the window, counted from the document's first token."""
    document_id: str
    token_ids_T: npt.NDArray[np.int64]
    sentence_ends_S: npt.NDArray[np.int64]
    """Relative to the window; the last one is T."""
    units: Mapping[str, tuple[npt.NDArray[np.int64], npt.NDArray[np.int64]]]
    """(start_U, end_U) of every level, relative to the window; units cut by the window's edge are left out."""


@dataclass(frozen=True, kw_only=True)
class Source:
    """The windows of one split of a prepared folder."""

    name: str
    prepared: Prepared
    split: str
    max_tokens: int
    """Longest window, without special tokens."""
    parts: tuple[str, ...] = ()
    """Parts of levels, as `entity:DATE` or `word@zh`, that windows have besides the levels of the data."""

    @cached_property
    def shards(self) -> list[Shard]:
        """Non-empty shards, memory-mapped on first use."""
        return self.prepared.shards(self.split)

    @cached_property
    def _table(self) -> tuple[npt.NDArray[np.int64], list[Any]]:
        from masking import kernels

        tables = [kernels.group_ragged(shard.sentence_ends.values, shard.sentence_ends.offsets_D1, self.max_tokens) for shard in self.shards]
        counts = [len(table[0]) for table in tables]
        return np.concatenate([np.zeros(1, np.int64), np.cumsum(counts, dtype=np.int64)]), tables

    def __len__(self) -> int:
        return int(self._table[0][-1])

    @cached_property
    def tokens_N(self) -> npt.NDArray[np.int32]:
        """Length of every window in tokens, without special tokens."""
        tables = self._table[1]
        return np.concatenate([end - start for _, start, end in tables]) if tables else np.zeros(0, np.int32)

    def read(self, number: int) -> Text:
        """The window with this number."""
        cumulative, tables = self._table
        index = int(np.searchsorted(cumulative, number, "right")) - 1
        document_W, start_W, end_W = tables[index]
        row = number - int(cumulative[index])
        document, start, end = int(document_W[row]), int(start_W[row]), int(end_W[row])
        shard = self.shards[index]
        ends = shard.sentence_ends.row(document)
        inner = ends[(ends > start) & (ends < end)].astype(np.int64) - start
        return Text(
            shard=shard,
            document=document,
            start=start,
            document_id=shard.text_of("id", document),
            token_ids_T=shard.token_ids.row(document)[start:end].astype(np.int64),
            sentence_ends_S=np.append(inner, end - start),
            units={
                **{level: _units(shard, level, document, start, end) for level in shard.levels},
                **{name: self._part(name, shard, document, start, end) for name in self.parts},
            },
        )

    def _part(self, name: str, shard: Shard, document: int, start: int, end: int) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.int64]]:
        """The units of part of a level."""
        part = Part.of(name)
        if part.language and shard.text_of("language", document) != part.language:
            return np.zeros(0, np.int64), np.zeros(0, np.int64)
        return _units(shard, part.level, document, start, end, self._labels[part.type] if part.type else None)

    @cached_property
    def _labels(self) -> dict[str, npt.NDArray[np.int64]]:
        """The numbers of the labels of every type that is asked for."""
        labels = self.prepared.labels
        return {kind: np.flatnonzero([label.type == kind for label in labels]) for kind in {Part.of(name).type for name in self.parts}}


def _units(
    shard: Shard, level: str, document: int, start: int, end: int, labels: npt.NDArray[np.int64] | None = None
) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.int64]]:
    column = shard.units[level]
    first, last = int(column.offsets_D1[document]), int(column.offsets_D1[document + 1])
    starts = column.start_U[first:last]
    low, high = (first + int(place) for place in np.searchsorted(starts, np.array([start, end], starts.dtype)))  # another type would copy them all
    start_U = column.start_U[low:high].astype(np.int64) - start
    end_U = start_U + column.length_U[low:high]
    inside = end_U <= end - start
    if labels is not None:
        inside &= np.isin(column.label_U[low:high], labels)
    return start_U[inside], end_U[inside]
