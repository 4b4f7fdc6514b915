"""Rates of tokens under the most informative masks: equal to a slow port, and to masks that are really drawn."""

from __future__ import annotations

import itertools
import math
from collections import Counter, defaultdict
from pathlib import Path

import numpy as np
import pytest

from data_prep.shards import Prepared
from masking.informativeness import LEAST, STRETCH, informativeness, relative_rates
from masking.strategies.salient import Salient
from pretrain.feed.corpus_counts import informative_tokens

Matrix = np.ndarray


def text(seed: int, stretches: int) -> tuple[np.ndarray, np.ndarray]:
    """Stretches of tokens 0 to 9, which stand anywhere, and of 10 to 41, of which each stretch has one topic's."""
    rng = np.random.default_rng(seed)
    pieces = [
        np.where(rng.random(size) < 0.5, rng.integers(0, 10, size), 10 + 8 * rng.integers(4) + rng.integers(0, 8, size))
        for size in rng.integers(STRETCH // 2, STRETCH + 1, stretches).tolist()
    ]
    return np.concatenate(pieces), np.concatenate([[0], np.cumsum([len(piece) for piece in pieces])])


def matrices(ids: np.ndarray, edges: np.ndarray) -> list[tuple[list[int], Matrix]]:
    """The tokens of each stretch, and the PMI of every two of them."""
    stretches = [ids[first:last].tolist() for first, last in itertools.pairwise(edges.tolist())]
    alone = Counter(token for stretch in stretches for token in set(stretch))
    together = Counter(pair for stretch in stretches for pair in itertools.combinations(sorted(set(stretch)), 2))

    def pmi(one: int, other: int) -> float:
        count = together[min(one, other), max(one, other)] if one != other else 0
        return math.log(count * len(stretches) / (alone[one] * alone[other])) if count >= LEAST else 0.0

    return [(stretch, np.array([[pmi(one, other) for other in stretch] for one in stretch])) for stretch in stretches]


def weights(texts: list[tuple[np.ndarray, np.ndarray]], size: int) -> np.ndarray:
    each = np.arange(size)
    return np.asarray(informativeness(texts, size).idf(each, each, each + 1))


def test_relevance_is_that_of_a_slow_port_language_by_language() -> None:
    texts = [text(3, 12), text(4, 9)]
    sums: defaultdict[int, float] = defaultdict(float)
    for one in texts:
        for stretch, pmi in matrices(*one):
            relevance = pmi.sum(1)
            for token, value in zip(stretch, relevance / math.sqrt(float((relevance**2).sum())), strict=True):
                sums[token] += value
    seen = np.bincount(np.concatenate([ids for ids, _ in texts]), minlength=50)
    wanted = relative_rates(np.array([sums[token] for token in range(50)]), seen)
    assert weights(texts, 50) == pytest.approx(wanted, rel=1e-5)


def test_masks_that_are_drawn_hide_tokens_at_these_rates() -> None:
    """The paper's own procedure: of 30 random masks of a stretch the one of greatest relevance."""
    one = text(5, 250)
    rng = np.random.default_rng(1)
    hidden, seen = np.zeros(50), np.zeros(50)
    for stretch, pmi in matrices(*one):
        masks = rng.random((60, 30, len(stretch))) < 0.15
        scores = np.einsum("tmi,ij,tmj->tm", masks, pmi, ~masks, optimize=True)
        best = masks[np.arange(60), scores.argmax(1)]
        np.add.at(hidden, stretch, best.mean(0))
        np.add.at(seen, stretch, 1)
    drawn = hidden[:42] / seen[:42] / (hidden.sum() / seen.sum())
    found = weights([one], 50)[:42]
    assert np.corrcoef(drawn, found)[0, 1] > 0.97
    assert found[10:].mean() / found[:10].mean() == pytest.approx(drawn[10:].mean() / drawn[:10].mean(), rel=0.1)


def test_rare_tokens_are_drawn_towards_the_mean() -> None:
    rates = relative_rates(np.array([30.0, 0.0, 0.3]), np.array([100, 100, 1]))
    assert rates[0] > rates[2] > 1 > rates[1] > 0
    assert relative_rates(np.zeros(3), np.zeros(3, np.int64)).tolist() == [1, 1, 1]


def test_text_without_a_token_weighs_all_alike() -> None:
    assert weights([], 3).tolist() == [1, 1, 1]
    assert weights([(np.zeros(0, np.int64), np.zeros(1, np.int64))], 3).tolist() == [1, 1, 1]


def test_of_a_real_corpus_function_words_are_hidden_less_often(prepared: Path) -> None:
    folder = Prepared.open(prepared)
    found = informative_tokens([folder])
    tokens = folder.tokenizer.tokens
    ids = np.array([tokens.index(token) for token in ("，", "的", ",", "the")])
    assert found.idf(ids, np.arange(4), np.arange(4) + 1).max() < 1


def test_only_single_tokens_have_a_rate() -> None:
    Salient(units=["character"], salient=["character"], weight="informative")
    with pytest.raises(ValueError, match="single tokens"):
        Salient(weight="informative")
