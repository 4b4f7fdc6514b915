"""What every strategy promises, for each file in masking/strategies: a new file is covered as soon as ARGUMENTS names
it."""

from __future__ import annotations

import dataclasses
import itertools
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from toy_samples import LEVELS, Toy, by_sample, keys, lay_out, random_toy, repeated, seeded_toy, slow_partition, toys

from launch.settings.components import field_docs, find_kind, kinds
from masking.budget import Budget
from masking.spans import Spans, Units
from masking.strategies import Strategy
from masking.strategies.geometric_span import GeometricSpan
from masking.strategies.mixture import Phase
from masking.strategies.subword import Subword
from masking.strategies.whole_unit import WholeUnit

FIXED = settings(derandomize=True, deadline=None, max_examples=30)
KINDS = kinds(Strategy)

ARGUMENTS: dict[str, dict[str, Any]] = {
    "ernie1": {"unit_share": 0.7},
    "geometric_span": {},
    "macbert": {},
    "mixture": {
        "strategies": [Subword(), WholeUnit(), GeometricSpan()],
        "schedule": [Phase(until=1.0, weights=[1, 2, 1])],
    },
    "named_entity_mix": {},
    "ngram": {},
    "noun_phrase_mix": {"max_words": 10},
    "pmi": {},
    "salient": {"weight": "even"},
    "subword": {},
    "whole_unit": {},
}
"""Constructor arguments by kind."""
PLAIN = Budget(at_least_one=False)
"""Where an exact share is asserted."""


def make(kind: str) -> Strategy:
    if kind not in ARGUMENTS:
        pytest.fail(f"masking/strategies/{kind}.py is new: add its constructor arguments to ARGUMENTS in {__file__}")
    cls = find_kind(Strategy, kind)
    assert cls is not None
    return cls(**ARGUMENTS[kind])


def select(strategy: Strategy, units: Units, keys_S: np.ndarray, budget: Budget | None = None) -> Spans:
    return strategy.select(units, budget or Budget(), keys_S, np.full(len(keys_S), 0.5))


every_kind = pytest.mark.parametrize("kind", KINDS)
every_rule = pytest.mark.parametrize(
    ("kind", "rule"), [(kind, rule) for kind in KINDS if kind in ARGUMENTS for rule in make(kind).rules()]
)


def divided(words: set[tuple[int, int]], others: list[tuple[int, int]]) -> set[tuple[int, int]]:
    """Words cut at the edges of other units, as the mixes of entities and phrases do."""
    edges = {edge for unit in others for edge in unit}
    pieces = set()
    for start, end in words:
        inner = [start, *sorted(edge for edge in edges if start < edge < end), end]
        pieces |= set(itertools.pairwise(inner))
    return pieces


def whole_units(kind: str, toy: Toy) -> set[tuple[int, int]]:
    """Every unit that a strategy of this kind may hide in a sample."""
    partitions = {
        "ernie1": [LEVELS, ()],
        "mixture": [(), LEVELS, ("word",)],
        "whole_unit": [LEVELS],
        "salient": [LEVELS],
        "pmi": [("phrase", "word")],
    }
    found = set().union(
        *(
            {unit[:2] for unit in slow_partition(toy, levels)}
            for levels in partitions.get(kind, [tuple(make(kind).levels())])
        )
    )
    if kind in ("named_entity_mix", "noun_phrase_mix"):
        level = make(kind).level
        maskable = toy.maskable()
        words = {unit[:2] for unit in slow_partition(toy, ["word"])}
        return divided(words, [unit for unit in toy.levels.get(level, []) if all(maskable[unit[0] : unit[1]])])
    return found


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


@every_rule
@FIXED
@given(
    samples=st.lists(toys(), max_size=4),
    before=st.integers(0, 5),
    between=st.integers(0, 3),
    seed=st.integers(0, 1000),
    rate=st.floats(0.05, 0.9),
)
def test_units_are_sorted_disjoint_inside_a_sample_maskable_and_whole(
    kind: str, rule: str, samples: list[Toy], before: int, between: int, seed: int, rate: float
) -> None:
    """No special token and no padding is a target (pitfalls P1, P11); no unit is cut unless the rule says so, and then
    one of a sample (P10)."""
    units = lay_out(samples, before=before, between=between, after=2)
    spans = select(make(kind), units, keys(len(samples), seed), Budget(rate=rate, rule=rule))
    previous = 0
    for sample, start, end in zip(spans.sample_N, spans.start_N, spans.end_N, strict=True):
        assert previous <= start < end
        assert units.sample_start_S[sample] <= start
        assert end <= units.sample_end_S[sample]
        assert units.maskable_T[start:end].all()
        previous = end
    for toy, chosen in zip(samples, by_sample(spans, units), strict=True):
        assert len(set(chosen) - whole_units(kind, toy)) <= (rule == "cut")


@every_kind
@FIXED
@given(samples=st.lists(toys(), min_size=1, max_size=4), seed=st.integers(0, 1000))
def test_equal_keys_give_equal_spans_and_the_batch_is_left_alone(kind: str, samples: list[Toy], seed: int) -> None:
    units = lay_out(samples)
    arrays = [
        units.sample_start_S,
        units.sample_end_S,
        units.maskable_T,
        *(side for level in units.levels.values() for side in level),
    ]
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
@given(
    samples=st.lists(toys(), min_size=1, max_size=4),
    before=st.integers(0, 50),
    between=st.integers(0, 9),
    seed=st.integers(0, 1000),
)
def test_a_sample_depends_neither_on_its_neighbours_nor_on_its_place(
    kind: str, samples: list[Toy], before: int, between: int, seed: int
) -> None:
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


