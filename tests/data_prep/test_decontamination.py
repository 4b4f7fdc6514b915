"""Decontamination: what the user's evaluation files hold is found in documents, whatever stands between the words."""

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

from data_prep.documents import Document, Place, Rejected
from data_prep.filtering.cleaning import Cleaning
from data_prep.filtering.decontamination import Decontamination
from data_prep.filtering.evaluation_files import read_texts

PLACE = Place("x.jsonl", 3, 40)
QUESTION = (
    "Which river rises in the high plateau of the north and flows through eleven provinces before it meets the sea?"
)
CHINESE = "下列关于长江的说法中哪一项是正确的：它发源于青藏高原，流经十一个省市自治区，最后注入东海。"


def check(text: str, paths: list[Path], **arguments: Any) -> Rejected | None:
    evaluation = Decontamination(paths=[str(path) for path in paths], **arguments).load(Cleaning())
    return evaluation.check(Document(id="a", language="en", text=text, title="", source="s"), PLACE)


@pytest.fixture
def questions(tmp_path: Path) -> Path:
    file = tmp_path / "test.jsonl"
    rows = [
        {"id": 1, "q": "Too short."},
        {"id": 2, "q": QUESTION},
        {"id": 3, "q": CHINESE, "options": ["甲", {"text": "乙"}]},
    ]
    file.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    return file


def test_decontamination_is_a_documented_frozen_component(check_component: Callable[[type], None]) -> None:
    check_component(Decontamination)


def test_a_document_with_a_question_in_it_is_dropped_with_file_and_line(questions: Path) -> None:
    rejected = check(f"Some page. {QUESTION} The answer is below.", [questions])
    assert rejected == (
        PLACE,
        "contaminated: test.jsonl",
        "test.jsonl:2: 8 n-gram(s) of 13 words or characters in common",
    )
    rejected = check(f"试题：{CHINESE}答案见下。", [questions])
    assert rejected is not None
    assert rejected.detail.startswith("test.jsonl:3: ")


def test_punctuation_case_and_line_ends_do_not_hide_a_question(questions: Path) -> None:
    assert check(QUESTION.upper().replace(" ", ",\n "), [questions]) is not None
    assert check(" ".join(CHINESE).replace("，", "；"), [questions]) is not None


def test_other_documents_stay(questions: Path) -> None:
    assert (
        check("The river rises in the high plateau of the north and the people like it very much indeed.", [questions])
        is None
    )
    assert check("长江发源于青藏高原，流经十一个省市。", [questions]) is None
    assert check("", [questions]) is None


def test_twelve_words_in_a_row_are_not_enough_and_thirteen_are(questions: Path) -> None:
    words = QUESTION.split()
    assert check(" ".join(["x", *words[:12], "y"]), [questions]) is None
    assert check(" ".join(["x", *words[3:16], "y"]), [questions]) is not None
    assert check(" ".join(["x", *words[3:16], "y"]), [questions], min_matches=2) is None
    assert check(" ".join(["x", *words[:12], "y"]), [questions], words=12) is not None


@settings(max_examples=60)
@given(st.integers(0, 39), st.integers(0, 40))
def test_a_text_is_found_exactly_when_it_shares_an_ngram(
    tmp_path_factory: pytest.TempPathFactory, start: int, length: int
) -> None:
    words = [f"w{number * number}" for number in range(40)]
    file = tmp_path_factory.mktemp("evaluation") / "t.txt"
    file.write_text(" ".join(words), encoding="utf-8")
    taken = words[start : start + length]
    assert (check(" ".join(["alpha", *taken, "omega"]), [file]) is not None) == (len(taken) >= 13)


def test_short_texts_are_counted(questions: Path) -> None:
    evaluation = Decontamination(paths=[str(questions)], keys=["q", "options"]).load(Cleaning())
    assert evaluation.texts == {"test.jsonl": 5}
    assert evaluation.short == {"test.jsonl": 3}


def test_evaluation_texts_are_cleaned_like_the_corpus(tmp_path: Path) -> None:
    file = tmp_path / "t.txt"
    file.write_text(
        "\ufeff" + QUESTION.replace("river", "ｒｉｖｅｒ").replace("sea", "se\u200ba") + "\n", encoding="utf-8"
    )
    evaluation = Decontamination(paths=[str(file)]).load(Cleaning(half_width=True))
    assert evaluation.check(Document(id="a", language="en", text=QUESTION, title="", source="s"), PLACE) is not None


