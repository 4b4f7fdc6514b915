"""What replaces hidden tokens: shares per token, unit and span, the targets, independence of the place in the batch,
the slow reference.

Where random tokens come from is the subject of test_pools.py.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from slow_reference import slow_corrupt
from toy_samples import Toy, by_sample, keys, lay_out, random_toy, repeated, toys

from masking.budget import Budget
from masking.corruption import ACTIONS, PER, POOLS, Corruption, Replacements, Targets
from masking.keyed import GOLDEN, uniform
from masking.sequences import SimilarWords
from masking.spans import Spans, Units
from masking.strategies.whole_unit import WholeUnit

FIXED = settings(derandomize=True, deadline=None, max_examples=80)
MASK, UNKNOWN = 4, 1
POOL = np.arange(100, 110)
MASKED, RANDOM, KEPT, SIMILAR = range(4)
every_per = pytest.mark.parametrize("per", PER)

TABLE = {
    (2000,): [[2001], [2002]],
    (2000, 2001): [[2002, 2003]],
    (2003, 2004, 2005): [[2000, 2000, 2000], [2001, 2001, 2001], [2002, 2002, 2002]],
}
"""Similar words by the ids of a word."""


def similar_words(table: dict[tuple[int, ...], list[list[int]]]) -> SimilarWords:
    pairs = [(list(word), other) for word, others in table.items() for other in others]
    sides = [[pair[side] for pair in pairs] for side in (0, 1)]
    words, others = (np.array([token for word in side for token in word]) for side in sides)
    word_P1, other_P1 = (np.cumsum([0, *map(len, side)]) for side in sides)
    return SimilarWords.build(words, word_P1, others, other_P1)


def replacements(pool_V: np.ndarray = POOL) -> Replacements:
    return Replacements(
        mask_id=MASK,
        unknown_id=UNKNOWN,
        ordinary_V=pool_V,
        count_V=1 + np.arange(len(pool_V)) ** 2,
        similar=similar_words(TABLE),
    )


def ids_of(units: Units) -> np.ndarray:
    """A different id at every position, none of them in the pool or [MASK]; equal at equal places of equal samples."""
    ids_T = np.full(len(units.maskable_T), 0, np.int64)
    for start, end in zip(units.sample_start_S, units.sample_end_S, strict=True):
        ids_T[start:end] = 1000 + np.arange(end - start)
    return ids_T


def hide(units: Units, keys_S: np.ndarray, rate: float = 0.4) -> Spans:
    return WholeUnit().select(units, Budget(rate=rate), keys_S, np.zeros(len(keys_S)))


def corrupt(
    corruption: Corruption,
    units: Units,
    spans: Spans,
    keys_S: np.ndarray,
    pool_V: np.ndarray = POOL,
    ids_T: np.ndarray | None = None,
) -> tuple[np.ndarray, np.ndarray, Targets]:
    """(original ids, corrupted ids, targets)."""
    original_T = ids_of(units) if ids_T is None else ids_T
    corrupted_T, targets = corruption.corrupt(original_T, spans, units, keys_S, replacements(pool_V))
    return original_T, corrupted_T, targets


def units_of_four(samples: int) -> tuple[Units, Spans]:
    """Samples of [CLS] 4 4 4 4 4 [SEP], every unit of four tokens hidden: units touch, so a span is a whole sample."""
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


@FIXED
@given(
    samples=st.lists(toys(), max_size=4),
    per=st.sampled_from(PER),
    pool=st.sampled_from(POOLS),
    similar=st.sampled_from([0.0, 0.3, 0.5]),
    rate=st.floats(0.1, 0.9),
    seed=st.integers(0, 10**6),
    between=st.integers(0, 4),
)
def test_the_kernel_equals_the_slow_reference(
    samples: list[Toy], per: str, pool: str, similar: float, rate: float, seed: int, between: int
) -> None:
    """Ids are few, so that words are found among the similar ones; [UNK] is among them."""
    similar = similar if per == "unit" else 0.0
    corruption = Corruption(mask=0.3, random=0.2, similar=similar, per=per, pool=pool)
    units, keys_S = lay_out(samples, before=3, between=between), keys(len(samples), seed)
    spans = hide(units, keys_S, rate)
    ids_T = np.where(
        np.random.default_rng(seed).random(len(units.maskable_T)) < 0.1, UNKNOWN, 2000 + (ids_of(units) - 1000) % 6
    )
    _, corrupted_T, targets = corrupt(corruption, units, spans, keys_S, ids_T=ids_T)
    expected_T, expected = ids_T.copy(), []
    for toy, chosen, key, start in zip(
        samples, by_sample(spans, units), keys_S.tolist(), units.sample_start_S.tolist(), strict=True
    ):
        sample_ids = ids_T[start : start + toy.length].tolist()
        result, found = slow_corrupt(corruption, sample_ids, toy, chosen, key, replacements(), TABLE)
        expected_T[start : start + toy.length] = result
        expected += [(start + position, label, action) for position, label, action in found]
    assert corrupted_T.tolist() == expected_T.tolist()
    actions = [ACTIONS[action] for action in targets.action_M.tolist()]
    assert list(zip(targets.position_M.tolist(), targets.label_M.tolist(), actions, strict=True)) == expected


@every_per
def test_eighty_ten_ten_is_realised(per: str) -> None:
    """40,000 samples of 5 units of 4 tokens: shares of tokens, of units or of spans 0.8, 0.1, 0.1 within 0.006 (spans
    0.0125)."""
    # 200,000 independent draws per unit, 800,000 per token, 40,000 per span: standard error at most .0009 (.002),
    # tolerance 6.2 of them or more, 2e-9 (fixed: never).
    units, spans = units_of_four(40_000)
    _, _, targets = corrupt(Corruption(per=per), units, spans, keys(40_000))
    actions = targets.action_M.reshape(-1, {"token": 1, "unit": 4, "span": 20}[per])
    assert np.abs(shares(actions[:, 0]) - [0.8, 0.1, 0.1]).max() < (0.0125 if per == "span" else 0.006)


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


def test_per_unit_all_tokens_of_a_unit_share_the_action_and_touching_units_do_not() -> None:
    units, spans = units_of_four(2000)
    _, _, targets = corrupt(Corruption(per="unit"), units, spans, keys(2000))
    actions = targets.action_M.reshape(-1, 4)
    assert (actions == actions[:, :1]).all()
    assert set(actions[:, 0].tolist()) == {MASKED, RANDOM, KEPT}
    assert (actions[::5, 0] != actions[1::5, 0]).any()


def test_per_span_all_touching_units_share_the_action() -> None:
    """SpanBERT section 3.1: the replacement is drawn for the (merged) span."""
    units, spans = units_of_four(2000)
    _, _, targets = corrupt(Corruption(per="span"), units, spans, keys(2000))
    actions = targets.action_M.reshape(-1, 20)
    assert (actions == actions[:, :1]).all()
    assert set(actions[:, 0].tolist()) == {MASKED, RANDOM, KEPT}


def test_per_span_units_with_a_visible_token_between_do_not_share_it() -> None:
    """4,000 samples of two units with one token between: both [MASK] in 0.8 * 0.8 = 0.64 of them +- 0.05; one draw
    would give 0.8."""
    # Standard error .0076: 6 of them.
    units = repeated(Toy(length=7), 4000)
    start_N = (units.sample_start_S[:, None] + np.array([[1, 4]], np.int32)).ravel().astype(np.int32)
    spans = Spans(np.repeat(np.arange(4000, dtype=np.int32), 2), start_N, start_N + np.int32(2))
    _, _, targets = corrupt(Corruption(per="span"), units, spans, keys(4000))
    assert abs((targets.action_M.reshape(-1, 4) == MASKED).all(1).mean() - 0.64) < 0.05


def test_per_span_spans_of_different_samples_do_not_share_it() -> None:
    """The last unit of a sample touches the first of the next where samples have no special tokens between."""
    bare = Units(
        sample_start_S=np.arange(0, 4000, 2, dtype=np.int32),
        sample_end_S=np.arange(2, 4002, 2, dtype=np.int32),
        maskable_T=np.ones(4000, bool),
        levels={},
    )
    spans = Spans(np.arange(2000, dtype=np.int32), bare.sample_start_S, bare.sample_end_S)
    _, _, targets = corrupt(Corruption(per="span"), bare, spans, keys(2000))
    assert np.abs(shares(targets.action_M[::2]) - [0.8, 0.1, 0.1]).max() < 0.055  # standard error .009


def test_per_token_the_tokens_of_a_span_are_independent() -> None:
    """10,000 units of 4 tokens: all four replaced by [MASK] in 0.8 ** 4 = 0.41 of them, within 0.03."""
    # Standard error .0049: 6 of them, 1e-9 (fixed keys: never). One draw for the unit would give 0.8.
    units, spans = units_of_four(2000)
    _, _, targets = corrupt(Corruption(per="token"), units, spans, keys(2000))
    assert abs((targets.action_M.reshape(-1, 4) == MASKED).all(1).mean() - 0.8**4) < 0.03


@pytest.mark.parametrize(("per", "mixed"), [("token", 1 - 0.8**4 - 0.1**4 - 0.1**4), ("unit", 0.0), ("span", 0.0)])
def test_units_with_mixed_treatment_exist_only_per_token(per: str, mixed: float) -> None:
    """Pitfall P7: 10,000 units of 4 tokens; .59 +- .03 have more than one action per token, none per unit or span."""
    units, spans = units_of_four(2000)
    _, _, targets = corrupt(Corruption(per=per), units, spans, keys(2000))
    actions = targets.action_M.reshape(-1, 4)
    found = (actions != actions[:, :1]).any(1).mean()
    assert abs(found - mixed) < 0.03 if mixed else found == 0


@every_per
@FIXED
@given(samples=st.lists(toys(), max_size=4), seed=st.integers(0, 1000), between=st.integers(0, 4))
def test_targets_are_the_originals_and_the_rest_is_untouched(
    per: str, samples: list[Toy], seed: int, between: int
) -> None:
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


@pytest.mark.parametrize("pool", POOLS)
@every_per
@FIXED
@given(samples=st.lists(toys(), min_size=1, max_size=4), seed=st.integers(0, 1000), before=st.integers(0, 9))
def test_corruption_of_a_sample_does_not_depend_on_its_place(
    pool: str, per: str, samples: list[Toy], seed: int, before: int
) -> None:
    similar = 0.3 if per == "unit" else 0.0
    corruption, keys_S = Corruption(mask=0.3, random=0.3, similar=similar, per=per, pool=pool), keys(len(samples), seed)
    units = lay_out(samples, before=before, between=2)
    ids_T = 2000 + ids_of(units) % 6
    _, together_T, _ = corrupt(corruption, units, hide(units, keys_S), keys_S, ids_T=ids_T)
    for number, toy in enumerate(samples):
        alone, key = lay_out([toy]), keys_S[number : number + 1]
        _, alone_T, _ = corrupt(corruption, alone, hide(alone, key), key, ids_T=2000 + ids_of(alone) % 6)
        assert together_T[units.sample_start_S[number] : units.sample_end_S[number]].tolist() == alone_T.tolist()


@pytest.mark.parametrize("pool", POOLS)
def test_other_keys_give_other_replacements(pool: str) -> None:
    units, spans = units_of_four(50)
    corruption = Corruption(mask=0.0, random=0.9, pool=pool)
    assert not np.array_equal(
        corrupt(corruption, units, spans, keys(50))[1], corrupt(corruption, units, spans, keys(50, 1))[1]
    )


def test_nothing_hidden_leaves_a_copy_and_no_targets() -> None:
    units = lay_out([random_toy(np.random.default_rng(0), 20)])
    original_T, corrupted_T, targets = corrupt(Corruption(), units, Spans.join([]), keys(1))
    assert np.array_equal(original_T, corrupted_T)
    assert corrupted_T is not original_T
    assert len(targets.position_M) == len(targets.label_M) == len(targets.action_M) == 0


@pytest.mark.parametrize("pool", POOLS)
def test_an_empty_batch_is_corrupted_to_itself(pool: str) -> None:
    units = lay_out([])
    _, corrupted_T, targets = corrupt(Corruption(pool=pool), units, Spans.join([]), keys(0))
    assert len(corrupted_T) == len(targets.position_M) == 0


@every_per
def test_a_unit_replaced_by_a_similar_word_keeps_its_number_of_tokens(per: str) -> None:
    if per != "unit":
        with pytest.raises(
            ValueError, match=rf"^per: '{per}' cannot be combined with similar words, which replace whole units$"
        ):
            Corruption(mask=0.0, similar=0.8, per=per)
        return
    units = repeated(Toy(length=5), 2000)
    ids_T = np.tile(np.array([2, 2003, 2004, 2005, 3]), 2000)
    spans = Spans(np.arange(2000, dtype=np.int32), units.sample_start_S + np.int32(1), units.sample_end_S - np.int32(1))
    _, corrupted_T, targets = corrupt(
        Corruption(mask=0.0, random=0.0, similar=1.0), units, spans, keys(2000), ids_T=ids_T
    )
    rows = corrupted_T.reshape(-1, 5)
    assert set(targets.action_M.tolist()) == {SIMILAR}
    # Three similar words, each in a third of the samples: standard error .0105, tolerance 6 of them.
    assert set(map(tuple, rows[:, 1:4].tolist())) == {(2000,) * 3, (2001,) * 3, (2002,) * 3}
    assert np.abs(np.bincount(rows[:, 1] - 2000) / 2000 - 1 / 3).max() < 0.064


def test_an_empty_vocabulary_is_refused_only_when_random_tokens_are_asked_for() -> None:
    units, spans = units_of_four(2)
    empty = np.zeros(0, np.int64)
    with pytest.raises(ValueError, match=r"no ordinary token in the vocabulary .* set corruption\.random=0"):
        corrupt(Corruption(), units, spans, keys(2), empty)
    with pytest.raises(ValueError, match=r"no ordinary token in the vocabulary"):
        corrupt(Corruption(mask=0.1, random=0.0, similar=0.8), units, spans, keys(2), empty)
    _, corrupted_T, _ = corrupt(Corruption(random=0.0), units, spans, keys(2), empty)
    assert MASK in corrupted_T.tolist()
    _, corrupted_T, _ = corrupt(Corruption(pool="sample"), units, spans, keys(2), empty)
    assert MASK in corrupted_T.tolist()


@pytest.mark.parametrize(
    "arguments",
    [
        {"mask": 0.8, "random": 0.3},
        {"mask": 1.1, "random": 0.0},
        {"mask": -0.1, "random": 0.5},
        {"mask": 0.5, "random": -0.1},
        {"mask": float("nan")},
        {"mask": 0.5, "random": float("nan")},
        {"similar": 0.2},
        {"similar": -0.2},
        {"mask": 0.0, "random": 0.0, "similar": 1.1},
        {"similar": float("nan")},
    ],
)
def test_shares_that_do_not_sum_are_refused(arguments: dict[str, Any]) -> None:
    with pytest.raises(
        ValueError,
        match=r"^mask: shares mask=.*, random=.*, similar=.* must each lie in \[0, 1\] and sum to at most 1$",
    ):
        Corruption(**arguments)


def test_shares_that_sum_to_one_but_for_rounding_are_accepted_and_leave_nothing() -> None:
    assert Corruption(mask=0.7, random=0.3).mask == 0.7
    assert Corruption(mask=0.1 + 0.2, random=0.7).random == 0.7
    units, spans = units_of_four(2000)
    for corruption in (Corruption(mask=0.1 + 0.2, random=0.7), Corruption(mask=0.1, random=0.2, similar=0.7)):
        assert KEPT not in corrupt(corruption, units, spans, keys(2000))[2].action_M.tolist()


def key_of_the_largest_draw(number: int) -> int:
    """The key under which this draw is 1 - 2**-53: splitmix64's output function is a bijection, here run backwards."""
    value = 2**64 - 1
    value ^= (value >> 31) ^ (value >> 62)
    value = value * pow(0x94D049BB133111EB, -1, 2**64) % 2**64
    value ^= (value >> 27) ^ (value >> 54)
    value = value * pow(0xBF58476D1CE4E5B9, -1, 2**64) % 2**64
    value ^= (value >> 30) ^ (value >> 60)
    return (value - (number + 1) * GOLDEN) % 2**64


