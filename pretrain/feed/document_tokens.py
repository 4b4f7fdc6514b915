"""Labels of tokens by what is known of their documents, which stands in the columns of shards.

    Packed --samples_of_shards-->  for each shard the samples of its documents, and where each token stands in them
    a task writes labels, shard by shard --asked_tokens-->  (position_M, label_M) of the batch

Samples that were made by hand have no shard, and tokens of another text no place: they are not asked.

Shape legend: S samples, N those of one shard, T tokens, M tokens that are asked.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Sequence
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from data_prep.shard import Shard
from pretrain.feed.packed import Packed
from pretrain.feed.samples import NO_LABEL
from pretrain.feed.text_sequences import Joined, Picked
from pretrain.feed.texts import Long, Reader, Text, Texts, starts


class Placed(NamedTuple):
    """Samples of documents of one shard, as compiled loops take them."""

    from_N: Long
    """First token of each sample in ``place_T``."""
    length_N: Long
    to_N: Long
    """First token of each sample in the batch."""
    document_N: Long
    """Its document in the shard."""
    place_T: npt.NDArray[np.int32]
    """Of every token of all samples its place in its document; negative: it stands in none."""


class ShardSamples(NamedTuple):
    """Samples of documents of one shard."""

    reader: Reader
    shard: Shard
    placed: Placed


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


def samples_of_shards(packed: Packed, folders: Collection[str]) -> Iterator[ShardSamples]:
    """The samples of a batch that are windows of documents of these folders (none: of all), shard by shard."""
    readers, reader_S, shard_S, document_S = origins(packed.samples.texts)
    wanted = np.array([not folders or reader.name in folders for reader in readers] + [False], np.bool_)
    most, length_S = int(shard_S.max(initial=0)) + 1, packed.samples.length_S
    group_S = np.where(wanted[reader_S], reader_S * most + shard_S, -1)
    order_S = np.argsort(group_S, kind="stable")
    groups, first_G = np.unique(group_S[order_S], return_index=True)
    columns = starts(length_S)[:-1], length_S, packed.sample_start_S.astype(np.int64), document_S
    sorted_columns = [column[order_S] for column in columns]
    for group, first, last in zip(groups.tolist(), first_G, [*first_G[1:], len(order_S)], strict=True):
        if group >= 0:
            reader = readers[group // most]
            from_N, length_N, to_N, document_N = (column[first:last] for column in sorted_columns)
            placed = Placed(from_N, length_N, to_N, document_N, packed.samples.place_T)
            yield ShardSamples(reader, reader.shards[group % most], placed)


def asked_tokens(
    packed: Packed, folders: Collection[str], write: Callable[[ShardSamples, Long], None]
) -> tuple[Long, Long]:
    """(position_M, label_M) in the order of the batch.

    Args:
        write: puts the labels of the samples of a shard into int64[T]; what it leaves alone is not asked.
    """
    label_T = np.full(len(packed.original_T), NO_LABEL, np.int64)
    for samples in samples_of_shards(packed, folders):
        write(samples, label_T)
    position_M = np.flatnonzero(label_T != NO_LABEL)
    return position_M, label_T[position_M]
