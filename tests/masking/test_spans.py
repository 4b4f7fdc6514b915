"""The partition of a batch into units by precedence, and what Units and Spans say about it."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from toy_samples import LEVELS, Toy, keys, lay_out, slow_partition, toys

from masking.budget import Budget
from masking.spans import KINDS, Part, Spans, Units, kind_of, parts, precedence
from masking.strategies.named_entity_mix import NamedEntityMix

FIXED = settings(derandomize=True, deadline=None, max_examples=100)

TSINGHUA = Toy(length=8, levels={"entity": [(3, 7)], "word": [(3, 5), (5, 7)]})
"""[CLS] 他 在 北 京 大 学 [SEP]: the entity 北京大学 with the words 北京 and 大学 inside."""


def listed(units: Units, levels: list[str]) -> list[tuple[int, int, int]]:
    """(start, end, kind) of every unit of the partition, in positions of the batch."""
    unit_end_T, kind_T = units.partition(levels)
    starts = np.flatnonzero(unit_end_T)
    return [(int(start), int(unit_end_T[start]), int(kind_T[start])) for start in starts]


def test_the_worked_example_of_the_module_holds() -> None:
    units = lay_out([TSINGHUA])
    assert listed(units, ["entity", "phrase", "word"]) == [(1, 2, 0), (2, 3, 0), (3, 7, 3)]
    assert listed(units, ["word"]) == [(1, 2, 0), (2, 3, 0), (3, 5, 1), (5, 7, 1)]
    assert listed(units, []) == [(position, position + 1, 0) for position in range(1, 7)]


def test_the_order_of_levels_is_the_precedence() -> None:
    units = lay_out([TSINGHUA])
    assert listed(units, ["word", "entity"]) == [(1, 2, 0), (2, 3, 0), (3, 5, 1), (5, 7, 1)]


def test_a_phrase_that_crosses_an_entity_gives_its_tokens_to_lower_levels() -> None:
    toy = Toy(length=10, levels={"entity": [(3, 6)], "phrase": [(1, 4), (6, 9)], "word": [(1, 3), (4, 6)]})
    assert listed(lay_out([toy]), ["entity", "phrase", "word"]) == [(1, 3, 1), (3, 6, 3), (6, 9, 2)]


def test_a_unit_over_a_token_that_must_not_be_hidden_is_not_a_unit() -> None:
    toy = Toy(length=8, blocked=frozenset({4}), levels={"entity": [(3, 6)], "word": [(1, 3)]})
    assert listed(lay_out([toy]), ["entity", "word"]) == [(1, 3, 1), (3, 4, 0), (5, 6, 0), (6, 7, 0)]


@FIXED
@given(st.lists(toys(), max_size=4), st.permutations(LEVELS), st.integers(0, 3), st.integers(0, 5), st.integers(0, 5))
def test_partition_equals_the_slow_reference(
    samples: list[Toy], order: list[str], levels: int, before: int, between: int
) -> None:
    units = lay_out(samples, before=before, between=between)
    expected = []
    for toy, origin in zip(samples, units.sample_start_S.tolist(), strict=True):
        expected += [
            (origin + start, origin + end, KINDS.index(level))
            for start, end, level in slow_partition(toy, order[:levels])
        ]
    assert listed(units, order[:levels]) == expected


@FIXED
@given(st.lists(toys(), max_size=4))
def test_units_cover_each_maskable_token_once_and_nothing_else(samples: list[Toy]) -> None:
    units = lay_out(samples, between=2)
    unit_end_T, kind_T = units.partition(LEVELS)
    covered = np.zeros(len(units.maskable_T), int)
    for start in np.flatnonzero(unit_end_T):
        covered[start : unit_end_T[start]] += 1
        assert len(set(kind_T[start : unit_end_T[start]].tolist())) == 1
    assert np.array_equal(covered, units.maskable_T.astype(int))
    assert not kind_T[~units.maskable_T].any()


@FIXED
@given(st.lists(toys(), max_size=4), st.permutations(LEVELS), st.integers(0, 3))
def test_with_pieces_a_unit_keeps_its_longest_free_run(samples: list[Toy], order: list[str], levels: int) -> None:
    units = lay_out(samples, before=1, between=2)
    unit_end_T, kind_T = units.partition(order[:levels], pieces=True)
    expected = []
    for toy, origin in zip(samples, units.sample_start_S.tolist(), strict=True):
        expected += [
            (origin + start, origin + end, KINDS.index(level))
            for start, end, level in slow_partition(toy, order[:levels], pieces=True)
        ]
    starts = np.flatnonzero(unit_end_T)
    assert list(zip(starts.tolist(), unit_end_T[starts].tolist(), kind_T[starts].tolist(), strict=True)) == expected


def test_what_a_higher_unit_leaves_of_a_lower_one_is_none_or_its_longest_piece() -> None:
    """An entity over the middle of a phrase: without pieces the phrase is gone, with them its longer side stays."""
    units = lay_out([Toy(12, levels={"entity": [(3, 5)], "phrase": [(1, 9)], "word": [(5, 7)]})])
    assert np.flatnonzero(units.partition(LEVELS)[0]).tolist() == [1, 2, 3, 5, 7, 8, 9, 10]
    unit_end_T, kind_T = units.partition(LEVELS, pieces=True)
    assert np.flatnonzero(unit_end_T).tolist() == [1, 2, 3, 5, 9, 10]
    assert (unit_end_T[5], kind_T[5]) == (9, KINDS.index("phrase"))


@FIXED
@given(st.lists(toys(), max_size=4))
def test_kinds_is_the_partition_by_full_precedence(samples: list[Toy]) -> None:
    units = lay_out(samples)
    assert np.array_equal(units.kinds(), units.partition(["entity", "phrase", "word"])[1])


def test_kinds_puts_levels_of_your_own_between_phrases_and_words() -> None:
    plain = lay_out([Toy(length=12)])
    levels = {"word": [(1, 3), (9, 11)], "law": [(1, 3), (4, 7)], "phrase": [(6, 8)], "entity": [(7, 9)]}
    columns = {
        level: tuple(np.array(side, np.int32) for side in zip(*spans, strict=True)) for level, spans in levels.items()
    }
    units = Units(
        sample_start_S=plain.sample_start_S,
        sample_end_S=plain.sample_end_S,
        maskable_T=plain.maskable_T,
        levels=columns,
    )
    # The entity [7, 9) wins, the phrase [6, 8) crosses it and is no unit; the law units win over the word inside [1,
    # 3).
    assert units.kinds().tolist() == [0, 2, 2, 0, 2, 2, 2, 3, 3, 1, 1, 0]
    assert kind_of("law") == KINDS.index("phrase")
    assert [kind_of(level) for level in KINDS] == [0, 1, 2, 3]


def test_part_of_a_level_has_its_kind_and_changes_no_precedence() -> None:
    assert Part.of("entity:DATE@zh") == ("entity", "DATE", "zh")
    assert Part.of("law") == ("law", "", "")
    assert [kind_of(name) for name in ("word@zh", "phrase:NP", "entity:DATE", "law:CIVIL")] == [1, 2, 3, 2]
    assert parts(["entity", "entity:DATE", "word@zh", "law"]) == ("entity:DATE", "word@zh")
    assert precedence(["word", "word@zh", "law", "entity:DATE", "entity"]) == ["entity", "law", "word"]


def test_a_partition_is_found_once_and_no_scheme_changes_it() -> None:
    """The mixes cut words at the edges of entities: in a copy, for part of the batch and for all of it."""
    units = lay_out([Toy(12, levels={"entity": [(3, 5)], "word": [(2, 4), (4, 7)]})] * 2)
    unit_end_T, kind_T = units.partition(["word"])
    before = unit_end_T.copy()
    part = units.take(np.array([1]))
    NamedEntityMix(share=1.0).select(part, Budget(rate=0.9, rule="overshoot"), keys(1), np.zeros(1))
    assert units.partition(("word",))[0] is unit_end_T and part.partition(["word"])[1] is kind_T
    assert np.array_equal(unit_end_T, before)
    assert units.partition(["word"], pieces=True)[0] is not unit_end_T
    assert replace(units, levels={"word": units.levels["entity"]}).partition(["word"])[0][[3, 4]].tolist() == [5, 0]


def test_kinds_needs_no_level_at_all() -> None:
    plain = lay_out([Toy(length=4)])
    units = Units(
        sample_start_S=plain.sample_start_S, sample_end_S=plain.sample_end_S, maskable_T=plain.maskable_T, levels={}
    )
    assert units.kinds().tolist() == [0, 0, 0, 0]


def test_a_missing_level_is_named_with_the_known_ones() -> None:
    with pytest.raises(ValueError, match=r"level 'idiom' is not in the data; it has entity, phrase, word"):
        lay_out([TSINGHUA]).partition(["entity", "idiom"])


def test_a_missing_level_in_data_without_levels_says_none() -> None:
    plain = lay_out([TSINGHUA])
    bare = Units(
        sample_start_S=plain.sample_start_S, sample_end_S=plain.sample_end_S, maskable_T=plain.maskable_T, levels={}
    )
    with pytest.raises(ValueError, match=r"level 'word' is not in the data; it has none"):
        bare.partition(["word"])


def test_take_keeps_the_batch_and_narrows_the_samples() -> None:
    units = lay_out([Toy(length=4), Toy(length=6), Toy(length=5)])
    taken = units.take(np.array([2, 0]))
    assert taken.sample_start_S.tolist() == [10, 0]
    assert taken.sample_end_S.tolist() == [15, 4]
    assert taken.maskable_T is units.maskable_T
    assert taken.levels is units.levels
    assert len(units.take(np.zeros(0, np.int64)).sample_start_S) == 0


def test_taken_samples_keep_sentences_and_weights() -> None:
    weights = {"word": np.ones(2, np.float32)}
    units = replace(lay_out([Toy(length=8, sentences=frozenset({1, 4}))]), weights=weights)
    taken = units.take(np.array([0]))
    assert taken.sentence_start_T is units.sentence_start_T
    assert taken.weights is weights


def test_breaks_are_the_starts_of_sentences_unless_spans_may_cross_them() -> None:
    units = lay_out([Toy(length=6, sentences=frozenset({1, 4}))], before=1)
    assert np.flatnonzero(units.breaks(False)).tolist() == [2, 5]
    assert not units.breaks(True).any()


def test_where_sentences_are_not_known_every_text_is_one() -> None:
    units = replace(lay_out([Toy(length=6)]), sentence_start_T=None)
    assert units.breaks(False).tolist() == [False] * 6


def test_some_spans_can_be_taken_by_a_mask_or_by_numbers() -> None:
    spans = Spans(*(np.array(column, np.int32) for column in ([0, 0, 1], [1, 4, 9], [3, 5, 12])))
    for kept in (np.array([True, False, True]), np.array([0, 2])):
        taken = spans.take(kept)
        assert list(zip(taken.sample_N.tolist(), taken.start_N.tolist(), taken.end_N.tolist(), strict=True)) == [
            (0, 1, 3),
            (1, 9, 12),
        ]


def test_spans_know_their_number_and_their_tokens() -> None:
    spans = Spans(*(np.array(column, np.int32) for column in ([0, 0, 1], [1, 4, 9], [3, 5, 12])))
    assert len(spans) == 3
    assert spans.tokens == 6


def test_joined_spans_are_sorted_by_start() -> None:
    first = Spans(*(np.array(column, np.int32) for column in ([0, 2], [1, 20], [3, 22])))
    second = Spans(*(np.array(column, np.int32) for column in ([1], [9], [12])))
    joined = Spans.join([first, second])
    assert list(zip(joined.sample_N.tolist(), joined.start_N.tolist(), joined.end_N.tolist(), strict=True)) == [
        (0, 1, 3),
        (1, 9, 12),
        (2, 20, 22),
    ]


def test_joining_nothing_gives_no_spans() -> None:
    assert len(Spans.join([])) == 0
    assert Spans.join([]).tokens == 0
