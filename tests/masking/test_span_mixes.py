"""SpanBERT's comparison schemes: entities or phrases in half of the draws, random words (or geometric spans) in the
others."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from slow_reference import listed, slow_spans
from toy_samples import Toy, by_sample, keys, lay_out, merged, repeated, toys

from masking.budget import TOKEN_RULES, Budget
from masking.strategies.named_entity_mix import NamedEntityMix
from masking.strategies.noun_phrase_mix import NounPhraseMix

FIXED = settings(derandomize=True, deadline=None, max_examples=80)
BUDGETS = st.builds(Budget, rate=st.floats(0.02, 0.95), rule=st.sampled_from(TOKEN_RULES), at_least_one=st.booleans())
ONE_DRAW = Budget(rate=1e-6, rule="overshoot")
Mix = NamedEntityMix | NounPhraseMix
every_mix = pytest.mark.parametrize(("mix", "level"), [(NamedEntityMix, "entity"), (NounPhraseMix, "phrase")])

CROSSED = Toy(
    length=30,
    levels={"entity": [(4, 7), (20, 25)], "phrase": [(4, 7), (20, 25)], "word": [(1, 3), (6, 9), (18, 21), (24, 28)]},
)
"""Entities (and phrases) whose edges cut words in two."""


@every_mix
@FIXED
@given(
    samples=st.lists(toys(longest=80), min_size=1, max_size=3),
    budget=BUDGETS,
    share=st.floats(0.05, 1.0),
    max_words=st.integers(1, 10),
    across=st.booleans(),
    seed=st.integers(0, 10**6),
)
def test_the_kernel_equals_the_slow_reference(
    mix: type[Mix],
    level: str,
    samples: list[Toy],
    budget: Budget,
    share: float,
    max_words: int,
    across: bool,
    seed: int,
) -> None:
    strategy, units, keys_S = (
        mix(share=share, max_words=max_words, across_sentences=across),
        lay_out(samples, before=3, between=1),
        keys(len(samples), seed),
    )
    law = listed(strategy.cumulative_L)
    expected = [
        slow_spans(toy, budget, key, law, across, level, share)[0]
        for toy, key in zip(samples, keys_S.tolist(), strict=True)
    ]
    assert by_sample(strategy.select(units, budget, keys_S, np.zeros(len(samples))), units) == expected


@every_mix
def test_half_of_the_draws_are_units_of_the_level(mix: type[Mix], level: str) -> None:
    """SpanBERT section 5.1 (reference a5): 50 %. 20,000 samples with one draw each, of five tokens or of one word: 0.5
    +- 0.021."""
    # Standard error .0035: 6 of them. The five-token unit is told from single words by its length.
    toy = Toy(length=60, levels={level: [(20, 25)]})
    units = repeated(toy, 20_000)
    spans = mix().select(units, ONE_DRAW, keys(20_000), np.zeros(20_000))
    tokens_S = np.bincount(spans.sample_N, spans.end_N - spans.start_N)
    assert set(tokens_S.tolist()) == {1.0, 5.0}
    assert abs((tokens_S == 5).mean() - 0.5) < 0.021


@every_mix
@pytest.mark.parametrize("share", [0.2, 1.0])
def test_the_share_is_yours_to_set(mix: type[Mix], level: str, share: float) -> None:
    """10,000 samples with one draw each: share +- 0.025."""
    # Standard error at most .004: 6 of them; a share of 1 is exact.
    units = repeated(Toy(length=60, levels={level: [(20, 25), (30, 33)]}), 10_000)
    spans = mix(share=share).select(units, ONE_DRAW, keys(10_000), np.zeros(10_000))
    tokens_S = np.bincount(spans.sample_N, spans.end_N - spans.start_N)
    assert abs((tokens_S > 1).mean() - share) < (0.025 if share < 1 else 1e-9)
    # Both units alike: standard error of their difference at most .011 of the share.
    assert abs((tokens_S == 5).sum() / (tokens_S > 1).sum() - 0.5) < 0.07


@every_mix
def test_a_sample_without_such_units_is_hidden_by_words(mix: type[Mix], level: str) -> None:
    units = repeated(Toy(length=40, levels={"word": [(3, 6)]}), 200)
    spans = mix(share=1.0).select(units, Budget(rule="cut", at_least_one=False), keys(200), np.zeros(200))
    # 38 * .15 = 5.7: five or six tokens.
    assert set(np.bincount(spans.sample_N, spans.end_N - spans.start_N, minlength=200).tolist()) == {5.0, 6.0}


@every_mix
@pytest.mark.parametrize("rule", ["accept", "skip", "stop", "overshoot"])
def test_a_unit_of_the_level_is_hidden_completely_even_where_words_cross_its_edges(
    mix: type[Mix], level: str, rule: str
) -> None:
    units = repeated(CROSSED, 2000)
    found = by_sample(mix(share=1.0).select(units, Budget(rate=0.3, rule=rule), keys(2000), np.zeros(2000)), units)
    pieces = {(4, 6), (6, 7), (20, 21), (21, 22), (22, 23), (23, 24), (24, 25), (4, 5), (5, 6)}
    drawn = 0
    for spans in found:
        hidden = {token for span in spans for token in range(*span)}
        for unit in ((4, 7), (20, 25)):
            inside = set(range(*unit))
            drawn += inside <= hidden
            # With share 1 a token of the unit is hidden because the unit was drawn, or (fallback of at_least_one) by
            # one word.
            assert inside <= hidden or not inside & hidden or len(spans) == 1
        assert all(span in pieces for span in spans) or len(spans) == 1
    assert drawn > 500


@every_mix
def test_units_over_special_tokens_are_never_drawn(mix: type[Mix], level: str) -> None:
    toy = Toy(length=12, blocked=frozenset({5}), levels={level: [(3, 7), (8, 10)]})
    units = repeated(toy, 3000)
    found = by_sample(mix(share=1.0).select(units, ONE_DRAW, keys(3000), np.zeros(3000)), units)
    assert {tuple(merged(spans)) for spans in found} == {((8, 10),)}


@every_mix
def test_other_draws_are_words_by_default_and_geometric_spans_with_max_words(mix: type[Mix], level: str) -> None:
    """The paper's text has words, its released program spans of 1 to 10 words. 4,000 samples without units of the
    level, one draw each."""
    units = repeated(Toy(length=62), 4000)
    one = mix().select(units, ONE_DRAW, keys(4000), np.zeros(4000))
    assert one.sample_N.tolist() == list(range(4000))
    many = mix(max_words=10).select(units, ONE_DRAW, keys(4000), np.zeros(4000))
    assert np.bincount(many.sample_N).max() == 10


@every_mix
@pytest.mark.parametrize("across", [True, False])
def test_other_spans_cross_sentences_only_where_allowed(mix: type[Mix], level: str, across: bool) -> None:
    units = repeated(Toy(length=22, sentences=frozenset({11})), 2000)
    found = by_sample(
        mix(p=0.01, max_words=10, across_sentences=across).select(units, ONE_DRAW, keys(2000), np.zeros(2000)), units
    )
    assert all(len(merged(spans)) == 1 for spans in found)
    assert any(start < 11 < end for spans in found for start, end in merged(spans)) is across


@every_mix
def test_levels_are_the_level_of_your_own_and_words(mix: type[Mix], level: str) -> None:
    assert tuple(mix().levels()) == (level, "word")
    assert tuple(mix(level="law").levels()) == ("law", "word")
    assert mix().rules() == TOKEN_RULES


@every_mix
@pytest.mark.parametrize("share", [0.0, -0.1, 1.01, float("nan")])
def test_a_share_of_nothing_or_more_than_all_is_refused(mix: type[Mix], level: str, share: float) -> None:
    with pytest.raises(ValueError, match=r"^share: .* must lie above 0 and be at most 1$"):
        mix(share=share)


@every_mix
def test_a_bad_law_of_other_spans_is_refused(mix: type[Mix], level: str) -> None:
    with pytest.raises(ValueError, match=r"^p: 1.2 must lie between 0 and 1$"):
        mix(p=1.2)
    with pytest.raises(ValueError, match=r"^max_words: 0 must be at least 1$"):
        mix(max_words=0)
