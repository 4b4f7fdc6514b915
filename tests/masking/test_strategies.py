"""What every strategy promises, for each file in masking/strategies: a new file is covered as soon as ARGUMENTS names it."""

from __future__ import annotations

import dataclasses
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from toy_samples import Toy, by_sample, keys, lay_out, random_toy, repeated, toys

from launch.config import field_docs, find_kind, kinds
from masking.budget import CROSSING, Budget
from masking.spans import Spans, Units
from masking.strategies import Strategy
from masking.strategies.geometric_span import GeometricSpan
from masking.strategies.mixture import Phase
from masking.strategies.subword import Subword
from masking.strategies.whole_unit import WholeUnit

FIXED = settings(derandomize=True, deadline=None, max_examples=40)
KINDS = kinds(Strategy)

ARGUMENTS: dict[str, dict[str, Any]] = {
    "geometric_span": {},
    "mixture": {"strategies": [Subword(), WholeUnit(), GeometricSpan()], "schedule": [Phase(until=1.0, weights=[1, 2, 1])]},
    "subword": {},
    "whole_unit": {},
}
"""Constructor arguments by kind."""


def make(kind: str) -> Strategy:
    if kind not in ARGUMENTS:
        pytest.fail(f"masking/strategies/{kind}.py is new: add its constructor arguments to ARGUMENTS in {__file__}")
    cls = find_kind(Strategy, kind)
    assert cls is not None
    return cls(**ARGUMENTS[kind])


def select(strategy: Strategy, units: Units, keys_S: np.ndarray, budget: Budget | None = None) -> Spans:
    return strategy.select(units, budget or Budget(), keys_S, np.full(len(keys_S), 0.5))


every_kind = pytest.mark.parametrize("kind", KINDS)


def test_arguments_are_given_for_every_kind_and_for_no_other() -> None:
    assert sorted(ARGUMENTS) == KINDS


@every_kind
def test_a_strategy_is_a_frozen_keyword_only_dataclass(kind: str) -> None:
    cls = type(make(kind))
    assert cls.__dataclass_params__.frozen
    assert all(item.kw_only for item in dataclasses.fields(cls))
    with pytest.raises(dataclasses.FrozenInstanceError):
        make(kind).anything = 1


@every_kind
def test_every_field_of_a_strategy_is_documented(kind: str) -> None:
    cls = type(make(kind))
    assert cls.__doc__ and not cls.__doc__.startswith(cls.__name__ + "(")
    documented = field_docs(cls)
    assert [item.name for item in dataclasses.fields(cls) if not documented.get(item.name)] == []


@every_kind
@pytest.mark.parametrize("crossing", CROSSING)
@FIXED
@given(samples=st.lists(toys(), max_size=4), before=st.integers(0, 5), between=st.integers(0, 3), seed=st.integers(0, 1000), rate=st.floats(0.05, 0.9))
def test_spans_are_sorted_disjoint_inside_a_sample_and_maskable(
    kind: str, crossing: str, samples: list[Toy], before: int, between: int, seed: int, rate: float
) -> None:
    units = lay_out(samples, before=before, between=between, after=2)
    spans = select(make(kind), units, keys(len(samples), seed), Budget(rate=rate, crossing=crossing))
    previous = 0
    for sample, start, end in zip(spans.sample_N, spans.start_N, spans.end_N, strict=True):
        assert previous <= start < end
        assert units.sample_start_S[sample] <= start
        assert end <= units.sample_end_S[sample]
        assert units.maskable_T[start:end].all()
        previous = end


@every_kind
@FIXED
@given(samples=st.lists(toys(), min_size=1, max_size=4), seed=st.integers(0, 1000))
def test_equal_keys_give_equal_spans_and_the_batch_is_left_alone(kind: str, samples: list[Toy], seed: int) -> None:
    units = lay_out(samples)
    arrays = [units.sample_start_S, units.sample_end_S, units.maskable_T, *(side for level in units.levels.values() for side in level)]
    copies = [array.copy() for array in arrays]
    first = by_sample(select(make(kind), units, keys(len(samples), seed)), units)
    assert by_sample(select(make(kind), units, keys(len(samples), seed)), units) == first
    assert all(np.array_equal(array, copy) for array, copy in zip(arrays, copies, strict=True))


