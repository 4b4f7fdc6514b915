"""Annotators: a contract that every file in annotators/ keeps, then the lexicon."""

from __future__ import annotations

import gzip
import json
import pickle
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from data_prep.annotators import Annotator
from data_prep.annotators.lexicon import Lexicon
from data_prep.documents import Document, Label
from data_prep.sentences import split_sentences
from launch.settings.components import find_kind, kinds

KINDS = kinds(Annotator)
TEXT = "北京大学在北京。Rome was not built in Romeo; 上海 and Rome.\n𠮷北京"


def words(folder: Path) -> str:
    (folder / "words.tsv").write_text("北京\tLOC\n北京大学\tORG\nRome\n上海\t12\n", encoding="utf-8")
    return str(folder / "words.tsv")


def ruler(folder: Path) -> str:
    """A spaCy pipeline with an EntityRuler, assembled here."""
    import spacy

    nlp = spacy.blank("zh")
    nlp.add_pipe("entity_ruler").add_patterns([{"label": "LOC", "pattern": "上海"}])
    nlp.to_disk(folder / "pipeline")
    return str(folder / "pipeline")


ARGUMENTS: dict[str, Callable[[Path], dict[str, Any]]] = {
    "lexicon": lambda folder: {"paths": [words(folder)], "type": "CITY"},
    "part_of_speech": lambda folder: {},
    "chunks": lambda folder: {"grammar": {"PP": "<p><n.*>"}},
    "spacy_pipeline": lambda folder: {"pipeline": ruler(folder)},
}
"""For each kind, arguments (made from an empty folder) under which it finds something in TEXT."""


def annotator(kind: str, folder: Path, level: str = "entity") -> Any:
    if kind not in ARGUMENTS:
        pytest.fail(f"annotators/{kind}.py is not tested: add its arguments to ARGUMENTS in {Path(__file__).name}")
    cls = find_kind(Annotator, kind)
    assert cls is not None
    return cls(level=level, **ARGUMENTS[kind](folder))


def annotate(annotator: Annotator, text: str) -> list[tuple[int, int, str]]:
    document = Document(id="1", language="zh", text=text, title="", source="s")
    sentences_S2, _ = split_sentences(document.characters)
    found, labels = annotator.annotate(document, sentences_S2), annotator.labels()
    return [
        (start, end, labels[label].type)
        for start, end, label in zip(found.start_U.tolist(), found.end_U.tolist(), found.label_U.tolist(), strict=True)
    ]


def found(text: str, annotator: Annotator) -> list[tuple[str, str]]:
    return [(text[start:end], kind) for start, end, kind in annotate(annotator, text)]


# --- the contract
# ---------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", KINDS)
def test_an_annotator_is_a_documented_frozen_component(
    kind: str, tmp_path: Path, check_component: Callable[[type], None]
) -> None:
    check_component(type(annotator(kind, tmp_path)))


@pytest.mark.parametrize("level", ["word", "", "two words", "a-b"])
@pytest.mark.parametrize("kind", KINDS)
def test_a_level_that_is_taken_or_no_simple_name_is_refused(kind: str, level: str, tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=r"level: .* must be a simple name other than `word`"):
        annotator(kind, tmp_path, level)


@pytest.mark.parametrize("kind", KINDS)
def test_units_are_sorted_disjoint_in_bounds_and_carry_announced_labels(kind: str, tmp_path: Path) -> None:
    subject = annotator(kind, tmp_path)
    units = annotate(subject, TEXT)
    assert units, "ARGUMENTS must make it find something in TEXT"
    position = 0
    for unit in units:
        start, end, name = unit
        assert position <= start < end <= len(TEXT)
        assert name in {label.type for label in subject.labels()}
        position = end
    assert {label.origin for label in subject.labels()} <= {"user", "lexicon", "ner", "pos", "mined"}
    assert annotate(subject, "") == []


@pytest.mark.parametrize("kind", KINDS)
def test_labels_are_distinct_and_stable(kind: str, tmp_path: Path) -> None:
    labels = annotator(kind, tmp_path).labels()
    assert labels == annotator(kind, tmp_path).labels()
    assert len(labels) == len(set(labels))


@pytest.mark.parametrize("kind", KINDS)
def test_an_annotator_can_be_sent_to_a_worker_after_it_was_used(kind: str, tmp_path: Path) -> None:
    subject = annotator(kind, tmp_path)
    expected = annotate(subject, TEXT)
    copy = pickle.loads(pickle.dumps(subject))
    assert copy == subject
    assert annotate(copy, TEXT) == expected


