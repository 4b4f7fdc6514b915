"""SpanBERT's spans: the law of their length, their edges, and the slow reference. The units of a span are its words."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from slow_reference import listed, slow_spans, units_of
from toy_samples import Toy, by_sample, keys, lay_out, merged, merged_spans, repeated, toys, words_of_lengths

from masking.budget import TOKEN_RULES, Budget
from masking.keyed import uniform_array
from masking.spans import Spans, Units
from masking.strategies.geometric_span import GeometricSpan

FIXED = settings(derandomize=True, deadline=None, max_examples=80)
BUDGETS = st.builds(Budget, rate=st.floats(0.02, 0.95), rule=st.sampled_from(TOKEN_RULES), at_least_one=st.booleans())
ONE_SPAN = Budget(rate=1e-6, rule="overshoot")
"""At least one token, overshot by the span that brings it: one span for every sample."""


def select(strategy: GeometricSpan, units: Units, budget: Budget, seed: int = 0) -> Spans:
    samples = len(units.sample_start_S)
    return strategy.select(units, budget, keys(samples, seed), np.zeros(samples))


@FIXED
@given(
    st.lists(toys(longest=80), min_size=1, max_size=3),
    BUDGETS,
    st.floats(0.05, 0.9),
    st.integers(1, 12),
    st.booleans(),
    st.integers(0, 10**6),
)
def test_the_kernel_equals_the_slow_reference(
    samples: list[Toy], budget: Budget, p: float, max_words: int, across: bool, seed: int
) -> None:
    strategy, units = GeometricSpan(p=p, max_words=max_words, across_sentences=across), lay_out(samples)
    law = listed(strategy.cumulative_L)
    expected = [
        slow_spans(toy, budget, key, law, across)[0]
        for toy, key in zip(samples, keys(len(samples), seed).tolist(), strict=True)
    ]
    assert by_sample(select(strategy, units, budget, seed), units) == expected


@FIXED
@given(
    st.lists(toys(longest=60), min_size=1, max_size=3),
    BUDGETS.filter(lambda budget: budget.rule != "cut"),
    st.integers(0, 10**6),
)
def test_spans_begin_and_end_at_word_edges(samples: list[Toy], budget: Budget, seed: int) -> None:
    units = lay_out(samples)
    found = by_sample(select(GeometricSpan(), units, budget, seed), units)
    for toy, spans in zip(samples, found, strict=True):
        words = units_of(toy, ["word"])
        assert {start for start, _ in merged(spans)} <= {start for start, _ in words}
        assert {end for _, end in merged(spans)} <= {end for _, end in words}


@FIXED
@given(st.lists(toys(longest=60), min_size=1, max_size=3), BUDGETS, st.integers(0, 10**6))
def test_a_span_of_several_words_appears_as_its_words(samples: list[Toy], budget: Budget, seed: int) -> None:
    units = lay_out(samples)
    for toy, spans in zip(samples, by_sample(select(GeometricSpan(), units, budget, seed), units), strict=True):
        words = units_of(toy, ["word"])
        assert len(set(spans) - set(words)) <= (budget.rule == "cut")
        assert all(any(start == word and end <= last for word, last in words) for start, end in spans)


@FIXED
@given(st.lists(toys(longest=60), min_size=1, max_size=3), st.floats(0.02, 0.9), st.integers(0, 10**6))
def test_the_rule_cut_spends_the_budget_to_the_token(samples: list[Toy], rate: float, seed: int) -> None:
    """SpanBERT's rule (Joshi et al. 2020, its program): the last word is cut where the budget ends."""
    units = lay_out(samples)
    spans = select(GeometricSpan(), units, Budget(rate=rate, rule="cut", at_least_one=False), seed)
    single = GeometricSpan(max_words=1).select(
        lay_out([Toy(toy.length, toy.blocked) for toy in samples]),
        Budget(rate=rate, rule="cut", at_least_one=False),
        keys(len(samples), seed),
        np.zeros(len(samples)),
    )
    assert np.array_equal(
        np.bincount(spans.sample_N, spans.end_N - spans.start_N, len(samples)),
        np.bincount(single.sample_N, minlength=len(samples)),
    )


@pytest.mark.parametrize("rule", TOKEN_RULES)
def test_spans_never_cross_a_separator_inside_the_sample(rule: str) -> None:
    """2,000 samples [CLS] 10 tokens [SEP] 10 tokens [SEP] with spans of 1 to 10 words: the inner [SEP] is never
    covered."""
    toy = Toy(length=23, blocked=frozenset({11}), levels={"word": [(3, 5), (9, 11), (12, 15)]})
    units = repeated(toy, 2000)
    found = [
        merged(spans) for spans in by_sample(select(GeometricSpan(p=0.01), units, Budget(rate=0.5, rule=rule)), units)
    ]
    assert all(end <= 11 or start >= 12 for chosen in found for start, end in chosen)
    assert any(end == 11 for chosen in found for _, end in chosen)


