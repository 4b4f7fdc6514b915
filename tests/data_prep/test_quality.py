"""Quality rules: what people wrote stays, what machines left goes, and every verdict can be explained in figures."""

from __future__ import annotations

import pickle
from collections import Counter
from collections.abc import Callable

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from data_prep.cleaning.characters import CLASS_COUNT, DIGIT, HAN, LETTER, SPACE, class_counts, classes, fold_table
from data_prep.code_points import HAN as HAN_CHARACTER
from data_prep.code_points import code_points
from data_prep.documents import Document, Place
from data_prep.filtering.cleaning import Cleaning
from data_prep.filtering.markup import markup_characters
from data_prep.filtering.quality import Quality

PLACE = Place("x.jsonl", 3, 40)
CHINESE = "长江发源于青藏高原，流经十一个省市，最后注入东海。它是亚洲第一长河，全长约6300公里，流域面积达180万平方公里！沿岸有重庆、武汉、南京等大城市。"
ENGLISH = "The river rises in the high plateau and flows east through eleven provinces. It is about 6,300 kilometres long, and many large cities lie on it."


def document(text: str, language: str) -> Document:
    return Document(id="a", language=language, text=text, title="", source="s")


def reason(text: str, language: str, quality: Quality | None = None) -> str:
    rejected = (quality or Quality()).check(document(text, language), PLACE)
    return rejected.reason if rejected else ""


def test_quality_is_a_documented_frozen_component(check_component: Callable[[type], None]) -> None:
    check_component(Quality)


@pytest.mark.parametrize(
    ("text", "language"),
    [
        (CHINESE, "zh"),
        (ENGLISH, "en"),
        ("发货很快用起来感觉也不错", "zh"),
        ("很喜欢~~~很有帮助", "zh"),
        ("床前明月光\n疑是地上霜\n举头望明月\n低头思故乡", "zh"),
        ("Short, but fine.", "en"),
        (
            "如何安装 Git\n=====\n\n先更新软件源，然后运行下面的命令。\n\n    sudo apt-get install git\n\n这样就装好了。",
            "zh",
        ),
        ("我的微信号在名片上，请加我。" + CHINESE, "zh"),
    ],
)
def test_ordinary_text_stays(text: str, language: str) -> None:
    assert reason(text, language) == ""


@pytest.mark.parametrize(
    ("text", "language", "rule"),
    [
        ("好", "zh", "too few characters"),
        ("ERROR at line: foo bar baz qux, see the log file above. 请看", "zh", "han ratio"),
        ("12 -- 44 / 17 %% 33 (a) 18; 9 b", "en", "letter ratio"),
        ("★☆★☆★☆新品上市★☆★☆★☆", "zh", "symbol ratio"),
        ("2001年 2002年 2003年 2004年 2005年", "zh", "digit ratio"),
        ("a b c d e f g h i j k l m n", "en", "mean word length"),
        (
            "https/www/example/com/a/very/long/path/without/any/space and more/of/the/same/kind/here",
            "en",
            "mean word length",
        ),
        ("首页\n新闻\n体育\n财经\n娱乐\n科技\n汽车", "zh", "terminal punctuation ratio"),
        ("\n".join(["今天天气很好，我们去公园。"] * 4 + [CHINESE[:40]]), "zh", "repeated line ratio"),
        ("买一送一，全场包邮，先到先得。" * 6, "zh", "repeated n-gram ratio"),
        ("加微信免费领取资料，扫描二维码立即购买，货到付款，客服电话在线客服。", "zh", "boilerplate"),
        ("Click here to buy now. Free shipping! Sign up for more, add to cart, subscribe now.", "en", "boilerplate"),
    ],
)
def test_what_nobody_reads_goes_and_names_its_rule(text: str, language: str, rule: str) -> None:
    assert reason(text, language) == f"quality: {rule}"


def test_a_rejection_names_place_and_figures() -> None:
    text = "2001年2002年2003年"
    rejected = Quality(max_digit_ratio=0.5).check(document(text, "zh"), PLACE)
    assert rejected is not None
    assert rejected == (PLACE, "quality: digit ratio", "0.80 > 0.50")


def test_a_least_value_is_told_with_the_other_sign() -> None:
    rejected = Quality(min_characters=10).check(document("你好。", "zh"), PLACE)
    assert rejected == (PLACE, "quality: too few characters", "3 < 10")