@pytest.mark.parametrize("kind", KINDS)
def test_the_fingerprint_is_plain_data_and_names_kind_and_level(kind: str, tmp_path: Path) -> None:
    fingerprint = annotator(kind, tmp_path).fingerprint()
    assert json.loads(json.dumps(fingerprint)) == fingerprint == annotator(kind, tmp_path).fingerprint()
    assert fingerprint["kind"] == kind
    assert fingerprint != annotator(kind, tmp_path, "phrase").fingerprint()


# --- the lexicon
# ----------------------------------------------------------------------------------------------------------------


def lexicon(folder: Path, content: str | bytes, name: str = "l.tsv", **arguments: Any) -> Lexicon:
    (folder / name).write_bytes(content.encode() if isinstance(content, str) else content)
    return Lexicon(level="entity", paths=[str(folder / name)], **arguments)


def test_words_alone_words_with_a_type_and_words_with_a_frequency_are_read(tmp_path: Path) -> None:
    subject = lexicon(tmp_path, "\ufeff北京\n上海\tLOC\n广州\t120\n\n# a comment\n  深圳  \t LOC \r\n", type="CITY")
    assert found("北京上海广州深圳", subject) == [("北京", "CITY"), ("上海", "LOC"), ("广州", "CITY"), ("深圳", "LOC")]
    assert subject.labels() == [Label("CITY", "lexicon"), Label("LOC", "lexicon")]


def test_compressed_lexicons_are_read(tmp_path: Path) -> None:
    assert found("去北京", lexicon(tmp_path, gzip.compress("北京\tLOC\n".encode()), "l.tsv.gz")) == [("北京", "LOC")]


def test_the_first_file_that_lists_a_word_decides_its_type(tmp_path: Path) -> None:
    (tmp_path / "a.tsv").write_text("北京\tA\n", encoding="utf-8")
    (tmp_path / "b.tsv").write_text("北京\tB\n上海\tB\n", encoding="utf-8")
    subject = Lexicon(level="entity", paths=[str(tmp_path / "a.tsv"), str(tmp_path / "b.tsv")])
    assert found("北京上海", subject) == [("北京", "A"), ("上海", "B")]


def test_entries_are_cleaned_like_the_text(tmp_path: Path) -> None:
    assert found("Café de Flore", lexicon(tmp_path, "Cafe\u0301\u3000de\u200b Flore\tLOC\n")) == [
        ("Café de Flore", "LOC")
    ]


def test_short_entries_are_left_out(tmp_path: Path) -> None:
    assert found("江和长江", lexicon(tmp_path, "江\n长江\n")) == [("长江", "")]
    assert found("江和长江", lexicon(tmp_path, "江\n长江\n", min_characters=1)) == [("江", ""), ("长江", "")]


@pytest.mark.parametrize(
    ("line", "complaint"),
    [
        ("a\tb\tc", "has 3 columns"),
        ("\tLOC", "has 2 columns"),
        ("北京\ttwo words", "'two words' is neither a type nor a frequency"),
        ("北京\t" + "X" * 33, "is neither a type nor a frequency"),
        ("北\u2028京\tLOC", "a line break inside the entry"),
    ],
)
def test_a_malformed_line_ends_the_run_with_file_line_and_remedy(line: str, complaint: str, tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="lexicon with malformed lines") as caught:
        lexicon(tmp_path, f"上海\tLOC\n{line}\n").labels()
    message = str(caught.value)
    assert f"{tmp_path / 'l.tsv'}:2: " in message
    assert complaint in message
    assert "Write `surface` or `surface<TAB>TYPE` on each line, or set `on_malformed: skip`" in message


def test_a_line_that_is_not_utf8_is_named_with_its_byte(tmp_path: Path) -> None:
    content = "上海\tLOC\n广".encode() + "州\n".encode("gbk") + "北京\n".encode()
    with pytest.raises(ValueError, match=r"l\.tsv:2: not UTF-8 \(byte 3 of the line\)"):
        lexicon(tmp_path, content).labels()
    subject = lexicon(tmp_path, content, on_malformed="skip")
    assert found("上海北京", subject) == [("上海", "LOC"), ("北京", "")]
    assert len(subject.malformed) == 1


def test_only_the_first_malformed_lines_are_shown_and_the_rest_is_counted(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="and 4 more") as caught:
        lexicon(tmp_path, "a\tb\tc\n" * 9).labels()
    assert str(caught.value).count("has 3 columns") == 5


def test_skipping_leaves_malformed_lines_out_and_lists_them(tmp_path: Path) -> None:
    subject = lexicon(tmp_path, "a\tb\tc\n上海\n\tLOC\n", on_malformed="skip")
    assert found("上海", subject) == [("上海", "")]
    assert [line.split(": ")[0] for line in subject.malformed] == [
        f"{tmp_path / 'l.tsv'}:{number}" for number in (1, 3)
    ]