def test_one_span_never_lies_on_both_sides_of_a_separator() -> None:
    """2,000 samples with one span each, of 1 to 10 words: all its words touch (reference a3.3: 15 to 31 such cases per
    250 in shared code)."""
    units = repeated(Toy(length=23, blocked=frozenset({11})), 2000)
    spans = merged_spans(select(GeometricSpan(p=0.01), units, ONE_SPAN))
    assert spans.sample_N.tolist() == list(range(2000))
    place_N = spans.start_N - units.sample_start_S[spans.sample_N]
    assert (place_N < 11).any()
    assert (place_N > 11).any()


@pytest.mark.parametrize("across", [True, False])
def test_spans_run_over_the_end_of_a_sentence_only_where_allowed(across: bool) -> None:
    """2,000 samples of 20 tokens in two sentences, one span of 1 to 10 words each: over the end in about 0.22, or
    never."""
    units = repeated(Toy(length=22, sentences=frozenset({1, 11})), 2000)
    spans = merged_spans(select(GeometricSpan(p=0.01, across_sentences=across), units, ONE_SPAN))
    start_N = spans.start_N - units.sample_start_S[spans.sample_N]
    end_N = spans.end_N - units.sample_start_S[spans.sample_N]
    crossing = ((start_N < 11) & (end_N > 11)).mean()
    assert crossing > 0.15 if across else crossing == 0
    assert (end_N == 11).any()


def test_the_length_law_is_truncated_and_renormalised() -> None:
    """SpanBERT section 3.1 (reference a5): mean 3.80, P(10) = .030; clipping to 10 would give 4.46 and .134 (pitfall
    P6)."""
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
    """50,000 samples of 100 one-token words with a budget of one token, overshot by one span: mean 3.80 +- 0.08, P(10)
    = 0.030 +- 0.005."""
    # Spans that begin in the last 9 tokens are shortened by [SEP] and left out; 45,500 remain. Standard errors .012 and
    # .0008: 6 of them.
    units = repeated(Toy(length=102), 50_000)
    spans = merged_spans(select(GeometricSpan(), units, Budget(rate=0.01, rule="overshoot")))
    assert len(spans) == 50_000
    place_N = spans.start_N - units.sample_start_S[spans.sample_N]
    lengths = (spans.end_N - spans.start_N)[place_N <= 91]
    assert abs(lengths.mean() - 3.80) < 0.08
    assert abs((lengths == 10).mean() - 0.030) < 0.005
    by_hand = np.array([0.2 * 0.8**length / (1 - 0.8**10) for length in range(10)])
    # Every length: standard error at most .002, so .012 is 6 of them.
    assert np.abs(np.bincount(lengths, minlength=11)[1:] / len(lengths) - by_hand).max() < 0.012
    # The anchor is uniform: standard error of the mean place .13.
    assert abs(place_N.mean() - 50.5) < 0.8


def test_a_span_length_counts_words_and_not_tokens() -> None:
    """1,000 samples of words of 3 tokens, one span each: every span is 3 to 30 tokens long, in threes."""
    units = repeated(words_of_lengths([3] * 30), 1000)
    spans = select(GeometricSpan(), units, Budget(rate=0.0112, rule="overshoot"))
    lengths = merged_spans(spans).end_N - merged_spans(spans).start_N
    assert len(lengths) == 1000
    assert set(lengths.tolist()) <= set(range(3, 31, 3))
    assert lengths.max() > 20
    assert set((spans.end_N - spans.start_N).tolist()) == {3}


def test_an_anchor_inside_a_word_begins_with_the_whole_word() -> None:
    """4,000 samples of words of 9, 1 and 10 tokens, one span of one word: chosen as often as they have tokens, 9 : 1 :
    10, +- 0.05."""
    # Standard error .008: 6 of them.
    toy = words_of_lengths([9, 1, 10])
    spans = select(GeometricSpan(max_words=1), repeated(toy, 4000), ONE_SPAN)
    assert (
        np.abs(np.bincount(spans.end_N - spans.start_N, minlength=11)[[9, 1, 10]] / 4000 - [0.45, 0.05, 0.5]).max()
        < 0.05
    )


@pytest.mark.parametrize("p", [0.0, 1.0, -0.2, 1.5, float("nan")])
def test_a_parameter_outside_zero_to_one_is_refused(p: float) -> None:
    with pytest.raises(ValueError, match=r"^p: .* must lie between 0 and 1$"):
        GeometricSpan(p=p)


def test_spans_of_no_word_are_refused() -> None:
    with pytest.raises(ValueError, match=r"^max_words: 0 must be at least 1$"):
        GeometricSpan(max_words=0)


def test_only_words_are_needed() -> None:
    assert list(GeometricSpan().levels()) == ["word"]
    assert GeometricSpan().rules() == TOKEN_RULES
