"""Samples laid into rows as one flat batch, and part of them hidden: everything about a batch that is numpy.

    Samples of a Row          -> flat arrays of row_tokens positions, padded only at the end
    strategy.select           -> Spans, the units to hide (masking/)
    corruption.corrupt        -> ids as the model sees them, and what stood at hidden positions
    Packed                    what objectives read to make their targets, and what `kmask show` draws

Pure: a sample's mask depends on its key alone, wherever it lies (unless ``budget.row_targets`` limits its row).

Shape legend: B rows, T = B * row_tokens positions, S samples, M hidden positions.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
import numpy.typing as npt

from masking.capacity import limit_rows
from masking.corruption import Targets, corrupt_each
from masking.keyed import combine_array
from masking.spans import Byte, Keys, Spans, Units
from pretrain.feed.hiding import Masking, Specials, weights
from pretrain.feed.sample_checks import check_ids, check_sentences, check_units
from pretrain.feed.samples import EMPTY, NO_LABEL, Sample, Samples
from pretrain.feed.texts import Long, starts

SELECT, CORRUPT = 1, 2
"""Sub-keys of a sample's key: the draws of selection and of corruption are unrelated."""


@dataclass(frozen=True, kw_only=True)
class Packed:
    """A batch in numpy, after masking: what objectives read to make their targets, and what `kmask show` draws."""

    samples: Samples
    sample_start_S: npt.NDArray[np.int32]
    original_T: npt.NDArray[np.int64]
    corrupted_T: npt.NDArray[np.int64]
    kind_T: Byte
    spans: Spans
    hidden: Targets
    row_tokens: int
    units: Units
    keys_S: Keys
    given_up: int = 0
    """Units that ``budget.row_targets`` left visible."""
    shuffled_M: npt.NDArray[np.int64] = field(default_factory=lambda: EMPTY)
    """Positions in shuffled windows."""

    def labelled(self, task: str) -> tuple[Long, Long]:
        """The numbers of the samples that a task asks, and their labels."""
        label_S = self.samples.labels.get(task, EMPTY)
        asked_M = np.flatnonzero(label_S != NO_LABEL)
        return asked_M, label_S[asked_M]

    def in_documents(self) -> tuple[Long, Long, Long]:
        """(position_M, sample_M, place_M) of all tokens that stand in the document of their sample: where they lie in
        the batch, the number of their sample, and their place in its document."""
        length_S = self.samples.length_S
        sample_T = np.repeat(np.arange(len(length_S)), length_S)
        known_M = np.flatnonzero(self.samples.place_T >= 0)
        sample_M = sample_T[known_M]
        position_M = known_M - starts(length_S)[sample_M] + self.sample_start_S[sample_M]
        return position_M, sample_M, self.samples.place_T[known_M].astype(np.int64)


@dataclass(frozen=True, kw_only=True)
class Laid:
    """Samples in rows, nothing hidden yet."""

    samples: Samples
    original_T: npt.NDArray[np.int64]
    units: Units
    keys_S: Keys
    row_tokens: int


def lay_out(rows: Sequence[Sequence[Sample]], row_tokens: int, pad: int, vocabulary: int | None = None) -> Laid:
    """``lay`` for samples that were built one by one."""
    return lay(
        Samples.of([sample for row in rows for sample in row]),
        np.array([len(row) for row in rows]),
        row_tokens,
        pad,
        vocabulary,
    )


