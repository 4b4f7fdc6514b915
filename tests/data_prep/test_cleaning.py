"""Cleaning: what is normalised, what must stay, and that doing it twice changes nothing."""

from __future__ import annotations

import itertools
import pickle
import re
import unicodedata
from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from data_prep.cleaning.composing import composed, surplus_marks
from data_prep.cleaning.edits import apply_edits, compositions, differences
from data_prep.code_points import HAN
from data_prep.documents import Document, Given, Place, Record, Rejected
from data_prep.filtering.cleaning import Cleaning, lost_spans

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


def endless_marks(count: int) -> str:
    """Marks of two classes by turns, which normalisation has to sort."""
    return "\u0301\u0316" * (count // 2)


@pytest.mark.timeout(60)
@pytest.mark.parametrize("between", ["", "\u200b"])
@pytest.mark.parametrize("settings", [{}, {"repair": True}, {"markdown": True}, {"simplify": "t2s"}])
def test_two_hundred_thousand_marks_on_a_letter_cost_no_minutes_and_leave_thirty(
    settings: dict[str, Any], between: str
) -> None:
    text = f"北京 e{between.join(endless_marks(200_000))}x 上海 é"
    cleaned = Cleaning(**settings).text(text)
    marks = {
        "": ("\u0316" * 15, "\u0301" * 14),
        "\u200b": ("\u0316" * 15, "\u0301" * 15),
    }  # of the latter, the first is composed at once
    assert cleaned == "北京 é" + "".join(marks[between]) + "x 上海 é"
    assert Cleaning(**settings).text(cleaned) == cleaned
    end = text.index("x")
    _, moved = Cleaning(**settings).spanned(
        text, {"word": [Given(0, 2, ""), Given(3, end + 1, ""), Given(end + 2, end + 4, "")]}
    )
    assert [cleaned[span.start : span.end] for span in moved["word"]][::2] == ["北京", "上海"]


def test_surplus_marks_are_counted() -> None:
    assert [surplus_marks(f"a{endless_marks(count)}b{endless_marks(count)}") for count in (0, 30, 32, 100)] == [
        0,
        0,
        4,
        140,
    ]


@given(
    st.text(
        st.sampled_from("ae中한ᄒ\u0301\u0316\u0344\u0f73\u0958\u0327\u093c\u1161\u11a8가\U0001d160\n "), max_size=200
    )
)
@settings(max_examples=300)
def test_composing_is_nfc_wherever_no_run_of_marks_is_too_long(text: str) -> None:
    expected = unicodedata.normalize("NFC", text)
    runs = re.findall("[\u0301\u0316\u0308\u0344\u0f71-\u0f73\u0327\u093c\U0001d165\U0001d16e]{31,}", text + expected)
    if not runs:
        assert composed(text) == expected and not surplus_marks(text)
    assert composed(composed(text)) == composed(text) == unicodedata.normalize("NFC", composed(text))


def test_thirty_marks_stay_and_the_next_goes_wherever_the_run_begins() -> None:
    for before in range(70):
        for count in (29, 30, 31, 32, 62):
            text = "a" * before + "x" + "\u0316" * count + "y"
            assert composed(text) == "a" * before + "x" + "\u0316" * min(count, 30) + "y"


def test_an_accent_behind_a_removed_character_is_composed_too() -> None:
    assert clean("cafe\u200b\u0301") == "café"


def test_full_width_punctuation_letters_and_digits_stay() -> None:
    text = "他说：“走，ＡＢＣ１２３！（好）”……《书》；、？"
    assert clean(text) == text


def test_letter_case_and_accents_stay() -> None:
    assert clean("Élan Vital ÀÉÎ") == "Élan Vital ÀÉÎ"


@pytest.mark.parametrize(
    "character",
    [
        "\u200b",
        "\u200c",
        "\u200d",
        "\u200e",
        "\u200f",
        "\u2060",
        "\ufeff",
        "\u00ad",
        "\u202a",
        "\u202e",
        "\x00",
        "\x07",
        "\x1f",
        "\x7f",
        "\x9f",
    ],
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
    "text",
    [
        "Title.\nFirst line.\nSecond line.\nThird line.\nFourth line.\n\nEnd.",
        "床前明月光\n疑是地上霜\n举头望明月\n低头思故乡\n\n李白\n静夜思\n",
    ],
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


@pytest.mark.parametrize(
    "arguments", [{"min_characters": 0}, {"han_share": 0.0}, {"han_share": 1.0}, {"han_share": float("nan")}]
)
def test_impossible_settings_are_refused(arguments: dict[str, float]) -> None:
    (name,) = arguments
    with pytest.raises(ValueError, match=f"^{name}: "):
        Cleaning(**arguments)  # type: ignore[arg-type]


SETTINGS = st.fixed_dictionaries({"half_width": st.booleans(), "join_wrapped_lines": st.booleans()})
LETTERS = st.text(alphabet="ab中e\u0301\u200b \n\t\u3000Ａ１ㄱ\u1161\u11a8\u0958\u00ad", max_size=40)


def slow_text(raw: str) -> str:
    """What cleaning means, one pattern after the other."""
    text = unicodedata.normalize("NFC", raw)
    text = re.sub("\r\n?|[\u2028\u2029\x0b\x0c\x85]", "\n", text)
    text = re.sub(
        "[\x00-\x08\x0e-\x1f\x7f-\x84\x86-\x9f\u00ad\u200b-\u200f\u202a-\u202e\u2060-\u2064\u2066-\u206f\ufeff\ufff9-\ufffb]+",
        "",
        text,
    )
    text = re.sub("[\t \u00a0\u1680\u2000-\u200a\u202f\u205f\u3000]+", " ", text)
    text = re.sub("\n{3,}", "\n\n", re.sub(" ?\n ?", "\n", text)).strip()
    breaks = len(re.findall("(?<!\n)\n(?!\n)", text)) if "\n\n" in text else 0
    if breaks >= 4 and len(re.findall("[a-z,;A-Z0-9\\-]\n(?=[a-zA-Z0-9\"'(])", text)) > breaks / 2:
        text = re.sub("(?<!\n)\n(?!\n)", " ", text)
    return unicodedata.normalize("NFC", text)


@settings(max_examples=500)
@given(texts | LETTERS | st.lists(st.sampled_from(["a", "b", "\n", "\n\n", " ", "中", "\r"]), max_size=60).map("".join))
def test_the_fast_rules_do_what_the_patterns_say(text: str) -> None:
    assert clean(text) == slow_text(text)


def test_every_single_character_is_treated_as_the_patterns_say() -> None:
    characters = [chr(code) for code in [*range(0x3500), *range(0xD7A0, 0xFFFF, 3)]]
    assert [text for character in characters if clean(text := f"a{character}b") != slow_text(text)] == []


@settings(max_examples=200)
@given(st.text(alphabet=st.characters(max_codepoint=0x24F) | st.sampled_from("北京大学𠮷〇々。，😀١"), max_size=80))
def test_the_language_counts_han_characters_among_letters(text: str) -> None:
    han = len(HAN.findall(text))
    letters = han + sum(character.isalpha() and not HAN.match(character) for character in text)
    assert Cleaning().language(text) == ("zh" if han and han >= 0.15 * letters else "en")


@st.composite
def marked(draw: st.DrawFn) -> tuple[str, list[Given]]:
    text = draw(texts | LETTERS | st.just(WRAPPED + "\n\ncafe\u0301"))
    places = sorted(draw(st.sets(st.integers(0, len(text)), max_size=12)))
    pairs = [(start, end) for start, end in itertools.pairwise(places) if draw(st.booleans())]
    return text, [Given(start, end, str(index)) for index, (start, end) in enumerate(pairs)]


@settings(max_examples=500)
@given(marked(), SETTINGS)
@example(("00A\x08\u0300", [Given(0, 3, "0")]), {"half_width": False, "join_wrapped_lines": False})
def test_spans_move_with_their_characters(case: tuple[str, list[Given]], arguments: dict[str, bool]) -> None:
    raw, spans = case
    cleaning = Cleaning(**arguments)  # type: ignore[arg-type]
    text, moved = cleaning.spanned(raw, {"entity": spans})
    assert text == cleaning.text(raw)
    previous = 0
    for span in moved["entity"]:
        assert previous <= span.start < span.end <= len(text)
        assert text[span.start : span.end] == text[span.start : span.end].strip()
        previous = span.end
    second_halves = {
        character
        for character in unicodedata.normalize("NFD", raw)
        if unicodedata.combining(character) or "\u1160" < character < "\u1200"
    }
    kept = {span.type: text[span.start : span.end] for span in moved["entity"]}
    for span in spans:
        surface = raw[span.start : span.end]
        after = (
            next(
                (character for character in raw[edge:] if Cleaning(min_characters=1).text(f"a{character}a") != "aa"),
                "a",
            )
            for edge in (span.start, span.end)
        )
        if any(unicodedata.normalize("NFD", character)[0] in second_halves for character in after):
            continue  # an edge inside a character that is composed, now or when what is between has been removed
        words = "".join(cleaning.text(surface).split())
        assert "".join(kept.get(span.type, "").split()) == words


def test_a_span_over_composed_and_removed_characters_keeps_its_word() -> None:
    raw = "\ufeff  Le cafe\u0301 \u200bNew\u00a0\u00a0York\r\n"
    spans = [Given(raw.index("cafe"), raw.index("cafe") + 5, ""), Given(raw.index("New"), raw.index("York") + 4, "LOC")]
    text, moved = Cleaning().spanned(raw, {"entity": spans})
    assert text == "Le café New York"
    assert [(text[span.start : span.end], span.type) for span in moved["entity"]] == [("café", ""), ("New York", "LOC")]


def test_a_span_that_covers_nothing_visible_is_dropped_and_counted() -> None:
    raw = Record(
        "北京\u200b\u3000上海",
        "a",
        "",
        "",
        PLACE,
        {"word": [Given(0, 2, ""), Given(2, 3, ""), Given(3, 4, ""), Given(4, 6, "")]},
    )
    document = Cleaning().clean(raw, "s")
    assert isinstance(document, Document)
    assert document.text == "北京 上海"
    assert document.given == {"word": [Given(0, 2, ""), Given(3, 5, "")]}
    assert lost_spans(raw, document) == {"word": 2}


def test_two_spans_that_meet_inside_one_character_stay_disjoint() -> None:
    text, moved = Cleaning().spanned("cafe\u0301s", {"entity": [Given(0, 4, "a"), Given(4, 6, "b")]})
    assert (text, moved["entity"]) == ("cafés", [Given(0, 4, "a"), Given(4, 5, "b")])


@settings(max_examples=300)
@given(LETTERS | st.text(max_size=40))
def test_compositions_tell_what_normalisation_does(text: str) -> None:
    edits = compositions(text)
    assert apply_edits(text, edits) == unicodedata.normalize("NFC", text)
    assert all(one.end <= two.start for one, two in itertools.pairwise(edits))


@settings(max_examples=300)
@given(st.text(alphabet="ab，。 \n", max_size=30), st.text(alphabet="ab，。 \n", max_size=30))
def test_differences_lead_from_one_text_to_the_other(before: str, after: str) -> None:
    assert apply_edits(before, differences(before, after)) == after


def test_full_width_letters_become_half_width_and_punctuation_stays() -> None:
    assert Cleaning(half_width=True).text("ＡＢＣ１２３，（ｚ）！") == "ABC123，（z）！"
    assert Cleaning(half_width=True).text("ｅ\u0301") == "é"


def test_traditional_characters_become_simplified_with_their_spans() -> None:
    pytest.importorskip("opencc")
    raw = Record(
        "這個軟體在臺灣用滑鼠操作，乾坤依舊。",
        "a",
        "軟體",
        "",
        PLACE,
        {"entity": [Given(2, 4, "term"), Given(5, 7, "LOC"), Given(8, 10, "term")]},
    )
    document = Cleaning(simplify="tw2sp").clean(raw, "s")
    assert isinstance(document, Document)
    assert document.text == "这个软件在台湾用鼠标操作，乾坤依旧。"
    assert document.title == "软件"
    assert [document.text[span.start : span.end] for span in document.given["entity"]] == ["软件", "台湾", "鼠标"]


def test_a_conversion_that_changes_lengths_carries_the_spans_along() -> None:
    pytest.importorskip("opencc")
    raw = "他用程式語言寫部落格，伺服器在臺北。"
    text, moved = Cleaning(simplify="tw2sp").spanned(
        raw, {"entity": [Given(2, 6, ""), Given(7, 10, ""), Given(11, 14, ""), Given(15, 17, "")]}
    )
    assert len(text) != len(raw)
    surfaces = [text[span.start : span.end] for span in moved["entity"]]
    assert surfaces == ["编程语言", "博客", "服务器", "台北"]


def test_mojibake_is_repaired_and_chinese_punctuation_stays() -> None:
    pytest.importorskip("ftfy")
    cleaning = Cleaning(repair=True)
    assert cleaning.text("The cafÃ© said â€œyesâ€\u009d.") == "The café said “yes”."
    chinese = "他说：“走，ＡＢＣ１２３！（好）”……《书》"
    assert cleaning.text(chinese) == chinese
    text, moved = cleaning.spanned("The cafÃ© in Paris", {"entity": [Given(4, 9, ""), Given(13, 18, "LOC")]})
    assert [text[span.start : span.end] for span in moved["entity"]] == ["café", "Paris"]


@pytest.mark.parametrize(("arguments", "package"), [({"simplify": "t2s"}, "opencc"), ({"repair": True}, "ftfy")])
def test_a_missing_package_is_named_with_the_command_that_installs_it(
    arguments: dict[str, object], package: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    (field,) = arguments
    with pytest.raises(ValueError, match=rf"^{field}: needs the package {package}.*pip install 'kmask\[{package}\]'"):
        Cleaning(**arguments)  # type: ignore[arg-type]


def test_an_unknown_simplification_is_refused_with_the_known_ones() -> None:
    with pytest.raises(ValueError, match=r"^simplify: 's2t' is not one of t2s, tw2s"):
        Cleaning(simplify="s2t")


def test_cleaning_travels_to_other_processes() -> None:
    cleaning = Cleaning(half_width=True)
    cleaning.text("Ａ\t")
    assert pickle.loads(pickle.dumps(cleaning)).text("Ａ\t１") == "A 1"


def test_the_fingerprint_holds_the_settings_and_the_versions_that_matter() -> None:
    plain = Cleaning().fingerprint()
    assert plain["kind"] == "cleaning"
    assert plain["min_characters"] == 2
    assert not any(name.endswith("_version") for name in plain)
    pytest.importorskip("opencc")
    assert "opencc_version" in Cleaning(simplify="t2s").fingerprint()
