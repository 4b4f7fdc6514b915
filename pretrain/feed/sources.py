"""Shards as windows: pieces of documents that fit into one sample.

    Prepared (train | heldout)  ->  Source: slots 0 .. N-1, each a stretch of as many tokens as a window may have
    Source.windows(slots)       ->  Windows: (shard, document, start, end) of every window that begins in these slots
    Source.texts(windows)       ->  Texts: their tokens, sentences and units, gathered into flat arrays

A window joins consecutive sentences of one document up to the limit; only a sentence longer than the limit is divided. The cut
is a pure function of (sentence ends, limit). No table of windows is kept: how many slots a shard has follows from the tokens that the
manifest says, and what begins in a slot from the documents that lie in it. So start and memory do not depend on the corpus.

Shape legend: N slots, D documents, W windows, S texts, T tokens, E sentence ends, U units of one level.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any, NamedTuple, overload

import numpy as np
import numpy.typing as npt

from data_prep.shard_columns import damaged
from data_prep.shards import Prepared, Shard
from masking.spans import Part

Long = npt.NDArray[np.int64]


@dataclass(frozen=True)
class Windows:
    """Where windows lie in a source."""

    shard_W: Long
    document_W: Long
    start_W: Long
    """First token, counted from the document's first token."""
    end_W: Long

    def __len__(self) -> int:
        return len(self.shard_W)

    @property
    def tokens_W(self) -> Long:
        """Tokens of each window."""
        return self.end_W - self.start_W

    def take(self, chosen: npt.NDArray[Any] | slice) -> Windows:
        """Some of them."""
        return Windows(*(column[chosen] for column in self.columns))

    @property
    def columns(self) -> tuple[Long, Long, Long, Long]:
        """The four arrays."""
        return self.shard_W, self.document_W, self.start_W, self.end_W

    @staticmethod
    def join(several: Sequence[Windows]) -> Windows:
        """One after another."""
        return Windows(*(np.concatenate(columns) for columns in zip(*(windows.columns for windows in several), strict=True)))


@dataclass(frozen=True, kw_only=True)
class Text:
    """The content of one window and its place; objectives may look at the whole document through ``shard``."""

    shard: Shard
    document: int
    start: int
    """First token of the window, counted from the document's first token."""
    document_id: str
    token_ids_T: Long
    sentence_ends_S: Long
    """Relative to the window; the last one is T."""
    units: Mapping[str, tuple[Long, Long]]
    """(start_U, end_U) of every level, relative to the window; units cut by the window's edge are left out."""


class Ragged(NamedTuple):
    """Rows of different lengths in one array: row s is ``values[offsets_S1[s] : offsets_S1[s + 1]]``."""

    values: Long
    offsets_S1: Long

    @property
    def count_S(self) -> Long:
        """Length of each row."""
        return np.diff(self.offsets_S1)


@dataclass(frozen=True, kw_only=True)
class Texts(Sequence[Text]):
    """Several windows, gathered; one of them is a Text."""

    shards: Sequence[Shard]
    windows: Windows
    document_ids: Sequence[str]
    tokens: Ragged
    sentence_ends: Ragged
    units: Mapping[str, tuple[Long, Long, Long]]
    """(start_U, end_U, offsets_S1) of every level, relative to each window."""

    @staticmethod
    def of(texts: Sequence[Text]) -> Texts:
        """Texts that exist one by one."""
        shards = list({id(text.shard): text.shard for text in texts}.values())
        count_S = [len(text.token_ids_T) for text in texts]
        start_W = np.array([text.start for text in texts], np.int64)
        shard_W = np.array([shards.index(text.shard) for text in texts], np.int64)
        ends = [text.sentence_ends_S for text in texts]
        levels = dict.fromkeys(level for text in texts for level in text.units)
        pairs = {level: [text.units.get(level, (np.zeros(0, np.int64),) * 2) for text in texts] for level in levels}
        return Texts(
            shards=shards,
            windows=Windows(shard_W, np.array([text.document for text in texts], np.int64), start_W, start_W + count_S),
            document_ids=[text.document_id for text in texts],
            tokens=Ragged(np.concatenate([np.zeros(0, np.int64), *(text.token_ids_T for text in texts)]), starts(count_S)),
            sentence_ends=Ragged(np.concatenate([np.zeros(0, np.int64), *ends]), starts([len(end_S) for end_S in ends])),
            units={
                level: (
                    np.concatenate([np.zeros(0, np.int64), *(pair[0] for pair in found)]),
                    np.concatenate([np.zeros(0, np.int64), *(pair[1] for pair in found)]),
                    starts([len(pair[0]) for pair in found]),
                )
                for level, found in pairs.items()
            },
        )

    def __len__(self) -> int:
        return len(self.windows)

    @overload
    def __getitem__(self, number: int) -> Text: ...
    @overload
    def __getitem__(self, number: slice) -> Sequence[Text]: ...
    def __getitem__(self, number: int | slice) -> Text | Sequence[Text]:
        if isinstance(number, slice):
            return [self[index] for index in range(*number.indices(len(self)))]
        if not -len(self) <= number < len(self):
            raise IndexError(number)
        number %= len(self)
        return Text(
            shard=self.shards[int(self.windows.shard_W[number])],
            document=int(self.windows.document_W[number]),
            start=int(self.windows.start_W[number]),
            document_id=self.document_ids[number],
            token_ids_T=self.tokens.values[self.tokens.offsets_S1[number] : self.tokens.offsets_S1[number + 1]],
            sentence_ends_S=self.sentence_ends.values[self.sentence_ends.offsets_S1[number] : self.sentence_ends.offsets_S1[number + 1]],
            units={
                level: (start_U[offsets_S1[number] : offsets_S1[number + 1]], end_U[offsets_S1[number] : offsets_S1[number + 1]])
                for level, (start_U, end_U, offsets_S1) in self.units.items()
            },
        )


