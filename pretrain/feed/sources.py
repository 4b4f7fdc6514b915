"""Shards as windows: pieces of documents that fit into one sample.

    Prepared (train | heldout)  ->  Source: slots 0 .. N-1, each a stretch of 512 tokens or of as many as a
                                    window may have
    Source.windows(slots)       ->  Windows: (shard, document, start, end) of every window that begins in these slots
    Source.texts(windows)       ->  Texts: their tokens, sentences and units, gathered into flat arrays

A window joins consecutive sentences of one document up to the limit; only a sentence longer than the limit is divided.
The cut is a pure function of (sentence ends, limit). No table of windows is kept: how many slots a shard has follows
from the tokens that the manifest says, and what begins in a slot from the documents that lie in it. So start and memory
do not depend on the corpus.

Shape legend: N slots, D documents, W windows, S texts, T tokens, E sentence ends, U units of one level.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from data_prep.shard import Addresses, Shard
from data_prep.shards import Prepared
from masking.spans import Part
from pretrain.feed.texts import Long, Ragged, Text, Texts, Windows, starts

SLOT = 512
"""Least tokens of a slot."""


def slot_tokens(max_tokens: int) -> int:
    """Tokens of a slot of windows of up to so many."""
    return max(max_tokens, SLOT)


class Gathered(NamedTuple):
    """Windows of many shards, and where the columns of these lie in memory."""

    shards: Sequence[Shard]
    table: Long
    """A row of addresses for each shard."""
    row_W: Long
    """The row of each window's shard."""
    windows: Windows

    def contents(self) -> tuple[Ragged, Ragged, list[str]]:
        """Token ids, sentence ends and document ids."""
        from pretrain.feed import kernels

        place = (self.windows.document_W, self.windows.start_W, self.windows.end_W)
        first_W, count_W, bytes_W = (np.empty(len(self.row_W), np.int64) for _ in range(3))
        wrong = kernels.find_windows(self.table, self.row_W, *place, first_W, count_W, bytes_W)
        if wrong >= 0:
            raise self.shards[self.row_W[wrong]].damage(
                "a window lies outside its document, or its sentence ends do not rise; where it is whole, another "
                "process reads other shards"
            )
        offsets = [starts(counts) for counts in (self.windows.tokens_W, count_W, bytes_W)]
        tokens, ends, names = (
            np.empty(each[-1], kind) for each, kind in zip(offsets, (np.int64, np.int64, np.uint8), strict=True)
        )
        kernels.copy_windows(self.table, self.row_W, *place, first_W, *offsets, tokens, ends, names)
        return Ragged(tokens, offsets[0]), Ragged(ends, offsets[1]), self._names(names.tobytes(), offsets[2].tolist())

    def _names(self, names: bytes, offsets: Sequence[int]) -> list[str]:
        try:
            return [names[first:last].decode() for first, last in itertools.pairwise(offsets)]
        except UnicodeDecodeError:
            return [
                self.shards[row].text_of("id", document)
                for row, document in zip(self.row_W, self.windows.document_W.tolist(), strict=True)
            ]

    def units(self, level: int, wanted_L: npt.NDArray[np.bool_], every: bool, language: str) -> tuple[Long, Long, Long]:
        """(start_U, end_U, offsets_S1) of the units of a level with a wanted label, in documents of a language (any,
        where it is empty)."""
        from pretrain.feed import kernels

        place = (self.windows.document_W, self.windows.start_W, self.windows.end_W)
        first_W, last_W, count_W = (np.empty(len(self.row_W), np.int64) for _ in range(3))
        kernels.find_units(self.table, self.row_W, level, wanted_L, every, *place, first_W, last_W, count_W)
        if language:
            places = zip(self.row_W.tolist(), self.windows.document_W.tolist(), strict=True)
            spoken_W = np.array(
                [self.shards[row].text_of("language", document) == language for row, document in places], np.bool_
            )
            count_W, last_W = np.where(spoken_W, count_W, 0), np.where(spoken_W, last_W, first_W)
        offsets_S1 = starts(count_W)
        start_U, end_U = np.empty(offsets_S1[-1], np.int64), np.empty(offsets_S1[-1], np.int64)
        where = (self.windows.start_W, first_W, last_W, offsets_S1)
        kernels.copy_units(self.table, self.row_W, level, wanted_L, every, *where, start_U, end_U)
        return start_U, end_U, offsets_S1


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
    whole: bool = False
    """Is every document one window, however long?"""

    @cached_property
    def shards(self) -> list[Shard]:
        """Non-empty shards, memory-mapped on first use."""
        return self.prepared.shards(self.split)

    @property
    def slot_tokens(self) -> int:
        """Tokens of a slot: what is shuffled is stretches of text of this length. Shorter ones would cost the order
        more than they mix."""
        return slot_tokens(self.max_tokens)

    @cached_property
    def _slots_D1(self) -> Long:
        """How many slots there are before each shard."""
        return starts([-(-count // self.slot_tokens) for count in self._tokens])

    @cached_property
    def _tokens(self) -> list[int]:
        """Tokens of each shard, as the manifest counts them."""
        return [entry.tokens for entry in self.prepared.entries if entry.split == self.split and entry.documents]

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
        numbers, row_N = np.unique(np.searchsorted(self._slots_D1, slots_N, "right") - 1, return_inverse=True)
        addresses = [
            self._placed(number) for number in numbers.tolist()
        ]  # held until the loop ends, though a shard may be closed meanwhile
        table = np.stack([found.table for found in addresses]) if addresses else np.zeros((0, 6), np.int64)
        local_N = slots_N - self._slots_D1[numbers[row_N]]
        slot_W, *places, wrong, document = kernels.windows_of_slots(
            table, row_N, local_N, self.slot_tokens, self.max_tokens, self.whole
        )
        if wrong >= 0:
            raise self.shards[numbers[row_N[wrong]]].damage(
                f"sentence_ends: those of document {document} do not rise to its length"
            )
        return Windows(numbers[row_N[slot_W]], *places)

    def _placed(self, number: int) -> Addresses:
        """Where a shard lies in memory, once its tokens were compared with the manifest."""
        shard = self.shards[number]
        if int(shard.token_ids.offsets_D1[-1]) != self._tokens[number]:
            raise shard.damage("token_ids: not as many as the manifest says")
        return shard.addresses

    def all_windows(self) -> Iterator[Windows]:
        """The windows of the whole split, many at a time, in the order of the shards: for looking and counting, not for
        training."""
        for first in range(0, self.slots, 1 << 14):
            yield self.windows(np.arange(first, min(first + (1 << 14), self.slots)))

    def texts(self, windows: Windows) -> Texts:
        """The content of these windows.

        Raises:
            ValueError: a damaged shard.
        """
        numbers, row_W = np.unique(windows.shard_W, return_inverse=True)
        shards = [self.shards[number] for number in numbers.tolist()]
        addresses = [
            shard.all_addresses for shard in shards
        ]  # held until everything is copied, though a shard may be closed meanwhile
        table = np.stack([found.table for found in addresses]) if addresses else np.zeros((0, 8), np.int64)
        gathered = Gathered(shards, table, row_W, windows)
        tokens, ends, names = gathered.contents()
        units = {name: self._units(name, gathered) for name in [*self.prepared.levels, *self.parts]}
        del addresses
        return Texts(
            shards=self.shards,
            windows=windows,
            document_ids=names,
            tokens=tokens,
            sentence_ends=ends,
            units=units,
            reader=self,
        )

    def _units(self, name: str, gathered: Gathered) -> tuple[Long, Long, Long]:
        """The units of a level, or of part of one."""
        part = Part.of(name)
        level = self.prepared.levels.index(part.level)
        return gathered.units(level, self._labels[part.type], every=not part.type, language=part.language)

    @cached_property
    def _labels(self) -> dict[str, npt.NDArray[np.bool_]]:
        """Of every type that is asked for, which labels have it: bool[256]."""
        found = {"": np.ones(256, np.bool_)}
        for kind in {Part.of(name).type for name in self.parts} - {""}:
            found[kind] = np.zeros(256, np.bool_)
            found[kind][[number for number, label in enumerate(self.prepared.labels) if label.type == kind]] = True
        return found