@every_rule
def test_samples_of_special_tokens_only_have_no_spans(kind: str, rule: str) -> None:
    units = lay_out([Toy(length=2), Toy(length=3, blocked=frozenset({1})), Toy(length=2)], between=1)
    for seed in range(20):
        assert len(select(make(kind), units, keys(3, seed), Budget(rate=0.9, rule=rule))) == 0


@every_rule
def test_every_sample_with_text_has_a_target_by_default(kind: str, rule: str) -> None:
    samples = [
        Toy(length=3),
        Toy(length=2),
        Toy(length=5, levels={"entity": [(1, 4)], "word": [(1, 4)]}),
        seeded_toy(9, 3),
        seeded_toy(40, 4),
    ]
    units = lay_out(samples)
    for seed in range(20):
        chosen = by_sample(select(make(kind), units, keys(5, seed), Budget(rule=rule)), units)
        assert [bool(spans) for spans in chosen] == [any(toy.maskable()) for toy in samples]


@every_rule
def test_units_longer_than_the_budget_are_no_trouble(kind: str, rule: str) -> None:
    """Samples of one entity, phrase and word of 30 tokens with a budget of one: hidden whole, or not at all, or cut."""
    whole = [(1, 31)]
    units = repeated(Toy(length=32, levels={"entity": whole, "phrase": whole, "word": whole}), 100)
    for at_least_one in (True, False):
        spans = select(make(kind), units, keys(100), Budget(rate=0.03, rule=rule, at_least_one=at_least_one))
        # Single tokens are units of `subword`, of ernie1's other mode, and what `cut` leaves of a unit.
        assert set((spans.end_N - spans.start_N).tolist()) <= {1, 30}
        assert not at_least_one or len(np.unique(spans.sample_N)) == 100


@every_kind
def test_the_masked_share_of_long_samples_is_the_rate(kind: str) -> None:
    """12,000 samples of 298 maskable tokens: share between 0.149 and 0.152 by the rule accept."""
    # The share of one sample has a standard deviation of at most .0185 (geometric_span), so the mean's is at most
    # .00017:
    # the nearer edge is 5.9 of them away, false alarm 4e-9 (fixed keys: never).
    units = repeated(random_toy(np.random.default_rng(5), 300), 12_000)
    spans = select(make(kind), units, keys(12_000), PLAIN)
    assert 0.149 < spans.tokens / units.maskable_T.sum() < 0.152


@every_kind
@pytest.mark.parametrize("length", [5, 12, 34])
def test_the_masked_share_of_short_samples_is_the_rate_too(kind: str, length: int) -> None:
    """40,000 samples of 3, 10 and 32 maskable tokens: share 0.15 +- 0.01, because the count is rounded by a coin."""
    # The share of one sample has a standard deviation of at most .254 (geometric_span, 3 tokens), so the mean's is at
    # most .0013:
    # the tolerance is 7.8 of them, false alarm 1e-14 (fixed keys: never).
    units = repeated(random_toy(np.random.default_rng(length), length), 40_000)
    spans = select(make(kind), units, keys(40_000), PLAIN)
    assert abs(spans.tokens / units.maskable_T.sum() - 0.15) < 0.01


@every_kind
def test_a_level_that_the_data_lack_is_named(kind: str) -> None:
    strategy = make(kind)
    needed = list(strategy.levels())
    if not needed:
        pytest.skip("needs no level")
    plain = lay_out([Toy(length=20)] * 30)
    bare = Units(
        sample_start_S=plain.sample_start_S, sample_end_S=plain.sample_end_S, maskable_T=plain.maskable_T, levels={}
    )
    with pytest.raises(ValueError, match=rf"level '({'|'.join(needed)})' is not in the data; it has none"):
        select(strategy, bare, keys(30))


@every_kind
def test_other_epochs_hide_other_units_of_the_same_sample(kind: str) -> None:
    """A sample's key changes with the epoch: of 20 epochs no two hide the same in a sample of 300 tokens."""
    toy = random_toy(np.random.default_rng(1), 300)
    units = repeated(toy, 1)
    assert len({tuple(by_sample(select(make(kind), units, keys(1, epoch)), units)[0]) for epoch in range(20)}) == 20


@every_kind
def test_no_unit_of_a_pair_of_segments_lies_on_both_sides_of_the_separator(kind: str) -> None:
    """[CLS] A [SEP] B [SEP] with units up to the inner [SEP] and from it on."""
    spans = [(3, 6), (8, 11), (12, 15)]
    units = repeated(Toy(length=23, blocked=frozenset({11}), levels=dict.fromkeys(LEVELS, spans)), 300)
    chosen = by_sample(select(make(kind), units, keys(300), Budget(rate=0.6)), units)
    assert all(end <= 11 or start >= 12 for found in chosen for start, end in found)
    assert {end for found in chosen for _, end in found} >= {11, 15}
