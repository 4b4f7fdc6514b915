"""Samples: what objectives build of texts, one object each or many in flat arrays.

    Sample      one input with its special tokens: what ``Objective.build`` returns
    Samples     many of them, one array a property: what a batch is laid out of; Samples[i] is a Sample

Shape legend: S samples, T tokens of all samples, E sentence ends, U units of one level.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, overload

import numpy as np
import numpy.typing as npt

from pretrain.feed.sample_checks import check_lengths
from pretrain.feed.text_sequences import Joined, Picked
from pretrain.feed.texts import Long, Text, starts

EMPTY: Long = np.zeros(0, np.int64)
NOWHERE = -1
"""Document position of a token that stands in no document: a special token, or text from elsewhere."""
NO_LABEL = -1
"""Label of a sample that is not asked."""


@dataclass(frozen=True, kw_only=True)
class Sample:
    """One input with its special tokens."""

    token_ids_T: Long
    maskable_T: npt.NDArray[np.bool_]
    """False for special tokens."""
    segment_ids_T: Long
    units: Mapping[str, tuple[Long, Long]]
    task: str
    """Name of the task the sample was built for."""
    labels: Mapping[str, int]
    """Sentence-level labels by task name."""
    key: int
    """uint64 that decides everything random about this sample."""
    document_id: str
    first_token: int
    sentence_ends_S: Long = field(default_factory=lambda: EMPTY)
    """One past the last token of each sentence, where the objective knows them."""
    place_T: npt.NDArray[np.integer[Any]] | None = None
    """Position of each token in its document, -1 for special tokens; None: not known. Tasks that ride along read the
    document's flags by it."""
    text: Text | None = None
    """The window it was built of; None: not known."""


