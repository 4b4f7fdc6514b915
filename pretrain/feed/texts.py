"""Windows and their content: where pieces of documents lie, and what stands in them.

    Windows     shard, document, start and end of many windows
    Texts       their tokens, sentences and units in flat arrays; Texts[i] is a Text
    Ragged      rows of different lengths in one array

Shape legend: W windows, S texts, T tokens, U units of one level.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple, Protocol, overload

import numpy as np
import numpy.typing as npt

from data_prep.shard import Shard
from data_prep.shards import Prepared

Long = npt.NDArray[np.int64]


def starts(count_S: npt.NDArray[Any] | Sequence[int]) -> Long:
    """Where each of so many values begins: int64[S + 1]."""
    offsets_S1 = np.zeros(len(count_S) + 1, np.int64)
    np.cumsum(count_S, out=offsets_S1[1:])
    return offsets_S1


@dataclass(frozen=True, eq=False)
class Windows:
    """Where windows lie in a source."""

    shard_W: Long
    document_W: Long
    start_W: Long
    """First token, counted from the document's first token."""
    end_W: Long

    def __len__(self) -> int:
        return len(self.shard_W)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Windows) and all(map(np.array_equal, self.columns, other.columns))

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
        return Windows(
            *(np.concatenate(columns) for columns in zip(*(windows.columns for windows in several), strict=True))
        )


class Reader(Protocol):
    """Where texts come from (sources.py)."""

    @property
    def name(self) -> str:
        """Of its prepared folder, in the run."""
        ...

    @property
    def prepared(self) -> Prepared:
        """Its prepared folder."""
        ...

    @property
    def shards(self) -> Sequence[Shard]:
        """What windows count in."""
        ...

    @property
    def max_tokens(self) -> int:
        """Tokens of text that a sample has room for, without special tokens; whole documents may be longer."""
        ...

    def texts(self, windows: Windows) -> Texts:
        """The content of windows of its shards, wherever they begin and end."""
        ...


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
    reader: Reader | None = None
    """What read it; None: it was made by hand."""
    shard_number: int = 0
    """Of its shard among the reader's."""


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
    reader: Reader | None = None
    """What read them; None: they were made by hand."""

    def read(self, windows: Windows) -> Texts:
        """Other windows of the same shards: ``shard_W`` counts in ``shards``.

        Raises:
            ValueError: texts made by hand, or a damaged shard.
        """
        if self.reader is None:
            raise ValueError("these texts were not read from a prepared folder: there is nothing else to read")
        return self.reader.texts(windows)

    @staticmethod
    def of(texts: Sequence[Text]) -> Texts:
        """Texts that exist one by one."""
        reader = texts[0].reader if texts and all(text.reader is texts[0].reader for text in texts) else None
        shards = list({id(text.shard): text.shard for text in texts}.values()) if reader is None else reader.shards
        count_S = [len(text.token_ids_T) for text in texts]
        start_W = np.array([text.start for text in texts], np.int64)
        numbers = (text.shard_number if reader else shards.index(text.shard) for text in texts)
        shard_W = np.array(list(numbers), np.int64)
        ends = [text.sentence_ends_S for text in texts]
        levels = dict.fromkeys(level for text in texts for level in text.units)
        pairs = {level: [text.units.get(level, (np.zeros(0, np.int64),) * 2) for text in texts] for level in levels}
        return Texts(
            shards=shards,
            windows=Windows(shard_W, np.array([text.document for text in texts], np.int64), start_W, start_W + count_S),
            reader=reader,
            document_ids=[text.document_id for text in texts],
            tokens=Ragged(
                np.concatenate([np.zeros(0, np.int64), *(text.token_ids_T for text in texts)]), starts(count_S)
            ),
            sentence_ends=Ragged(
                np.concatenate([np.zeros(0, np.int64), *ends]), starts([len(end_S) for end_S in ends])
            ),
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
            reader=self.reader,
            shard_number=int(self.windows.shard_W[number]),
            token_ids_T=self.tokens.values[self.tokens.offsets_S1[number] : self.tokens.offsets_S1[number + 1]],
            sentence_ends_S=self.sentence_ends.values[
                self.sentence_ends.offsets_S1[number] : self.sentence_ends.offsets_S1[number + 1]
            ],
            units={
                level: (
                    start_U[offsets_S1[number] : offsets_S1[number + 1]],
                    end_U[offsets_S1[number] : offsets_S1[number + 1]],
                )
                for level, (start_U, end_U, offsets_S1) in self.units.items()
            },
        )
