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

import numpy as np
import numpy.typing as npt

from masking.capacity import limit_rows
from masking.corruption import Targets, corrupt_each
from masking.keyed import combine_array
from masking.spans import Byte, Int, Keys, Spans, Units
from pretrain.feed.hiding import Masking, Specials, weights
from pretrain.feed.sample_checks import check_ids, check_lengths, check_sentences, check_units
from pretrain.feed.samples import EMPTY, Sample

SELECT, CORRUPT = 1, 2
"""Sub-keys of a sample's key: the draws of selection and of corruption are unrelated."""


@dataclass(frozen=True, kw_only=True)
class Packed:
    """A batch in numpy, after masking: what objectives read to make their targets, and what `kmask show` draws."""

    samples: Sequence[Sample]
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


@dataclass(frozen=True, kw_only=True)
class Laid:
    """Samples in rows, nothing hidden yet."""

    samples: Sequence[Sample]
    original_T: npt.NDArray[np.int64]
    units: Units
    keys_S: Keys
    row_tokens: int


def lay_out(rows: Sequence[Sequence[Sample]], row_tokens: int, pad: int, vocabulary: int | None = None) -> Laid:
    """Samples one after another, each row filled up with padding; ``vocabulary`` is the number of token ids, where it is known.

    Raises:
        ValueError: a row was given more tokens than it holds, or a sample is not what compiled loops rely on (sample_checks.py).
    """
    samples = [sample for row in rows for sample in row]
    check_lengths(samples)
    starts: list[int] = []
    for number, row in enumerate(rows):
        position = number * row_tokens
        for sample in row:
            starts.append(position)
            position += len(sample.token_ids_T)
        if position > (number + 1) * row_tokens:
            raise ValueError(f"a row of {row_tokens} tokens was given {position - number * row_tokens}")
    original_T = np.full(len(rows) * row_tokens, pad, np.int64)
    maskable_T, sentence_T = np.zeros(len(original_T), np.bool_), np.zeros(len(original_T) + 1, np.bool_)
    start_S = np.array(starts, np.int32)
    end_S = start_S + np.array([len(sample.token_ids_T) for sample in samples], np.int32)
    for sample, start, end in zip(samples, start_S, end_S, strict=True):
        original_T[start:end] = sample.token_ids_T
        maskable_T[start:end] = sample.maskable_T
    check_ids(samples, original_T, start_S, vocabulary)
    end_E, count_S = _moved([sample.sentence_ends_S for sample in samples], start_S)
    check_sentences(samples, end_E, count_S, start_S, end_S)
    sentence_T[end_E] = True
    names = dict.fromkeys(level for sample in samples for level in sample.units)
    levels = {level: _units(samples, level, start_S, end_S) for level in names}
    units = Units(sample_start_S=start_S, sample_end_S=end_S, maskable_T=maskable_T, levels=levels, sentence_start_T=sentence_T[:-1])
    keys_S = np.array([sample.key for sample in samples], np.uint64)
    return Laid(samples=samples, original_T=original_T, units=units, keys_S=keys_S, row_tokens=row_tokens)


def _units(samples: Sequence[Sample], level: str, start_S: Int, end_S: Int) -> tuple[Int, Int]:
    """The units of a level in all samples."""
    pairs = [sample.units.get(level, (EMPTY, EMPTY)) for sample in samples]
    (start_U, count_S), (end_U, ends_S) = (_moved([pair[side] for pair in pairs], start_S) for side in (0, 1))
    check_units(samples, level, start_U, end_U, count_S, ends_S, start_S, end_S)
    return start_U.astype(np.int32), end_U.astype(np.int32)


def _moved(places: Sequence[npt.NDArray[np.int64]], start_S: Int) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.int64]]:
    """Places in samples as places in the batch, one after another, and how many each sample has."""
    count_S = np.array([len(place) for place in places], np.int64)
    return np.concatenate([EMPTY, *places]) + np.repeat(start_S, count_S), count_S


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
    corrupted_T, hidden = corrupt_each(masking.laws, member_S, laid.original_T, spans, units, corrupt_S, specials.replacements)
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


def pack(rows: Sequence[Sequence[Sample]], row_tokens: int, masking: Masking, specials: Specials, progress: float) -> Packed:
    """Lay samples into rows and hide part of them. Pure: equal samples give equal masks wherever they lie."""
    return hide(lay_out(rows, row_tokens, specials.pad, specials.vocabulary), masking, specials, progress)
