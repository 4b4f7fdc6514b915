"""Where random tokens come from: evenly from the vocabulary, by the law of the corpus, or from the sample; never a
special or unused entry."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from toy_samples import Toy, keys, repeated

from masking.corruption import Corruption, Replacements
from masking.spans import Spans, Units

MASK, UNKNOWN, CLS, SEP = 4, 1, 2, 3
SPECIAL_AND_UNUSED = {0, UNKNOWN, CLS, SEP, MASK, *range(5, 20)}
ORDINARY = np.arange(20, 70)
COUNTS = (1e6 / (1 + np.arange(50)) ** 1.2).astype(np.int64)
"""Counts of ordinary tokens by a law like Zipf's: the first is 109 times as frequent as the last."""


def all_hidden(ids: list[int], samples: int) -> tuple[Units, Spans, np.ndarray]:
    """Samples [CLS] ids [SEP], all ids hidden as units of one token."""
    units = repeated(Toy(length=len(ids) + 2), samples)
    start_N = (
        (units.sample_start_S[:, None] + np.arange(1, len(ids) + 1, dtype=np.int32)[None, :]).ravel().astype(np.int32)
    )
    spans = Spans(np.repeat(np.arange(samples, dtype=np.int32), len(ids)), start_N, start_N + np.int32(1))
    return units, spans, np.tile(np.array([CLS, *ids, SEP], np.int64), samples)


def random_tokens(
    pool: str, ids: list[int], samples: int, count_V: np.ndarray | None = None, ordinary_V: np.ndarray = ORDINARY
) -> np.ndarray:
    """What stands in for the hidden tokens when all of them are replaced at random, one row a sample."""
    units, spans, ids_T = all_hidden(ids, samples)
    source = Replacements(mask_id=MASK, unknown_id=UNKNOWN, ordinary_V=ordinary_V, count_V=count_V)
    corrupted_T, targets = Corruption(mask=0.0, random=1.0, pool=pool).corrupt(
        ids_T, spans, units, keys(samples), source
    )
    assert set(targets.action_M.tolist()) == {1}
    return corrupted_T[targets.position_M].reshape(samples, len(ids))


def chi_square(drawn: np.ndarray, share_V: np.ndarray) -> float:
    """Pearson's statistic of ``drawn`` ids against the shares of the ordinary tokens."""
    expected = share_V * drawn.size
    return float(((np.bincount(drawn.ravel() - 20, minlength=len(share_V)) - expected) ** 2 / expected).sum())


@pytest.mark.parametrize(("pool", "counts"), [("vocabulary", None), ("vocabulary", COUNTS), ("corpus", COUNTS)])
def test_random_tokens_have_the_law_of_the_pool(pool: str, counts: np.ndarray | None) -> None:
    """10,000 samples of 20 tokens, 50 ids: chi-square below 110 at 49 degrees of freedom."""
    # Mean 49, standard deviation 9.9: 6.2 of them; P(chi-square_49 > 110) = 1.5e-6 (fixed keys: never). The even law
    # against the other and back gives more than 100,000.
    drawn = random_tokens(pool, [30] * 20, 10_000, counts)
    assert set(drawn.ravel().tolist()) <= set(ORDINARY.tolist())
    even, law = np.full(50, 1 / 50), COUNTS / COUNTS.sum()
    assert chi_square(drawn, law if pool == "corpus" else even) < 110
    assert chi_square(drawn, even if pool == "corpus" else law) > 100_000


@pytest.mark.parametrize("pool", ["vocabulary", "corpus"])
def test_random_tokens_of_one_unit_and_of_neighbouring_samples_are_independent(pool: str) -> None:
    """Equal pairs as often as the law says, +- 0.011: tokens beside one another, and equal places of neighbouring
    samples."""
    # 100,000 pairs: standard error at most .0013 with this law (chance of a pair .088 or .02): 6 of them and more.
    drawn = random_tokens(pool, [30] * 20, 10_000, COUNTS)
    law = COUNTS / COUNTS.sum() if pool == "corpus" else np.full(50, 1 / 50)
    chance = (law**2).sum()
    assert abs((drawn[:, ::2] == drawn[:, 1::2]).mean() - chance) < 0.011
    assert abs((drawn[::2] == drawn[1::2]).mean() - chance) < 0.011


