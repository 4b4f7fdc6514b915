"""The paired bootstrap: against a slow loop over written-out examples, on simulated models, and at its edges."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace

import numpy as np
import numpy.typing as npt
import pytest

from masking.keyed import hash_key
from pretrain.evaluation import comparing
from pretrain.evaluation.comparing import Difference, Sample, compare, drawn_counts, drawn_pieces, holm
from pretrain.evaluation.metrics import Floats, Outcome

RANDOM = np.random.default_rng(0)


def hits(right_N: npt.NDArray[np.bool_] | Sequence[int]) -> Outcome:
    return Outcome(metric="ratio", rows=np.stack([np.asarray(right_N, np.float64), np.ones(len(right_N))], 1))


def one(first: Mapping[str, Outcome], other: Mapping[str, Outcome], draws: int = 2000) -> Difference:
    """Model ``b`` against ``a``, pieces by name, all on the same examples."""
    models = {
        model: {"figure": {name: Sample(outcome, "examples") for name, outcome in pieces.items()}}
        for model, pieces in (("a", first), ("b", other))
    }
    found = compare(models, "a", draws)["b"]["figure"]
    assert isinstance(found, Difference), found
    return found


def scores(gold_N: Floats, noise: float) -> Outcome:
    return Outcome(metric="spearman", rows=np.stack([gold_N, gold_N + RANDOM.normal(0, noise, len(gold_N))], 1))


@pytest.mark.parametrize("metric", ["ratio", "spearman"])
@pytest.mark.parametrize("pieces", [1, 3])
def test_a_difference_is_that_of_a_slow_loop_over_the_same_draws(metric: str, pieces: int) -> None:
    names, count, draws = [f"seed-{seed}" for seed in range(pieces)], 40, 60
    gold_N = RANDOM.normal(size=count)
    sides = [
        {name: scores(gold_N, noise) if metric == "spearman" else hits(RANDOM.random(count) < noise) for name in names}
        for noise in (0.7, 0.5)
    ]
    counts_RN = drawn_counts(hash_key("compare", "examples", count), count, 0, draws)
    weight_RS = drawn_pieces(pieces, draws)
    slow = []
    for count_N, weight_S in zip(counts_RN, weight_RS, strict=True):
        taken = np.repeat(np.arange(count), count_N)
        values = [
            [
                replace(side[name], rows=side[name].rows[taken]).value * weight
                for name, weight in zip(names, weight_S, strict=True)
            ]
            for side in sides
        ]
        slow.append(sum(values[1]) - sum(values[0]))
    found = one(*sides, draws=draws)
    assert [found.low, found.high] == pytest.approx(np.quantile(slow, [0.025, 0.975]).tolist())
    assert found.value == pytest.approx(np.mean([sides[1][name].value - sides[0][name].value for name in names]))
    rarer = min(np.sum(np.array(slow) <= 1e-12), np.sum(np.array(slow) >= -1e-12))
    assert found.p == pytest.approx(min(1, 2 * (rarer + 1) / (draws + 1)))


def test_every_draw_takes_as_many_examples_as_there_are_and_is_the_same_however_it_is_cut() -> None:
    whole = drawn_counts(7, 13, 0, 50)
    assert whole.shape == (50, 13) and (whole.sum(1) == 13).all()
    assert np.array_equal(whole, np.concatenate([drawn_counts(7, 13, 0, 21), drawn_counts(7, 13, 21, 50)]))
    assert not np.array_equal(whole, drawn_counts(8, 13, 0, 50))
    counts = drawn_counts(7, 10, 0, 20_000)
    assert counts.mean(0) == pytest.approx(np.ones(10), abs=0.03)  # 4 deviations of sqrt(.9 / 20,000)
    assert counts.var(0) == pytest.approx(np.full(10, 0.9), abs=0.06)


def test_a_model_does_not_differ_from_itself() -> None:
    same = {"all": hits(RANDOM.random(100) < 0.5)}
    found = one(same, same)
    assert (found.value, found.low, found.high, found.p, found.better) == (0.0, 0.0, 0.0, 1.0, None)


@pytest.mark.parametrize("lower", [False, True])
def test_the_sign_says_how_much_more_the_model_has_and_better_whether_that_is_good(lower: bool) -> None:
    worse, better = (
        {"all": replace(hits(np.arange(200) < count), lower_is_better=lower)}
        for count in ((160, 100) if lower else (100, 160))
    )
    found = one(worse, better)
    assert found.value == pytest.approx(-0.3 if lower else 0.3)
    assert found.better and found.p < 0.01 and (found.high < 0 if lower else found.low > 0)
    assert not one(better, worse).better


def simulated(count: int, seeds: int, truth: float) -> tuple[dict[str, Outcome], dict[str, Outcome]]:
    """Two models of which the second is right ``truth`` more often. Some examples are easy for both, some for one of
    them in all of its seeds, and every seed has a level of its own."""
    easy_N = RANDOM.random(count)
    sides = []
    for gain in (0.0, truth):
        own_N = RANDOM.random(count) < 0.3 + gain + 0.3 * easy_N
        levels = [RANDOM.normal(0, 0.03) if seeds > 1 else 0.0 for _ in range(seeds)]
        chances = [np.where(own_N, 1.0, 0.0) + 0.1 * (1 - 2 * own_N) * (seeds > 1) + level for level in levels]
        sides.append({f"seed-{seed}": hits(RANDOM.random(count) < chance) for seed, chance in enumerate(chances)})
    return sides[0], sides[1]


@pytest.mark.parametrize(
    ("seeds", "truth", "least", "most"),
    [
        (1, 0.1, 0.912, 0.988),  # 95 %, give or take three deviations of 1.26 %
        (4, 0.08, 0.9, 0.997),  # four seeds know their spread badly; what is random in both is counted twice
    ],
)
def test_the_interval_holds_the_truth_as_often_as_it_says(seeds: int, truth: float, least: float, most: float) -> None:
    """``truth`` of several seeds: a gain of .1 where the answers of the two models' seeds are right in .9 and .1."""
    inside = 0
    for _ in range(300):
        found = one(*simulated(150, seeds, 0.1), draws=300)
        inside += found.low <= truth <= found.high
    assert least <= inside / 300 <= most, inside