@dataclass(frozen=True, kw_only=True)
class Source:
    """The windows of one split of a prepared folder."""

    name: str
    prepared: Prepared
    split: str
    max_tokens: int
    """Longest window, without special tokens; also the length of a slot."""
    parts: tuple[str, ...] = ()
    """Parts of levels, as `entity:DATE` or `word@zh`, that windows have besides the levels of the data."""

    @cached_property
    def shards(self) -> list[Shard]:
        """Non-empty shards, memory-mapped on first use."""
        return self.prepared.shards(self.split)

    @cached_property
    def _slots_D1(self) -> Long:
        """How many slots there are before each shard."""
        tokens = [entry.tokens for entry in self.prepared.entries if entry.split == self.split and entry.documents]
        return np.cumsum([0, *(-(-count // self.max_tokens) for count in tokens)], dtype=np.int64)

    @property
    def slots(self) -> int:
        """Number of slots; in each but a shard's last at least one window begins."""
        return int(self._slots_D1[-1])

    def __len__(self) -> int:
        return self.slots

    def read(self, slot: int) -> Text:
        """The first window that begins in a slot (or in the nearest one before it that has any), for looking at."""
        while not len(found := self.windows(np.array([slot]))):
            slot -= 1
        return self.texts(found.take(slice(0, 1)))[0]

    def windows(self, slots_N: npt.NDArray[Any]) -> Windows:
        """The windows that begin in these slots, slot by slot.

        Raises:
            ValueError: a damaged shard.
        """
        from pretrain.feed import kernels

        slots_N = np.asarray(slots_N, np.int64)
        shard_N = np.searchsorted(self._slots_D1, slots_N, "right") - 1
        found, order = [], np.argsort(shard_N, kind="stable")
        counts_N = np.zeros(len(slots_N), np.int64)
        for numbers in np.split(order, np.flatnonzero(np.diff(shard_N[order])) + 1) if len(order) else ():
            index = int(shard_N[numbers[0]])
            shard, local_N = self.shards[index], slots_N[numbers] - self._slots_D1[index]
            ends, offsets_D1 = shard.unchecked_sentence_ends, shard.token_ids.offsets_D1
            if -(-int(offsets_D1[-1]) // self.max_tokens) != self._slots_D1[index + 1] - self._slots_D1[index]:
                raise damaged(shard.path, "token_ids: not as many as the manifest says")
            *window, count_N, wrong = kernels.windows_of_slots(offsets_D1, ends.values, ends.offsets_D1, self.max_tokens, local_N, self.max_tokens)
            if wrong >= 0:
                raise damaged(shard.path, f"sentence_ends: those of document {wrong} do not rise to its {int(np.diff(offsets_D1)[wrong])} tokens")
            counts_N[numbers] = count_N
            found.append(Windows(np.full(len(window[0]), index, np.int64), *(column.astype(np.int64) for column in window)))
        if not found:
            return Windows(*(np.zeros(0, np.int64) for _ in range(4)))
        together = Windows.join(found)
        begin_N = np.empty(len(slots_N), np.int64)  # where the windows of each slot lie, shard by shard
        begin_N[order] = np.cumsum(counts_N[order]) - counts_N[order]
        return together.take(ranges(begin_N, counts_N)) if len(found) > 1 or (np.diff(order) != 1).any() else together

    def all_windows(self) -> Iterator[Windows]:
        """The windows of the whole split, many at a time, in the order of the shards: for looking and counting, not for training."""
        for first in range(0, self.slots, 1 << 14):
            yield self.windows(np.arange(first, min(first + (1 << 14), self.slots)))

    def texts(self, windows: Windows) -> Texts:
        """The content of these windows.

        Raises:
            ValueError: a damaged shard.
        """
        order = np.argsort(windows.shard_W, kind="stable")
        groups = [
            (self.shards[int(windows.shard_W[numbers[0]])], numbers, windows.take(numbers))
            for numbers in (np.split(order, np.flatnonzero(np.diff(windows.shard_W[order])) + 1) if len(order) else ())
        ]
        ids = [""] * len(windows)
        for shard, numbers, group in groups:
            if (group.document_W >= len(shard)).any() or (group.end_W > np.diff(shard.token_ids.offsets_D1)[group.document_W]).any():
                raise damaged(shard.path, "a window of the order lies outside it; another process reads other shards")
            for number, document in zip(numbers.tolist(), group.document_W.tolist(), strict=True):
                ids[number] = shard.text_of("id", document)
        return Texts(
            shards=self.shards,
            windows=windows,
            document_ids=ids,
            tokens=_tokens(groups, windows),
            sentence_ends=_sentence_ends(groups, len(windows)),
            units={name: self._units(name, groups, len(windows)) for name in [*self.prepared.levels, *self.parts]},
        )

    def _units(self, name: str, groups: Sequence[Group], count: int) -> tuple[Long, Long, Long]:
        """The units of a level, or of part of one."""
        from pretrain.feed import kernels

        part = Part.of(name)
        wanted_L = self._labels[part.type]
        every = not part.type
        first_W, last_W, count_W = (np.zeros(count, np.int64) for _ in range(3))
        for shard, numbers, group in groups:
            column = shard.units[part.level]
            first, last, counts = (np.empty(len(numbers), np.int64) for _ in range(3))
            where = (group.document_W, group.start_W, group.end_W)
            kernels.find_units(column.start_U, column.length_U, column.label_U, column.offsets_D1, wanted_L, every, *where, first, last, counts)
            if part.language:
                spoken_W = np.array([shard.text_of("language", document) == part.language for document in group.document_W.tolist()], np.bool_)
                counts, last = np.where(spoken_W, counts, 0), np.where(spoken_W, last, first)
            first_W[numbers], last_W[numbers], count_W[numbers] = first, last, counts
        offsets_S1 = starts(count_W)
        start_U, end_U = np.empty(offsets_S1[-1], np.int64), np.empty(offsets_S1[-1], np.int64)
        for shard, numbers, group in groups:
            column = shard.units[part.level]
            where = (group.start_W, first_W[numbers], last_W[numbers], offsets_S1[numbers])
            kernels.copy_units(column.start_U, column.length_U, column.label_U, wanted_L, every, *where, start_U, end_U)
        return start_U, end_U, offsets_S1

    @cached_property
    def _labels(self) -> dict[str, npt.NDArray[np.bool_]]:
        """Of every type that is asked for, which labels have it: bool[256]."""
        found = {"": np.ones(256, np.bool_)}
        for kind in {Part.of(name).type for name in self.parts} - {""}:
            found[kind] = np.zeros(256, np.bool_)
            found[kind][[number for number, label in enumerate(self.prepared.labels) if label.type == kind]] = True
        return found


Group = tuple[Shard, Long, Windows]
"""Windows of one shard, with their numbers among all."""


def starts(count_S: npt.NDArray[Any] | Sequence[int]) -> Long:
    """Where each of so many values begins: int64[S + 1]."""
    return np.concatenate([np.zeros(1, np.int64), np.cumsum(count_S, dtype=np.int64)])


def ranges(begin_N: Long, count_N: Long) -> Long:
    """begin, begin + 1, ... of every range, one after another."""
    offsets_N1 = starts(count_N)
    return np.arange(offsets_N1[-1]) + np.repeat(begin_N - offsets_N1[:-1], count_N)


def _tokens(groups: Sequence[Group], windows: Windows) -> Ragged:
    from pretrain.feed import kernels

    offsets_S1 = starts(windows.tokens_W)
    token_ids_T = np.empty(offsets_S1[-1], np.int64)
    for shard, numbers, group in groups:
        ids = shard.token_ids
        kernels.copy_tokens(ids.values, ids.offsets_D1, group.document_W, group.start_W, group.end_W, offsets_S1[numbers], token_ids_T)
    return Ragged(token_ids_T, offsets_S1)


def _sentence_ends(groups: Sequence[Group], count: int) -> Ragged:
    from pretrain.feed import kernels

    first_W, count_W = np.zeros(count, np.int64), np.zeros(count, np.int64)
    for shard, numbers, group in groups:
        ends, first, counts = shard.unchecked_sentence_ends, np.empty(len(numbers), np.int64), np.empty(len(numbers), np.int64)
        kernels.find_ends(ends.values, ends.offsets_D1, group.document_W, group.start_W, group.end_W, first, counts)
        first_W[numbers], count_W[numbers] = first, counts
    offsets_S1 = starts(count_W)
    ends_E = np.empty(offsets_S1[-1], np.int64)
    for shard, numbers, group in groups:
        places = (first_W[numbers], count_W[numbers], offsets_S1[numbers])
        kernels.copy_ends(shard.unchecked_sentence_ends.values, group.start_W, group.end_W, *places, ends_E)
    return Ragged(ends_E, offsets_S1)
