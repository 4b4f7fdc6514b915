"""Salient units: favoured by weight, weights that must be there, rarity of units in a corpus, and the slow
reference."""

from __future__ import annotations

import math
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from slow_reference import slow_weighted, units_of
from toy_samples import LEVELS, Toy, by_sample, keys, lay_out, repeated, seeded_toy, toys, weighed, words_of_lengths

from masking.budget import RULES, Budget
from masking.salience import Rarity, hashes
from masking.spans import Spans, Units
from masking.strategies import Strategy
from masking.strategies.mixture import Mixture, Phase
from masking.strategies.salient import WEIGHTS, Salient
from masking.strategies.subword import Subword

FIXED = settings(derandomize=True, deadline=None, max_examples=80)
SALIENT_RULES = RULES[:-1]
TEN = Toy(length=22, levels={"entity": [(1, 3), (5, 7)], "word": [(start, start + 2) for start in range(1, 21, 2)]})
"""Ten words of two tokens, the first and the third of them entities."""


def select(strategy: Strategy, units: Units, budget: Budget | None = None, seed: int = 0) -> Spans:
    samples = len(units.sample_start_S)
    return strategy.select(units, budget or Budget(), keys(samples, seed), np.full(samples, 0.5))


def chances(toy: Toy, units: Units, number: int, strategy: Salient) -> dict[tuple[int, int], float]:
    """Weight of every favoured unit of one sample of a batch: ``favour`` times its weight over the mean of the favoured
    units."""
    origin, whole = int(units.sample_start_S[number]), set(units_of(toy, strategy.units))
    raw: list[tuple[tuple[int, int], float]] = []
    for level in strategy.salient:
        weight_U = np.ones(len(units.levels[level][0])) if strategy.weight == "even" else units.weights[level]
        for start, end, weight in zip(*units.levels[level], weight_U, strict=True):
            unit = (int(start) - origin, int(end) - origin)
            if 0 <= unit[0] < toy.length and unit in whole:
                raw.append((unit, float(weight)))
    mean = sum(weight for _, weight in raw) / max(len(raw), 1)
    return {unit: strategy.favour * weight / mean for unit, weight in raw}


@FIXED
@given(
    samples=st.lists(toys(longest=80), min_size=1, max_size=3),
    salient=st.lists(st.sampled_from(LEVELS), min_size=1, max_size=3, unique=True),
    order=st.permutations(LEVELS),
    weight=st.sampled_from([weight for weight in WEIGHTS if weight != "informative"]),
    favour=st.floats(0.1, 100),
    budget=st.builds(
        Budget, rate=st.floats(0.02, 0.95), rule=st.sampled_from(SALIENT_RULES), at_least_one=st.booleans()
    ),
    seed=st.integers(0, 10**6),
)
def test_the_kernel_equals_the_slow_reference(
    samples: list[Toy], salient: list[str], order: list[str], weight: str, favour: float, budget: Budget, seed: int
) -> None:
    strategy = Salient(salient=salient, units=order, weight=weight, favour=favour)
    units = weighed(lay_out(samples, before=3, between=1))
    found = by_sample(select(strategy, units, budget, seed), units)
    for number, (toy, key) in enumerate(zip(samples, keys(len(samples), seed).tolist(), strict=True)):
        assert found[number] == slow_weighted(toy, order, chances(toy, units, number, strategy), budget, key)


@pytest.mark.parametrize("favour", [0.5, 1.0, 8.0])
def test_the_first_unit_is_salient_as_often_as_favour_says(favour: float) -> None:
    """20,000 samples of ten units, two of them salient, one hidden each: 2 favour / (2 favour + 8) +- 0.021."""
    # Standard error at most .0035: 6 of them.
    spans = select(
        Salient(units=["entity", "word"], weight="even", favour=favour),
        repeated(TEN, 20_000),
        Budget(rate=1e-6, rule="units"),
    )
    place_N = spans.start_N % 22
    assert len(spans) == 20_000
    assert abs(np.isin(place_N, [1, 5]).mean() - 2 * favour / (2 * favour + 8)) < 0.021
    # The others are drawn alike: eight shares of what is left.
    others = np.bincount(place_N, minlength=22)[[3, 7, 9, 11, 13, 15, 17, 19]] / 20_000
    assert np.abs(others - others.mean()).max() < 0.016


