"""Annotation: sentences, words and the units of every level brought into agreement, with toy segmenters and annotators."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from data_prep.annotation import WORD, Annotation, cut, merge
from data_prep.annotators import Annotator
from data_prep.documents import Annotated, Document, Label, Span, Unit
from data_prep.segmenters import Segmenter
from data_prep.segmenters.pretokenizer import Pretokenizer
from data_prep.segmenters.rjieba import Rjieba
from data_prep.segmenters.spacy import Spacy


@dataclass(frozen=True, kw_only=True)
class Cut(Segmenter):
    """Words given as a text with bars between them: `他|在北|京大|学`."""

    bars: str

    def words(self, text: str) -> list[Span]:
        spans, position = [], 0
        for piece in self.bars.split("|"):
            spans.append(Span(position, position + len(piece)))
            position += len(piece)
        return [span for span in spans if span.end - span.start > 1]

    def version(self) -> str:
        return "toy"


@dataclass(frozen=True, kw_only=True)
class Fixed(Annotator):
    """Units at given places, whatever the text."""

    places: tuple[tuple[int, int], ...]
    type: str = ""

    def labels(self) -> list[Label]:
        return [Label(self.type, "user")]

    def annotate(self, text: str) -> list[Unit]:
        return [Unit(start, end, self.labels()[0]) for start, end in self.places]

    def fingerprint(self) -> dict[str, Any]:
        return {"kind": "fixed"}


def annotate(text: str, segmenters: dict[str, Segmenter], *annotators: Annotator, language: str = "zh") -> Annotated:
    document = Document(id="1", language=language, text=text, title="", source="s")
    return Annotation(segmenters=segmenters, annotators=list(annotators)).annotate(document)


def units(annotated: Annotated, level: str) -> list[str]:
    return [annotated.document.text[unit.start : unit.end] for unit in annotated.units[level]]


def check(annotated: Annotated) -> None:
    """The invariants of Annotated."""
    for level in annotated.units.values():
        position = 0
        for unit in level:
            assert position <= unit.start < unit.end
            assert any(sentence.start <= unit.start and unit.end <= sentence.end for sentence in annotated.sentences)
            position = unit.end
    edges = {edge for level, found in annotated.units.items() if level != "word" for unit in found for edge in (unit.start, unit.end)}
    assert not [word for word in annotated.units["word"] for edge in edges if word.start < edge < word.end]
    assert all(word.end - word.start > 1 and word.label == WORD for word in annotated.units["word"])


def test_an_entity_cuts_the_words_that_it_crosses_and_keeps_those_inside() -> None:
    result = annotate("他在北京大学念书", {"zh": Cut(bars="他|在北|京大|学|念书")}, Fixed(level="entity", places=((2, 6),), type="ORG"))
    assert units(result, "entity") == ["北京大学"]
    assert units(result, "word") == ["京大", "念书"]
    result = annotate("他在北京大学念书", {"zh": Cut(bars="他|在|北京|大学|念书")}, Fixed(level="entity", places=((2, 6),), type="ORG"))
    assert units(result, "word") == ["北京", "大学", "念书"]
    check(result)


def test_a_unit_inside_a_word_cuts_it_twice() -> None:
    result = annotate("中华人民共和国", {"zh": Cut(bars="中华人民共和国")}, Fixed(level="phrase", places=((2, 4),)))
    assert units(result, "word") == ["中华", "人民", "共和国"]


def test_units_of_different_levels_may_overlap_and_all_cut_words() -> None:
    result = annotate("北京大学学生会", {"zh": Cut(bars="北京大学学生会")}, Fixed(level="entity", places=((0, 4),)), Fixed(level="phrase", places=((2, 6),)))
    assert (units(result, "entity"), units(result, "phrase")) == (["北京大学"], ["大学学生"])
    assert units(result, "word") == ["北京", "大学", "学生"]
    assert not result.dropped


def test_a_unit_that_crosses_a_sentence_end_is_dropped_and_counted() -> None:
    result = annotate("走了。北京好。", {"zh": Cut(bars="走了|。|北京|好。")}, Fixed(level="entity", places=((1, 5), (3, 5))))
    assert units(result, "entity") == ["北京"]
    assert result.dropped == {"entity crosses a sentence end": 1}
    check(result)


def test_words_are_cut_where_sentences_begin() -> None:
    result = annotate("走了。北京好。", {"zh": Cut(bars="走了。北京|好。")})
    assert units(result, "word") == ["走了。", "北京", "好。"]
    check(result)


def test_a_unit_outside_all_sentences_is_dropped() -> None:
    result = annotate("  走了", {"zh": Cut(bars="  |走了")}, Fixed(level="entity", places=((0, 1), (2, 4))))
    assert units(result, "entity") == ["走了"]
    assert result.dropped == {"entity crosses a sentence end": 1}


def test_within_a_level_the_earlier_annotator_wins() -> None:
    first = Fixed(level="entity", places=((2, 6),), type="ORG")
    second = Fixed(level="entity", places=((0, 1), (2, 4), (5, 8)), type="LOC")
    text = "他在北京大学念书"
    result = annotate(text, {}, first, second)
    assert [(unit.start, unit.end, unit.label.type) for unit in result.units["entity"]] == [(0, 1, "LOC"), (2, 6, "ORG")]
    assert result.dropped == {"entity overlaps one of higher precedence": 2}
    result = annotate(text, {}, second, first)
    assert [(unit.start, unit.end, unit.label.type) for unit in result.units["entity"]] == [(0, 1, "LOC"), (2, 4, "LOC"), (5, 8, "LOC")]
    assert result.dropped == {"entity overlaps one of higher precedence": 1}


def test_annotators_of_different_levels_do_not_displace_each_other() -> None:
    result = annotate("北京大学", {}, Fixed(level="entity", places=((0, 4),)), Fixed(level="phrase", places=((0, 2),)))
    assert (units(result, "entity"), units(result, "phrase"), units(result, "word")) == (["北京大学"], ["北京"], [])


def test_a_language_without_a_segmenter_has_no_words_but_its_units() -> None:
    result = annotate("New York rain", {"zh": Rjieba()}, Fixed(level="entity", places=((0, 8),)), language="en")
    assert (units(result, "word"), units(result, "entity")) == ([], ["New York"])


@pytest.mark.parametrize("english", [Pretokenizer(), Spacy()], ids=["pretokenizer", "spacy"])
def test_han_runs_in_english_documents_are_segmented(english: Segmenter) -> None:
    result = annotate("He studied at 北京大学 in 1990.", {"zh": Rjieba(), "en": english}, language="en")
    assert units(result, "word") == ["He", "studied", "at", "北京大学", "in", "1990"]
    check(result)


def test_english_words_in_chinese_documents_come_from_the_chinese_segmenter() -> None:
    result = annotate("他在Tokyo工作", {"zh": Rjieba(), "en": Cut(bars="他在Tokyo工作")})
    assert units(result, "word") == ["Tokyo", "工作"]


def test_words_stay_disjoint_when_the_english_segmenter_does_not_cut_at_han_characters() -> None:
    result = annotate("We saw foo北京大学and上海bar today.", {"zh": Rjieba(), "en": Spacy()}, language="en")
    check(result)


def test_an_empty_document_has_nothing() -> None:
    result = annotate("", {"zh": Rjieba()}, Fixed(level="entity", places=()))
    assert (result.sentences, result.paragraph_ends, dict(result.units)) == ([], [], {"entity": [], "word": []})


spans = st.lists(st.integers(0, 30), max_size=12).map(lambda edges: [(a, b) for a, b in zip(sorted(set(edges))[::2], sorted(set(edges))[1::2], strict=False)])


@settings(max_examples=80, deadline=None)
@given(earlier=spans, later=spans)
def test_merging_keeps_all_of_the_first_and_what_fits_of_the_second(earlier: list[tuple[int, int]], later: list[tuple[int, int]]) -> None:
    one, two = ([Unit(start, end, Label(name, "user")) for start, end in places] for name, places in (("a", earlier), ("b", later)))
    dropped: Counter[str] = Counter()
    result = merge(one, two, "x", dropped)
    fitting = [unit for unit in two if not any(unit.start < other.end and other.start < unit.end for other in one)]
    assert result == sorted([*one, *fitting])
    assert sum(dropped.values()) == len(two) - len(fitting)


@settings(max_examples=80, deadline=None)
@given(words=spans, edges=st.sets(st.integers(0, 30)))
def test_cutting_splits_words_at_edges_and_nowhere_else(words: list[tuple[int, int]], edges: set[int]) -> None:
    expected = []
    for start, end in words:
        points = [start, *sorted(edge for edge in edges if start < edge < end), end]
        expected += list(pairwise(points))
    assert [tuple(span) for span in cut([Span(*word) for word in words], sorted(edges))] == expected