def test_a_missing_file_and_a_file_without_entries_are_named(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError, match=r"lexicon .*nowhere\.txt: no such file"):
        Lexicon(level="entity", paths=[str(tmp_path / "nowhere.txt")]).labels()
    with pytest.raises(ValueError, match=r"l\.tsv: no entry of 2 characters or more"):
        lexicon(tmp_path, "# nothing\n江\n").labels()


@pytest.mark.parametrize(
    ("arguments", "field"),
    [
        *[
            ({"paths": []}, "paths"),
            ({"on_malformed": "x"}, "on_malformed"),
            ({"origin": "ner"}, "origin"),
            ({"min_characters": 0}, "min_characters"),
        ],
        *[
            ({"boundaries": "edges"}, "boundaries"),
            ({"min_frequency": -1}, "min_frequency"),
            ({"min_frequency": float("nan")}, "min_frequency"),
        ],
    ],
)
def test_impossible_settings_are_refused(arguments: dict[str, Any], field: str) -> None:
    with pytest.raises(ValueError, match=f"^{field}: "):
        Lexicon(**{"level": "entity", "paths": ["x"], **arguments})


def test_a_latin_entry_is_not_found_inside_a_longer_word(tmp_path: Path) -> None:
    subject = lexicon(tmp_path, "Rome\nElan\nA4\n")
    assert found("Romeo, Jerome, Rome's Rome2 Rome-Rome. 在Rome里", subject) == [("Rome", "")] * 4
    assert found("Élan éElan Elané Elan", subject) == [("Elan", "")]
    assert found("A45 XA4 A4 A4纸", subject) == [("A4", "")] * 2


def test_a_han_entry_is_found_wherever_it_stands(tmp_path: Path) -> None:
    assert found("新北京人 a北京b", lexicon(tmp_path, "北京\n")) == [("北京", "")] * 2


def test_the_leftmost_and_longest_entry_wins(tmp_path: Path) -> None:
    subject = lexicon(tmp_path, "北京\n北京大学\n大学生\n学生\nNew York\nNew York Times\n")
    assert found("北京大学生 the New York Times, New York", subject) == [
        ("北京大学", ""),
        ("New York Times", ""),
        ("New York", ""),
    ]


def test_an_entry_is_found_when_a_longer_one_runs_into_the_next_letters(tmp_path: Path) -> None:
    subject = lexicon(tmp_path, "New York\nNew York Time\nwar\na war horse\n")
    assert found("the New York Times", subject) == [("New York", "")]
    assert found("a war horses", subject) == [("war", "")]


def leftmost_longest(text: str, entries: set[str]) -> list[tuple[int, int]]:
    """The definition, one position after the other."""
    result, position = [], 0
    while position < len(text):
        length = max((len(entry) for entry in entries if text.startswith(entry, position)), default=0)
        if length:
            result.append((position, position + length))
        position += length or 1
    return result


@settings(max_examples=80, deadline=None)
@given(
    entries=st.sets(st.text(alphabet="中国人", min_size=2, max_size=4), min_size=1, max_size=5),
    text=st.text(alphabet="中国人。𠮷", max_size=30),
)
def test_all_matches_are_those_of_the_definition(
    tmp_path_factory: pytest.TempPathFactory, entries: set[str], text: str
) -> None:
    subject = lexicon(tmp_path_factory.getbasetemp(), "\n".join(sorted(entries)))
    assert [unit[:2] for unit in annotate(subject, text)] == leftmost_longest(text, entries)


def test_the_fingerprint_follows_content_and_settings_but_not_the_place(tmp_path: Path) -> None:
    first = lexicon(tmp_path, "北京\n").fingerprint()
    assert lexicon(tmp_path, "北京\n", "other.tsv").fingerprint() == first
    assert lexicon(tmp_path, "北京\n上海\n").fingerprint() != first
    for change in ({"type": "LOC"}, {"origin": "user"}, {"min_characters": 1}, {"boundaries": "any"}):
        assert lexicon(tmp_path, "北京\n", **change).fingerprint() != first


def test_lines_that_end_in_carriage_returns_alone_are_lines(tmp_path: Path) -> None:
    file = tmp_path / "old.txt"
    file.write_bytes("\ufeff中国\t9\r北京\tLOC\r\n上海\t7\r\r\n".encode())
    lexicon = Lexicon(level="entity", paths=[str(file)])
    assert [unit[:2] for unit in annotate(lexicon, "中国的北京和上海")] == [(0, 2), (3, 5), (6, 8)]