def test_units_of_one_level_are_drawn_in_proportion_to_their_weights() -> None:
    """20,000 samples with the weights 1 and 3, one hidden each: of the salient ones a quarter and three quarters +-
    0.022."""
    # Two thirds are salient (2 * 8 / (2 * 8 + 8)): standard error .0037, 6 of them. The mean of the weights is favoured
    # 8 times, whatever their unit.
    units = repeated(TEN, 20_000)
    for scale in (1.0, 50.0):
        heavy = replace(units, weights={"entity": np.tile(np.array([1, 3], np.float32) * scale, 20_000)})
        place_N = (
            select(Salient(units=["entity", "word"], weight="idf"), heavy, Budget(rate=1e-6, rule="units")).start_N % 22
        )
        salient = place_N[np.isin(place_N, [1, 5])]
        assert abs(len(salient) / 20_000 - 2 / 3) < 0.02
        assert abs((salient == 1).mean() - 0.25) < 0.022


@pytest.mark.parametrize("second", ["phrase", "entity:DATE"])
def test_levels_and_parts_of_levels_may_have_a_favour_of_their_own(second: str) -> None:
    """20,000 samples of ten units, one favoured 8 times and one 24 times, one hidden each: 8 / 40 and 24 / 40 +-
    0.021."""
    # Standard error at most .0035: 6 of them.
    units = repeated(TEN, 20_000)
    start_U, end_U = (side.reshape(-1, 2) for side in units.levels["entity"])
    levels = {**units.levels, second: (start_U[:, 1].copy(), end_U[:, 1].copy())}
    if second == "phrase":
        levels["entity"] = (start_U[:, 0].copy(), end_U[:, 0].copy())
    strategy = Salient(
        salient=["entity", second], units=[second, "entity", "word"], weight="even", favours={second: 24}
    )
    place_N = select(strategy, replace(units, levels=levels), Budget(rate=1e-6, rule="units")).start_N % 22
    assert abs((place_N == 1).mean() - 8 / 40) < 0.021
    assert abs((place_N == 5).mean() - 24 / 40) < 0.021


def test_with_a_very_large_favour_salient_units_are_all_hidden_first() -> None:
    units = repeated(TEN, 500)
    spans = by_sample(
        select(Salient(units=["entity", "word"], weight="even", favour=1e12), units, Budget(rate=0.3, rule="units")),
        units,
    )
    assert all({(1, 3), (5, 7)} <= set(chosen) and len(chosen) == 3 for chosen in spans)


def test_the_masked_share_does_not_depend_on_favour() -> None:
    """5,000 samples of 80 tokens, half of the units salient: .15 +- .003 for every favour, with the rule accept."""
    # Standard error at most .0003.
    toy = words_of_lengths([1, 2, 3, 4] * 8)
    toy.levels["entity"] = toy.levels["word"][::2]
    for favour in (0.1, 1.0, 8.0, 1e6):
        units = repeated(toy, 5000)
        spans = select(
            Salient(units=["entity", "word"], weight="even", favour=favour), units, Budget(at_least_one=False)
        )
        assert abs(spans.tokens / units.maskable_T.sum() - 0.15) < 0.003


@pytest.mark.parametrize("weight", ["idf", "tf_idf"])
@FIXED
@given(
    samples=st.lists(toys(), min_size=1, max_size=4),
    before=st.integers(0, 50),
    between=st.integers(0, 9),
    seed=st.integers(0, 1000),
)
def test_a_sample_depends_neither_on_its_neighbours_nor_on_its_place(
    weight: str, samples: list[Toy], before: int, between: int, seed: int
) -> None:
    strategy, keys_S = Salient(weight=weight), keys(len(samples), seed)
    units = weighed(lay_out(samples, before=before, between=between))
    together = by_sample(strategy.select(units, Budget(), keys_S, np.zeros(len(samples))), units)
    for number, toy in enumerate(samples):
        alone = weighed(lay_out([toy]))
        assert by_sample(strategy.select(alone, Budget(), keys_S[number : number + 1], np.zeros(1)), alone) == [
            together[number]
        ]


def token_weights(units: Units) -> Units:
    """The same batch with a weight for every token, the same wherever its sample lies."""
    start_U, _ = units.level("character")
    place_U = start_U - units.sample_start_S[np.searchsorted(units.sample_start_S, start_U, "right") - 1]
    return replace(units, weights={**units.weights, "character": (1 + place_U % 7).astype(np.float32)})