def test_shares_of_one_leave_nothing_even_for_the_largest_draw() -> None:
    """0.6 + 0.3 + 0.1 is 1 - 2**-53 in floating point."""
    key = key_of_the_largest_draw(2)
    assert uniform(key, 2) == 1 - 2**-53 == 0.6 + 0.3 + 0.1
    units = lay_out([Toy(length=3)])
    spans = Spans(*(np.array([value], np.int32) for value in (0, 1, 2)))
    _, _, targets = corrupt(Corruption(mask=0.6, random=0.3, similar=0.1), units, spans, np.array([key], np.uint64))
    assert targets.action_M.tolist() == [RANDOM], "similar, but no similar word is known"
    _, _, targets = corrupt(Corruption(mask=0.6, random=0.3), units, spans, np.array([key], np.uint64))
    assert targets.action_M.tolist() == [KEPT]


def test_an_unknown_per_or_pool_is_refused() -> None:
    with pytest.raises(ValueError, match=r"^per: 'word' is not one of token, unit, span$"):
        Corruption(per="word")
    with pytest.raises(ValueError, match=r"^pool: 'batch' is not one of vocabulary, corpus, sample$"):
        Corruption(pool="batch")


def test_similar_words_without_a_table_are_refused() -> None:
    units, spans = units_of_four(2)
    with pytest.raises(ValueError, match=r"^similar_words: .* no table of them"):
        Corruption(mask=0.1, random=0.1, similar=0.5).corrupt(
            ids_of(units), spans, units, keys(2), Replacements(mask_id=MASK, ordinary_V=POOL)
        )


@pytest.mark.parametrize("count_V", [None, np.zeros(10, np.int64)])
def test_the_law_of_the_corpus_without_counts_is_refused(count_V: np.ndarray | None) -> None:
    units, spans = units_of_four(2)
    bare = Replacements(mask_id=MASK, ordinary_V=POOL, count_V=count_V)
    with pytest.raises(
        ValueError, match=r"^pool: `corpus` needs the tokens of the corpus to be counted, and there are none$"
    ):
        Corruption(pool="corpus").corrupt(ids_of(units), spans, units, keys(2), bare)
    corrupted_T, _ = Corruption(pool="corpus", random=0.0).corrupt(ids_of(units), spans, units, keys(2), bare)
    assert MASK in corrupted_T.tolist()
