"""SpanBERT's spans: the law of their length, their edges, and the slow reference."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from toy_samples import Toy, by_sample, keys, lay_out, repeated, slow_partition, toys

from masking.budget import CROSSING, Budget
from masking.keyed import uniform, uniform_array
from masking.strategies.geometric_span import GeometricSpan

FIXED = settings(derandomize=True, deadline=None, max_examples=100)
BUDGETS = st.builds(Budget, rate=st.floats(0.02, 0.95), crossing=st.sampled_from(CROSSING))


def words_of(toy: Toy) -> list[tuple[int, int]]:
    return [(start, end) for start, end, _ in slow_partition(toy, ["word"])]


def slow_spans(toy: Toy, budget: Budget, key: int, strategy: GeometricSpan) -> list[tuple[int, int]]:
    """The draw of spans in plain Python, over a set of hidden tokens."""
    words = words_of(toy)
    home = {token: index for index, (start, end) in enumerate(words) for token in range(start, end)}
    texts = sorted(home)
    exact = budget.rate * len(texts)
    left = int(exact) + (uniform(key, 0) < exact - int(exact))
    hidden: set[int] = set()
    number = 1
    for _ in range(20 * len(texts) + 100):
        if left <= 0:
            break
        wanted = 1 + sum(bound <= uniform(key, number) for bound in strategy.cumulative_L.tolist())
        anchor = texts[int(uniform(key, number + 1) * len(texts))]
        number += 2
        if anchor in hidden:
            continue
        run = [words[home[anchor]]]
        for word in words[home[anchor] + 1 :]:
            if len(run) == wanted or word[0] != run[-1][1]:
                break
            run.append(word)
        fresh = [token for start, end in run for token in range(start, end) if token not in hidden]
        if len(fresh) > left:
            if budget.crossing == "stop" or (budget.crossing == "accept" and uniform(key, number) >= left / len(fresh)):
                break
            if budget.crossing == "skip":
                continue
            if budget.crossing == "accept":
                left = 0
            if budget.crossing == "cut":
                fresh = fresh[:left]
        hidden.update(fresh)
        left -= len(fresh)
    starts = [token for token in sorted(hidden) if token - 1 not in hidden]
    return [(start, next(token for token in range(start, toy.length) if token not in hidden)) for start in starts]


@FIXED
@given(st.lists(toys(longest=80), min_size=1, max_size=3), BUDGETS, st.floats(0.05, 0.9), st.integers(1, 12), st.integers(0, 10**6))
def test_the_kernel_equals_the_slow_reference(samples: list[Toy], budget: Budget, p: float, max_words: int, seed: int) -> None:
    strategy, units, keys_S = GeometricSpan(p=p, max_words=max_words), lay_out(samples), keys(len(samples), seed)
    found = by_sample(strategy.select(units, budget, keys_S, np.zeros(len(samples))), units)
    assert found == [slow_spans(toy, budget, key, strategy) for toy, key in zip(samples, keys_S.tolist(), strict=True)]


@FIXED
@given(st.lists(toys(longest=60), min_size=1, max_size=3), BUDGETS.filter(lambda budget: budget.crossing != "cut"), st.integers(0, 10**6))
def test_spans_begin_and_end_at_word_edges(samples: list[Toy], budget: Budget, seed: int) -> None:
    units = lay_out(samples)
    found = by_sample(GeometricSpan().select(units, budget, keys(len(samples), seed), np.zeros(len(samples))), units)
    for toy, spans in zip(samples, found, strict=True):
        words = words_of(toy)
        assert {start for start, _ in spans} <= {start for start, _ in words}
        assert {end for _, end in spans} <= {end for _, end in words}


@pytest.mark.parametrize("crossing", CROSSING)
def test_spans_never_cross_a_separator_inside_the_sample(crossing: str) -> None:
    """2,000 samples [CLS] 10 tokens [SEP] 10 tokens [SEP] with spans of about 10 words: the inner [SEP] is never covered."""
    toy = Toy(length=23, blocked=frozenset({11}), levels={"word": [(3, 5), (9, 11), (12, 15)]})
    units = repeated(toy, 2000)
    spans = GeometricSpan(p=0.01).select(units, Budget(rate=0.5, crossing=crossing), keys(2000), np.zeros(2000))
    found = by_sample(spans, units)
    assert all(end <= 11 or start >= 12 for chosen in found for start, end in chosen)
    assert any(end == 11 for chosen in found for _, end in chosen)


def test_merged_neighbours_are_one_span() -> None:
    units = repeated(Toy(length=40), 300)
    for chosen in by_sample(GeometricSpan().select(units, Budget(rate=0.6), keys(300), np.zeros(300)), units):
        assert all(end < start for (_, end), (start, _) in itertools.pairwise(chosen))


def test_the_length_law_is_truncated_and_renormalised() -> None:
    law = np.diff(GeometricSpan().cumulative_L, prepend=0)
    by_hand = [0.2 * 0.8**length / (1 - 0.8**10) for length in range(10)]
    assert np.allclose(law, by_hand, atol=1e-12)
    assert GeometricSpan().cumulative_L[-1] == 1.0
    assert abs((law * np.arange(1, 11)).sum() - 3.80) < 0.005
    assert abs(law[9] - 0.030) < 0.0005


def test_lengths_drawn_from_the_law_have_its_mean() -> None:
    """200,000 draws: mean 3.80 +- 0.05, P(10) = 0.030 +- 0.005."""
    # Standard errors .0057 and .00038: 8.8 and 13 of them, false alarm < 1e-17 (fixed keys: never).
    lengths = 1 + np.searchsorted(GeometricSpan().cumulative_L, uniform_array(keys(200_000), 1), side="right")
    assert (lengths.min(), lengths.max()) == (1, 10)
    assert abs(lengths.mean() - 3.80) < 0.05
    assert abs((lengths == 10).mean() - 0.030) < 0.005


def test_the_first_span_of_the_kernel_follows_the_law_too() -> None:
    """50,000 samples of 100 one-token words with a budget of one token, overshot by one span: mean 3.80 +- 0.08, P(10) = 0.030 +- 0.005."""
    # Spans that begin in the last 9 tokens are shortened by [SEP] and left out; 45,500 remain. Standard errors .012 and .0008: 6 of them.
    units = repeated(Toy(length=102), 50_000)
    spans = GeometricSpan().select(units, Budget(rate=0.01, crossing="overshoot"), keys(50_000), np.zeros(50_000))
    assert len(spans) == 50_000
    place_N = spans.start_N - units.sample_start_S[spans.sample_N]
    lengths = (spans.end_N - spans.start_N)[place_N <= 91]
    assert abs(lengths.mean() - 3.80) < 0.08
    assert abs((lengths == 10).mean() - 0.030) < 0.005
    # The anchor is uniform: standard error of the mean place .13.
    assert abs(place_N.mean() - 50.5) < 0.8


def test_a_span_length_counts_words_and_not_tokens() -> None:
    """1,000 samples of words of 3 tokens, one span each: every span is 3 to 30 tokens long, in threes."""
    toy = Toy(length=92, levels={"word": [(start, start + 3) for start in range(1, 91, 3)]})
    units = repeated(toy, 1000)
    spans = GeometricSpan().select(units, Budget(rate=0.0112, crossing="overshoot"), keys(1000), np.zeros(1000))
    lengths = spans.end_N - spans.start_N
    assert set(lengths.tolist()) <= set(range(3, 31, 3))
    assert lengths.max() > 20


@pytest.mark.parametrize("p", [0.0, 1.0, -0.2, 1.5, float("nan")])
def test_a_parameter_outside_zero_to_one_is_refused(p: float) -> None:
    with pytest.raises(ValueError, match=r"^p: .* must lie between 0 and 1$"):
        GeometricSpan(p=p)


def test_spans_of_no_word_are_refused() -> None:
    with pytest.raises(ValueError, match=r"^max_words: 0 must be at least 1$"):
        GeometricSpan(max_words=0)


def test_only_words_are_needed() -> None:
    assert list(GeometricSpan().levels()) == ["word"]
