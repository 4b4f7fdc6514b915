"""Corruptions that hide nothing: shuffled windows (StructBERT) and the slots a generator fills (ELECTRA)."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from slow_reference import slow_shuffle
from toy_samples import Toy, by_sample, keys, lay_out, repeated, seeded_toy, toys

from masking.budget import Budget
from masking.corruption import Corruption, Replacements
from masking.keyed import combine_array, uniform
from masking.spans import Spans, Units
from masking.strategies.subword import Subword
from masking.strategies.whole_unit import WholeUnit
from masking.structure import Shuffle, Slots, covered, replacement_slots

FIXED = settings(derandomize=True, deadline=None, max_examples=80)
SHUFFLE_KEY = 0x736866


def numbered(units: Units) -> np.ndarray:
    """A different id at every place of a sample."""
    place_T = np.zeros(len(units.maskable_T), np.int64)
    for start, end in zip(units.sample_start_S, units.sample_end_S, strict=True):
        place_T[start:end] = 1000 + np.arange(end - start)
    return place_T


def shuffled(shuffle: Shuffle, units: Units, spans: Spans, seed: int = 0) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """(ids before, ids after, positions in windows)."""
    before_T = numbered(units)
    after_T, position_M = shuffle.shuffle(before_T, spans, units, keys(len(units.sample_start_S), seed))
    assert np.array_equal(before_T, numbered(units)), "the argument is left alone"
    return before_T, after_T, position_M


def hide(units: Units, rate: float = 0.15, seed: int = 5) -> Spans:
    samples = len(units.sample_start_S)
    return WholeUnit().select(units, Budget(rate=rate), keys(samples, seed), np.zeros(samples))


@FIXED
@given(
    samples=st.lists(toys(longest=80), min_size=1, max_size=3),
    share=st.floats(0.02, 0.9),
    length=st.integers(2, 5),
    across=st.booleans(),
    rate=st.floats(0.02, 0.4),
    seed=st.integers(0, 10**6),
)
def test_the_kernel_equals_the_slow_reference(
    samples: list[Toy], share: float, length: int, across: bool, rate: float, seed: int
) -> None:
    units = lay_out(samples, before=2, between=1)
    spans = hide(units, rate)
    before_T, after_T, position_M = shuffled(
        Shuffle(share=share, length=length, across_sentences=across), units, spans, seed
    )
    keys_S = combine_array(keys(len(samples), seed), SHUFFLE_KEY).tolist()
    expected_T, positions = before_T.copy(), []
    for toy, chosen, key, start in zip(
        samples, by_sample(spans, units), keys_S, units.sample_start_S.tolist(), strict=True
    ):
        ids = before_T[start : start + toy.length].tolist()
        result, windows = slow_shuffle(ids, toy, chosen, key, share, length, across)
        expected_T[start : start + toy.length] = result
        positions += sorted(start + place for window in windows for place in window)
    assert after_T.tolist() == expected_T.tolist()
    assert position_M.tolist() == positions


@FIXED
@given(st.lists(toys(longest=80), min_size=1, max_size=3), st.floats(0.02, 0.5), st.booleans(), st.integers(0, 10**6))
def test_windows_hold_visible_text_only_and_the_rest_stays(
    samples: list[Toy], share: float, across: bool, seed: int
) -> None:
    units = lay_out(samples, between=1)
    spans = hide(units)
    before_T, after_T, position_M = shuffled(Shuffle(share=share, across_sentences=across), units, spans, seed)
    assert units.maskable_T[position_M].all()
    assert not covered(spans, len(before_T))[position_M].any()
    rest = np.setdiff1d(np.arange(len(before_T)), position_M)
    assert np.array_equal(after_T[rest], before_T[rest])
    assert len(position_M) % 3 == 0
    assert position_M.tolist() == sorted(set(position_M.tolist()))
    for start, end in zip(units.sample_start_S, units.sample_end_S, strict=True):
        assert sorted(after_T[start:end].tolist()) == before_T[start:end].tolist(), "a token never leaves its sample"


@pytest.mark.parametrize(("share", "length"), [(0.05, 3), (0.05, 2), (0.2, 4), (0.3, 3)])
def test_the_share_of_the_text_in_windows_is_realised(share: float, length: int) -> None:
    """StructBERT (reference a8: 5 %, trigrams): 20,000 samples of 100 tokens, 15 % hidden one by one: share +-
    .0016."""
    # The number of windows is rounded by a coin: standard error at most length * .5 / 100 / sqrt(20,000) = .00014.
    units = repeated(Toy(length=102), 20_000)
    spans = Subword().select(units, Budget(), keys(20_000, 5), np.zeros(20_000))
    _, _, position_M = shuffled(Shuffle(share=share, length=length), units, spans)
    assert abs(len(position_M) / 2_000_000 - share) < 0.0016


def test_structbert_is_the_default() -> None:
    """Wang et al. 2020: trigrams, 5 %."""
    assert Shuffle() == Shuffle(share=0.05, length=3, across_sentences=False)


def test_each_of_the_six_orders_of_a_trigram_is_equally_likely() -> None:
    """30,000 windows: every order 1/6 +- .013, the one that changes nothing among them."""
    # Standard error .00215: 6 of them, false alarm 1e-8.
    units = repeated(Toy(length=62), 30_000)
    _, after_T, position_M = shuffled(Shuffle(share=0.05), units, Spans.join([]))
    assert len(position_M) == 90_000
    orders = after_T[position_M].reshape(-1, 3)
    orders = orders - orders.min(1, keepdims=True)
    _, counts = np.unique(orders @ np.array([9, 3, 1]), return_counts=True)
    assert len(counts) == 6
    assert np.abs(counts / 30_000 - 1 / 6).max() < 0.013


def test_windows_begin_everywhere_equally_often() -> None:
    """40,000 windows in samples of 20 tokens: every one of the 18 places begins 1/18 +- .007."""
    # Standard error .00115: 6 of them.
    units = repeated(Toy(length=22), 40_000)
    _, _, position_M = shuffled(Shuffle(share=0.15), units, Spans.join([]))
    begins = position_M[::3] % 22
    assert len(begins) == 40_000
    assert np.abs(np.bincount(begins, minlength=22)[1:19] / 40_000 - 1 / 18).max() < 0.007


@pytest.mark.parametrize("across", [True, False])
def test_windows_cross_sentences_only_where_allowed_and_separators_never(across: bool) -> None:
    units = repeated(Toy(length=23, blocked=frozenset({12}), sentences=frozenset({6, 13, 17})), 4000)
    _, _, position_M = shuffled(Shuffle(share=0.14, across_sentences=across), units, Spans.join([]))
    begins = position_M[::3] % 23
    assert not ({10, 11, 12} & set(begins.tolist()))
    assert bool({4, 5, 15, 16} & set(begins.tolist())) is across


def test_where_no_more_windows_find_room_there_are_fewer() -> None:
    units = repeated(Toy(length=8, blocked=frozenset({3})), 50)  # text at 1 2 and 4 5 6: one window of three
    _, _, position_M = shuffled(Shuffle(share=0.99), units, Spans.join([]))
    assert position_M.tolist() == [sample * 8 + place for sample in range(50) for place in (4, 5, 6)]
    tiny = repeated(Toy(length=4), 50)
    assert len(shuffled(Shuffle(share=0.99), tiny, Spans.join([]))[2]) == 0


@FIXED
@given(st.lists(toys(longest=60), min_size=1, max_size=4), st.integers(0, 20), st.integers(0, 1000))
def test_shuffling_of_a_sample_does_not_depend_on_its_place(samples: list[Toy], before: int, seed: int) -> None:
    units, keys_S = lay_out(samples, before=before, between=3), keys(len(samples), seed)
    together_T, _ = Shuffle(share=0.3).shuffle(numbered(units), hide(units, seed=5), units, keys_S)
    for number, toy in enumerate(samples):
        alone, key = lay_out([toy]), keys_S[number : number + 1]
        spans = WholeUnit().select(alone, Budget(), keys(len(samples), 5)[number : number + 1], np.zeros(1))
        alone_T, _ = Shuffle(share=0.3).shuffle(numbered(alone), spans, alone, key)
        assert together_T[units.sample_start_S[number] : units.sample_end_S[number]].tolist() == alone_T.tolist()


def test_other_keys_shuffle_otherwise() -> None:
    units = repeated(Toy(length=62), 30)
    assert not np.array_equal(
        shuffled(Shuffle(), units, Spans.join([]))[2], shuffled(Shuffle(), units, Spans.join([]), 1)[2]
    )


def test_an_empty_batch_is_left_as_it_is() -> None:
    _, after_T, position_M = shuffled(Shuffle(), lay_out([]), Spans.join([]))
    assert len(after_T) == len(position_M) == 0


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"share": 0.0}, r"^share: 0\.0 must lie between 0 and 1$"),
        ({"share": 1.0}, r"^share: 1\.0 must lie between 0 and 1$"),
        ({"share": float("nan")}, r"^share: nan must lie between 0 and 1$"),
        ({"length": 1}, r"^length: 1 must be at least 2$"),
    ],
)
def test_a_shuffle_that_makes_no_sense_is_refused(arguments: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        Shuffle(**arguments)


def slots(units: Units, seed: int = 0, rate: float = 0.15) -> tuple[Slots, np.ndarray, Spans]:
    """(slots, ids, spans) of a batch whose hidden tokens all became [MASK]."""
    keys_S, ids_T = keys(len(units.sample_start_S), seed), numbered(units)
    spans = WholeUnit().select(units, Budget(rate=rate), keys_S, np.zeros(len(keys_S)))
    _, targets = Corruption(mask=1.0, random=0.0).corrupt(
        ids_T, spans, units, keys_S, Replacements(mask_id=4, ordinary_V=np.arange(9))
    )
    return replacement_slots(targets, spans, units, keys_S), ids_T, spans


@FIXED
@given(st.lists(toys(longest=80), max_size=4), st.integers(0, 1000))
def test_slots_are_the_hidden_positions_each_once_with_the_tokens_that_stood_there(
    samples: list[Toy], seed: int
) -> None:
    """ELECTRA draws positions with replacement, which gives fewer than counted (reference a9, pitfall P19); here every
    position is one slot."""
    units = lay_out(samples, between=1)
    found, ids_T, spans = slots(units, seed)
    hidden = [position for start, end in zip(spans.start_N, spans.end_N, strict=True) for position in range(start, end)]
    assert found.position_M.tolist() == hidden
    assert len(set(hidden)) == len(hidden)
    assert found.label_M.tolist() == ids_T[hidden].tolist()


def test_numbers_of_slots_are_uniform_and_independent() -> None:
    """60,000 numbers: mean .5 +- .0075, every tenth .1 +- .0075, neighbours uncorrelated +- .025; none used by the
    selection."""
    # Standard errors .0012, .0012 and .0041: 6 of them.
    units = repeated(Toy(length=102), 4000)
    numbers = slots(units)[0].uniform_M
    assert len(numbers) > 58_000
    assert (numbers.min() >= 0) and (numbers.max() < 1)
    assert abs(numbers.mean() - 0.5) < 0.0075
    assert np.abs(np.histogram(numbers, 10, (0, 1))[0] / len(numbers) - 0.1).max() < 0.0075
    assert abs(np.corrcoef(numbers[:-1], numbers[1:])[0, 1]) < 0.025
    first_draws = {uniform(key, number) for key in keys(50).tolist() for number in range(300)}
    assert not first_draws & set(numbers[:800].tolist())


@FIXED
@given(
    st.lists(st.builds(seeded_toy, st.integers(10, 60), st.integers(0, 2**20)), min_size=1, max_size=3),
    st.integers(0, 20),
    st.integers(0, 1000),
)
def test_numbers_of_a_sample_do_not_depend_on_its_place(samples: list[Toy], before: int, seed: int) -> None:
    units, keys_S = lay_out(samples, before=before, between=2), keys(len(samples), seed)
    together, _, _ = slots(units, seed)
    expected: list[float] = []
    for number, toy in enumerate(samples):
        alone, key = lay_out([toy]), keys_S[number : number + 1]
        spans = WholeUnit().select(alone, Budget(), key, np.zeros(1))
        _, targets = Corruption(mask=1.0, random=0.0).corrupt(
            numbered(alone), spans, alone, key, Replacements(mask_id=4, ordinary_V=np.arange(9))
        )
        expected += replacement_slots(targets, spans, alone, key).uniform_M.tolist()
    assert together.uniform_M.tolist() == expected


def test_other_keys_give_other_numbers() -> None:
    units = repeated(Toy(length=40), 1)
    one, other = slots(units, 0, 0.9)[0], slots(units, 1, 0.9)[0]
    assert not set(one.uniform_M.tolist()) & set(other.uniform_M.tolist())


def test_covered_marks_the_tokens_of_touching_units_too() -> None:
    spans = Spans(*(np.array(column, np.int32) for column in ([0, 0, 0], [1, 3, 6], [3, 4, 8])))
    assert covered(spans, 8).tolist() == [False, True, True, True, False, False, True, True]
    assert covered(Spans.join([]), 3).tolist() == [False] * 3