def test_equal_models_are_seldom_told_apart() -> None:
    p = [one(*simulated(150, 1, 0.0), draws=300).p for _ in range(300)]
    assert np.mean(np.array(p) < 0.05) <= 0.088


def test_few_examples_that_differ_prove_nothing_even_if_all_speak_for_one_model() -> None:
    base = np.arange(1000) < 500
    for differing, p in ((1, 1.0), (3, 0.25), (5, 0.0625)):
        found = one({"all": hits(base)}, {"all": hits(np.arange(1000) < 500 + differing)})
        assert found.differing == differing and found.p >= p
    assert one({"all": hits([0] * 5)}, {"all": hits([1] * 5)}).p == 0.0625


def test_many_examples_are_drawn_in_groups_with_the_same_spread(monkeypatch: pytest.MonkeyPatch) -> None:
    sides = [{"all": hits(RANDOM.random(1000) < level)} for level in (0.6, 0.7)]
    single = one(sides[0], sides[1])
    monkeypatch.setattr(comparing, "GROUPS", 300)
    assert np.bincount(comparing.groups(1000, 1)).tolist() == [4] * 250
    grouped = one(sides[0], sides[1])
    assert grouped.value == single.value
    assert grouped.high - grouped.low == pytest.approx(single.high - single.low, rel=0.15)
    gold_N = RANDOM.normal(size=1000)
    ranked = one({"all": scores(gold_N, 1.0)}, {"all": scores(gold_N, 0.5)}, draws=50)
    assert ranked.low < ranked.value < ranked.high


