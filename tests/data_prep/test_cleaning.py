"""Cleaning: what is normalised, what must stay, and that doing it twice changes nothing."""

from __future__ import annotations

import unicodedata
from collections.abc import Callable

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from data_prep.cleaning import Cleaning
from data_prep.documents import Document, Place, Record, Rejected

PLACE = Place("x.jsonl", 3, 40)
PIECES = [
    "a",
    "e",
    "B",
    "中",
    "，",
    ".",
    " ",
    "\n",
    "\r",
    "\r\n",
    "\t",
    "\u3000",
    "\u00a0",
    "\u2028",
    "\x0b",
    "\x85",
    "\u0301",
    "\u200b",
    "\ufeff",
    "\x00",
    "-",
]
WRAPPED = (
    "It was the best of times, it was\nthe worst of times, it was the\nage of wisdom, it was the age of\n"
    "foolishness, it was the epoch of\nbelief.\n\nIt was\nthe end."
)

texts = st.one_of(st.text(max_size=60), st.lists(st.sampled_from(PIECES), max_size=60).map("".join))


def clean(text: str) -> str:
    return Cleaning().text(text)


def record(text: str, language: str = "", title: str = "") -> Record:
    return Record(text=text, id="a", title=title, language=language, place=PLACE)


def test_cleaning_is_a_documented_frozen_component(check_component: Callable[[type], None]) -> None:
    check_component(Cleaning)


def test_accents_are_composed() -> None:
    assert clean("cafe\u0301") == "café"


def test_an_accent_behind_a_removed_character_is_composed_too() -> None:
    assert clean("cafe\u200b\u0301") == "café"


def test_full_width_punctuation_letters_and_digits_stay() -> None:
    text = "他说：“走，ＡＢＣ１２３！（好）”……《书》；、？"
    assert clean(text) == text


def test_letter_case_and_accents_stay() -> None:
    assert clean("Élan Vital ÀÉÎ") == "Élan Vital ÀÉÎ"


@pytest.mark.parametrize(
    "character", ["\u200b", "\u200c", "\u200d", "\u200e", "\u200f", "\u2060", "\ufeff", "\u00ad", "\u202a", "\u202e", "\x00", "\x07", "\x1f", "\x7f", "\x9f"]
)
def test_zero_width_and_control_characters_are_removed(character: str) -> None:
    assert clean(f"北{character}京 ab{character}cd{character}") == "北京 abcd"


@pytest.mark.parametrize("space", ["\t", "\u00a0", "\u3000", "\u2003", "\u202f", "  ", " \t\u3000 "])
def test_every_kind_of_space_becomes_one_space(space: str) -> None:
    assert clean(f"{space}a{space}b{space}") == "a b"


@pytest.mark.parametrize("end", ["\n", "\r", "\r\n", "\u2028", "\u2029", "\x0b", "\x0c", "\x85", " \n ", "\t\r\n\t"])
def test_every_kind_of_line_end_becomes_a_newline(end: str) -> None:
    assert clean(f"a{end}b") == "a\nb"


def test_paragraph_breaks_stay_and_longer_gaps_shrink() -> None:
    assert clean("a\n\nb\n \n \n\nc\n\n") == "a\n\nb\n\nc"


def test_hard_wrapped_lines_are_joined_and_paragraphs_kept() -> None:
    assert clean(WRAPPED) == (
        "It was the best of times, it was the worst of times, it was the age of wisdom, it was the age of foolishness, "
        "it was the epoch of belief.\n\nIt was the end."
    )


def test_wrapped_lines_stay_when_the_setting_is_off() -> None:
    assert Cleaning(join_wrapped_lines=False).text(WRAPPED) == WRAPPED


@pytest.mark.parametrize(
    "text", ["Title.\nFirst line.\nSecond line.\nThird line.\nFourth line.\n\nEnd.", "床前明月光\n疑是地上霜\n举头望明月\n低头思故乡\n\n李白\n静夜思\n"]
)
def test_lines_that_end_sentences_and_verses_are_not_joined(text: str) -> None:
    assert clean(text) == text.strip()


@settings(max_examples=200, deadline=None)
@given(texts)
def test_cleaning_twice_is_cleaning_once(text: str) -> None:
    once = clean(text)
    assert clean(once) == once


@settings(max_examples=100, deadline=None)
@given(texts)
def test_cleaned_text_keeps_its_promises(text: str) -> None:
    result = clean(text)
    assert result == unicodedata.normalize("NFC", result)
    assert result == result.strip()
    assert "  " not in result
    assert "\n\n\n" not in result
    assert all(character == "\n" or unicodedata.category(character) != "Cc" for character in result)


@settings(max_examples=100, deadline=None)
@given(st.lists(st.text(alphabet="abc中文，。!", min_size=1, max_size=8), min_size=1, max_size=6))
def test_nothing_but_white_space_changes_in_ordinary_text(words: list[str]) -> None:
    assert clean(" \t".join(words)) == " ".join(words)


@pytest.mark.parametrize(
    ("text", "language"),
    [
        ("长江发源于青藏高原。", "zh"),
        ("The river rises in the west.", "en"),
        ("1234 !?", "en"),
        ("用 Python 写一个 tokenizer 模块", "zh"),
        ("The city of 北京 lies in the north of the country and has a long history", "en"),
        ("汉", "zh"),
        ("𠮷野家", "zh"),
    ],
)
def test_the_language_is_recognised_by_its_script(text: str, language: str) -> None:
    assert Cleaning().language(text) == language


def test_the_share_of_han_characters_that_makes_a_text_chinese_is_a_setting() -> None:
    text = "abcdefghi中"  # 1 of 10 letters
    assert Cleaning(han_share=0.1).language(text) == "zh"
    assert Cleaning(han_share=0.11).language(text) == "en"


def test_the_language_of_the_reader_wins() -> None:
    document = Cleaning().clean(record("长江发源于青藏高原。", language="en"), "s")
    assert isinstance(document, Document)
    assert document.language == "en"


def test_a_document_is_finished_with_a_clean_title_and_its_source() -> None:
    document = Cleaning().clean(record(" 长江\u200b。 ", title=" The\tRiver "), "wiki")
    assert document == Document(id="a", language="zh", text="长江。", title="The River", source="wiki")


@pytest.mark.parametrize(("text", "minimum", "count"), [(" \u200b\n", 1, 0), (" a ", 2, 1), ("abc", 4, 3)])
def test_a_text_that_ends_up_too_short_is_rejected_with_its_place(text: str, minimum: int, count: int) -> None:
    rejected = Cleaning(min_characters=minimum).clean(record(text), "s")
    assert rejected == Rejected(PLACE, "too short", f"{count} characters after cleaning, {minimum} wanted")


@pytest.mark.parametrize("arguments", [{"min_characters": 0}, {"han_share": 0.0}, {"han_share": 1.0}, {"han_share": float("nan")}])
def test_impossible_settings_are_refused(arguments: dict[str, float]) -> None:
    (name,) = arguments
    with pytest.raises(ValueError, match=f"^{name}: "):
        Cleaning(**arguments)  # type: ignore[arg-type]