def test_tables_give_the_texts_of_their_columns(tmp_path: Path) -> None:
    comma, tab = tmp_path / "a.csv", tmp_path / "b.tsv.gz"
    comma.write_text(f'id,question,answer\n1,"{QUESTION}\nline two",x\n2,y\n', encoding="utf-8")
    tab.write_bytes(gzip.compress(f'id\tq\n1\t5 o"clock\n2\t{CHINESE}\n'.encode()))
    assert list(read_texts(comma, ["question"])) == [("a.csv:3", f"{QUESTION}\nline two"), ("a.csv:4", "y")]
    assert [text for _, text in read_texts(tab, [])] == ["id", "q", "1", '5 o"clock', "2", CHINESE]
    assert [place for place, _ in read_texts(tab, ["q"])] == ["b.tsv.gz:2", "b.tsv.gz:3"]
    rejected = check(CHINESE, [comma, tab])
    assert rejected is not None
    assert rejected.reason == "contaminated: b.tsv.gz"


def test_json_texts_are_found_at_any_depth(tmp_path: Path) -> None:
    file = tmp_path / "a.json"
    file.write_text(
        json.dumps({"data": [{"q": "one", "x": [{"q": ["two", {"z": "three"}]}]}, {"p": "four"}]}), encoding="utf-8"
    )
    assert [text for _, text in read_texts(file, ["q"])] == ["one", "two", "three"]
    assert [text for _, text in read_texts(file, [])] == ["one", "two", "three", "four"]


@pytest.mark.parametrize(
    ("name", "content", "arguments", "message"),
    [
        ("a.jsonl", b'{"q": "x"}\n{oops\n', {}, r"a\.jsonl:2: not JSON"),
        ("a.jsonl", b'{"q": "x"}\n', {"keys": ["question"]}, r"a\.jsonl: no text under the keys question"),
        ("a.csv", b"id,q\n1,x\n", {"keys": ["question"]}, r"a\.csv:1: no column question; columns here: id, q"),
        ("a.txt", b"\xff\xfe\x00", {}, r"a\.txt is not UTF-8"),
        ("a.txt", b"too short\n", {}, r"^paths: no text in a\.txt is as long as 13 words or 25 Chinese characters"),
        ("a.txt.gz", b"not gzip", {}, r"a\.txt\.gz is damaged"),
    ],
)
def test_a_file_that_cannot_be_used_is_named(
    tmp_path: Path, name: str, content: bytes, arguments: dict[str, Any], message: str
) -> None:
    (tmp_path / name).write_bytes(content)
    with pytest.raises(ValueError, match=message):
        Decontamination(paths=[str(tmp_path / name)], **arguments).load(Cleaning())


def test_a_missing_file_and_an_unknown_format_are_refused(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError, match=r"evaluation file .*nothing\.txt: no such file"):
        Decontamination(paths=[str(tmp_path / "nothing.txt")]).load(Cleaning())
    (tmp_path / "a.pdf").write_bytes(b"x")
    with pytest.raises(ValueError, match=r"\.pdf is not one of \.txt"):
        Decontamination(paths=[str(tmp_path / "a.pdf")])


@pytest.mark.parametrize("arguments", [{"paths": []}, {"words": 2}, {"characters": 4}, {"min_matches": 0}])
def test_impossible_settings_are_refused(arguments: dict[str, Any]) -> None:
    (name,) = arguments
    with pytest.raises(ValueError, match=f"^{name}: "):
        Decontamination(**{"paths": ["x.txt"], **arguments})


def test_the_fingerprint_follows_the_content_not_the_folder(tmp_path: Path) -> None:
    prints = []
    for folder, text in (("a", "one"), ("b", "one"), ("c", "two")):
        (tmp_path / folder).mkdir()
        (tmp_path / folder / "t.txt").write_text(text, encoding="utf-8")
        prints.append(Decontamination(paths=[str(tmp_path / folder / "*.txt")]).fingerprint())
    assert prints[0] == prints[1] != prints[2]


def test_the_ngrams_travel_to_other_processes(questions: Path) -> None:
    evaluation = pickle.loads(pickle.dumps(Decontamination(paths=[str(questions)]).load(Cleaning())))
    assert evaluation.check(Document(id="a", language="en", text=QUESTION, title="", source="s"), PLACE) is not None
