"""Sentences: where they end in Chinese, English and mixed text, and that they cover it."""

from __future__ import annotations

import json
import re
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from data_prep.code_points import HAN
from data_prep.sentences import ABBREVIATIONS, CLOSERS
from data_prep.sentences import split_sentences as split

ROOT = Path(__file__).resolve().parents[2]
PIECES = [
    "a",
    "Bc",
    "Dr",
    "no",
    "中",
    "文",
    " ",
    "\n",
    "\n\n",
    ".",
    "!",
    "?",
    "。",
    "！",
    "？",
    "…",
    "”",
    "“",
    "」",
    "「",
    '"',
    "'",
    ")",
    "（",
    "3.5",
    "U.S.",
    "e.g.",
]


def split_sentences(text: str) -> tuple[list[tuple[int, int]], list[int]]:
    spans, paragraph_ends = split(np.frombuffer(text.encode("utf-32-le", "surrogatepass"), np.uint32))
    return [(start, end) for start, end in spans.tolist()], paragraph_ends.tolist()


def sentences(text: str) -> list[str]:
    spans, _ = split_sentences(text)
    return [text[start:end] for start, end in spans]


def check(text: str) -> None:
    """The promises of split_sentences, whatever the text."""
    spans, paragraph_ends = split_sentences(text)
    position = 0
    for start, end in spans:
        assert position <= start < end <= len(text)
        assert not text[position:start].strip()
        assert not text[start].isspace() and not text[end - 1].isspace()
        assert "\n" not in text[start:end]
        position = end
    assert not text[position:].strip()
    assert all(earlier < later for earlier, later in zip([0, *paragraph_ends], paragraph_ends, strict=False))
    assert (paragraph_ends[-1] if paragraph_ends else 0) == len(spans)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("长江很长。黄河也很长！对吗？对。", ["长江很长。", "黄河也很长！", "对吗？", "对。"]),
        ("真的？！不会吧……我不信。", ["真的？！", "不会吧……我不信。"]),
        ("他说：“走吧。”然后出门。", ["他说：“走吧。”", "然后出门。"]),
        ("她问：「好吗？」他点头。", ["她问：「好吗？」", "他点头。"]),
        ("书里写道：『走。』」完。", ["书里写道：『走。』」", "完。"]),
        ("（见下文。）下一句。", ["（见下文。）", "下一句。"]),
        ("《春晓》是一首诗。作者是孟浩然", ["《春晓》是一首诗。", "作者是孟浩然"]),
    ],
)
def test_chinese_sentences_end_with_their_marks_and_the_quotes_behind_them(text: str, expected: list[str]) -> None:
    assert sentences(text) == expected


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("It rained. We stayed in.", ["It rained.", "We stayed in."]),
        ("Why? Because! All right.", ["Why?", "Because!", "All right."]),
        ('He said "Yes." Then he left.', ['He said "Yes."', "Then he left."]),
        ("He said “Yes.” Then he left.", ["He said “Yes.”", "Then he left."]),
        ("(It rained.) We stayed.", ["(It rained.)", "We stayed."]),
        ("What?! No way.", ["What?!", "No way."]),
        ("It ended... Then it began.", ["It ended...", "Then it began."]),
        ("In 1990. 20 years later.", ["In 1990.", "20 years later."]),
        ('It rained. "Stay," he said.', ["It rained.", '"Stay," he said.']),
        ("I came. I saw.", ["I came.", "I saw."]),
        ("It is I. You know me.", ["It is I.", "You know me."]),
    ],
)
def test_english_sentences_end_before_a_capital(text: str, expected: list[str]) -> None:
    assert sentences(text) == expected


