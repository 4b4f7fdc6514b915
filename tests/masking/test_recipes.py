"""The recipes in configs/pretrain that are somebody's program: decoded, and held to what that program does."""

from __future__ import annotations

import random
from collections import Counter
from pathlib import Path

import numpy as np
import pytest
from toy_samples import Toy, keys, repeated, words_of_lengths

from launch.settings.components import decode, load
from masking.budget import Budget
from masking.corruption import ACTIONS, Corruption, Replacements, Targets
from masking.spans import Spans, Units
from masking.strategies.salient import Salient
from masking.strategies.whole_unit import WholeUnit
from pretrain.config import Run
from pretrain.feed.hiding import Masking

CONFIGS = Path(__file__).resolve().parents[2] / "configs" / "pretrain"
LENGTHS = [1, 2, 1, 3, 1, 1, 4, 2, 1, 2, 6, 1] * 4
"""Words of 100 tokens: 15 to hide, by ours and by theirs (round(.15 * 102))."""


def recipe(name: str) -> Masking:
    return decode(Run, load(CONFIGS / f"{name}.yaml", [])).masking


def masked(masking: Masking, units: Units, progress: float = 0.5) -> tuple[Spans, Targets]:
    samples = len(units.sample_start_S)
    spans = masking.strategy.select(units, masking.hidden_share.at(progress), keys(samples), np.full(samples, progress))
    replacements = Replacements(mask_id=4, ordinary_V=np.arange(10, 90))
    return spans, masking.replacement.corrupt(
        np.full(len(units.maskable_T), 7), spans, units, keys(samples, 1), replacements
    )[1]


def googles_script(lengths: list[int], rng: random.Random) -> list[int]:
    """create_masked_lm_predictions of google-research/bert with do_whole_word_mask, as it is written: lengths of the
    words it hides."""
    words, hidden = list(lengths), []
    rng.shuffle(words)
    wanted = max(1, round((sum(lengths) + 2) * 0.15))
    for word in words:
        if sum(hidden) >= wanted:
            break
        if sum(hidden) + word > wanted:
            continue
        hidden.append(word)
    return hidden


def test_whole_word_is_googles_script() -> None:
    """20,000 samples of 100 tokens: words of every length are hidden as often as by the script, +- 0.012, and the
    tokens of one are drawn apart."""
    masking = recipe("whole_word")
    assert masking.strategy == WholeUnit(units=["word"])
    assert masking.budget == Budget(rate=0.15, rule="skip")
    assert masking.corruption == Corruption(mask=0.8, random=0.1, per="token")
    assert sum(LENGTHS) == 100
    spans, targets = masked(masking, repeated(words_of_lengths(LENGTHS), 20_000))
    rng = random.Random(2)
    theirs = Counter(length for _ in range(20_000) for length in googles_script(LENGTHS, rng))
    ours = Counter((spans.end_N - spans.start_N).tolist())
    for length in set(LENGTHS):
        # Four words of the rarest lengths in a sample: standard error of either share at most .0013, of the difference
        # .0018: 6.6 of them.
        words = 20_000 * LENGTHS.count(length)
        assert abs(ours[length] - theirs[length]) / words < 0.012, (
            length,
            ours[length] / words,
            theirs[length] / words,
        )
    first_N = np.cumsum(spans.end_N - spans.start_N) - (spans.end_N - spans.start_N)
    mixed_N = np.maximum.reduceat(targets.action_M, first_N) != np.minimum.reduceat(targets.action_M, first_N)
    # A word of two is mixed with probability 1 - .8 ** 2 - 2 * .1 ** 2 = .34, longer ones more often.
    assert 0.3 < mixed_N[spans.end_N - spans.start_N == 2].mean() < 0.38


def test_realm_hides_one_entity_of_a_sample_any_of_them_alike_behind_the_mask_alone() -> None:
    """9,000 samples with entities of 1, 2 and 6 tokens among 30 words: one of the three in each, a third each +-
    0.03."""
    # Standard error .005: 6 of them.
    masking = recipe("realm")
    assert isinstance(masking.strategy, Salient)
    entities = [(3, 4), (10, 12), (20, 26)]
    toy = Toy(length=32, levels={"entity": entities, "word": [(1, 3), (13, 15), (20, 22)]})
    spans, targets = masked(masking, repeated(toy, 9000))
    assert spans.sample_N.tolist() == list(range(9000))
    shares = [np.mean(spans.start_N % 32 == start) for start, _ in entities]
    assert np.abs(np.array(shares) - 1 / 3).max() < 0.03, shares
    assert set(targets.action_M.tolist()) == {ACTIONS.index("mask")}


def test_realm_hides_one_other_unit_where_there_is_no_entity() -> None:
    spans, _ = masked(recipe("realm"), repeated(words_of_lengths([2, 1, 5, 1, 3]), 500))
    assert spans.sample_N.tolist() == list(range(500))


def test_high_rate_hides_forty_percent_behind_the_mask_alone() -> None:
    units = repeated(words_of_lengths(LENGTHS), 4000)
    spans, targets = masked(recipe("high_rate"), units)
    assert abs(spans.tokens / units.maskable_T.sum() - 0.4) < 0.005
    assert set(targets.action_M.tolist()) == {ACTIONS.index("mask")}


@pytest.mark.parametrize(("progress", "rate"), [(0.0, 0.3), (0.5, 0.225), (0.75, 0.1875), (1.0, 0.15), (1.3, 0.15)])
def test_falling_rate_goes_from_thirty_to_fifteen_percent_in_a_straight_line(progress: float, rate: float) -> None:
    """4,000 samples of 100 tokens at every moment: the share within 0.004 of the line."""
    # A sample's share has a standard deviation of at most .03, the mean of 4,000 of .0005: 8 of them.
    units = repeated(words_of_lengths(LENGTHS), 4000)
    spans, _ = masked(recipe("falling_rate"), units, progress)
    assert abs(spans.tokens / units.maskable_T.sum() - rate) < 0.004