@pytest.mark.parametrize(
    ("value", "threshold", "shown"),
    [(0.4004, 0.4, "0.4004 > 0.40"), (0.30001, 0.3, "0.30001 > 0.30"), (1 / 3, 0.25, "0.33 > 0.25")],
)
def test_figures_that_differ_look_different(value: float, threshold: float, shown: str) -> None:
    from data_prep.filtering.quality import Verdict

    assert Verdict("digit ratio", value, threshold, True).figures == shown


def test_every_rule_explains_itself() -> None:
    rules = [
        verdict.rule
        for verdict in Quality(max_characters=10**6, min_sentences=1).explain(ENGLISH + "\nA.\nB.\nC.\nD.", "en")
    ]
    assert rules == [
        *(
            "too few characters",
            "too many characters",
            "markup ratio",
            "letter ratio",
            "symbol ratio",
            "digit ratio",
            "mean word length",
            "mean word length",
        ),
        *(
            "terminal punctuation ratio",
            "too few sentences",
            "repeated line ratio",
            "repeated n-gram ratio",
            "boilerplate",
        ),
    ]
    assert all(verdict.passed for verdict in Quality().explain(ENGLISH, "en"))
    assert [verdict.figures for verdict in Quality().explain("", "zh")] == ["0 < 5"]


@settings(max_examples=200)
@given(st.text(max_size=120).map(Cleaning().text), st.sampled_from(["zh", "en"]))
def test_the_figures_are_what_a_slow_count_finds(text: str, language: str) -> None:
    found = {
        verdict.rule: verdict.value for verdict in Quality(min_sentences=1, terminal_lines=1).explain(text, language)
    }
    assert found["too few characters"] == len(text)
    if not text:
        return
    visible = [character for character in text if not character.isspace()]
    digits = sum(classes(code_points(character))[0] == DIGIT for character in visible)
    assert found["digit ratio"] == pytest.approx(digits / max(1, len(visible)))
    lines = [line for line in text.split("\n") if line.strip()]
    repeated = sum(len(line) for index, line in enumerate(lines) if line in lines[:index])
    assert found["repeated line ratio"] == pytest.approx(repeated / max(1, sum(map(len, lines))))


def test_repeated_ngrams_are_counted_like_a_counter_does() -> None:
    text = "一二三四五六一二三四七八一二三四"
    grams = Counter(text[index : index + 3] for index in range(len(text) - 2))
    found = {verdict.rule: verdict.value for verdict in Quality(ngram_characters_zh=3).explain(text, "zh")}
    assert found["repeated n-gram ratio"] == pytest.approx(sum(count - 1 for count in grams.values()) / grams.total())


def test_the_users_phrases_count_whatever_their_case() -> None:
    text = ENGLISH + " Brought to you by ACME. Brought to you by Acme."
    assert reason(text, "en") == ""
    assert reason(text, "en", Quality(boilerplate=["brought to you by acme"])) == "quality: boilerplate"
    assert reason("加微信加微信加微信", "zh", Quality(builtin_boilerplate=False, max_repeated_ngram_ratio=1)) == ""


def test_lengths_and_sentences_have_limits_on_request() -> None:
    assert reason(ENGLISH, "en", Quality(max_characters=50)) == "quality: too many characters"
    assert reason(ENGLISH, "en", Quality(min_sentences=3)) == "quality: too few sentences"
    assert reason(ENGLISH, "en", Quality(min_sentences=2)) == ""


@pytest.mark.parametrize(
    ("arguments", "field"),
    [
        ({"max_digit_ratio": 1.5}, "max_digit_ratio"),
        ({"min_han_ratio": -0.1}, "min_han_ratio"),
        ({"min_characters": -1}, "min_characters"),
        ({"min_characters": 9, "max_characters": 3}, "max_characters"),
        ({"ngram_window": 0}, "ngram_window"),
        ({"min_word_length": 20.0}, "max_word_length"),
        ({"boilerplate": [" "]}, "boilerplate"),
        ({"max_boilerplate": float("nan")}, "max_boilerplate"),
    ],
)
def test_impossible_settings_are_refused(arguments: dict[str, object], field: str) -> None:
    with pytest.raises(ValueError, match=f"^{field}: "):
        Quality(**arguments)  # type: ignore[arg-type]


