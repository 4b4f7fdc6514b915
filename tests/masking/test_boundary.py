"""Targets of the span boundary objective: worked examples, merging, truncation, and visible boundaries always."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from toy_samples import Toy, keys, lay_out, toys

from masking.boundary import boundary_targets
from masking.budget import Budget
from masking.spans import Spans
from masking.strategies.geometric_span import GeometricSpan
from masking.strategies.subword import Subword
from masking.strategies.whole_unit import WholeUnit

FIXED = settings(derandomize=True, deadline=None, max_examples=100)


def spans_of(*triples: tuple[int, int, int]) -> Spans:
    """Spans from (sample, start, end)."""
    columns = np.array(triples, np.int32).reshape(-1, 3)
    return Spans(*(np.ascontiguousarray(columns[:, side]) for side in range(3)))


def targets_of(spans: Spans, max_length: int = 20) -> list[tuple[int, int, int, int]]:
    """(position, left, right, offset) of every target."""
    found = boundary_targets(spans, max_length)
    columns = (found.position_M, found.left_M, found.right_M, found.offset_M)
    return list(zip(*(column.tolist() for column in columns), strict=True))


def test_the_worked_example_of_the_module_holds() -> None:
    assert targets_of(spans_of((0, 2, 3), (0, 3, 4))) == [(2, 1, 4, 1), (3, 1, 4, 2)]


def test_a_span_of_one_token_has_its_two_neighbours() -> None:
    assert targets_of(spans_of((0, 5, 6))) == [(5, 4, 6, 1)]


def test_spans_with_a_visible_token_between_stay_apart() -> None:
    assert targets_of(spans_of((0, 1, 3), (0, 4, 5))) == [(1, 0, 3, 1), (2, 0, 3, 2), (4, 3, 5, 1)]


def test_three_adjacent_spans_become_one() -> None:
    assert targets_of(spans_of((0, 1, 2), (0, 2, 4), (0, 4, 5))) == [(position, 0, 5, position) for position in (1, 2, 3, 4)]


def test_adjacent_spans_of_different_samples_are_not_merged() -> None:
    assert targets_of(spans_of((0, 3, 5), (1, 5, 6))) == [(3, 2, 5, 1), (4, 2, 5, 2), (5, 4, 6, 1)]


@pytest.mark.parametrize(("max_length", "kept"), [(1, 1), (3, 3), (4, 4), (20, 4)])
def test_tokens_past_max_length_of_a_merged_span_are_left_out(max_length: int, kept: int) -> None:
    expected = [(position, 1, 6, position - 1) for position in range(2, 2 + kept)]
    assert targets_of(spans_of((0, 2, 4), (0, 4, 6)), max_length) == expected


def test_no_spans_have_no_targets() -> None:
    assert targets_of(Spans.join([])) == []


@FIXED
@given(
    samples=st.lists(toys(longest=60), min_size=1, max_size=4),
    strategy=st.sampled_from([Subword(), WholeUnit(), GeometricSpan()]),
    rate=st.floats(0.05, 0.95),
    max_length=st.integers(1, 25),
    seed=st.integers(0, 1000),
)
def test_boundaries_are_visible_tokens_of_the_same_sample(
    samples: list[Toy], strategy: WholeUnit | Subword | GeometricSpan, rate: float, max_length: int, seed: int
) -> None:
    units = lay_out(samples)
    spans = strategy.select(units, Budget(rate=rate), keys(len(samples), seed), np.zeros(len(samples)))
    hidden = {position for start, end in zip(spans.start_N.tolist(), spans.end_N.tolist(), strict=True) for position in range(start, end)}
    ranges = list(zip(units.sample_start_S.tolist(), units.sample_end_S.tolist(), strict=True))
    targets = targets_of(spans, max_length)
    for position, left, right, offset in targets:
        assert left not in hidden
        assert right not in hidden
        assert set(range(left + 1, right)) <= hidden
        assert left < position < right
        assert offset == position - left <= max_length
        assert any(start <= left and right < end for start, end in ranges)
    runs = [position for position in hidden if position - 1 not in hidden]
    expected = sorted(position for start in runs for position in range(start, start + max_length) if set(range(start, position + 1)) <= hidden)
    assert [position for position, *_ in targets] == expected