@FIXED
@given(
    samples=st.lists(toys(longest=80), min_size=1, max_size=3),
    levels=st.sampled_from([[], ["entity"], ["entity", "word"]]),
    budget=st.builds(
        Budget, rate=st.floats(0.02, 0.95), rule=st.sampled_from(SALIENT_RULES), at_least_one=st.booleans()
    ),
    seed=st.integers(0, 10**6),
)
def test_single_tokens_are_drawn_by_weights_of_their_own(
    samples: list[Toy], levels: list[str], budget: Budget, seed: int
) -> None:
    """Tokens of no unit; with no other level, all tokens."""
    strategy = Salient(salient=["character", *levels[:1]], units=[*levels, "character"], weight="idf")
    units = token_weights(weighed(lay_out(samples, before=3, between=1)))
    found = by_sample(select(strategy, units, budget, seed), units)
    for number, (toy, key) in enumerate(zip(samples, keys(len(samples), seed).tolist(), strict=True)):
        origin = int(units.sample_start_S[number])
        whole, named = set(units_of(toy, levels)), {unit for level in levels for unit in toy.levels.get(level, [])}
        raw = {(start, end): 1.0 + start % 7 for start, end in whole if end - start == 1 and (start, end) not in named}
        for level in levels[:1]:
            for start, end, weight in zip(*units.levels[level], units.weights[level], strict=True):
                unit = (int(start) - origin, int(end) - origin)
                raw |= {unit: float(weight)} if unit in whole else {}
        mean = sum(raw.values()) / max(len(raw), 1)
        assert found[number] == slow_weighted(
            toy, levels, {unit: 8.0 * weight / mean for unit, weight in raw.items()}, budget, key
        )


def test_a_rare_token_is_hidden_more_often_than_a_common_one() -> None:
    """20,000 samples of ten tokens, one of which weighs 3 and the others 1, one hidden each: 3 / 12 +- 0.018."""
    # Standard error .0031: 6 of them.
    units = repeated(Toy(12), 20_000)
    heavy = replace(units, weights={"character": np.tile(np.array([1, 1, 3] + [1] * 7, np.float32), 20_000)})
    strategy = Salient(salient=["character"], units=["character"], weight="idf")
    place_N = select(strategy, heavy, Budget(rate=1e-6, rule="units")).start_N % 12
    assert abs((place_N == 3).mean() - 3 / 12) < 0.018
    assert list(strategy.levels()) == [] and strategy.weighted() == {"character": "idf"}


def test_inside_a_mixture_each_sample_is_hidden_as_by_the_strategy_drawn_for_it() -> None:
    """Samples and weights differ, so that weights of a neighbour which another strategy hides would be noticed."""
    units = weighed(lay_out([seeded_toy(40, seed) for seed in range(200)]))
    for level, weight_U in units.weights.items():
        weight_U *= 1 + units.levels[level][0] // 40
    strategies: list[Strategy] = [Subword(), Salient(weight="idf")]
    alone = [by_sample(select(strategy, units), units) for strategy in strategies]
    mixed = by_sample(select(Mixture(strategies=strategies, schedule=[Phase(until=1.0, weights=[1, 1])]), units), units)
    assert all(chosen in (alone[0][sample], alone[1][sample]) for sample, chosen in enumerate(mixed))
    assert 60 < sum(chosen == alone[1][sample] for sample, chosen in enumerate(mixed)) < 140


def test_it_names_the_weights_it_needs() -> None:
    assert Salient(weight="even").weighted() == {}
    assert Salient(salient=["entity", "phrase"], weight="idf").weighted() == {"entity": "idf", "phrase": "idf"}
    assert Salient().weighted() == {"entity": "tf_idf"}