def test_quality_travels_to_other_processes_and_has_a_fingerprint() -> None:
    quality = Quality(boilerplate=["x y z"])
    reason(CHINESE, "zh", quality)
    assert reason(CHINESE, "zh", pickle.loads(pickle.dumps(quality))) == ""
    assert quality.fingerprint() != Quality().fingerprint()
    assert Quality().fingerprint() == Quality().fingerprint()


def test_every_character_has_a_class_and_letters_are_those_of_python() -> None:
    every = "".join(chr(code) for code in [*range(0xD800), *range(0xE000, 0x40000, 7), 0x10FFFF])
    found = classes(code_points(every))
    assert int(found.max()) < CLASS_COUNT
    letters = np.isin(found, (HAN, LETTER))
    assert letters.tolist() == [
        character.isalpha() or (HAN_CHARACTER.match(character) is not None and character.isalnum())
        for character in every
    ]
    assert class_counts(code_points("京a1 "))[[HAN, LETTER, DIGIT, SPACE]].tolist() == [1, 1, 1, 1]


def test_folding_lowers_letters_and_forgets_punctuation() -> None:
    folded = fold_table()[code_points("Aé É，Ｂ１ １")] & 0x7FFFFFFF
    assert "".join(chr(code) if code else "_" for code in folded.tolist()) == "aé_é_b1_1"


# --- markup
# ---------------------------------------------------------------------------------------------------------------------

PAGE = f"""<!DOCTYPE html>
<html lang="zh"><head><meta charset="utf-8"><title>长江</title><style>body {{ color: red }}</style></head>
<body class="home"><!-- 页眉 --><div id="nav"><a href="/">首页</a>&nbsp;<a href="/about">关于</a></div>
<p>{CHINESE}</p><br/><script type="text/javascript">var a = 1; if (a < 2) {{ alert("x"); }}</script></body></html>"""


@pytest.mark.parametrize(
    ("text", "language"),
    [
        (PAGE, "zh"),
        (PAGE.replace(CHINESE, ENGLISH), "en"),
        (f"<p>{CHINESE}</p>" * 2 + '<p><a href="x.html">长江</a>与<b>黄河</b></p>', "zh"),
        ('<ul>\n<li>The <a href="/wiki/River">river</a> rises.</li>\n<li>The <b>sea</b> is wide.</li>\n</ul>', "en"),
        ("<TABLE BORDER=1>\n<TR><TD>one</TD><TD>two</TD></TR>\n</TABLE>", "en"),
    ],
)
def test_the_source_of_a_page_is_named_and_dropped(text: str, language: str) -> None:
    assert reason(text, language) == "quality: markup ratio"
    assert reason(text, language, Quality(max_markup_ratio=1)) != "quality: markup ratio"


@pytest.mark.parametrize(
    ("text", "language"),
    [
        (f"{CHINESE}若 a < b 且 b > c，则取 a。", "zh"),
        (f"{CHINESE}网页里用 <br/> 换行，用 <b>粗体</b> 强调。" * 2, "zh"),
        (f"{ENGLISH} If a < b and c > d, then x <- y. Write to <name@example.org> or <https://example.org/a>.", "en"),
        (f"{ENGLISH} Use std::vector<int> v; Map<String, List<Integer>> m; and operator<=> there. I <3 it </3.", "en"),
        (f"{ENGLISH} AT&T; R&D; <<EOF and <p> alone.", "en"),
    ],
)
def test_text_with_a_few_angle_brackets_stays(text: str, language: str) -> None:
    assert {verdict.rule: verdict.passed for verdict in Quality().explain(text, language)}["markup ratio"]


@pytest.mark.parametrize(
    ("text", "count"),
    [
        ("<p>Hello <b>world</b></p>", 14),
        ("a<!-- b --></i>", 14),
        ("<script>var a = '<p>';</script>", 31),
        ("<style>never closed </b>", 11),
        ("<p never closed</p>", 4),
        ("<int></int> <pre-x/>", 0),
        ("&amp;&#38;&#x26;&unknownentity; <br/>", 21),
        ("</" * 50_000, 0),
        ("<script>" * 10_000 + "/>", 80_000),
        ("<!--" * 10_000 + "</b>", 40_004),
        ("<a " * 20_000 + "/>", 5),
    ],
)
def test_markup_is_counted_in_linear_time(text: str, count: int) -> None:
    assert markup_characters(text) == count
