"""Targets of the span boundary objective (SpanBERT section 3.2; reference a5): worked examples, merging, truncation,
boundaries that are seen."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from slow_reference import slow_boundaries
from toy_samples import Toy, by_sample, keys, lay_out, toys

from masking.boundary import boundary_targets
from masking.budget import RULES, Budget
from masking.spans import Spans, Units
from masking.strategies.geometric_span import GeometricSpan
from masking.strategies.subword import Subword
from masking.strategies.whole_unit import WholeUnit

FIXED = settings(derandomize=True, deadline=None, max_examples=150)


def text(*lengths: int) -> Units:
    """Samples of these lengths without any special token, one after another."""
    end_S = np.cumsum(lengths).astype(np.int32)
    return Units(
        sample_start_S=end_S - np.array(lengths, np.int32),
        sample_end_S=end_S,
        maskable_T=np.ones(end_S[-1], np.bool_),
        levels={},
    )


def spans_of(*triples: tuple[int, int, int]) -> Spans:
    """Spans from (sample, start, end)."""
    columns = np.array(triples, np.int32).reshape(-1, 3)
    return Spans(*(np.ascontiguousarray(columns[:, side]) for side in range(3)))


def targets_of(
    spans: Spans, units: Units, max_length: int = 20, special_boundaries: bool = False
) -> list[tuple[int, int, int, int]]:
    """(position, left, right, offset) of every target."""
    found = boundary_targets(spans, units, max_length, special_boundaries)
    columns = (found.position_M, found.left_M, found.right_M, found.offset_M)
    return list(zip(*(column.tolist() for column in columns), strict=True))


def test_the_worked_example_of_the_module_holds() -> None:
    assert targets_of(spans_of((0, 2, 3), (0, 3, 4)), lay_out([Toy(length=6)])) == [(2, 1, 4, 1), (3, 1, 4, 2)]


def test_a_span_of_one_token_has_its_two_neighbours() -> None:
    assert targets_of(spans_of((0, 5, 6)), text(10)) == [(5, 4, 6, 1)]


def test_spans_with_a_visible_token_between_stay_apart() -> None:
    assert targets_of(spans_of((0, 1, 3), (0, 4, 5)), text(10)) == [(1, 0, 3, 1), (2, 0, 3, 2), (4, 3, 5, 1)]


def test_three_adjacent_spans_become_one() -> None:
    assert targets_of(spans_of((0, 1, 2), (0, 2, 4), (0, 4, 5)), text(10)) == [
        (position, 0, 5, position) for position in (1, 2, 3, 4)
    ]


@pytest.mark.parametrize("special_boundaries", [False, True])
def test_spans_at_the_edge_of_a_sample_have_no_targets_and_are_not_merged_with_the_next_sample(
    special_boundaries: bool,
) -> None:
    spans = spans_of((0, 2, 3), (0, 3, 5), (1, 5, 6), (1, 7, 8))
    assert targets_of(spans, text(5, 5), special_boundaries=special_boundaries) == [(7, 6, 8, 1)]


def test_a_span_beside_a_special_token_has_targets_only_where_asked() -> None:
    """SpanBERT: "external" endpoints must be real tokens (reference a5: spans touching the start or the end get no pair
    target)."""
    units = lay_out([Toy(length=12, blocked=frozenset({6}))])  # [CLS] 1..5 [SEP] 7..10 [SEP]
    spans = spans_of((0, 1, 2), (0, 3, 4), (0, 5, 6), (0, 7, 8), (0, 9, 11))
    assert targets_of(spans, units) == [(3, 2, 4, 1)]
    everything = [(1, 0, 2, 1), (3, 2, 4, 1), (5, 4, 6, 1), (7, 6, 8, 1), (9, 8, 11, 1), (10, 8, 11, 2)]
    assert targets_of(spans, units, special_boundaries=True) == everything


def test_a_sample_hidden_completely_has_no_targets_without_special_boundaries() -> None:
    units, spans = lay_out([Toy(length=6)]), spans_of((0, 1, 3), (0, 3, 5))
    assert targets_of(spans, units) == []
    assert targets_of(spans, units, special_boundaries=True) == [
        (position, 0, 5, position) for position in (1, 2, 3, 4)
    ]


@pytest.mark.parametrize(("max_length", "kept"), [(1, 1), (3, 3), (4, 4), (20, 4)])
def test_tokens_past_max_length_of_a_merged_span_are_left_out(max_length: int, kept: int) -> None:
    """SpanBERT's max_pair_targets (15 in its command, 20 in its program): longer merged spans are truncated."""
    expected = [(position, 1, 6, position - 1) for position in range(2, 2 + kept)]
    assert targets_of(spans_of((0, 2, 4), (0, 4, 6)), text(10), max_length) == expected


def test_no_spans_have_no_targets() -> None:
    assert targets_of(Spans.join([]), text(5)) == []
    assert targets_of(Spans.join([]), lay_out([])) == []


@FIXED
@given(
    samples=st.lists(toys(longest=60), min_size=1, max_size=4),
    strategy=st.sampled_from([Subword(), WholeUnit(), GeometricSpan()]),
    rate=st.floats(0.05, 0.95),
    rule=st.sampled_from(RULES[:5]),
    max_length=st.integers(1, 25),
    special_boundaries=st.booleans(),
    seed=st.integers(0, 1000),
)
def test_every_target_is_found_by_walking_from_it_to_both_sides(
    samples: list[Toy],
    strategy: WholeUnit | Subword | GeometricSpan,
    rate: float,
    rule: str,
    max_length: int,
    special_boundaries: bool,
    seed: int,
) -> None:
    units = lay_out(samples, before=2, between=1)
    spans = strategy.select(units, Budget(rate=rate, rule=rule), keys(len(samples), seed), np.zeros(len(samples)))
    hidden = {
        position
        for start, end in zip(spans.start_N.tolist(), spans.end_N.tolist(), strict=True)
        for position in range(start, end)
    }
    ranges = list(zip(units.sample_start_S.tolist(), units.sample_end_S.tolist(), strict=True))
    targets = targets_of(spans, units, max_length, special_boundaries)
    for position, left, right, offset in targets:
        assert left not in hidden
        assert right not in hidden
        assert set(range(left + 1, right)) <= hidden
        assert left < position < right
        assert offset == position - left <= max_length
        assert any(start <= left and right < end for start, end in ranges)
        assert special_boundaries or (units.maskable_T[left] and units.maskable_T[right])
    expected = []
    for toy, chosen, start in zip(samples, by_sample(spans, units), units.sample_start_S.tolist(), strict=True):
        found = slow_boundaries(chosen, toy, max_length, special_boundaries)
        expected += [(start + position, start + left, start + right, offset) for position, left, right, offset in found]
    assert targets == expected
