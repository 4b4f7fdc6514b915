"""A limit of hidden tokens per packed row: whole units given up in keyed order, and counted."""

from __future__ import annotations

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st
from slow_reference import slow_limit
from toy_samples import Toy, keys, lay_out, repeated, toys

from masking.budget import Budget
from masking.capacity import limit_rows
from masking.keyed import combine_array, mix
from masking.spans import Spans, Units
from masking.strategies.whole_unit import WholeUnit

FIXED = settings(derandomize=True, deadline=None, max_examples=100)
CAPACITY = 0x636170


def triples(spans: Spans) -> list[tuple[int, int, int]]:
    return list(zip(spans.sample_N.tolist(), spans.start_N.tolist(), spans.end_N.tolist(), strict=True))


def chosen(samples: list[Toy], rate: float, seed: int) -> tuple[Units, Spans, np.ndarray]:
    units, keys_S = lay_out(samples), keys(len(samples), seed)
    return units, WholeUnit().select(units, Budget(rate=rate), keys_S, np.zeros(len(samples))), keys_S


def limited(units: Units, spans: Spans, keys_S: np.ndarray, row_S: np.ndarray, limit: int) -> tuple[Spans, int]:
    """``row_S``: the row of every sample."""
    return limit_rows(spans, row_S[spans.sample_N].astype(np.int64), units.sample_start_S, keys_S, limit)


@FIXED
@given(
    st.lists(toys(longest=60), min_size=1, max_size=6),
    st.integers(1, 3),
    st.integers(1, 40),
    st.floats(0.05, 0.6),
    st.integers(0, 10**6),
)
def test_the_rule_equals_the_slow_reference(
    samples: list[Toy], per_row: int, limit: int, rate: float, seed: int
) -> None:
    units, spans, keys_S = chosen(samples, rate, seed)
    row_S = np.arange(len(samples)) // per_row
    kept, given_up = limited(units, spans, keys_S, row_S, limit)
    sub_keys = combine_array(keys_S, CAPACITY).tolist()
    expected: list[tuple[int, int, int]] = []
    for row in range(row_S[-1] + 1):
        own = [unit for unit in triples(spans) if row_S[unit[0]] == row]
        order = [mix(sub_keys[sample] + start - int(units.sample_start_S[sample])) for sample, start, _ in own]
        expected += slow_limit(own, order, limit) if sum(end - start for _, start, end in own) > limit else own
    assert triples(kept) == expected
    assert given_up == len(spans) - len(kept)


@FIXED
@given(st.lists(toys(longest=60), min_size=1, max_size=6), st.integers(1, 30), st.integers(0, 10**6))
def test_no_row_exceeds_the_limit_and_no_unit_is_cut(samples: list[Toy], limit: int, seed: int) -> None:
    units, spans, keys_S = chosen(samples, 0.4, seed)
    row_S = np.arange(len(samples)) // 2
    kept, _ = limited(units, spans, keys_S, row_S, limit)
    assert set(triples(kept)) <= set(triples(spans))
    tokens = np.bincount(row_S[kept.sample_N], kept.end_N - kept.start_N, minlength=row_S[-1] + 1)
    assert tokens.max(initial=0) <= limit
    before = np.bincount(row_S[spans.sample_N], spans.end_N - spans.start_N, minlength=row_S[-1] + 1)
    longest = max((end - start for _, start, end in triples(spans)), default=0)
    fits = spans.take(spans.end_N - spans.start_N <= limit)
    fitting = np.bincount(row_S[fits.sample_N], fits.end_N - fits.start_N, minlength=row_S[-1] + 1)
    assert np.array_equal(tokens[fitting <= limit], fitting[fitting <= limit])
    for row in np.flatnonzero(fitting > limit):
        assert tokens[row] > limit - 2 * longest  # a unit at either end of the arc
    assert np.array_equal(tokens[before <= limit], before[before <= limit])


def test_a_limit_that_no_row_reaches_changes_nothing() -> None:
    units, spans, keys_S = chosen([Toy(length=40)] * 4, 0.3, 0)
    kept, given_up = limited(units, spans, keys_S, np.arange(4), 38)
    assert triples(kept) == triples(spans)
    assert given_up == 0


def test_units_are_given_up_by_their_keys_and_not_by_their_place() -> None:
    """4,000 rows of ten hidden tokens, five may stay: each place in half of the rows +- .05, another choice in other
    epochs."""
    # Standard error .0079: 6 of them.
    units = repeated(Toy(length=12), 4000)
    start_N = (units.sample_start_S[:, None] + np.arange(1, 11, dtype=np.int32)[None, :]).ravel().astype(np.int32)
    spans = Spans(np.repeat(np.arange(4000, dtype=np.int32), 10), start_N, start_N + np.int32(1))
    kept, given_up = limited(units, spans, keys(4000), np.arange(4000), 5)
    assert given_up == 20_000
    assert np.abs(np.bincount(kept.start_N % 12, minlength=12)[1:11] / 4000 - 0.5).max() < 0.05
    again, _ = limited(units, spans, keys(4000), np.arange(4000), 5)
    other, _ = limited(units, spans, keys(4000, 1), np.arange(4000), 5)
    assert triples(again) == triples(kept)
    assert triples(other) != triples(kept)


def test_long_units_are_given_up_as_often_as_short_ones() -> None:
    """6,000 rows of 8 single tokens and one unit of each of 2, 4 and 6: 20 tokens, of which 12 may be hidden."""
    # An arc of 12 - 6 + 1 = 7 of 20 places: .35 of the units of each length. Standard error .0062; the draw of single
    # tokens is dependent within a row, so at most that. 5 of them.
    lengths = [1] * 8 + [2, 4, 6]
    units = repeated(Toy(length=22), 6000)
    starts = 1 + np.cumsum([0, *lengths[:-1]])
    start_N = (units.sample_start_S[:, None] + starts[None, :].astype(np.int32)).ravel().astype(np.int32)
    spans = Spans(np.repeat(np.arange(6000, dtype=np.int32), 11), start_N, start_N + np.tile(np.int32(lengths), 6000))
    kept, _ = limited(units, spans, keys(6000), np.arange(6000), 12)
    found = np.bincount(kept.end_N - kept.start_N, minlength=7)[[1, 2, 4, 6]] / (6000 * np.array([8, 1, 1, 1]))
    assert np.abs(found - 7 / 20).max() < 0.031


def test_a_unit_longer_than_the_limit_is_given_up_and_shorter_ones_stay() -> None:
    units = lay_out([Toy(length=12, levels={"word": [(1, 7)]})])
    spans = Spans(*(np.array(column, np.int32) for column in ([0, 0, 0], [1, 7, 9], [7, 8, 10])))
    kept, given_up = limited(units, spans, keys(1), np.zeros(1, int), 3)
    assert triples(kept) == [(0, 7, 8), (0, 9, 10)]
    assert given_up == 1


def test_nothing_hidden_is_no_trouble() -> None:
    kept, given_up = limit_rows(Spans.join([]), np.zeros(0, np.int64), np.zeros(0, np.int32), keys(0), 3)
    assert (len(kept), given_up) == (0, 0)
