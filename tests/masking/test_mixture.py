"""One of several strategies for each sample: shares, phases of training, equality with the component, errors."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pytest
from toy_samples import Toy, by_sample, keys, random_toy, repeated

from masking.budget import RULES, TOKEN_RULES, Budget
from masking.corruption import Corruption, Replacements, corrupt_each
from masking.spans import Keys, Spans, Units
from masking.strategies import Strategy
from masking.strategies.ernie1 import Ernie1
from masking.strategies.geometric_span import GeometricSpan
from masking.strategies.mixture import Mixture, Phase
from masking.strategies.named_entity_mix import NamedEntityMix
from masking.strategies.ngram import Ngram
from masking.strategies.salient import Salient
from masking.strategies.subword import Subword
from masking.strategies.whole_unit import WholeUnit

TOY = Toy(length=8)


@dataclass(frozen=True, kw_only=True)
class Mark(Strategy):
    """Hides one token of every sample, always the same: it shows which strategy a sample was given to."""

    place: int

    def select(self, units: Units, budget: Budget, keys_S: Keys, progress_S: np.ndarray) -> Spans:
        start_S = units.sample_start_S + np.int32(self.place)
        return Spans(np.arange(len(start_S), dtype=np.int32), start_S, start_S + np.int32(1))


def constant(strategies: list[Strategy], weights: list[float]) -> Mixture:
    return Mixture(strategies=strategies, schedule=[Phase(until=1.0, weights=weights)])


def choices(mixture: Mixture, samples: int, progress: float | np.ndarray = 0.5) -> np.ndarray:
    """For a mixture of marks the place hidden in each sample."""
    units = repeated(TOY, samples)
    spans = mixture.select(units, Budget(), keys(samples), np.broadcast_to(np.float64(progress), (samples,)))
    assert spans.sample_N.tolist() == list(range(samples))
    return spans.start_N - units.sample_start_S


def test_weights_are_realised() -> None:
    """30,000 samples, weights 1 : 3 : 2: shares 1/6, 1/2, 1/3 within 0.017."""
    # Standard error at most .0029: 5.9 of them, false alarm 1e-8 over the three shares (fixed keys: never).
    shares = (
        np.bincount(choices(constant([Mark(place=1), Mark(place=2), Mark(place=3)], [1, 3, 2]), 30_000), minlength=4)
        / 30_000
    )
    assert np.abs(shares[1:] - [1 / 6, 1 / 2, 1 / 3]).max() < 0.017


def test_a_strategy_of_weight_zero_is_never_used() -> None:
    for weights, places in (([0, 1, 1], {2, 3}), ([1, 0, 1], {1, 3}), ([1, 1, 0], {1, 2}), ([0, 0, 1], {3})):
        assert set(choices(constant([Mark(place=1), Mark(place=2), Mark(place=3)], weights), 2000).tolist()) == places


def test_only_the_ratio_of_weights_matters() -> None:
    marks = [Mark(place=1), Mark(place=2)]
    assert np.array_equal(choices(constant(marks, [1, 3]), 1000), choices(constant(marks, [0.25, 0.75]), 1000))


def test_phases_follow_the_progress_of_training() -> None:
    """ERNIE 1.0's order; a phase holds up to, and without, its end, and the last holds at 1.0."""
    schedule = [
        Phase(until=0.33, weights=[1, 0, 0]),
        Phase(until=0.67, weights=[0, 1, 0]),
        Phase(until=1.0, weights=[0, 0, 1]),
    ]
    mixture = Mixture(strategies=[Mark(place=1), Mark(place=2), Mark(place=3)], schedule=schedule)
    for progress, place in (
        (0.0, 1),
        (0.329, 1),
        (0.33, 2),
        (0.5, 2),
        (0.669, 2),
        (0.67, 3),
        (0.99, 3),
        (1.0, 3),
        (1.2, 3),
    ):
        assert set(choices(mixture, 50, progress).tolist()) == {place}, progress


def test_samples_of_one_batch_may_lie_in_different_phases() -> None:
    mixture = Mixture(
        strategies=[Mark(place=1), Mark(place=2)],
        schedule=[Phase(until=0.5, weights=[1, 0]), Phase(until=1.0, weights=[0, 1])],
    )
    assert choices(mixture, 4, np.array([0.1, 0.9, 0.4, 0.6])).tolist() == [1, 2, 1, 2]


def test_a_mixture_of_one_equals_its_strategy() -> None:
    units = repeated(random_toy(np.random.default_rng(1), 60), 200)
    for strategy in (Subword(), WholeUnit(), GeometricSpan()):
        arguments = (units, Budget(), keys(200), np.zeros(200))
        mixed, plain = constant([strategy], [1]).select(*arguments), strategy.select(*arguments)
        assert by_sample(mixed, units) == by_sample(plain, units)
        assert np.array_equal(mixed.sample_N, plain.sample_N)


