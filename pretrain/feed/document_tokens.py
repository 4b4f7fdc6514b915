"""The tokens of a batch that stand in documents, shard by shard: what is known of a document is in its shard's columns.

    Packed --tokens_of_shards-->  DocumentTokens of one shard: batch position, sample, document, place in the document
    DocumentTokens -> labels_M, for each shard --asked_tokens-->  (position_M, label_M) of the batch

Samples that were made by hand have no shard, and tokens of another text no place: they are left out.

Shape legend: S samples, M tokens, U units of one level.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Sequence
from typing import NamedTuple

import numpy as np

from data_prep.shard import Shard
from pretrain.feed.packed import Packed
from pretrain.feed.samples import NO_LABEL
from pretrain.feed.text_sequences import Joined, Picked
from pretrain.feed.texts import Long, Reader, Text, Texts


class DocumentTokens(NamedTuple):
    """Tokens that stand in documents of one shard, sample by sample."""

    reader: Reader
    shard: Shard
    position_M: Long
    """Where they lie in the batch."""
    sample_M: Long
    """Number of their sample."""
    document_M: Long
    """Number of their document in the shard."""
    place_M: Long
    """Counted from the document's first token."""

    def units_M(self, level: str) -> Long:
        """The unit of a level that each token stands in, counted in the shard's column; -1: none."""
        from pretrain.feed import kernels

        units = self.shard.units[level]
        found: Long = kernels.units_of_places(
            self.document_M, self.place_M, units.offsets_D1, units.start_U, units.length_U
        )
        return found

    def begins_M(self, level: str) -> Long:
        """Where the unit of a level begins in which each token stands, counted from the document's first token; of a
        token in no unit, its own place."""
        unit_M = self.units_M(level)
        begin_M, inside_M = self.place_M.copy(), unit_M >= 0
        begin_M[inside_M] = self.shard.units[level].start_U[unit_M[inside_M]]
        return begin_M


class Origins(NamedTuple):
    """Which documents texts are windows of."""

    readers: Sequence[Reader]
    reader_S: Long
    """Index into ``readers``; -1: made by hand."""
    shard_S: Long
    document_S: Long


def origins(texts: Sequence[Text | None]) -> Origins:
    """Where texts come from, without making them one by one."""
    if isinstance(texts, Texts):
        if texts.reader is None:
            return Origins([], *np.full((3, len(texts)), -1, np.int64))
        windows = texts.windows
        return Origins([texts.reader], np.zeros(len(texts), np.int64), windows.shard_W, windows.document_W)
    if isinstance(texts, Picked):
        readers, *columns = origins(texts.texts)
        numbers = np.asarray(texts.numbers, np.int64)
        return Origins(readers, *(column[numbers] for column in columns))
    if isinstance(texts, Joined):
        return _joined([origins(part) for part in texts.several])
    return _joined([_one(text) for text in texts])


def _one(text: Text | None) -> Origins:
    known = text is not None and text.reader is not None
    place = [0, text.shard_number, text.document] if text and known else [-1, -1, -1]
    return Origins([text.reader] if text and text.reader else [], *np.array(place, np.int64)[:, None])


def _joined(several: Sequence[Origins]) -> Origins:
    readers: dict[int, Reader] = {id(reader): reader for found in several for reader in found.readers}
    numbers = {name: number for number, name in enumerate(readers)}
    columns = []
    for found in several:
        names = np.array([*(numbers[id(reader)] for reader in found.readers), -1], np.int64)
        columns.append(np.stack([names[found.reader_S], found.shard_S, found.document_S]))
    return Origins(list(readers.values()), *np.concatenate([np.zeros((3, 0), np.int64), *columns], 1))


def tokens_of_shards(packed: Packed, folders: Collection[str]) -> Iterator[DocumentTokens]:
    """The tokens of a batch that stand in documents of these folders (none: of all), shard by shard."""
    readers, reader_S, shard_S, document_S = origins(packed.samples.texts)
    wanted = np.array([not folders or reader.name in folders for reader in readers] + [False], np.bool_)
    position_M, sample_M, place_M = packed.in_documents()
    longest = int(shard_S.max(initial=0)) + 1
    group_S = np.where(wanted[reader_S], reader_S * longest + shard_S, -1)
    groups, number_S = np.unique(group_S, return_inverse=True)
    order_M = np.argsort(number_S[sample_M].astype(np.uint16), kind="stable") if len(groups) > 1 else slice(None)
    columns = np.stack([position_M, sample_M, document_S[sample_M], place_M])[:, order_M]
    edges = np.cumsum(np.bincount(number_S[sample_M], minlength=len(groups)))[:-1]
    for group, found in zip(groups.tolist(), np.split(columns, edges, 1), strict=True):
        if group >= 0 and found.shape[1]:
            reader = readers[group // longest]
            yield DocumentTokens(reader, reader.shards[group % longest], *found)


def asked_tokens(
    packed: Packed, folders: Collection[str], labels: Callable[[DocumentTokens], Long]
) -> tuple[Long, Long]:
    """(position_M, label_M) in the order of the batch: what ``labels`` says of every token, but where it says NO_LABEL."""
    label_T = np.full(len(packed.original_T), NO_LABEL, np.int64)
    for tokens in tokens_of_shards(packed, folders):
        label_T[tokens.position_M] = labels(tokens)
    position_M = np.flatnonzero(label_T != NO_LABEL)
    return position_M, label_T[position_M]