def test_pieces_that_only_one_model_has_are_left_out() -> None:
    first = {"seed-1": hits([1] * 30 + [0] * 30), "seed-2": hits([1] * 60)}
    found = one(first, {"seed-1": hits([1] * 45 + [0] * 15), "seed-3": hits([0] * 60)})
    assert (found.pieces, found.examples, found.differing, found.value) == (1, 60, 15, 0.25)


@pytest.mark.parametrize(
    ("first", "other", "why"),
    [
        (Sample(hits([1, 0]), "x"), Sample(hits([1, 0, 1]), "x"), "other examples (2 and 3)"),
        (Sample(hits([1, 0]), "x"), Sample(hits([1, 0]), "y"), "other examples"),
        (
            Sample(hits([1, 0]), "x"),
            Sample(Outcome(metric="f1", rows=np.ones((2, 3))), "x"),
            "another metric, or other classes",
        ),
        (
            Sample(hits([1] * 5), "x"),
            Sample(Outcome(metric="ratio", rows=np.zeros((5, 2))), "x"),
            "not defined for one of the two",
        ),
        (Sample(hits([1] * 4), "x"), Sample(hits([0] * 4), "x"), "fewer than 5 examples"),
    ],
)
def test_what_cannot_be_compared_says_why(first: Sample, other: Sample, why: str) -> None:
    models = {"a": {"one": {"all": first}}, "b": {"one": {"all": other}, "more": {"all": other}}}
    assert compare(models, "a") == {"b": {"one": why}}  # `more` is not measured for both


def test_no_piece_in_common_and_a_figure_that_most_draws_leave_undefined_say_why() -> None:
    models = {name: {"one": {piece: Sample(hits([1, 0]), "x")}} for name, piece in (("a", "seed-1"), ("b", "seed-2"))}
    assert compare(models, "a")["b"]["one"] == "no piece in common (seed-1; seed-2)"
    rare = Outcome(metric="ratio", rows=np.array([[1.0, 1.0], *[[0.0, 0.0]] * 9]))
    models = {name: {"one": {"all": Sample(rare, "x")}} for name in "ab"}
    found = compare(models, "a", 200)["b"]["one"]
    assert isinstance(found, Difference)  # 65 % of the draws hold the one that counts
    both = Outcome(metric="pearson", rows=np.array([[1.0, 1, 2, 1, 4, 2], *[[0.0] * 6] * 9, [1.0, 2, 1, 4, 1, 2]]))
    models = {name: {"one": {"all": Sample(both, "x")}} for name in "ab"}
    assert compare(models, "a", 200)["b"]["one"] == "not defined for most draws of the examples"


def test_holm_corrects_as_worked_by_hand() -> None:
    """.01 x 4; .013 x 3 is less than that, so .04 again; .03 x 2 = .06; .2."""
    template = one({"all": hits([1, 0, 0, 0, 0])}, {"all": hits([0, 1, 1, 0, 0])}, draws=10)
    p = {"d": 0.2, "b": 0.013, "a": 0.01, "c": 0.03}
    found = holm({name: replace(template, p=value) for name, value in p.items()})
    assert list(found) == ["d", "b", "a", "c"]
    assert {name: one.adjusted for name, one in found.items()} == pytest.approx(
        {"a": 0.04, "b": 0.04, "c": 0.06, "d": 0.2}
    )
    assert found["a"].significant and not found["c"].significant and found["a"].among == 4


def test_many_figures_are_compared_in_portions_with_the_same_result(monkeypatch: pytest.MonkeyPatch) -> None:
    models = {
        model: {
            f"figure {number}": {seed: Sample(hits(RANDOM.random(30) < 0.5), "x") for seed in ("1", "2")}
            for number in range(7)
        }
        for model in "abc"
    }
    whole = compare(models, "b", 100)
    monkeypatch.setattr(comparing, "TOGETHER", 12)  # two figures at a time
    monkeypatch.setattr(comparing, "CHUNK", 64)
    assert compare(models, "b", 100) == whole and list(whole) == ["a", "c"]