def test_each_sample_is_hidden_exactly_as_by_the_strategy_drawn_for_it() -> None:
    toy, weights = random_toy(np.random.default_rng(2), 60), [2, 1, 1]
    components: list[Strategy] = [Subword(), WholeUnit(), GeometricSpan()]
    drawn = choices(constant([Mark(place=1), Mark(place=2), Mark(place=3)], weights), 300)
    units = repeated(toy, 300)
    arguments = (units, Budget(), keys(300), np.full(300, 0.5))
    alone = [by_sample(strategy.select(*arguments), units) for strategy in components]
    mixed = by_sample(constant(components, weights).select(*arguments), units)
    assert mixed == [alone[place - 1][sample] for sample, place in enumerate(drawn.tolist())]
    assert {1, 2, 3} == set(drawn.tolist())


def test_a_mixture_inside_a_mixture_realises_its_own_weights() -> None:
    """8,000 samples; outer 1 : 1, inner 1 : 1: shares 1/2, 1/4, 1/4 within 0.03."""
    # Standard error at most .0056: 5.4 of them, false alarm 2e-7 for a correct mixture.
    inner = constant([Mark(place=2), Mark(place=3)], [1, 1])
    shares = np.bincount(choices(constant([Mark(place=1), inner], [1, 1]), 8000), minlength=4) / 8000
    assert np.abs(shares[1:] - [1 / 2, 1 / 4, 1 / 4]).max() < 0.03, shares


def test_rules_are_those_that_all_strategies_know() -> None:
    assert constant([WholeUnit(), Ernie1()], [1, 1]).rules() == RULES
    assert constant([WholeUnit(), Ngram()], [1, 1]).rules() == RULES[:-1]
    assert constant([Ngram(), GeometricSpan()], [1, 1]).rules() == TOKEN_RULES


def test_what_all_strategies_publish_holds_for_the_mixture() -> None:
    alike: list[Strategy] = [GeometricSpan(), NamedEntityMix()]
    assert constant(alike, [1, 1]).corruption() == Corruption(per="span", pool="corpus")
    assert constant(alike, [1, 1]).budget() == Budget(rule="cut")


def test_strategies_published_with_different_settings_ask_for_yours() -> None:
    mixture = constant([WholeUnit(), Ernie1()], [1, 1])
    with pytest.raises(
        ValueError,
        match=r"^strategies: they were published with different settings of `budget`; give masking\.budget yourself$",
    ):
        mixture.budget()
    with pytest.raises(
        ValueError,
        match=r"^strategies: they were published with different settings of `corruption`; give masking\.corruption yourself$",
    ):
        mixture.corruption()


def test_weights_are_asked_for_once_and_must_agree() -> None:
    assert constant([Subword(), Salient(weight="even")], [1, 1]).weighted() == {}
    both: list[Strategy] = [Salient(weight="idf"), Salient(salient=["phrase"], weight="tf_idf")]
    assert constant(both, [1, 1]).weighted() == {"entity": "idf", "phrase": "tf_idf"}
    with pytest.raises(
        ValueError, match=r"^strategies: two of them weigh the level 'entity' differently, by idf and by tf_idf$"
    ):
        constant([Salient(weight="idf"), Salient(weight="tf_idf")], [1, 1]).weighted()


def test_each_strategy_spends_its_own_budget_where_budgets_are_given() -> None:
    toy, weights = random_toy(np.random.default_rng(2), 60), [1, 1]
    components: list[Strategy] = [Subword(), Ngram()]
    budgets = [Budget(rate=0.4), Budget(rate=0.1, rule="skip")]
    mixture = Mixture(strategies=components, schedule=[Phase(until=1.0, weights=weights)], budgets=budgets)
    drawn = choices(constant([Mark(place=1), Mark(place=2)], weights), 300)
    units = repeated(toy, 300)
    alone = [
        by_sample(strategy.select(units, budget, keys(300), np.zeros(300)), units)
        for strategy, budget in zip(components, budgets, strict=True)
    ]
    mixed = by_sample(mixture.select(units, Budget(rate=0.99), keys(300), np.zeros(300)), units)
    assert mixed == [alone[place - 1][sample] for sample, place in enumerate(drawn.tolist())]
    assert mixture.own_budgets() == budgets and mixture.rules() == RULES


