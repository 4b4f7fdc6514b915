"""What every strategy hides and how by default: as its paper or its released program says (reference a1.2, a3.3, a5, a6 and the README table)."""

from __future__ import annotations

import numpy as np
import pytest
from toy_samples import keys, random_toy, repeated, weighed

from launch.config import find_kind, kinds
from masking.budget import Budget
from masking.corruption import Corruption
from masking.strategies import Strategy
from masking.strategies.mixture import Mixture, Phase
from masking.strategies.subword import Subword
from masking.strategies.whole_unit import WholeUnit

PUBLISHED: dict[str, tuple[Budget, Corruption, str]] = {
    "ernie1": (Budget(rate=0.15, rule="bernoulli", at_least_one=False), Corruption(mask=0.8, random=0.1, per="token"), "ERNIE 1.0"),
    "geometric_span": (Budget(rate=0.15, rule="cut"), Corruption(mask=0.8, random=0.1, per="span", pool="corpus"), "SpanBERT"),
    "macbert": (Budget(rate=0.15, rule="units"), Corruption(mask=0.0, random=0.1, similar=0.8, per="unit"), "MacBERT"),
    "named_entity_mix": (Budget(rate=0.15, rule="cut"), Corruption(mask=0.8, random=0.1, per="span", pool="corpus"), "SpanBERT"),
    "ngram": (Budget(rate=0.15, rule="skip"), Corruption(mask=0.8, random=0.1, per="token"), "Megatron"),
    "noun_phrase_mix": (Budget(rate=0.15, rule="cut"), Corruption(mask=0.8, random=0.1, per="span", pool="corpus"), "SpanBERT"),
    "pmi": (Budget(rate=0.15), Corruption(mask=0.8, random=0.1, per="token"), "PMI-Masking"),
    "salient": (Budget(rate=0.15), Corruption(mask=0.8, random=0.1), "REALM"),
    "subword": (Budget(rate=0.15), Corruption(mask=0.8, random=0.1), "BERT"),
    "whole_unit": (Budget(rate=0.15), Corruption(mask=0.8, random=0.1), "ERNIE 1.0"),
}
"""Budget, corruption and paper by kind; a mixture has those of its strategies. SpanBERT's program cuts the last word at the budget (reference a5),
Megatron's passes over what does not fit (a3.3)."""


def test_every_kind_is_in_the_table() -> None:
    assert sorted([*PUBLISHED, "mixture"]) == kinds(Strategy)


@pytest.mark.parametrize("kind", sorted(PUBLISHED))
def test_a_strategy_hides_and_replaces_as_published(kind: str) -> None:
    cls = find_kind(Strategy, kind)
    assert cls is not None
    strategy = cls()
    budget, corruption, paper = PUBLISHED[kind]
    assert strategy.budget() == budget
    assert strategy.corruption() == corruption
    assert strategy.PAPER.startswith(paper)


@pytest.mark.parametrize("kind", sorted(PUBLISHED))
def test_a_strategy_knows_the_rule_that_it_publishes(kind: str) -> None:
    cls = find_kind(Strategy, kind)
    assert cls is not None
    assert cls().budget().rule in cls().rules()


@pytest.mark.parametrize("kind", sorted(PUBLISHED))
def test_the_realised_share_is_the_nominal_one_under_the_published_budget(kind: str) -> None:
    """Pitfall P18: 10,000 samples of 298 maskable tokens: .15 +- .003 of the tokens, for macbert of the words."""
    # The share of a sample has a standard deviation of at most .045 (ernie1 with units of up to nine tokens), so the mean's is .00045: 6.7 of them.
    units = weighed(repeated(random_toy(np.random.default_rng(5), 300), 10_000))
    cls = find_kind(Strategy, kind)
    assert cls is not None
    spans = cls().select(units, cls().budget(), keys(10_000), np.full(10_000, 0.5))
    if kind == "macbert":
        assert abs(len(spans) / np.count_nonzero(units.partition(["word"])[0]) - 0.15) < 0.003
    else:
        assert abs(spans.tokens / units.maskable_T.sum() - 0.15) < 0.003


def test_a_mixture_publishes_what_its_strategies_agree_on() -> None:
    mixture = Mixture(strategies=[Subword(), WholeUnit()], schedule=[Phase(until=1.0, weights=[1, 1])])
    assert mixture.budget() == Budget()
    assert mixture.corruption() == Corruption()


def test_bert_draws_for_every_token_and_units_of_one_token_need_no_other_word() -> None:
    """BERT section 3.1 draws 80/10/10 per token; of the strategy `subword` every unit is one token, so `unit` says the same."""
    assert Subword().corruption().per == "unit"
    assert tuple(Subword().levels()) == ()