@every_kind
def test_other_keys_give_other_spans(kind: str) -> None:
    units = repeated(random_toy(np.random.default_rng(0), 300), 20)
    chosen = by_sample(select(make(kind), units, keys(20)), units)
    assert len({tuple(spans) for spans in chosen}) == 20


@every_kind
@FIXED
@given(samples=st.lists(toys(), min_size=1, max_size=4), before=st.integers(0, 50), between=st.integers(0, 9), seed=st.integers(0, 1000))
def test_a_sample_depends_neither_on_its_neighbours_nor_on_its_place(kind: str, samples: list[Toy], before: int, between: int, seed: int) -> None:
    strategy, keys_S = make(kind), keys(len(samples), seed)
    units = lay_out(samples, before=before, between=between)
    together = by_sample(select(strategy, units, keys_S), units)
    for number, toy in enumerate(samples):
        alone = lay_out([toy])
        assert by_sample(select(strategy, alone, keys_S[number : number + 1]), alone) == [together[number]]


@every_kind
def test_an_empty_batch_has_no_spans(kind: str) -> None:
    assert len(select(make(kind), lay_out([]), keys(0))) == 0
    assert len(select(make(kind), lay_out([], before=7), keys(0))) == 0


@every_kind
@pytest.mark.parametrize("crossing", CROSSING)
def test_samples_of_special_tokens_only_have_no_spans(kind: str, crossing: str) -> None:
    units = lay_out([Toy(length=2), Toy(length=3, blocked=frozenset({1})), Toy(length=2)], between=1)
    for seed in range(20):
        assert len(select(make(kind), units, keys(3, seed), Budget(rate=0.9, crossing=crossing))) == 0


@every_kind
def test_the_masked_share_of_long_samples_is_the_rate(kind: str) -> None:
    """12,000 samples of 298 maskable tokens: share between 0.149 and 0.152."""
    # The share of one sample has a standard deviation of at most .0185 (geometric_span), so the mean's is at most .00017:
    # the nearer edge is 5.9 of them away, false alarm 4e-9 (fixed keys: never).
    units = repeated(random_toy(np.random.default_rng(5), 300), 12_000)
    spans = select(make(kind), units, keys(12_000))
    assert 0.149 < spans.tokens / units.maskable_T.sum() < 0.152


@every_kind
@pytest.mark.parametrize("length", [5, 12, 34])
def test_the_masked_share_of_short_samples_is_the_rate_too(kind: str, length: int) -> None:
    """40,000 samples of 3, 10 and 32 maskable tokens: share 0.15 +- 0.01, because the count is rounded by a coin."""
    # The share of one sample has a standard deviation of at most .254 (geometric_span, 3 tokens), so the mean's is at most .0013:
    # the tolerance is 7.8 of them, false alarm 1e-14 (fixed keys: never).
    units = repeated(random_toy(np.random.default_rng(length), length), 40_000)
    spans = select(make(kind), units, keys(40_000))
    assert abs(spans.tokens / units.maskable_T.sum() - 0.15) < 0.01


@every_kind
def test_a_level_that_the_data_lack_is_named(kind: str) -> None:
    strategy = make(kind)
    needed = list(strategy.levels())
    if not needed:
        pytest.skip("needs no level")
    plain = lay_out([Toy(length=20)] * 30)
    bare = Units(sample_start_S=plain.sample_start_S, sample_end_S=plain.sample_end_S, maskable_T=plain.maskable_T, levels={})
    with pytest.raises(ValueError, match=rf"level '({'|'.join(needed)})' is not in the data"):
        select(strategy, bare, keys(30))