def lay(
    samples: Samples, count_B: npt.NDArray[np.integer[Any]], row_tokens: int, pad: int, vocabulary: int | None = None
) -> Laid:
    """Samples one after another, so many to a row, each row filled up with padding; ``vocabulary`` is the number of
    token ids, where it is known.

    Raises:
        ValueError: a row was given more tokens than it holds, or a sample is not what compiled loops rely on
        (sample_checks.py).
    """
    from pretrain.feed import kernels

    length_S, from_S = samples.length_S, starts(samples.length_S)[:-1]
    row_S = np.repeat(np.arange(len(count_B)), count_B)
    used_B = np.bincount(row_S, length_S, minlength=len(count_B)).astype(np.int64)
    if (used_B > row_tokens).any():
        raise ValueError(f"a row of {row_tokens} tokens was given {int(used_B[used_B > row_tokens][0])}")
    to_S = from_S + row_S * row_tokens - starts(used_B)[row_S]
    original_T = np.full(len(count_B) * row_tokens, pad, np.int64)
    maskable_T, sentence_T = np.zeros(len(original_T), np.bool_), np.zeros(len(original_T) + 1, np.bool_)
    kernels.spread(samples.token_ids_T, from_S, length_S, to_S, original_T)
    kernels.spread(samples.maskable_T, from_S, length_S, to_S, maskable_T)
    start_S, end_S = to_S.astype(np.int32), (to_S + length_S).astype(np.int32)
    check_ids(samples, original_T, start_S, vocabulary)
    relative_E, count_S = samples.sentence_ends
    end_E = relative_E + np.repeat(to_S, count_S)
    check_sentences(samples, end_E, count_S, start_S, end_S)
    sentence_T[end_E] = True
    levels = {}
    for level, (start_U, end_U, units_S) in samples.units.items():
        shift_U = np.repeat(to_S, units_S)
        start_U, end_U = start_U + shift_U, end_U + shift_U
        check_units(samples, level, start_U, end_U, units_S, start_S, end_S)
        levels[level] = (start_U.astype(np.int32), end_U.astype(np.int32))
    units = Units(
        sample_start_S=start_S,
        sample_end_S=end_S,
        maskable_T=maskable_T,
        levels=levels,
        sentence_start_T=sentence_T[:-1],
    )
    return Laid(samples=samples, original_T=original_T, units=units, keys_S=samples.key_S, row_tokens=row_tokens)


def as_it_is(laid: Laid) -> Packed:
    """Nothing hidden: for tasks that ask about whole text."""
    return Packed(
        samples=laid.samples,
        sample_start_S=laid.units.sample_start_S,
        original_T=laid.original_T,
        corrupted_T=laid.original_T,
        kind_T=laid.units.kinds(),
        spans=Spans.join([]),
        hidden=Targets(EMPTY, EMPTY, EMPTY.astype(np.uint8)),
        row_tokens=laid.row_tokens,
        units=laid.units,
        keys_S=laid.keys_S,
    )


def hide(laid: Laid, masking: Masking, specials: Specials, progress: float) -> Packed:
    """Choose units, replace them, shuffle what is left: each as ``masking`` says."""
    units = replace(laid.units, weights=weights(masking.strategy, laid.units, laid.original_T, specials.rarity))
    budget = masking.hidden_share.at(progress)
    select_S, progress_S = combine_array(laid.keys_S, SELECT), np.full(len(laid.samples), progress)
    spans = masking.strategy.select(units, budget, select_S, progress_S)
    given_up = 0
    if budget.row_targets:
        row_N = spans.start_N.astype(np.int64) // laid.row_tokens
        spans, given_up = limit_rows(spans, row_N, units.sample_start_S, laid.keys_S, budget.row_targets)
    member_S, corrupt_S = masking.strategy.members(select_S, progress_S), combine_array(laid.keys_S, CORRUPT)
    corrupted_T, hidden = corrupt_each(
        masking.laws, member_S, laid.original_T, spans, units, corrupt_S, specials.replacements
    )
    shuffled_M = EMPTY
    if masking.shuffle:
        corrupted_T, shuffled_M = masking.shuffle.shuffle(corrupted_T, spans, units, laid.keys_S)
    return Packed(
        samples=laid.samples,
        sample_start_S=units.sample_start_S,
        original_T=laid.original_T,
        corrupted_T=corrupted_T,
        kind_T=units.kinds(),
        spans=spans,
        hidden=hidden,
        row_tokens=laid.row_tokens,
        units=units,
        keys_S=laid.keys_S,
        given_up=given_up,
        shuffled_M=shuffled_M,
    )


def pack(
    rows: Sequence[Sequence[Sample]], row_tokens: int, masking: Masking, specials: Specials, progress: float
) -> Packed:
    """Lay samples into rows and hide part of them. Pure: equal samples give equal masks wherever they lie."""
    return hide(lay_out(rows, row_tokens, specials.pad, specials.vocabulary), masking, specials, progress)