@pytest.mark.parametrize(
    "text",
    [
        "Dr. Li met Mrs. Smith and Prof. Wang.",
        "J. K. Rowling wrote it.",
        "The U.S. Army came at 5 p.m. Greenwich time.",
        "See e.g. Li et al. Table 3.",
        "See Fig. 3 and vol. 2.",
        "It costs 3.50 dollars, or 1.000 at most.",
        "Version 2.0.1 of kmask.org is out.",
        "the end. of lower case",
        "Read a.txt now.",
    ],
)
def test_abbreviations_initials_and_decimals_do_not_end_a_sentence(text: str) -> None:
    assert sentences(text) == [text]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (
            "他说：“走吧。”然后出门。It rained. Dr. Li stayed.",
            ["他说：“走吧。”", "然后出门。", "It rained.", "Dr. Li stayed."],
        ),
        ("It rained. 他走了。", ["It rained.", "他走了。"]),
        ("用BERT吗?用的.对", ["用BERT吗?", "用的.对"]),
        ("Python 3.11很快。Use it!好的", ["Python 3.11很快。", "Use it!", "好的"]),
    ],
)
def test_both_languages_in_one_line(text: str, expected: list[str]) -> None:
    assert sentences(text) == expected


@pytest.mark.parametrize("opening", ["《红楼梦》 is long.", "（见下）", "「好」", "『好』", "【注】"])
def test_a_chinese_opening_bracket_begins_a_sentence_after_a_full_stop(opening: str) -> None:
    assert sentences(f"It rained. {opening}") == ["It rained.", opening]


def test_the_word_no_ends_a_sentence_but_the_abbreviation_does_not() -> None:
    assert sentences("Their No. 1 rival came.") == ["Their No. 1 rival came."]
    assert sentences("He said no. Then he left.") == ["He said no.", "Then he left."]


def test_a_line_break_ends_the_sentence_and_the_paragraph() -> None:
    spans, paragraph_ends = split_sentences("Title\nOne. Two.\n\nThree")
    assert [(start, end) for start, end in spans] == [(0, 5), (6, 10), (11, 15), (17, 22)]
    assert paragraph_ends == [1, 3, 4]


@pytest.mark.parametrize("text", ["", " ", "\n \n"])
def test_a_text_without_characters_has_no_sentences(text: str) -> None:
    assert split_sentences(text) == ([], [])


@settings(max_examples=200, deadline=None)
@given(st.one_of(st.text(max_size=60), st.lists(st.sampled_from(PIECES), max_size=40).map("".join)))
def test_sentences_are_sorted_disjoint_and_cover_every_character(text: str) -> None:
    check(text)


@pytest.mark.parametrize("name", ["zh", "en"])
def test_sentences_of_the_example_corpus_cover_it(name: str) -> None:
    for line in (ROOT / f"examples/corpus/{name}.jsonl").read_text(encoding="utf-8").splitlines():
        text = json.loads(line)["text"]
        check(text)
        assert len(sentences(text)) > 1


# --- titles
# -----------------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("《你好？》很好看。他也看了。", ["《你好？》很好看。", "他也看了。"]),
        ("《谁动了我的奶酪？》和《冲！冲！冲！》都是书。", ["《谁动了我的奶酪？》和《冲！冲！冲！》都是书。"]),
        ("他读《论〈你是谁？〉及其他。》一文。完。", ["他读《论〈你是谁？〉及其他。》一文。", "完。"]),
        ("〈何处是家？〉是一首歌。", ["〈何处是家？〉是一首歌。"]),
        ("他在看《Who? What! Mr. X. Is here》呢。", ["他在看《Who? What! Mr. X. Is here》呢。"]),
        ("《你好。世界很大。他走了。", ["《你好。", "世界很大。", "他走了。"]),
        ("《你好。《世界。》很大。他走了。", ["《你好。", "《世界。》很大。", "他走了。"]),
        ("《第一行。\n第二行。》完。", ["《第一行。", "第二行。》", "完。"]),
        ("你好》。世界》！完。", ["你好》。", "世界》！", "完。"]),
        ("“《走吧！》……。”他说。", ["“《走吧！》……。”", "他说。"]),
        ("》《》。《》？好。", ["》《》。", "《》？", "好。"]),
    ],
)
def test_nothing_ends_inside_the_marks_of_a_title(text: str, expected: list[str]) -> None:
    assert sentences(text) == expected


