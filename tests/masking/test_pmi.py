"""PMI-Masking: collocations as units, whole words or single tokens elsewhere."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from slow_reference import slow_units
from toy_samples import Toy, by_sample, keys, lay_out, toys

from masking.budget import RULES, Budget
from masking.corruption import ACTIONS, Replacements
from masking.strategies.pmi import Pmi

TOY = Toy(length=12, levels={"phrase": [(2, 7)], "word": [(1, 3), (3, 5), (8, 10)]})


def units_hidden(strategy: Pmi, budget: Budget) -> set[tuple[int, int]]:
    units = lay_out([TOY] * 400)
    return {
        span for spans in by_sample(strategy.select(units, budget, keys(400), np.zeros(400)), units) for span in spans
    }


def test_collocations_win_over_words_and_other_words_stay_whole() -> None:
    assert units_hidden(Pmi(), Budget()) == {(1, 2), (2, 7), (7, 8), (8, 10), (10, 11)}


def test_outside_collocations_single_tokens_are_hidden_where_asked() -> None:
    assert units_hidden(Pmi(whole_words=False), Budget()) == {
        (1, 2),
        (2, 7),
        *((place, place + 1) for place in (7, 8, 9, 10)),
    }


def test_a_collocation_is_replaced_as_a_whole_as_its_authors_write() -> None:
    """ "replacement with [MASK](80%), random (10%), or original (10%) tokens is done at the unit level": README of
    AI21Labs/pmi-masking, section 2.

    20,000 samples: the tokens of every hidden unit share one of the three, in these shares +- 0.015."""
    # 9,000 hidden units: standard error at most .0043, 3.5 of them (fixed keys: never by chance).
    units, keys_S = lay_out([TOY] * 20_000), keys(20_000)
    spans = Pmi().select(units, Budget(), keys_S, np.zeros(20_000))
    replacements = Replacements(mask_id=4, ordinary_V=np.arange(10, 90))
    _, targets = Pmi().corruption().corrupt(np.full(len(units.maskable_T), 7), spans, units, keys_S, replacements)
    length_N = spans.end_N - spans.start_N
    first_N = np.cumsum(length_N) - length_N
    lowest_N, highest_N = (side.reduceat(targets.action_M, first_N) for side in (np.minimum, np.maximum))
    assert (length_N > 1).sum() > 5000
    assert np.array_equal(lowest_N, highest_N)
    shares = np.bincount(lowest_N, minlength=len(ACTIONS)) / len(lowest_N)
    assert np.abs(shares - [0.8, 0.1, 0.1, 0.0]).max() < 0.015, shares


def test_words_that_meet_a_collocation_keep_a_piece_where_asked() -> None:
    found = units_hidden(Pmi(pieces=True), Budget())
    assert found == {(1, 2), (2, 7), (7, 8), (8, 10), (10, 11)}
    toy = Toy(length=12, levels={"phrase": [(4, 7)], "word": [(1, 5), (8, 10)]})
    units = lay_out([toy] * 400)
    hidden = {
        span
        for spans in by_sample(Pmi(pieces=True).select(units, Budget(), keys(400), np.zeros(400)), units)
        for span in spans
    }
    assert hidden == {(1, 4), (4, 7), (7, 8), (8, 10), (10, 11)}


@pytest.mark.parametrize("whole_words", [True, False])
@settings(derandomize=True, deadline=None, max_examples=60)
@given(
    st.lists(toys(longest=60), min_size=1, max_size=3),
    st.sampled_from([rule for rule in RULES if rule != "accept"]),
    st.integers(0, 10**6),
)
def test_it_equals_the_slow_reference_on_its_levels(
    whole_words: bool, samples: list[Toy], rule: str, seed: int
) -> None:
    strategy, units, keys_S = Pmi(level="entity", whole_words=whole_words), lay_out(samples), keys(len(samples), seed)
    expected = [
        slow_units(toy, list(strategy.levels()), Budget(rule=rule), key)
        for toy, key in zip(samples, keys_S.tolist(), strict=True)
    ]
    assert by_sample(strategy.select(units, Budget(rule=rule), keys_S, np.zeros(len(samples))), units) == expected


def test_levels_are_the_collocations_and_words_where_needed() -> None:
    assert tuple(Pmi().levels()) == ("phrase", "word")
    assert tuple(Pmi(level="collocation").levels()) == ("collocation", "word")
    assert tuple(Pmi(whole_words=False).levels()) == ("phrase",)
    assert tuple(Pmi(level="word").levels()) == ("word",)
