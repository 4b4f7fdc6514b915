"""Words, phrases and entities: never cut, hidden as often whatever their length, and exactly as the slow reference
says."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from slow_reference import allowance, slow_units
from toy_samples import (
    LEVELS,
    Toy,
    by_sample,
    keys,
    lay_out,
    random_toy,
    repeated,
    seeded_toy,
    slow_partition,
    toys,
    words_of_lengths,
)

from masking.budget import RULES, TOKEN_RULES, Budget
from masking.strategies.subword import Subword
from masking.strategies.whole_unit import WholeUnit

FIXED = settings(derandomize=True, deadline=None, max_examples=100)
WORDS = WholeUnit(units=["word"])


def budgets(rules: list[str] | tuple[str, ...], highest: float = 0.95) -> st.SearchStrategy[Budget]:
    return st.builds(Budget, rate=st.floats(0.02, highest), rule=st.sampled_from(rules), at_least_one=st.booleans())


def chosen_by(
    strategy: WholeUnit | Subword, samples: list[Toy], budget: Budget, keys_S: np.ndarray
) -> list[list[tuple[int, int]]]:
    units = lay_out(samples)
    return by_sample(strategy.select(units, budget, keys_S, np.zeros(len(samples))), units)


def agrees_with_the_reference(samples: list[Toy], levels: list[str], budget: Budget, seed: int) -> None:
    keys_S = keys(len(samples), seed)
    expected = [slow_units(toy, levels, budget, key) for toy, key in zip(samples, keys_S.tolist(), strict=True)]
    assert chosen_by(WholeUnit(units=levels), samples, budget, keys_S) == expected


@pytest.mark.parametrize("rule", RULES)
@FIXED
@given(
    st.lists(toys(longest=80), min_size=1, max_size=3),
    st.permutations(LEVELS),
    st.integers(1, 3),
    st.data(),
    st.integers(0, 10**6),
)
def test_the_kernel_equals_the_slow_reference(
    rule: str, samples: list[Toy], order: list[str], levels: int, data: st.DataObject, seed: int
) -> None:
    agrees_with_the_reference(samples, order[:levels], data.draw(budgets([rule])), seed)


@FIXED
@given(
    st.lists(toys(longest=60), min_size=1, max_size=3), st.permutations(LEVELS), budgets(RULES), st.integers(0, 10**6)
)
def test_pieces_of_units_equal_the_slow_reference(
    samples: list[Toy], order: list[str], budget: Budget, seed: int
) -> None:
    keys_S = keys(len(samples), seed)
    expected = [
        slow_units(toy, order, budget, key, pieces=True) for toy, key in zip(samples, keys_S.tolist(), strict=True)
    ]
    assert chosen_by(WholeUnit(units=order, pieces=True), samples, budget, keys_S) == expected


def test_accept_equals_the_slow_reference_also_where_nearly_everything_is_hidden() -> None:
    for seed in range(400):
        agrees_with_the_reference(
            [seeded_toy(2 + seed % 40, seed)], list(LEVELS), Budget(rate=0.95, at_least_one=False), seed
        )


@pytest.mark.parametrize("lengths", [[20], [1, 19], [12, 8]])
def test_accept_hides_units_of_the_length_of_the_sample_as_often_as_any(lengths: list[int]) -> None:
    """20,000 samples of 20 tokens in one or two units: each hidden in 0.15 +- 0.016."""
    # Standard error .0025: 6.3 of them, false alarm 2e-9 over five units (fixed keys: never).
    toy = words_of_lengths(lengths)
    units = repeated(toy, 20_000)
    spans = WORDS.select(units, Budget(at_least_one=False), keys(20_000), np.zeros(20_000))
    place_N = spans.start_N - units.sample_start_S[spans.sample_N]
    for start, _ in toy.levels["word"]:
        assert abs((place_N == start).sum() / 20_000 - 0.15) < 0.016, (lengths, start)


@FIXED
@given(toys(longest=80), budgets([*TOKEN_RULES, "units"]), st.integers(0, 10**6))
def test_subword_is_the_same_rule_on_single_tokens(toy: Toy, budget: Budget, seed: int) -> None:
    key = int(keys(1, seed)[0])
    expected = slow_units(toy, [], budget, key)
    assert chosen_by(Subword(), [toy], budget, keys(1, seed)) == [expected]
    assert len(expected) == (allowance(sum(toy.maskable()), budget, key) if sum(toy.maskable()) else 0)


@FIXED
@given(toys(longest=80), budgets(["bernoulli"]), st.integers(0, 10**6))
def test_subword_without_a_budget_throws_a_coin_for_every_token(toy: Toy, budget: Budget, seed: int) -> None:
    assert chosen_by(Subword(), [toy], budget, keys(1, seed)) == [slow_units(toy, [], budget, int(keys(1, seed)[0]))]


@FIXED
@given(
    st.lists(toys(longest=60), min_size=1, max_size=3),
    budgets([rule for rule in RULES if rule != "cut"]),
    st.integers(0, 10**6),
)
def test_a_unit_is_never_cut(samples: list[Toy], budget: Budget, seed: int) -> None:
    for toy, spans in zip(samples, chosen_by(WholeUnit(), samples, budget, keys(len(samples), seed)), strict=True):
        whole = {(start, end) for start, end, _ in slow_partition(toy, LEVELS)}
        assert set(spans) <= whole


@FIXED
@given(toys(longest=80), st.floats(0.05, 0.5), st.integers(0, 10**6))
def test_each_rule_spends_the_budget_as_documented(toy: Toy, rate: float, seed: int) -> None:
    units = [(start, end) for start, end, _ in slow_partition(toy, LEVELS)]
    key = int(keys(1, seed)[0])
    budget = allowance(sum(toy.maskable()), Budget(rate=rate, at_least_one=False), key)
    longest = max((end - start for start, end in units), default=0)
    spent, spans = {}, {}
    for rule in RULES:
        (spans[rule],) = chosen_by(WholeUnit(), [toy], Budget(rate=rate, rule=rule, at_least_one=False), keys(1, seed))
        spent[rule] = sum(end - start for start, end in spans[rule])
    assert spent["stop"] <= spent["skip"] <= budget
    assert set(spans["stop"]) <= set(spans["skip"])
    left_out = [end - start for start, end in units if (start, end) not in spans["skip"]]
    assert spent["skip"] == budget or not left_out or min(left_out) > budget - spent["skip"]
    assert spent["cut"] == budget
    assert len(set(spans["cut"]) - set(units)) <= 1
    assert budget <= spent["overshoot"] < budget + max(longest, 1)
    assert set(spans["stop"]) <= set(spans["overshoot"])
    assert len(spans["overshoot"]) - len(spans["stop"]) <= 1
    # An arc of `budget` tokens begins inside one unit and ends inside another.
    assert abs(spent["accept"] - budget) < max(longest, 1)
    assert len(spans["units"]) == allowance(len(units), Budget(rate=rate, at_least_one=False), key)


def mixed_sample(tokens: int) -> Toy:
    """As many tokens in units of 8 as in units of 4, of 2 and of 1."""
    spans, position = [], 1
    for length in (8, 4, 2, 1):
        for _ in range(tokens // 4 // length):
            spans.append((position, position + length))
            position += length
    return Toy(position + 1, levels={"word": spans})


def selection_by_length(tokens: int, samples: int, rule: str = "accept") -> dict[int, float]:
    """Share of the units of each length that are hidden."""
    units = repeated(mixed_sample(tokens), samples)
    spans = WORDS.select(units, Budget(rule=rule, at_least_one=False), keys(samples), np.zeros(samples))
    lengths, counts = np.unique(spans.end_N - spans.start_N, return_counts=True)
    found = dict(zip(lengths.tolist(), counts.tolist(), strict=True))
    return {length: found.get(length, 0) / (samples * (tokens // 4 // length)) for length in (1, 2, 4, 8)}


@pytest.mark.parametrize("rule", ["accept", "units", "bernoulli"])
@pytest.mark.parametrize("tokens", [32, 64, 128, 512])
def test_a_unit_is_hidden_at_the_rate_whatever_its_length(rule: str, tokens: int) -> None:
    """200,000 units of 8 tokens, 400,000 of 4, 800,000 of 2 and 1,600,000 of 1, in samples of 32, 64, 128 or 512
    tokens: 0.15 +- 0.0045."""
    # Standard error at most .0008 (8 tokens; units of a sample are drawn without replacement, which makes it smaller):
    # 5.6 of them, false alarm 1e-6 over the 48 shares (fixed keys: never).
    for length, share in selection_by_length(tokens, 200_000 * 32 // tokens, rule).items():
        assert abs(share - 0.15) < 0.0045, (length, share)


def test_every_unit_of_a_sample_is_hidden_as_often_as_any_other_wherever_it_stands() -> None:
    """60,000 times one sample of 58 tokens in units of 1 to 9: each of its units is hidden in 0.15 +- 0.009."""
    # Standard error .00146: 6.2 of them, false alarm 3e-8 over the units (fixed keys: never).
    toy = random_toy(np.random.default_rng(11), 60)
    units = repeated(toy, 60_000)
    spans = WholeUnit().select(units, Budget(at_least_one=False), keys(60_000), np.zeros(60_000))
    shares = np.bincount(spans.start_N - units.sample_start_S[spans.sample_N], minlength=60) / 60_000
    whole = slow_partition(toy, LEVELS)
    assert {end - start for start, end, _ in whole} >= {1, 2, 3, 4}
    assert max(abs(shares[start] - 0.15) for start, _, _ in whole) < 0.009
    assert not shares[[place for place in range(60) if place not in {start for start, _, _ in whole}]].any()


def test_without_a_budget_units_are_hidden_independently_of_one_another() -> None:
    """50,000 samples of 15 units: counts are binomial, variance 15 * .15 * .85 = 1.9125 +- 0.08; with a budget of units
    below 0.3."""
    # The variance of a count has a standard error of .0124 (kurtosis nearly normal): 6.5 of them, 1e-10. The budget
    # leaves the coin: .25 * .75.
    units = repeated(mixed_sample(32), 50_000)
    variances = {}
    for rule in ("bernoulli", "units"):
        spans = WORDS.select(units, Budget(rule=rule, at_least_one=False), keys(50_000), np.zeros(50_000))
        variances[rule] = np.bincount(spans.sample_N, minlength=50_000).var()
    assert abs(variances["bernoulli"] - 15 * 0.15 * 0.85) < 0.08
    assert variances["units"] < 0.3


def test_skip_starves_long_units_which_is_why_accept_is_the_default() -> None:
    """40,000 samples of 64 tokens: 8-token units hidden less than half as often as single tokens (0.29 measured)."""
    # Expected .064 against .219, standard errors .0009 and .0005: the bound is tens of them away.
    shares = selection_by_length(64, 40_000, "skip")
    assert shares[8] < 0.5 * shares[1]
    assert shares[1] > shares[2] > shares[4] > shares[8]
    accepted = selection_by_length(64, 40_000)
    assert accepted[8] / accepted[1] > 2 * shares[8] / shares[1]


def test_skip_never_hides_an_8_token_unit_of_a_32_token_sample() -> None:
    assert selection_by_length(32, 20_000, "skip")[8] == 0
    assert selection_by_length(32, 20_000)[8] > 0.13


def test_the_share_hidden_by_the_rules_differs_as_documented() -> None:
    """20,000 samples of 64 tokens: stop hides less than the rate, overshoot more, all others about the rate."""
    # Standard error of a share .0002, .0007 without a budget of tokens: every bound below is more than 4 of them away.
    units = repeated(mixed_sample(64), 20_000)
    shares = {}
    for rule in RULES:
        spans = WORDS.select(units, Budget(rule=rule, at_least_one=False), keys(20_000), np.zeros(20_000))
        shares[rule] = spans.tokens / units.maskable_T.sum()
    assert shares["stop"] < 0.14
    assert shares["overshoot"] > 0.16
    for rule in ("cut", "accept", "units", "bernoulli"):
        assert abs(shares[rule] - 0.15) < 0.003, rule
    assert 0.145 < shares["skip"] < 0.153


def test_levels_are_the_units_asked_for() -> None:
    assert list(WholeUnit().levels()) == ["entity", "phrase", "word"]
    assert list(WORDS.levels()) == ["word"]


@pytest.mark.parametrize("units", [[], ["word", "word"]])
def test_no_level_or_the_same_twice_is_refused(units: list[str]) -> None:
    with pytest.raises(ValueError, match=r"^units: .* must name at least one level, each once$"):
        WholeUnit(units=units)