def test_without_weights_the_level_is_named() -> None:
    with pytest.raises(ValueError, match="entity"):
        select(Salient(units=["entity", "word"], weight="idf"), repeated(TEN, 3))


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"units": []}, r"^units: \[\] must name at least one level, each once$"),
        ({"units": ["word", "word"], "salient": ["word"]}, r"^units: .* each once$"),
        ({"units": ["character", "word"], "salient": ["word"]}, r"^units: .* must name character, single tokens, last"),
        ({"salient": []}, r"^salient: \[\] must name at least one level, all of them among units"),
        ({"salient": ["idiom"]}, r"^salient: \['idiom'\] must name at least one level, all of them among units"),
        ({"weight": "bm25"}, r"^weight: 'bm25' is not one of tf_idf, idf, informative, even$"),
        (
            {"favours": {"word": 2.0}},
            r"^favours: word: 2\.0 must be above 0, and the level one of salient = \['entity'\]$",
        ),
        ({"favours": {"entity": 0.0}}, r"^favours: entity: 0\.0 must be above 0"),
        ({"favour": 0}, r"^favour: 0 must be above 0$"),
        ({"favour": float("inf")}, r"^favour: inf must be above 0$"),
        ({"favour": float("nan")}, r"^favour: nan must be above 0$"),
    ],
)
def test_nonsense_is_refused(arguments: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        Salient(**arguments)


IDS = np.array([7, 8, 9, 7, 8, 5, 9, 7, 8, 9], np.int64)


def columns(*spans: tuple[int, int]) -> tuple[np.ndarray, np.ndarray]:
    pairs = np.array(spans, np.int32).reshape(-1, 2)
    return pairs[:, 0], pairs[:, 1]


def test_equal_ids_have_equal_hashes_and_others_do_not() -> None:
    start_U, end_U = columns((0, 2), (3, 5), (7, 9), (0, 3), (7, 10), (2, 3), (6, 7), (1, 3), (5, 6))
    ab, ab_again, ab_third, abc, abc_again, c, c_again, bc, five = hashes(IDS, start_U, end_U).tolist()
    assert ab == ab_again == ab_third
    assert abc == abc_again
    assert c == c_again
    assert len({ab, abc, c, bc, five}) == 5


@FIXED
@given(st.lists(st.lists(st.integers(0, 3), min_size=1, max_size=5), min_size=1, max_size=30))
def test_hashes_tell_any_short_sequences_apart(words: list[list[int]]) -> None:
    offsets = np.cumsum([0, *map(len, words)])
    found = hashes(np.concatenate(words).astype(np.int64), offsets[:-1], offsets[1:]).tolist()
    assert len(set(found)) == len({tuple(word) for word in words})
    assert all((found[a] == found[b]) == (words[a] == words[b]) for a in range(len(words)) for b in range(a))


def test_the_worked_example_of_rarity_holds() -> None:
    """10,000 documents, one unit in 5,000 of them, one in 9: idf 1.69 and 7.91."""
    rarity = Rarity.of_counts(np.array([3, 9], np.uint64), np.array([5000, 9]), 10_000)
    assert np.allclose(rarity.idf_E, [1.69, 7.91], atol=0.005)
    assert rarity.unknown == pytest.approx(math.log(10_001) + 1)


def known(counts: dict[tuple[int, ...], int], documents: int) -> Rarity:
    words = sorted(counts)
    offsets = np.cumsum([0, *map(len, words)])
    found = hashes(np.concatenate([np.array(word, np.int64) for word in words]), offsets[:-1], offsets[1:])
    order = np.argsort(found)
    return Rarity.of_counts(found[order], np.array([counts[word] for word in words])[order], documents)


def test_idf_is_looked_up_by_ids_and_unknown_units_are_the_rarest() -> None:
    rarity = known({(7, 8): 50, (7, 8, 9): 2, (9,): 99}, 100)
    start_U, end_U = columns((0, 2), (0, 3), (2, 3), (3, 5), (4, 6))
    wanted = [math.log(101 / (1 + documents)) + 1 for documents in (50, 2, 99, 50, 0)]
    assert rarity.idf(IDS, start_U, end_U).tolist() == pytest.approx(wanted, rel=1e-6)
    assert rarity.idf(IDS, start_U, end_U).dtype == np.float32


def test_tf_idf_counts_a_unit_in_its_own_sample_only() -> None:
    rarity = known({(7, 8): 50}, 100)
    start_U, end_U = columns((0, 2), (3, 5), (5, 6), (7, 9))
    idf, unknown = math.log(101 / 51) + 1, math.log(101) + 1
    one = rarity.tf_idf(IDS, start_U, end_U, np.array([0], np.int32))
    assert one.tolist() == pytest.approx([3 * idf, 3 * idf, unknown, 3 * idf], rel=1e-6)
    two = rarity.tf_idf(IDS, start_U, end_U, np.array([0, 6], np.int32))
    assert two.tolist() == pytest.approx([2 * idf, 2 * idf, unknown, idf], rel=1e-6)


def test_nothing_counted_and_no_units_are_no_trouble() -> None:
    empty = Rarity.of_counts(np.zeros(0, np.uint64), np.zeros(0, np.int64), 0)
    start_U, end_U = columns((0, 2), (3, 5))
    assert empty.idf(IDS, start_U, end_U).tolist() == [1.0, 1.0]
    assert empty.tf_idf(IDS, start_U, end_U, np.array([0], np.int32)).tolist() == [2.0, 2.0]
    none = columns()
    assert len(empty.idf(IDS, *none)) == len(known({(7,): 1}, 3).tf_idf(IDS, *none, np.array([0], np.int32))) == 0
