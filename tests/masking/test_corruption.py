"""What replaces hidden tokens: shares per unit and per token, the pool, the targets, independence of the place in the batch."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from toy_samples import Toy, keys, lay_out, random_toy, repeated, toys

from masking.budget import Budget
from masking.corruption import Corruption, Targets
from masking.spans import Spans, Units
from masking.strategies.whole_unit import WholeUnit

FIXED = settings(derandomize=True, deadline=None, max_examples=80)
MASK = 4
POOL = np.arange(100, 110)
MASKED, RANDOM, KEPT = 0, 1, 2


def ids_of(units: Units) -> np.ndarray:
    """A different id at every position, none of them in the pool or [MASK]; equal at equal places of equal samples."""
    ids_T = np.full(len(units.maskable_T), 0, np.int64)
    for start, end in zip(units.sample_start_S, units.sample_end_S, strict=True):
        ids_T[start:end] = 1000 + np.arange(end - start)
    return ids_T


def hide(units: Units, keys_S: np.ndarray, rate: float = 0.4) -> Spans:
    return WholeUnit().select(units, Budget(rate=rate), keys_S, np.zeros(len(keys_S)))


def corrupt(corruption: Corruption, units: Units, spans: Spans, keys_S: np.ndarray, pool_V: np.ndarray = POOL) -> tuple[np.ndarray, np.ndarray, Targets]:
    """(original ids, corrupted ids, targets)."""
    ids_T = ids_of(units)
    corrupted_T, targets = corruption.corrupt(ids_T, spans, units.sample_start_S, keys_S, MASK, pool_V)
    return ids_T, corrupted_T, targets


def units_of_four(samples: int) -> tuple[Units, Spans]:
    """Samples of [CLS] 4 4 4 4 4 [SEP], every unit of four tokens hidden."""
    units = repeated(Toy(length=22), samples)
    start_N = (units.sample_start_S[:, None] + np.arange(1, 21, 4, dtype=np.int32)[None, :]).ravel().astype(np.int32)
    return units, Spans(np.repeat(np.arange(samples, dtype=np.int32), 5), start_N, start_N + np.int32(4))


def shares(actions: np.ndarray) -> np.ndarray:
    return np.bincount(actions, minlength=3) / len(actions)


def test_the_worked_example_of_the_module_holds() -> None:
    units = lay_out([Toy(length=6)])
    spans = Spans(*(np.array([value], np.int32) for value in (0, 1, 5)))
    original_T, corrupted_T, targets = corrupt(Corruption(mask=1.0, random=0.0), units, spans, keys(1))
    assert corrupted_T.tolist() == [1000, MASK, MASK, MASK, MASK, 1005]
    assert targets.position_M.tolist() == [1, 2, 3, 4]
    assert targets.label_M.tolist() == original_T[1:5].tolist()
    assert targets.action_M.tolist() == [MASKED] * 4


@pytest.mark.parametrize("per", ["unit", "token"])
def test_eighty_ten_ten_is_realised(per: str) -> None:
    """40,000 samples of 5 units of 4 tokens: shares of units (of tokens) 0.8, 0.1, 0.1 within 0.006."""
    # 200,000 independent draws per unit (800,000 per token): standard error at most .0009, tolerance 6.7 of them, 2e-11 (fixed: never).
    units, spans = units_of_four(40_000)
    _, _, targets = corrupt(Corruption(per=per), units, spans, keys(40_000))
    actions = targets.action_M.reshape(-1, 4)
    assert np.abs(shares(actions[:, 0] if per == "unit" else actions.ravel()) - [0.8, 0.1, 0.1]).max() < 0.006


@pytest.mark.parametrize(("mask", "random"), [(1.0, 0.0), (0.0, 1.0), (0.0, 0.0), (0.5, 0.5), (0.7, 0.3), (0.2, 0.3)])
def test_other_shares_are_realised_too(mask: float, random: float) -> None:
    """8,000 samples, 40,000 units: shares within 0.015 of those asked for, and exact where they are 0 or 1."""
    # Standard error at most .0025: 6 of them, false alarm 1e-8 over all cases (fixed keys: never).
    units, spans = units_of_four(8000)
    _, _, targets = corrupt(Corruption(mask=mask, random=random), units, spans, keys(8000))
    wanted = np.array([mask, random, 1 - mask - random])
    found = shares(targets.action_M)
    assert np.abs(found - wanted).max() < 0.015
    assert not found[wanted <= 0].any()


def test_per_unit_all_tokens_of_a_span_share_the_action() -> None:
    units, spans = units_of_four(2000)
    _, _, targets = corrupt(Corruption(per="unit"), units, spans, keys(2000))
    actions = targets.action_M.reshape(-1, 4)
    assert (actions == actions[:, :1]).all()
    assert set(actions[:, 0].tolist()) == {MASKED, RANDOM, KEPT}


def test_per_token_the_tokens_of_a_span_are_independent() -> None:
    """10,000 units of 4 tokens: all four replaced by [MASK] in 0.8 ** 4 = 0.41 of them, within 0.03."""
    # Standard error .0049: 6 of them, 1e-9 (fixed keys: never). One draw for the unit would give 0.8.
    units, spans = units_of_four(2000)
    _, _, targets = corrupt(Corruption(per="token"), units, spans, keys(2000))
    assert abs((targets.action_M.reshape(-1, 4) == MASKED).all(1).mean() - 0.8**4) < 0.03


def test_random_tokens_come_evenly_from_the_pool_and_from_nowhere_else() -> None:
    """5,000 samples of 20 tokens, all replaced at random: each of 10 ids of the pool has share 0.1 +- 0.006, also inside one unit."""
    # 100,000 draws: standard error .00095, tolerance 6.3 of them, 3e-9 over the ten ids (fixed keys: never).
    units, spans = units_of_four(5000)
    _, corrupted_T, targets = corrupt(Corruption(mask=0.0, random=1.0), units, spans, keys(5000))
    drawn = corrupted_T[targets.position_M]
    assert set(drawn.tolist()) == set(POOL.tolist())
    assert np.abs(np.bincount(drawn - 100) / len(drawn) - 0.1).max() < 0.006
    of_unit = drawn.reshape(-1, 4)
    # Two tokens of a unit agree in a tenth of the 25,000 units: standard error .0019, tolerance 6 of them.
    assert abs((of_unit[:, 0] == of_unit[:, 1]).mean() - 0.1) < 0.0115


@FIXED
@given(samples=st.lists(toys(), max_size=4), per=st.sampled_from(["unit", "token"]), seed=st.integers(0, 1000), between=st.integers(0, 4))
def test_targets_are_the_originals_and_the_rest_is_untouched(samples: list[Toy], per: str, seed: int, between: int) -> None:
    units, keys_S = lay_out(samples, between=between), keys(len(samples), seed)
    spans = hide(units, keys_S)
    original_T, corrupted_T, targets = corrupt(Corruption(mask=0.4, random=0.3, per=per), units, spans, keys_S)
    assert np.array_equal(original_T, ids_of(units))
    hidden = [position for start, end in zip(spans.start_N, spans.end_N, strict=True) for position in range(start, end)]
    assert targets.position_M.tolist() == hidden
    assert targets.label_M.tolist() == original_T[hidden].tolist()
    visible = np.setdiff1d(np.arange(len(original_T)), hidden)
    assert np.array_equal(corrupted_T[visible], original_T[visible])
    for position, action in zip(hidden, targets.action_M.tolist(), strict=True):
        stands = int(corrupted_T[position])
        assert {MASKED: stands == MASK, RANDOM: stands in POOL, KEPT: stands == original_T[position]}[action]


@FIXED
@given(samples=st.lists(toys(), min_size=1, max_size=4), per=st.sampled_from(["unit", "token"]), seed=st.integers(0, 1000), before=st.integers(0, 9))
def test_corruption_of_a_sample_does_not_depend_on_its_place(samples: list[Toy], per: str, seed: int, before: int) -> None:
    corruption, keys_S = Corruption(mask=0.4, random=0.3, per=per), keys(len(samples), seed)
    units = lay_out(samples, before=before, between=2)
    _, together_T, _ = corrupt(corruption, units, hide(units, keys_S), keys_S)
    for number, toy in enumerate(samples):
        alone, key = lay_out([toy]), keys_S[number : number + 1]
        _, alone_T, _ = corrupt(corruption, alone, hide(alone, key), key)
        assert together_T[units.sample_start_S[number] : units.sample_end_S[number]].tolist() == alone_T.tolist()


def test_other_keys_give_other_replacements() -> None:
    units, spans = units_of_four(50)
    assert not np.array_equal(corrupt(Corruption(), units, spans, keys(50))[1], corrupt(Corruption(), units, spans, keys(50, 1))[1])


def test_nothing_hidden_leaves_a_copy_and_no_targets() -> None:
    units = lay_out([random_toy(np.random.default_rng(0), 20)])
    original_T, corrupted_T, targets = corrupt(Corruption(), units, Spans.join([]), keys(1))
    assert np.array_equal(original_T, corrupted_T)
    assert corrupted_T is not original_T
    assert len(targets.position_M) == len(targets.label_M) == len(targets.action_M) == 0


def test_an_empty_pool_is_refused_only_when_random_tokens_are_asked_for() -> None:
    units, spans = units_of_four(2)
    empty = np.zeros(0, np.int64)
    with pytest.raises(ValueError, match=r"no ordinary token in the vocabulary .* set corruption\.random=0"):
        corrupt(Corruption(), units, spans, keys(2), empty)
    _, corrupted_T, _ = corrupt(Corruption(random=0.0), units, spans, keys(2), empty)
    assert MASK in corrupted_T.tolist()


@pytest.mark.parametrize(("mask", "random"), [(0.8, 0.3), (1.1, 0.0), (-0.1, 0.5), (0.5, -0.1), (float("nan"), 0.1), (0.5, float("nan"))])
def test_shares_that_do_not_sum_are_refused(mask: float, random: float) -> None:
    with pytest.raises(ValueError, match=r"^mask: shares mask=.* and random=.* must each lie in \[0, 1\] and sum to at most 1$"):
        Corruption(mask=mask, random=random)


def test_shares_that_sum_to_one_but_for_rounding_are_accepted() -> None:
    assert Corruption(mask=0.7, random=0.3).mask == 0.7
    assert Corruption(mask=0.1 + 0.2, random=0.7).random == 0.7


def test_an_unknown_per_is_refused() -> None:
    with pytest.raises(ValueError, match=r"^per: 'word' is not one of unit, token$"):
        Corruption(per="word")
