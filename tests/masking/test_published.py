"""What every strategy hides and how by default: as its paper or its released program says (reference a1.2, a3.3, a5, a6
and the README table)."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import pytest
from toy_samples import keys, random_toy, repeated, weighed

from launch.settings.components import find_kind, kinds
from masking.budget import Budget
from masking.corruption import Corruption
from masking.strategies import Strategy
from masking.strategies.mixture import Mixture, Phase
from masking.strategies.subword import Subword
from masking.strategies.whole_unit import WholeUnit


class Published(NamedTuple):
    """What stands where, and what does not."""

    budget: Budget
    corruption: Corruption
    paper: str
    source: str
    """Where the two are said; of what is kmask's own, what the authors have instead."""
    ours: tuple[str, ...] = ()
    """Which of the two the source does not say, or says otherwise."""


PER_TOKEN, PER_UNIT = Corruption(mask=0.8, random=0.1, per="token"), Corruption(mask=0.8, random=0.1, per="unit")
SPANS = Corruption(mask=0.8, random=0.1, per="span", pool="corpus")
PUBLISHED: dict[str, Published] = {
    "ernie1": Published(
        Budget(rate=0.15, rule="bernoulli", at_least_one=False),
        PER_TOKEN,
        "ERNIE 1.0",
        "released program, ernie/batching.py: one number for each unit against 0.15, one more for each of its other tokens (reference a1.2)",
    ),
    "geometric_span": Published(
        Budget(rate=0.15, rule="cut"),
        SPANS,
        "SpanBERT",
        "section 3.1: 15 %, 80/10/10 for a whole span; released masking.py stops inside a word at mask_num and draws by corpus frequency (a5)",
    ),
    "macbert": Published(
        Budget(rate=0.15, rule="units"),
        Corruption(mask=0.0, random=0.1, similar=0.8, per="unit"),
        "MacBERT",
        "section 3.2: 15 % of the input words; 80 % similar words, 10 % random, 10 % original",
    ),
    "named_entity_mix": Published(
        Budget(rate=0.15, rule="cut"), SPANS, "SpanBERT", "section 5.1, with the program of section 3.1"
    ),
    "ngram": Published(
        Budget(rate=0.15, rule="skip"),
        PER_TOKEN,
        "Megatron",
        "create_masked_lm_predictions: `just skip this candidate` when it would exceed num_to_predict; rng.random() < 0.8 inside the loop over tokens",
    ),
    "noun_phrase_mix": Published(
        Budget(rate=0.15, rule="cut"), SPANS, "SpanBERT", "section 5.1, with the program of section 3.1"
    ),
    "pmi": Published(
        Budget(rate=0.15),
        PER_UNIT,
        "PMI-Masking",
        "README of AI21Labs/pmi-masking, section 2: `sampling units uniformly at random until 15% of the tokens in the input are selected` (what becomes "
        "of the unit that crosses is not said), `replacement with [MASK](80%), random (10%), or original (10%) tokens is done at the unit level`",
        ("budget",),
    ),
    "salient": Published(
        Budget(rate=0.15),
        PER_UNIT,
        "REALM",
        "section 3.4 masks one salient span of a sentence, and the released featurization.py puts [MASK] for all of it",
        ("budget", "corruption"),
    ),
    "subword": Published(
        Budget(rate=0.15), PER_UNIT, "BERT", "section 3.1: 15 % of the tokens, 80/10/10; a unit is one token"
    ),
    "whole_unit": Published(
        Budget(rate=0.15),
        PER_UNIT,
        "ERNIE 1.0",
        "the papers say 15 %; Google's create_pretraining_data.py skips what would exceed num_to_predict and draws per token, ERNIE's see ernie1",
        ("budget", "corruption"),
    ),
}
"""By kind; a mixture has those of its strategies. Expectations are what the source says, not what the code has."""


def test_every_kind_is_in_the_table() -> None:
    assert sorted([*PUBLISHED, "mixture"]) == kinds(Strategy)


@pytest.mark.parametrize("kind", sorted(PUBLISHED))
def test_a_strategy_hides_and_replaces_as_published(kind: str) -> None:
    cls = find_kind(Strategy, kind)
    assert cls is not None
    strategy = cls()
    published = PUBLISHED[kind]
    assert strategy.budget() == published.budget
    assert strategy.corruption() == published.corruption
    assert strategy.PAPER.startswith(published.paper)
    assert published.ours == strategy.OURS


@pytest.mark.parametrize("kind", sorted(PUBLISHED))
def test_a_strategy_knows_the_rule_that_it_publishes(kind: str) -> None:
    cls = find_kind(Strategy, kind)
    assert cls is not None
    assert cls().budget().rule in cls().rules()


@pytest.mark.parametrize("kind", sorted(PUBLISHED))
def test_the_realised_share_is_the_nominal_one_under_the_published_budget(kind: str) -> None:
    """Pitfall P18: 10,000 samples of 298 maskable tokens: .15 +- .003 of the tokens, for macbert of the words."""
    # The share of a sample has a standard deviation of at most .045 (ernie1 with units of up to nine tokens), so the
    # mean's is .00045: 6.7 of them.
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
    """BERT section 3.1 draws 80/10/10 per token; of the strategy `subword` every unit is one token, so `unit` says the
    same."""
    assert Subword().corruption().per == "unit"
    assert tuple(Subword().levels()) == ()
