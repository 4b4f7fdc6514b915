"""Annotation: sentences, words and the units of every level brought into agreement, with toy segmenters and
annotators."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from data_prep import kernels
from data_prep.annotating.annotation import CUT, SIGNS, WORD, Annotation
from data_prep.annotators import Annotator
from data_prep.annotators.lexicon import Lexicon
from data_prep.documents import Annotated, Document, Given, Label, Spans, Units
from data_prep.segmenters import Segmenter
from data_prep.segmenters.compiled_jieba import CompiledJieba
from data_prep.segmenters.jieba import Jieba
from data_prep.segmenters.pretokenizer import Pretokenizer
from data_prep.segmenters.rjieba import Rjieba
from data_prep.segmenters.spacy import Spacy


@dataclass(frozen=True, kw_only=True)
class Cut(Segmenter):
    """Words given as a text with bars between them: `他|在北|京大|学`."""

    bars: str

    def words(self, text: str) -> Spans:
        ends = np.cumsum([len(piece) for piece in self.bars.split("|")])
        spans = np.stack([np.concatenate([[0], ends[:-1]]), ends], axis=1).astype(np.int32)
        return spans[spans[:, 1] - spans[:, 0] > 1]

    def version(self) -> str:
        return "toy"


@dataclass(frozen=True, kw_only=True)
class Fixed(Annotator):
    """Units at given places, whatever the text."""

    places: tuple[tuple[int, int], ...]
    type: str = ""

    def labels(self) -> list[Label]:
        return [Label(self.type, "user")]

    def annotate(self, document: Document, sentences_S2: Spans) -> Units:
        return Units.of((start, end, 0) for start, end in self.places)

    def fingerprint(self) -> dict[str, Any]:
        return {"kind": "fixed"}


def annotate(
    text: str, segmenters: dict[str, Segmenter], *annotators: Annotator, language: str = "zh", **given: list[Given]
) -> Annotated:
    document = Document(id="1", language=language, text=text, title="", source="s", given=given)
    return Annotation(
        segmenters=segmenters, annotators=annotators, labels={label: number for number, label in enumerate(LABELS)}
    ).annotate(document)


LABELS = [WORD, *(Label(kind, "user") for kind in ("", "ORG", "LOC"))]


def triples(annotated: Annotated, level: str) -> list[tuple[int, int, str]]:
    found = annotated.units[level]
    return [
        (start, end, LABELS[label].type)
        for start, end, label in zip(found.start_U.tolist(), found.end_U.tolist(), found.label_U.tolist(), strict=True)
    ]


def units(annotated: Annotated, level: str) -> list[str]:
    return [annotated.document.text[start:end] for start, end, _ in triples(annotated, level)]


def check(annotated: Annotated) -> None:
    """The invariants of Annotated."""
    for level in annotated.units:
        position = 0
        for start, end, _ in triples(annotated, level):
            assert position <= start < end
            assert any(first <= start and end <= last for first, last in annotated.sentences_S2.tolist())
            position = end
    edges = {
        edge for level in annotated.units if level != "word" for unit in triples(annotated, level) for edge in unit[:2]
    }
    words = triples(annotated, "word")
    assert not [start for start, end, _ in words for edge in edges if start < edge < end]
    assert all(end - start > 1 for start, end, _ in words) and set(annotated.units["word"].label_U) <= {0}


def test_an_entity_cuts_the_words_that_it_crosses_and_keeps_those_inside() -> None:
    result = annotate(
        "他在北京大学念书",
        {"zh": Cut(bars="他|在北|京大|学|念书")},
        Fixed(level="entity", places=((2, 6),), type="ORG"),
    )
    assert units(result, "entity") == ["北京大学"]
    assert units(result, "word") == ["京大", "念书"]
    result = annotate(
        "他在北京大学念书",
        {"zh": Cut(bars="他|在|北京|大学|念书")},
        Fixed(level="entity", places=((2, 6),), type="ORG"),
    )
    assert units(result, "word") == ["北京", "大学", "念书"]
    check(result)


def test_a_unit_inside_a_word_cuts_it_twice() -> None:
    result = annotate("中华人民共和国", {"zh": Cut(bars="中华人民共和国")}, Fixed(level="phrase", places=((2, 4),)))
    assert units(result, "word") == ["中华", "人民", "共和国"]


def test_units_of_different_levels_may_overlap_and_all_cut_words() -> None:
    result = annotate(
        "北京大学学生会",
        {"zh": Cut(bars="北京大学学生会")},
        Fixed(level="entity", places=((0, 4),)),
        Fixed(level="phrase", places=((2, 6),)),
    )
    assert (units(result, "entity"), units(result, "phrase")) == (["北京大学"], ["大学学生"])
    assert units(result, "word") == ["北京", "大学", "学生"]
    assert result.dropped == {"word cut by a higher unit or a sentence end": 1}


def test_a_unit_that_crosses_a_sentence_end_is_dropped_and_counted() -> None:
    result = annotate(
        "走了。北京好。", {"zh": Cut(bars="走了|。|北京|好。")}, Fixed(level="entity", places=((1, 5), (3, 5)))
    )
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
    assert result.dropped == {"entity crosses a sentence end": 1, SIGNS: 1}


def test_within_a_level_the_earlier_annotator_wins() -> None:
    first = Fixed(level="entity", places=((2, 6),), type="ORG")
    second = Fixed(level="entity", places=((0, 1), (2, 4), (5, 8)), type="LOC")
    text = "他在北京大学念书"
    result = annotate(text, {}, first, second)
    assert triples(result, "entity") == [(0, 1, "LOC"), (2, 6, "ORG")]
    assert result.dropped == {"entity LOC overlaps one of higher precedence": 2}
    result = annotate(text, {}, second, first)
    assert triples(result, "entity") == [(0, 1, "LOC"), (2, 4, "LOC"), (5, 8, "LOC")]
    assert result.dropped == {"entity ORG overlaps one of higher precedence": 1}


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
    assert (
        len(result.sentences_S2),
        len(result.paragraph_ends_P),
        {level: len(found) for level, found in result.units.items()},
    ) == (
        0,
        0,
        {"entity": 0, "word": 0},
    )


def test_spans_that_came_with_the_document_win_over_every_annotator() -> None:
    result = annotate(
        "他在北京大学念书", {}, Fixed(level="entity", places=((0, 1), (2, 6)), type="LOC"), entity=[Given(4, 6, "ORG")]
    )
    assert triples(result, "entity") == [(0, 1, "LOC"), (4, 6, "ORG")]
    assert result.dropped == {"entity LOC overlaps one of higher precedence": 1}


def test_words_that_came_with_the_document_replace_the_segmenter() -> None:
    result = annotate(
        "他在北京大学念书", {"zh": Cut(bars="他在|北京|大学|念书")}, word=[Given(1, 3, ""), Given(6, 8, "")]
    )
    assert units(result, "word") == ["在北", "念书"]


def test_a_unit_that_crosses_a_sentence_end_hides_none_of_lower_precedence() -> None:
    result = annotate(
        "走了。北京好。",
        {},
        Fixed(level="entity", places=((1, 5),), type="ORG"),
        Fixed(level="entity", places=((3, 5),), type="LOC"),
    )
    assert triples(result, "entity") == [(3, 5, "LOC")]
    assert result.dropped == {"entity ORG crosses a sentence end": 1}


spans = st.lists(st.integers(0, 30), max_size=12).map(
    lambda edges: [(a, b) for a, b in zip(sorted(set(edges))[::2], sorted(set(edges))[1::2], strict=False)]
)


def arrays(places: list[tuple[int, int]]) -> np.ndarray:
    return np.array(places, np.int32).reshape(-1, 2)


@settings(max_examples=80, deadline=None)
@given(earlier=spans, later=spans)
def test_a_unit_is_free_when_it_overlaps_none_of_the_others(
    earlier: list[tuple[int, int]], later: list[tuple[int, int]]
) -> None:
    one, two = arrays(earlier), arrays(later)
    expected = [not any(start < last and first < end for first, last in earlier) for start, end in later]
    assert kernels.free_of(one[:, 0], one[:, 1], two[:, 0], two[:, 1]).tolist() == expected


@settings(max_examples=80, deadline=None)
@given(earlier=spans, later=spans, ranges=spans)
def test_units_join_unless_they_cross_a_sentence_end_or_overlap_an_earlier_one(
    earlier: list[tuple[int, int]], later: list[tuple[int, int]], ranges: list[tuple[int, int]]
) -> None:
    one, two = arrays(earlier), arrays(later)
    labels = np.arange(len(two), dtype=np.uint8)
    inside = [any(first <= start and end <= last for first, last in ranges) for start, end in later]
    free = [not any(start < last and first < end for first, last in earlier) for start, end in later]
    start_J, end_J, label_J, crossing, clashing = kernels.merge_units(
        one[:, 0],
        one[:, 1],
        np.full(len(one), 99, np.uint8),
        two[:, 0],
        two[:, 1],
        labels,
        np.arange(255, dtype=np.uint8),
        arrays(ranges),
    )
    kept = [(*unit, number) for number, unit in enumerate(later) if inside[number] and free[number]]
    assert list(zip(start_J.tolist(), end_J.tolist(), label_J.tolist(), strict=True)) == sorted(
        [*((*unit, 99) for unit in earlier), *kept]
    )
    assert crossing.tolist() == [number for number in range(len(later)) if not inside[number]]
    assert clashing.tolist() == [number for number in range(len(later)) if inside[number] and not free[number]]


@settings(max_examples=80, deadline=None)
@given(words=spans, edges=st.lists(st.integers(0, 30)))
def test_cutting_splits_words_at_edges_and_nowhere_else(words: list[tuple[int, int]], edges: list[int]) -> None:
    expected, crossed = [], 0
    for start, end in words:
        points = [start, *sorted({edge for edge in edges if start < edge < end}), end]
        expected += [piece for piece in pairwise(points) if piece[1] - piece[0] > 1]
        crossed += len(points) > 2
    pieces, count = kernels.cut(arrays(words), np.array(sorted(edges), np.int32))
    assert ([tuple(piece) for piece in pieces.tolist()], count) == (expected, crossed)


# --- lexicons and words
# ---------------------------------------------------------------------------------------------------------


def bounded(folder: Path, bars: str, entries: str, **arguments: Any) -> Annotated:
    (folder / "l.tsv").write_text(entries, encoding="utf-8")
    lexicon = Lexicon(level="entity", paths=[str(folder / "l.tsv")], **arguments)
    document = Document(id="1", language="zh", text=bars.replace("|", ""), title="", source="s")
    labels = {label: number for number, label in enumerate([WORD, *lexicon.labels()])}
    return Annotation(segmenters={"zh": Cut(bars=bars)}, annotators=[lexicon], labels=labels).annotate(document)


def entities(annotated: Annotated) -> list[str]:
    units = annotated.units["entity"]
    return [
        annotated.document.text[start:end]
        for start, end in zip(units.start_U.tolist(), units.end_U.tolist(), strict=True)
    ]


@pytest.mark.parametrize(
    ("bars", "entry", "kept_under"),
    [
        ("以上|地方", "上地", {"any"}),
        ("第十|二条", "十二条", {"any"}),
        ("范围|内", "围内", {"any"}),
        ("人民法院|判决", "法院", {"any", "inside"}),
        ("人民法院|判决", "人民", {"any", "inside"}),
        ("人民法院|判决", "民法", {"any", "inside"}),
        ("在|北京|大学", "北京大学", {"any", "inside", "words"}),
        ("在|北|京|上", "北京", {"any", "inside", "words"}),
    ],
)
@pytest.mark.parametrize("boundaries", ["any", "inside", "words"])
def test_a_match_that_crosses_a_word_is_refused_and_counted(
    bars: str, entry: str, kept_under: set[str], boundaries: str, tmp_path: Path
) -> None:
    result = bounded(tmp_path, bars, f"{entry}\tLOC\n", boundaries=boundaries)
    assert entities(result) == [entry] * (boundaries in kept_under)
    assert result.dropped.get("entity LOC crosses a word", 0) == (boundaries not in kept_under)
    assert result.words == sum(len(word) > 1 for word in bars.split("|"))


def test_crossing_matches_are_refused_unless_they_are_asked_for(tmp_path: Path) -> None:
    assert entities(bounded(tmp_path, "以上|地方", "上地\tLOC\n")) == []


def test_where_the_longest_match_crosses_a_word_a_shorter_one_is_taken_and_the_text_behind_stays_free(
    tmp_path: Path,
) -> None:
    result = bounded(tmp_path, "北京|大学生|活", "北京大学\tORG\n北京\tLOC\n大学生活\tTERM\n")
    assert entities(result) == ["北京", "大学生活"]
    assert result.dropped == {"entity ORG crosses a word": 1}


def test_words_given_by_the_user_are_not_crossed_either(tmp_path: Path) -> None:
    (tmp_path / "l.tsv").write_text("上地\tLOC\n", encoding="utf-8")
    lexicon = Lexicon(level="entity", paths=[str(tmp_path / "l.tsv")])
    given = {"word": [Given(0, 2, ""), Given(2, 4, "")]}
    document = Document(id="1", language="zh", text="以上地方", title="", source="s", given=given)
    labels = {label: number for number, label in enumerate([WORD, *lexicon.labels()])}
    assert entities(Annotation(segmenters={}, annotators=[lexicon], labels=labels).annotate(document)) == []
    # Without any words there is nothing to cross.
    assert len(lexicon.annotate(document, np.array([[0, 4]], np.int32))) == 1


@pytest.mark.parametrize("segmenter", [Rjieba, Jieba, CompiledJieba])
def test_a_segmenter_that_is_taught_the_lexicon_has_its_entries_as_words(segmenter: Any, tmp_path: Path) -> None:
    (tmp_path / "l.tsv").write_text("玄铁重剑谱\tWORK\t7\nNew York\tLOC\n卡尔·马克思\tPER\n", encoding="utf-8")
    paths = [str(tmp_path / "l.tsv")]
    lexicon = Lexicon(level="entity", paths=paths, boundaries="words")
    document = Document(id="1", language="zh", text="他读完了玄铁重剑谱才走", title="", source="s")
    labels = {label: number for number, label in enumerate([WORD, *lexicon.labels()])}
    for taught in (segmenter(lexicons=paths), segmenter(lexicons=paths, user_words=paths[:0])):
        annotated = Annotation(segmenters={"zh": taught}, annotators=[lexicon], labels=labels).annotate(document)
        assert entities(annotated) == ["玄铁重剑谱"]
        assert [4, 9] in taught.words(document.text).tolist()
        assert taught.dictionary.unreachable == ["New York", "卡尔·马克思"]


# --- words that are none
# ----------------------------------------------------------------------------------------------------------


def test_signs_alone_are_no_words_and_are_counted() -> None:
    text = "他说——好......吧☆☆C++红楼梦３％ⅣⅤ《》𠀀𠀁"
    result = annotate(text, {"zh": Cut(bars="他说|——|好|......|吧|☆☆|C++|红楼梦|３％|ⅣⅤ|《》|𠀀𠀁")})
    assert units(result, "word") == ["他说", "C++", "红楼梦", "３％", "ⅣⅤ", "𠀀𠀁"]
    assert result.dropped == {SIGNS: 4} and result.words == 10
    assert annotate("——", {"zh": Cut(bars="——")}).units["word"].start_U.size == 0


def test_signs_that_a_cut_leaves_over_are_no_word_either() -> None:
    result = annotate("学C++吧", {"zh": Cut(bars="学|C++|吧")}, Fixed(level="entity", places=((1, 2),)))
    assert units(result, "entity") == ["C"] and units(result, "word") == []
    assert result.dropped == {CUT: 1, SIGNS: 1}


@pytest.mark.parametrize("segmenter", [Rjieba(), Jieba(), CompiledJieba(), Pretokenizer(), Spacy()])
def test_no_segmenter_makes_words_of_signs(segmenter: Segmenter) -> None:
    found = units(annotate("好......吧！！！——C++ -- said... ok☆☆___ 3.14%", {"zh": segmenter}), "word")
    assert found and all(any(character.isalnum() for character in word) for word in found)


@given(st.lists(st.text("他a3—.☆C+_ ", min_size=1, max_size=4), min_size=1, max_size=12))
def test_words_with_a_letter_stay_as_they_are(pieces: list[str]) -> None:
    result = annotate("".join(pieces), {"zh": Cut(bars="|".join(pieces))})
    whole = [piece for piece in pieces if len(piece) > 1]
    kept = units(result, "word")
    if "crosses" not in str(result.dropped) and CUT not in result.dropped:
        assert kept == [piece for piece in whole if any(character.isalnum() for character in piece)]
