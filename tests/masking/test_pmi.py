"""PMI-Masking: collocations as units, whole words or single tokens elsewhere."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from slow_reference import slow_units
from toy_samples import Toy, by_sample, keys, lay_out, toys

from masking.budget import RULES, Budget
from masking.strategies.pmi import Pmi

TOY = Toy(length=12, levels={"phrase": [(2, 7)], "word": [(1, 3), (3, 5), (8, 10)]})


def units_hidden(strategy: Pmi, budget: Budget) -> set[tuple[int, int]]:
    units = lay_out([TOY] * 400)
    return {span for spans in by_sample(strategy.select(units, budget, keys(400), np.zeros(400)), units) for span in spans}


def test_collocations_win_over_words_and_other_words_stay_whole() -> None:
    assert units_hidden(Pmi(), Budget()) == {(1, 2), (2, 7), (7, 8), (8, 10), (10, 11)}


def test_outside_collocations_single_tokens_are_hidden_where_asked() -> None:
    assert units_hidden(Pmi(whole_words=False), Budget()) == {(1, 2), (2, 7), *((place, place + 1) for place in (7, 8, 9, 10))}


@pytest.mark.parametrize("whole_words", [True, False])
@settings(derandomize=True, deadline=None, max_examples=60)
@given(st.lists(toys(longest=60), min_size=1, max_size=3), st.sampled_from([rule for rule in RULES if rule != "accept"]), st.integers(0, 10**6))
def test_it_equals_the_slow_reference_on_its_levels(whole_words: bool, samples: list[Toy], rule: str, seed: int) -> None:
    strategy, units, keys_S = Pmi(level="entity", whole_words=whole_words), lay_out(samples), keys(len(samples), seed)
    expected = [slow_units(toy, list(strategy.levels()), Budget(rule=rule), key) for toy, key in zip(samples, keys_S.tolist(), strict=True)]
    assert by_sample(strategy.select(units, Budget(rule=rule), keys_S, np.zeros(len(samples))), units) == expected


def test_levels_are_the_collocations_and_words_where_needed() -> None:
    assert tuple(Pmi().levels()) == ("phrase", "word")
    assert tuple(Pmi(level="collocation").levels()) == ("collocation", "word")
    assert tuple(Pmi(whole_words=False).levels()) == ("phrase",)
    assert tuple(Pmi(level="word").levels()) == ("word",)