def test_a_title_whose_closing_mark_is_far_away_is_none() -> None:
    near, far = f"《{'长' * 60}？》好。完。", f"《{'长' * 70}？》好。完。"
    assert sentences(near) == [near[:-2], "完。"]
    assert sentences(far) == [far[:73], "好。", "完。"]
    assert len(sentences("《" + "他走了。" * 500)) == 500


# --- the rule again, slow and obvious
# ------------------------------------------------------------------------------------------------

ENDS = re.escape(CLOSERS)
END = re.compile(
    f"(?:[。！？]|[!?]+(?=[{ENDS}\\s]|{HAN.pattern}|$)|\\.(?=[{ENDS}]*(?:\\s|$)))[。！？!?.]*[{ENDS}]*|\n+"
)
NEXT_STARTS = re.compile(f"\\s+[\"'“‘(\\[「『《〈（【]?(?:[A-Z0-9\u00c0-\u00de]|{HAN.pattern}|$)")
NUMBER_NEXT = re.compile("\\s+\\d")
LAST_WORD = re.compile("[\\w.]+$")


def slow_sentences(text: str) -> tuple[list[tuple[int, int]], list[int]]:
    """The rule written with regular expressions: sentence spans in order, and the paragraph ends: for each paragraph
    the index one past its last sentence."""
    sentences: list[tuple[int, int]] = []
    paragraph_ends: list[int] = []
    start = 0
    sheltered = slow_titles(text)
    for match in END.finditer(text):
        if match.start() in sheltered:
            continue
        breaks_line = text[match.start()] == "\n"
        end = match.start() if breaks_line else match.end()
        if not breaks_line and text[match.start()] == "." and not _full_stop_ends(text, match.start(), match.end()):
            continue
        _append(text, start, end, sentences)
        start = match.end()
        if breaks_line and sentences and (not paragraph_ends or paragraph_ends[-1] != len(sentences)):
            paragraph_ends.append(len(sentences))
    _append(text, start, len(text), sentences)
    if sentences and (not paragraph_ends or paragraph_ends[-1] != len(sentences)):
        paragraph_ends.append(len(sentences))
    return sentences, paragraph_ends


def slow_titles(text: str) -> set[int]:
    """Places between a title mark and the one that closes it, in its line and within 64 characters."""
    found: set[int] = set()
    at = 0
    while at < len(text):
        line = text[at : at + 64].partition("\n")[0]
        pair = {"《": "《》", "〈": "〈〉"}.get(text[at])
        closed = (
            next(
                (size for size in range(2, len(line) + 1) if line[:size].count(pair[0]) == line[:size].count(pair[1])),
                0,
            )
            if pair
            else 0
        )
        found |= set(range(at, at + closed))
        at += closed or 1
    return found


def _append(text: str, start: int, end: int, sentences: list[tuple[int, int]]) -> None:
    while start < end and text[start].isspace():
        start += 1
    while end > start and text[end - 1].isspace():
        end -= 1
    if start < end:
        sentences.append((start, end))


def _full_stop_ends(text: str, stop: int, end: int) -> bool:
    """Is the full stop at ``stop`` the end of a sentence, and not of an abbreviation or an initial?"""
    if end < len(text) and not NEXT_STARTS.match(text, end):
        return False
    if end - stop > 1:
        return True
    word = LAST_WORD.search(text, max(0, stop - 20), stop)
    if word is None:
        return True
    last = word.group()
    if last.lower() == "no":
        return not NUMBER_NEXT.match(text, end)
    return not (last.lower() in ABBREVIATIONS or (len(last) == 1 and last.isupper() and last != "I"))


@settings(max_examples=400, deadline=None)
@given(
    st.lists(
        st.sampled_from(
            [
                *PIECES,
                "_",
                "é",
                "I",
                "U.S",
                "Dr.",
                "e.g.",
                "\u3000",
                "\U00020000",
                "1",
                "(",
                "Ü",
                "。",
                ". ",
                ".\n",
                "《",
                "》",
                "〈",
                "〉",
                "〇",
                "々",
            ]
        ),
        max_size=14,
    ).map("".join)
)
def test_the_compiled_loop_finds_what_the_regular_expressions_find(text: str) -> None:
    assert split_sentences(text) == slow_sentences(text)
