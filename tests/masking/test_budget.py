"""How much of a sample is hidden: the count, its rounding, one unit at least, nonsense refused."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from slow_reference import allowance
from toy_samples import LEVELS, Toy, by_sample, keys, lay_out, repeated, toys, weighed, words_of_lengths

from masking.budget import RULES, TOKEN_RULES, Budget
from masking.strategies import Strategy
from masking.strategies.geometric_span import GeometricSpan
from masking.strategies.named_entity_mix import NamedEntityMix
from masking.strategies.ngram import Ngram
from masking.strategies.salient import Salient
from masking.strategies.subword import Subword
from masking.strategies.whole_unit import WholeUnit

FIXED = settings(derandomize=True, deadline=None, max_examples=60)
DRAWS: dict[str, Strategy] = {
    "units": WholeUnit(),
    "weighted": Salient(weight="idf"),
    "ngrams": Ngram(),
    "spans": GeometricSpan(),
    "mix": NamedEntityMix(),
}
"""One strategy for every compiled loop that chooses."""
PAIRS = [(name, rule) for name, strategy in DRAWS.items() for rule in strategy.rules()]
every_draw = pytest.mark.parametrize(("name", "rule"), PAIRS)


def chosen(name: str, samples: list[Toy], budget: Budget, seed: int) -> list[list[tuple[int, int]]]:
    units = weighed(lay_out(samples))
    return by_sample(DRAWS[name].select(units, budget, keys(len(samples), seed), np.zeros(len(samples))), units)


@pytest.mark.parametrize(("tokens", "rate"), [(100, 0.15), (101, 0.15), (3, 0.15), (33, 0.5), (7, 0.99)])
def test_the_count_is_rounded_by_a_coin_so_that_its_mean_is_exact(tokens: int, rate: float) -> None:
    """30,000 samples of single tokens: every count is the number below or above rate * tokens, their mean within 0.018
    of it."""
    # A coin's standard error is at most .0029: 6.2 of them, false alarm 3e-9 over the five cases (fixed keys: never).
    units = repeated(Toy(length=tokens + 2), 30_000)
    spans = Subword().select(units, Budget(rate=rate, at_least_one=False), keys(30_000), np.zeros(30_000))
    counts = np.bincount(spans.sample_N, minlength=30_000)
    exact = rate * tokens
    assert set(counts.tolist()) <= {int(exact), int(exact) + 1}
    assert abs(counts.mean() - exact) < 0.018


@every_draw
@FIXED
@given(
    samples=st.lists(toys(longest=50), min_size=1, max_size=4), rate=st.floats(0.01, 0.9), seed=st.integers(0, 10**6)
)
def test_with_at_least_one_every_sample_with_text_has_a_target_and_the_others_keep_theirs(
    name: str, rule: str, samples: list[Toy], rate: float, seed: int
) -> None:
    without = chosen(name, samples, Budget(rate=rate, rule=rule, at_least_one=False), seed)
    with_one = chosen(name, samples, Budget(rate=rate, rule=rule), seed)
    for toy, few, enough in zip(samples, without, with_one, strict=True):
        assert bool(enough) == any(toy.maskable())
        assert not few or few == enough


@every_draw
def test_samples_shorter_than_the_budget_asks_for_get_one_unit(name: str, rule: str) -> None:
    """[CLS], one word of two tokens, [SEP], rate 0.01: always hidden, whole unless the rule cuts, and hardly ever
    without at_least_one."""
    toy = words_of_lengths([2])
    found = chosen(name, [toy] * 300, Budget(rate=0.01, rule=rule), 0)
    assert found == [[(1, 2)] if rule == "cut" else [(1, 3)]] * 300
    rare = chosen(name, [toy] * 300, Budget(rate=0.01, rule=rule, at_least_one=False), 0)
    assert sum(map(len, rare)) < 30


@every_draw
def test_a_unit_longer_than_the_budget_is_hidden_where_the_sample_has_no_other(name: str, rule: str) -> None:
    """One word of 20 tokens, 3 to hide. `skip` and `stop` never hide it by themselves."""
    toy = words_of_lengths([20])
    assert chosen(name, [toy] * 50, Budget(rule=rule), 0) == [[(1, 4)] if rule == "cut" else [(1, 21)]] * 50
    if rule in ("skip", "stop"):
        assert chosen(name, [toy] * 50, Budget(rule=rule, at_least_one=False), 0) == [[]] * 50


@pytest.mark.parametrize("rule", RULES)
def test_the_one_unit_is_as_the_rule_says_or_else_the_shortest(rule: str) -> None:
    """20,000 samples of words of 3, 1, 2 tokens and a rate of almost nothing: chances +- 0.02 of each to be the one
    that is hidden."""
    # Standard error .0033: 6 of them. With a budget of one token `accept` begins at a random token (1/6 each begin a
    # unit; inside a word it chooses nothing, and the shortest is hidden), `skip` and `stop` take only the word of one
    # token, by themselves or as the shortest, `bernoulli` hides nothing by itself. `overshoot` and `units` take any
    # word alike, and `cut` one token of any.
    toy = words_of_lengths([3, 1, 2])
    units = repeated(toy, 20_000)
    spans = WholeUnit(units=["word"]).select(units, Budget(rate=1e-6, rule=rule), keys(20_000), np.zeros(20_000))
    assert spans.sample_N.tolist() == list(range(20_000))
    place_N = spans.start_N - units.sample_start_S[spans.sample_N]
    shares = np.array([(place_N == start).mean() for start, _ in toy.levels["word"]])
    shortest = [0.0, 1.0, 0.0]
    wanted = {"skip": shortest, "stop": shortest, "bernoulli": shortest, "accept": [1 / 6, 4 / 6, 1 / 6]}.get(
        rule, [1 / 3] * 3
    )
    assert np.abs(shares - wanted).max() < 0.02, shares


@every_draw
def test_where_a_rule_chooses_nothing_one_of_the_shortest_units_is_hidden(name: str, rule: str) -> None:
    """2,000 samples of words of 5, 2, 4, 2 and 6 tokens: whatever is hidden beyond what the rule alone hides is a word
    of two, each as often +- 20 %."""
    # At least 130 samples (the rules of tokens; `stop` and `accept` have several hundred) get one: a share of a half
    # has a standard error of .044.
    samples = [words_of_lengths([5, 2, 4, 2, 6])] * 2000
    alone, with_one = (
        chosen(name, samples, Budget(rate=0.1, rule=rule, at_least_one=flag), 0) for flag in (False, True)
    )
    added = [enough for few, enough in zip(alone, with_one, strict=True) if not few]
    assert all(len(spans) == 1 for spans in added)
    if rule == "units":
        return  # a budget of no unit is lifted to one of any length
    assert {spans[0] for spans in added} <= {(6, 8), (12, 14)}
    if added and name != "weighted":
        assert len(added) > 100 and abs(added.count([(6, 8)]) / len(added) - 0.5) < 0.2


@pytest.mark.parametrize("tokens", [10, 14, 32])
def test_one_unit_at_least_lifts_the_share_of_short_samples_no_more_than_it_must(tokens: int) -> None:
    """20,000 samples of words of 1, 3, 2, 1, 4 ... tokens: the share is at most .195 at 10 tokens, .17 at 14 and the
    rate at 32."""
    # A sample's share has a standard deviation below .12, the mean of 20,000 below .0009: .186 and .164 measured. With
    # any word instead of a shortest one it was .221 and .179. It cannot be the rate: where the arc begins no word, at
    # least one token is hidden beyond it.
    lengths: list[int] = []
    while sum(lengths) < tokens:
        lengths.append(min([1, 3, 2, 1, 4][len(lengths) % 5], tokens - sum(lengths)))
    units = repeated(words_of_lengths(lengths), 20_000)
    spans = WholeUnit(units=["word"]).select(units, Budget(), keys(20_000), np.zeros(20_000))
    share = spans.tokens / units.maskable_T.sum()
    assert share < {10: 0.195, 14: 0.17, 32: 0.153}[tokens], share


def test_at_least_one_is_the_default_and_raises_the_share_of_tiny_samples() -> None:
    """10,000 samples of three tokens: one of three always, and 0.45 of the samples +- 0.03 without at_least_one."""
    # Standard error .005: 6 of them.
    units = repeated(Toy(length=5), 10_000)
    every = Subword().select(units, Budget(), keys(10_000), np.zeros(10_000))
    assert every.tokens == 10_000
    some = Subword().select(units, Budget(at_least_one=False), keys(10_000), np.zeros(10_000))
    assert abs(some.tokens / 10_000 - 0.45) < 0.03


@FIXED
@given(toys(longest=60), st.floats(0.02, 0.9), st.integers(0, 10**6))
def test_the_rule_units_counts_units_and_the_rules_of_tokens_count_tokens(toy: Toy, rate: float, seed: int) -> None:
    key = int(keys(1, seed)[0])
    units_total = len(np.flatnonzero(lay_out([toy]).partition(LEVELS)[0]))
    (by_units,) = chosen("units", [toy], Budget(rate=rate, rule="units", at_least_one=False), seed)
    assert len(by_units) == allowance(units_total, Budget(rate=rate, at_least_one=False), key)
    (cut,) = chosen("units", [toy], Budget(rate=rate, rule="cut", at_least_one=False), seed)
    assert sum(end - start for start, end in cut) == allowance(
        sum(toy.maskable()), Budget(rate=rate, at_least_one=False), key
    )


def test_the_rules_that_count_tokens_are_the_first_five() -> None:
    assert TOKEN_RULES == ("accept", "skip", "stop", "overshoot", "cut")
    assert [Budget(rule=rule).code for rule in RULES] == list(range(7))


@pytest.mark.parametrize("rate", [0.0, 1.0, -0.1, 15, float("nan"), float("inf")])
def test_a_rate_outside_zero_to_one_is_refused(rate: float) -> None:
    with pytest.raises(ValueError, match=r"^rate: .* must lie between 0 and 1$"):
        Budget(rate=rate)


def test_an_unknown_rule_lists_the_known_ones() -> None:
    with pytest.raises(
        ValueError, match=r"^rule: 'drop' is not one of accept, skip, stop, overshoot, cut, units, bernoulli$"
    ):
        Budget(rule="drop")


@pytest.mark.parametrize("arguments", [{"row_targets": -1}])
def test_a_negative_limit_of_a_row_is_refused(arguments: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match=r"^row_targets: -1 must be 0 \(no limit\) or more$"):
        Budget(**arguments)