@pytest.mark.parametrize(
    ("budgets", "message"),
    [
        ([Budget()], r"^budgets: 1 for 2 strategies; give one for each or none$"),
        (
            [Budget(), Budget(rule="bernoulli")],
            r"^budgets: the rule 'bernoulli' has no meaning for its strategy, which knows accept, skip",
        ),
        ([Budget(), Budget(final_rate=0.3)], r"^budgets: final_rate and row_targets are not possible here$"),
        ([Budget(), Budget(row_targets=9)], r"^budgets: final_rate and row_targets"),
    ],
)
def test_budgets_that_make_no_sense_are_refused(budgets: list[Budget], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        Mixture(strategies=[Subword(), Ngram()], schedule=[Phase(until=1.0, weights=[1, 1])], budgets=budgets)


def test_each_strategy_replaces_by_its_own_corruption_where_corruptions_are_given() -> None:
    """Tokens hidden by the first strategy become [MASK], those of the second a random token or stay, exactly as each
    alone would have it."""
    toy, weights = random_toy(np.random.default_rng(2), 60), [1, 1]
    components: list[Strategy] = [Subword(), WholeUnit()]
    corruptions = [Corruption(mask=1.0, random=0.0), Corruption(mask=0.0, random=0.5, per="token")]
    mixture = Mixture(strategies=components, schedule=[Phase(until=1.0, weights=weights)], corruptions=corruptions)
    drawn = choices(constant([Mark(place=1), Mark(place=2)], weights), 300)
    units, replacements = repeated(toy, 300), Replacements(mask_id=4, ordinary_V=np.arange(10, 90))
    ids_T = np.arange(len(units.maskable_T)) % 50 + 100
    spans = mixture.select(units, Budget(), keys(300), np.zeros(300))
    members_S = mixture.members(keys(300), np.zeros(300))
    assert (members_S + 1).tolist() == drawn.tolist()
    corrupted_T, targets = corrupt_each(
        mixture.own_corruptions(), members_S, ids_T, spans, units, keys(300, 1), replacements
    )
    alone = [corruption.corrupt(ids_T, spans, units, keys(300, 1), replacements) for corruption in corruptions]
    assert targets.position_M.tolist() == alone[0][1].position_M.tolist()
    assert np.array_equal(targets.label_M, ids_T[targets.position_M])
    member_T = np.repeat(members_S, toy.length)
    assert np.array_equal(corrupted_T, np.where(member_T == 0, alone[0][0], alone[1][0]))
    assert np.array_equal(
        targets.action_M, np.where(member_T[targets.position_M] == 0, alone[0][1].action_M, alone[1][1].action_M)
    )


def test_corruptions_are_one_for_each_and_not_inside_another_mixture() -> None:
    phase = [Phase(until=1.0, weights=[1, 1])]
    with pytest.raises(ValueError, match=r"^corruptions: 1 for 2 strategies; give one for each or none$"):
        Mixture(strategies=[Subword(), Ngram()], schedule=phase, corruptions=[Corruption()])
    inner = Mixture(strategies=[Subword(), Ngram()], schedule=phase, corruptions=[Corruption()] * 2)
    with pytest.raises(
        ValueError, match=r"^strategies: a mixture inside a mixture cannot have budgets or corruptions of its own$"
    ):
        Mixture(strategies=[Subword(), inner], schedule=phase)


@pytest.mark.parametrize("rule", RULES)
def test_every_sample_with_text_has_a_target_by_default(rule: str) -> None:
    units = repeated(Toy(length=4), 500)
    spans = constant([Subword(), WholeUnit()], [1, 1]).select(
        units, Budget(rate=0.01, rule=rule), keys(500), np.zeros(500)
    )
    assert len(np.unique(spans.sample_N)) == 500


def test_levels_are_those_of_all_strategies_once() -> None:
    mixture = constant(
        [WholeUnit(units=["phrase", "word"]), Subword(), GeometricSpan(), WholeUnit(units=["entity"])], [1, 1, 1, 1]
    )
    assert list(mixture.levels()) == ["phrase", "word", "entity"]


@pytest.mark.parametrize("until", [0.0, -0.5, 1.01, float("nan")])
def test_a_phase_must_end_between_zero_and_one(until: float) -> None:
    with pytest.raises(ValueError, match=r"^until: .* must lie in \(0, 1\]$"):
        Phase(until=until, weights=[1])


@pytest.mark.parametrize("weights", [[], [0, 0], [1, -1], [-1, 2]])
def test_weights_must_be_non_negative_with_a_positive_sum(weights: list[float]) -> None:
    with pytest.raises(ValueError, match=r"^weights: .* must be non-negative with a positive sum$"):
        Phase(until=1.0, weights=weights)


@pytest.mark.parametrize("weights", [[float("nan"), 1], [1, float("nan")], [float("inf"), 1]])
def test_weights_must_be_finite(weights: list[float]) -> None:
    with pytest.raises(ValueError, match=r"^weights: "):
        Phase(until=1.0, weights=weights)


@pytest.mark.parametrize("ends", [[], [0.5], [0.5, 0.5, 1.0], [0.7, 0.3, 1.0], [1.0, 0.5]])
def test_the_ends_of_the_phases_must_rise_to_one(ends: list[float]) -> None:
    with pytest.raises(ValueError, match=r"^schedule: the ends .* must rise and the last must be 1.0$"):
        Mixture(strategies=[Subword()], schedule=[Phase(until=end, weights=[1]) for end in ends])


def test_every_phase_weighs_every_strategy() -> None:
    with pytest.raises(ValueError, match=r"^schedule: 1 weights for 2 strategies$"):
        Mixture(
            strategies=[Subword(), WholeUnit()],
            schedule=[Phase(until=0.5, weights=[1, 1]), Phase(until=1.0, weights=[1])],
        )


def test_a_mixture_of_nothing_is_refused() -> None:
    with pytest.raises(ValueError, match=r"^strategies: give at least one$"):
        Mixture(strategies=[], schedule=[Phase(until=1.0, weights=[1])])