@dataclass(frozen=True, kw_only=True)
class Samples(Sequence[Sample]):
    """Many samples, one after another in every array."""

    token_ids_T: Long
    maskable_T: npt.NDArray[np.bool_]
    segment_ids_T: Long
    place_T: npt.NDArray[np.int32]
    length_S: Long
    units: Mapping[str, tuple[Long, Long, Long]]
    """(start_U, end_U, count_S) of every level, relative to each sample."""
    sentence_ends: tuple[Long, Long]
    """(end_E, count_S), relative to each sample."""
    tasks: Sequence[str]
    labels: Mapping[str, Long]
    """int64[S] by task name; -1 where a sample is not asked."""
    key_S: npt.NDArray[np.uint64]
    document_ids: Sequence[str]
    first_token_S: Long
    texts: Sequence[Text | None]

    def __len__(self) -> int:
        return len(self.length_S)

    @overload
    def __getitem__(self, number: int) -> Sample: ...
    @overload
    def __getitem__(self, number: slice) -> Sequence[Sample]: ...
    def __getitem__(self, number: int | slice) -> Sample | Sequence[Sample]:
        if isinstance(number, slice):
            return [self[index] for index in range(*number.indices(len(self)))]
        if not -len(self) <= number < len(self):
            raise IndexError(number)
        number %= len(self)
        tokens = _row(self.length_S, number)
        ends = _row(self.sentence_ends[1], number)
        return Sample(
            token_ids_T=self.token_ids_T[tokens],
            maskable_T=self.maskable_T[tokens],
            segment_ids_T=self.segment_ids_T[tokens],
            units={
                level: (start_U[row := _row(count_S, number)], end_U[row])
                for level, (start_U, end_U, count_S) in self.units.items()
            },
            task=self.tasks[number],
            labels={name: int(label_S[number]) for name, label_S in self.labels.items() if label_S[number] != NO_LABEL},
            key=int(self.key_S[number]),
            document_id=self.document_ids[number],
            first_token=int(self.first_token_S[number]),
            sentence_ends_S=self.sentence_ends[0][ends],
            place_T=self.place_T[tokens],
            text=self.texts[number],
        )

    def take(self, order_S: Long) -> Samples:
        """The same samples in another order."""
        numbers = order_S.tolist()
        end_E, count_S = self.sentence_ends
        return Samples(
            token_ids_T=_taken(self.token_ids_T, self.length_S, order_S),
            maskable_T=_taken(self.maskable_T, self.length_S, order_S),
            segment_ids_T=_taken(self.segment_ids_T, self.length_S, order_S),
            place_T=_taken(self.place_T, self.length_S, order_S),
            length_S=self.length_S[order_S],
            units={
                level: (_taken(start_U, units_S, order_S), _taken(end_U, units_S, order_S), units_S[order_S])
                for level, (start_U, end_U, units_S) in self.units.items()
            },
            sentence_ends=(_taken(end_E, count_S, order_S), count_S[order_S]),
            tasks=[self.tasks[number] for number in numbers],
            labels={name: label_S[order_S] for name, label_S in self.labels.items()},
            key_S=self.key_S[order_S],
            document_ids=[self.document_ids[number] for number in numbers],
            first_token_S=self.first_token_S[order_S],
            texts=Picked(self.texts, numbers),
        )

    @staticmethod
    def of(samples: Iterable[Sample]) -> Samples:
        """Samples that were built one by one.

        Raises:
            ValueError: a sample whose arrays do not fit together, by its document and task.
        """
        samples = list(samples)
        check_lengths(samples)
        levels = dict.fromkeys(level for sample in samples for level in sample.units)
        names = dict.fromkeys(name for sample in samples for name in sample.labels)
        places = [
            np.full(len(s.token_ids_T), NOWHERE, np.int32) if s.place_T is None else np.asarray(s.place_T, np.int32)
            for s in samples
        ]
        return Samples(
            token_ids_T=_joined([sample.token_ids_T for sample in samples], np.int64),
            maskable_T=_joined([sample.maskable_T for sample in samples], np.bool_),
            segment_ids_T=_joined([sample.segment_ids_T for sample in samples], np.int64),
            place_T=_joined(places, np.int32),
            length_S=np.array([len(sample.token_ids_T) for sample in samples], np.int64),
            units={level: _units([sample.units.get(level, (EMPTY, EMPTY)) for sample in samples]) for level in levels},
            sentence_ends=(
                _joined([sample.sentence_ends_S for sample in samples], np.int64),
                np.array([len(sample.sentence_ends_S) for sample in samples], np.int64),
            ),
            tasks=[sample.task for sample in samples],
            labels={
                name: np.array([sample.labels.get(name, NO_LABEL) for sample in samples], np.int64) for name in names
            },
            key_S=np.array([sample.key for sample in samples], np.uint64),
            document_ids=[sample.document_id for sample in samples],
            first_token_S=np.array([sample.first_token for sample in samples], np.int64),
            texts=[sample.text for sample in samples],
        )

    @staticmethod
    def join(several: Sequence[Samples]) -> Samples:
        """One after another; a level that some of them lack has no units there, a task no label."""
        if len(several) == 1:
            return several[0]
        levels = dict.fromkeys(level for samples in several for level in samples.units)
        names = dict.fromkeys(name for samples in several for name in samples.labels)
        return Samples(
            token_ids_T=_joined([samples.token_ids_T for samples in several], np.int64),
            maskable_T=_joined([samples.maskable_T for samples in several], np.bool_),
            segment_ids_T=_joined([samples.segment_ids_T for samples in several], np.int64),
            place_T=_joined([samples.place_T for samples in several], np.int32),
            length_S=_joined([samples.length_S for samples in several], np.int64),
            units={
                level: _joined_units([s.units.get(level, (EMPTY, EMPTY, np.zeros(len(s), np.int64))) for s in several])
                for level in levels
            },
            sentence_ends=(
                _joined([s.sentence_ends[0] for s in several], np.int64),
                _joined([s.sentence_ends[1] for s in several], np.int64),
            ),
            tasks=[task for samples in several for task in samples.tasks],
            labels={
                name: _joined([s.labels.get(name, np.full(len(s), NO_LABEL, np.int64)) for s in several], np.int64)
                for name in names
            },
            key_S=_joined([samples.key_S for samples in several], np.uint64),
            document_ids=[name for samples in several for name in samples.document_ids],
            first_token_S=_joined([samples.first_token_S for samples in several], np.int64),
            texts=Joined([samples.texts for samples in several]),
        )


def _taken(values: npt.NDArray[Any], count_S: Long, order_S: Long) -> npt.NDArray[Any]:
    """Rows of different lengths in another order."""
    from pretrain.feed import kernels

    out = np.empty_like(values)
    counts_S = count_S[order_S]
    kernels.spread(values, starts(count_S)[order_S], counts_S, starts(counts_S)[:-1], out)
    return out


def _row(count_S: Long, number: int) -> slice:
    first = int(count_S[:number].sum())
    return slice(first, first + int(count_S[number]))


def _joined(arrays: Sequence[npt.NDArray[Any]], kind: Any) -> npt.NDArray[Any]:
    return np.concatenate([np.zeros(0, kind), *arrays]).astype(kind, copy=False)


def _units(pairs: Sequence[tuple[Long, Long]]) -> tuple[Long, Long, Long]:
    start_U, end_U = (_joined([pair[side] for pair in pairs], np.int64) for side in (0, 1))
    return start_U, end_U, np.array([len(pair[0]) for pair in pairs], np.int64)


def _joined_units(several: Sequence[tuple[Long, Long, Long]]) -> tuple[Long, Long, Long]:
    start_U, end_U, count_S = (_joined([units[part] for units in several], np.int64) for part in range(3))
    return start_U, end_U, count_S