@pytest.mark.parametrize("pool", ["vocabulary", "corpus"])
def test_random_tokens_are_never_special_or_unused(pool: str) -> None:
    """Pitfall P8: 100,000 draws from a vocabulary whose first 20 entries are special or unused."""
    drawn = set(random_tokens(pool, [30] * 10, 10_000, COUNTS).ravel().tolist())
    assert not drawn & SPECIAL_AND_UNUSED
    assert drawn == set(ORDINARY.tolist())


def test_tokens_that_never_occur_in_the_corpus_are_never_drawn_by_its_law() -> None:
    counts = np.where(np.arange(50) % 3 == 0, 7, 0)
    drawn = set(random_tokens("corpus", [30] * 10, 3000, counts).ravel().tolist())
    assert drawn == set(ORDINARY[::3].tolist())


def test_one_token_alone_in_the_corpus_is_always_drawn() -> None:
    assert set(random_tokens("corpus", [30] * 3, 50, np.eye(50, dtype=np.int64)[17]).ravel().tolist()) == {37}


@settings(derandomize=True, deadline=None, max_examples=100)
@given(st.lists(st.integers(0, 10**9), min_size=1, max_size=60).filter(any))
def test_the_alias_table_adds_up_to_the_law(counts: list[int]) -> None:
    """Vose's table: column i gives itself with chance below[i], else other[i]; all columns together give every token
    its share."""
    total = len(counts)
    below_V, other_V = Replacements(mask_id=MASK, ordinary_V=np.arange(total), count_V=np.array(counts)).alias
    share_V = np.zeros(total)
    np.add.at(share_V, np.arange(total), below_V / total)
    np.add.at(share_V, other_V, (1 - below_V) / total)
    assert np.allclose(share_V, np.array(counts) / sum(counts), atol=1e-9)
    assert (below_V >= -1e-9).all()
    assert (below_V <= 1 + 1e-9).all()


def test_the_sample_gives_only_its_own_text_and_never_unknown_tokens() -> None:
    """4,000 samples [CLS] 30 31 [UNK] 33 33 [UNK] [SEP]: 30 and 31 a quarter each, 33 a half, within 0.016."""
    # 24,000 draws: standard error at most .0033, 5 of them.
    drawn = random_tokens("sample", [30, 31, UNKNOWN, 33, 33, UNKNOWN], 4000).ravel()
    assert set(drawn.tolist()) == {30, 31, 33}
    assert np.abs(np.bincount(drawn, minlength=34)[[30, 31, 33]] / len(drawn) - [0.25, 0.25, 0.5]).max() < 0.016


def test_the_sample_of_another_sample_is_never_drawn_from() -> None:
    """Samples of different ids one after another: every replacement is an id of its own sample."""
    units, spans, _ = all_hidden([0] * 10, 500)
    ids_T = (1000 + np.arange(len(units.maskable_T)) // 12 * 100 + np.arange(len(units.maskable_T)) % 12).astype(
        np.int64
    )
    corrupted_T, _ = Corruption(mask=0.0, random=1.0, pool="sample").corrupt(
        ids_T, spans, units, keys(500), Replacements(mask_id=MASK, unknown_id=UNKNOWN, ordinary_V=ORDINARY)
    )
    assert np.array_equal(corrupted_T // 100, ids_T // 100)
    places = corrupted_T.reshape(500, 12)[:, 1:-1] % 100
    assert places.min() == 1, "[CLS] is never drawn"
    assert places.max() == 10, "[SEP] is never drawn"


def test_a_sample_of_nothing_but_unknown_tokens_keeps_them() -> None:
    assert set(random_tokens("sample", [UNKNOWN] * 4, 100).ravel().tolist()) == {UNKNOWN}


def test_one_known_token_among_many_unknown_ones_is_found_nearly_always() -> None:
    """64 attempts in a sample of 12: missed with chance (11 / 12) ** 64 = .004; 1,000 samples, less than 2 % of the
    tokens stay unknown."""
    drawn = random_tokens("sample", [UNKNOWN] * 4 + [40] + [UNKNOWN] * 5, 1000).ravel()
    assert set(drawn.tolist()) == {UNKNOWN, 40}
    assert (drawn == UNKNOWN).mean() < 0.02
