"""The audit of a masking equals counting one token and one unit at a time, and audits of batches add up."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from toy_samples import Toy, by_sample, keys, lay_out, slow_partition, toys

from masking.audit import LENGTHS, Audit, audit, run_lengths
from masking.budget import Budget
from masking.corruption import Corruption, Replacements, Targets
from masking.spans import KINDS, Spans, Units, precedence
from masking.strategies import Strategy
from masking.strategies.geometric_span import GeometricSpan
from masking.strategies.subword import Subword
from masking.strategies.whole_unit import WholeUnit

FIXED = settings(derandomize=True, deadline=None, max_examples=60)
ORDER = ["entity", "phrase", "word"]


def masked(strategy: Strategy, units: Units, seed: int, rate: float) -> tuple[Spans, Targets]:
    count = len(units.sample_start_S)
    spans = strategy.select(units, Budget(rate=rate, at_least_one=False), keys(count, seed), np.zeros(count))
    ids_T = np.arange(len(units.maskable_T), dtype=np.int64) + 100
    return spans, Corruption().corrupt(
        ids_T, spans, units, keys(count, seed + 1), Replacements(mask_id=4, ordinary_V=np.arange(5, 9))
    )[1]


def group(length: int) -> int:
    return LENGTHS.index(str(length) if length < 5 else "5-8" if length < 9 else "9+")


def slow_audit(samples: list[Toy], units: Units, spans: Spans, hidden: Targets) -> Audit:
    """The same by hand, from the samples as they were written down."""
    present_K, hidden_K, parted_K = [0] * len(KINDS), [0] * len(KINDS), [0] * len(KINDS)
    crossed_K = [0] * len(KINDS)
    present_L, hidden_L, runs, sbo = [0] * len(LENGTHS), [0] * len(LENGTHS), [0], 0
    for toy, chosen in zip(samples, by_sample(spans, units), strict=True):
        tokens = {token for start, end in chosen for token in range(start, end)}
        for start, end, level in slow_partition(toy, ORDER):
            inside = len(tokens & set(range(start, end)))
            present_K[KINDS.index(level)] += 1
            present_L[group(end - start)] += 1
            hidden_K[KINDS.index(level)] += inside == end - start
            hidden_L[group(end - start)] += inside == end - start
            parted_K[KINDS.index(level)] += 0 < inside < end - start
        for place, level in enumerate(ORDER):
            higher = {
                token
                for start, end, kind in slow_partition(toy, ORDER[:place])
                if kind != "character"
                for token in range(start, end)
            }
            for start, end in toy.levels.get(level, []):
                crossed_K[KINDS.index(level)] += 0 < len(higher & set(range(start, end))) < end - start
        for start in sorted(tokens):
            if start - 1 not in tokens:
                end = start
                while end in tokens:
                    end += 1
                runs += [0] * (end - start + 1 - len(runs))
                runs[end - start] += 1
                maskable = toy.maskable()
                sbo += min(end - start, 20) if maskable[start - 1] and maskable[end] else 0
    return Audit(
        samples=len(samples),
        without_target=sum(not chosen for chosen in by_sample(spans, units)),
        maskable=sum(sum(toy.maskable()) for toy in samples),
        hidden=len(hidden.position_M),
        actions_A=tuple(int((hidden.action_M == action).sum()) for action in range(4)),
        present_K=tuple(present_K),
        hidden_K=tuple(hidden_K),
        parted_K=tuple(parted_K),
        crossed_K=tuple(crossed_K),
        present_L=tuple(present_L),
        hidden_L=tuple(hidden_L),
        runs_R=tuple(runs) if len(runs) > 1 else (),
        boundary_targets=sbo,
        given_up=3,
    )


@pytest.mark.parametrize(
    "strategy",
    [Subword(), WholeUnit(), WholeUnit(units=["word"]), GeometricSpan()],
    ids=["subword", "units", "words", "spans"],
)
@FIXED
@given(
    samples=st.lists(toys(), max_size=4),
    between=st.integers(0, 3),
    seed=st.integers(0, 1000),
    rate=st.floats(0.05, 0.9),
)
def test_the_audit_equals_counting_by_hand(
    strategy: Strategy, samples: list[Toy], between: int, seed: int, rate: float
) -> None:
    units = lay_out(samples, before=2, between=between, after=1)
    spans, hidden = masked(strategy, units, seed, rate)
    assert audit(units, spans, hidden, given_up=3) == slow_audit(samples, units, spans, hidden)


@FIXED
@given(
    one=st.lists(toys(), min_size=1, max_size=3),
    other=st.lists(toys(), min_size=1, max_size=3),
    seed=st.integers(0, 1000),
)
def test_audits_of_two_batches_add_up_to_the_audit_of_both_together(
    one: list[Toy], other: list[Toy], seed: int
) -> None:
    units = lay_out(one + other)
    spans, hidden = masked(WholeUnit(), units, seed, 0.3)
    parts = []
    for first, samples in ((0, one), (len(one), other)):
        own = lay_out(samples)
        mine = (spans.sample_N >= first) & (spans.sample_N < first + len(samples))
        moved = Spans(
            spans.sample_N[mine] - first,
            *(side[mine] - units.sample_start_S[first] for side in (spans.start_N, spans.end_N)),
        )
        inside = (hidden.position_M >= units.sample_start_S[first]) & (
            hidden.position_M < units.sample_end_S[first + len(samples) - 1]
        )
        parts.append(
            audit(own, moved, Targets(hidden.position_M[inside], hidden.label_M[inside], hidden.action_M[inside]))
        )
    assert parts[0] + parts[1] == audit(units, spans, hidden)
    assert sum(parts, Audit()) == parts[0] + parts[1]


def test_nothing_hidden_and_nothing_there_give_rates_of_zero_and_none() -> None:
    units = lay_out([Toy(2), Toy(5)])
    nothing = Targets(np.zeros(0, np.int64), np.zeros(0, np.int64), np.zeros(0, np.uint8))
    counted = audit(units, Spans(*(np.zeros(0, np.int32) for _ in range(3))), nothing)
    assert (counted.samples, counted.without_target, counted.maskable, counted.hidden) == (2, 2, 3, 0)
    assert counted.rate == counted.parted == counted.mean_run == counted.boundary_rate == 0
    assert counted.rate_K == (0.0, None, None, None)
    assert audit(lay_out([]), Spans(*(np.zeros(0, np.int32) for _ in range(3))), nothing) == Audit()


def test_units_are_counted_by_the_precedence_that_targets_carry() -> None:
    toy = Toy(12, levels={"entity": [(1, 4)], "phrase": [(3, 7)], "word": [(1, 3), (7, 9)]})
    units = lay_out([toy])
    units.levels["product"] = (np.array([7], np.int32), np.array([9], np.int32))
    assert precedence(units.levels) == ["entity", "phrase", "product", "word"]
    assert units.partition(precedence(units.levels))[1].tolist() == units.kinds().tolist()


def test_units_that_a_higher_one_takes_apart_are_counted_and_those_inside_it_are_not() -> None:
    """An entity over half of a phrase, a word inside the entity and one across its end: one phrase and one word of two
    are none."""
    toy = Toy(12, levels={"entity": [(1, 5)], "phrase": [(3, 7), (8, 10)], "word": [(1, 3), (4, 6)]})
    units = lay_out([toy])
    counted = audit(units, *masked(WholeUnit(), units, 0, 0.3))
    assert counted.present_K == (4, 0, 1, 1)
    assert counted.crossed_K == (0, 1, 1, 0)
    assert counted.crossed_share_K == (0.0, 1.0, 0.5, 0.0)


def test_adjacent_units_are_one_run_within_a_sample_and_two_across_samples() -> None:
    spans = Spans(*(np.array(values, np.int32) for values in ([0, 0, 0, 1], [1, 3, 6, 7], [3, 4, 7, 9])))
    assert run_lengths(spans).tolist() == [3, 1, 2]
