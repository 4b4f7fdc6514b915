"""The compiled segmenter gives jieba's words: exactly, with and without the hidden Markov model, on any text."""

from __future__ import annotations

import functools
import gzip
import json
import logging
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from data_prep.segmenters.compiled_jieba import CompiledJieba

REAL = Path(__file__).resolve().parents[3] / "shared" / "data" / "raw"
TEXTS = [
    "他来到了网易杭研大厦",
    "刘春曙和戈拉日代在龘靐公司看3.5%的C++与D-RAM，v1.0_beta。",
    "小明硕士毕业于中国科学院计算所，后在日本京都大学深造",
    "\u9fd5\u9fd6㐀\U00020000é a\r\nb +#&._%-",
    "",
    "9",
]


@functools.cache
def compiled(hmm: bool) -> CompiledJieba:
    return CompiledJieba(hmm=hmm)


@functools.cache
def engine() -> Any:
    import jieba

    jieba.setLogLevel(logging.WARNING)
    made = jieba.Tokenizer()
    made.initialize()
    return made


def check(text: str) -> None:
    for hmm in (True, False):
        expected = [[start, end] for _, start, end in engine().tokenize(text, HMM=hmm) if end - start > 1]
        assert compiled(hmm).words(text).tolist() == expected


@pytest.mark.parametrize("text", TEXTS, ids=range(len(TEXTS)))
def test_the_words_are_those_of_jieba(text: str) -> None:
    check(text)


@settings(max_examples=500)
@given(
    st.text(
        st.sampled_from("中国人民北京大学的了是在刘春曙戈拉日代龘靐云计算9a1B.%+-#_& ,，。\r\n\u9fd5\u9fd6㐀é"),
        max_size=16,
    )
)
def test_any_text_is_cut_as_jieba_cuts_it(text: str) -> None:
    check(text)


def test_added_words_are_found_with_the_frequency_jieba_would_give_them(tmp_path: Path) -> None:
    import jieba

    (tmp_path / "words.txt").write_text("网易杭研大厦\n在日 99999999 nz\n", encoding="utf-8")
    subject, reference = CompiledJieba(user_words=[str(tmp_path / "words.txt")]), jieba.Tokenizer()
    reference.add_word("网易杭研大厦")
    reference.add_word("在日", 99999999, "nz")
    for text in TEXTS:
        expected = [[start, end] for _, start, end in reference.tokenize(text) if end - start > 1]
        assert subject.words(text).tolist() == expected


@pytest.mark.skipif(not REAL.is_dir(), reason="the development corpora are not here")
def test_real_text_is_cut_as_jieba_cuts_it() -> None:
    for file in sorted(REAL.glob("*/*.jsonl.gz")):
        with gzip.open(file, "rt", encoding="utf-8") as lines:
            for _, line in zip(range(8), lines, strict=False):
                check(json.loads(line)["text"][:3000])
