"""Segmenters: a contract that every file in segmenters/ keeps, then what is special to each."""

from __future__ import annotations

import json
import pickle
from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from data_prep.segmenters import Segmenter, load_user_words
from data_prep.segmenters.jieba import Jieba
from data_prep.segmenters.pretokenizer import Pretokenizer
from data_prep.segmenters.rjieba import Rjieba
from data_prep.segmenters.spacy import Spacy
from launch.config import find_kind, kinds

ROOT = Path(__file__).resolve().parents[2]
KINDS = kinds(Segmenter)
WITH_USER_WORDS = ["jieba", "rjieba"]
TEXTS = [
    "",
    "a",
    "中",
    " ",
    "北京大学的学生 read 3.14 books.\nDr. Li's e-mail：a@b.cn",
    "𠮷野家在Tokyo开业，C++ & 卡拉OK",
    "……——！！",
    "한국어 и русский ελληνικά",
    "😀😀 ok",
]
MIXED = st.text(alphabet="abcXYZ019 .,-'\n\t，。“”（）中国人民大学北京上海的了𠮷éßЖщあが😀·", max_size=40)


@cache
def segmenter(kind: str) -> Segmenter:
    cls = find_kind(Segmenter, kind)
    assert cls is not None
    return cls()


def check(words: list[Any], text: str) -> None:
    position = 0
    for start, end in words:
        assert position <= start
        assert end - start >= 2
        assert end <= len(text)
        position = end


# --- the contract ---------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", KINDS)
def test_a_segmenter_is_a_documented_frozen_component_with_a_default_for_every_field(kind: str, check_component: Callable[[type], None]) -> None:
    check_component(type(segmenter(kind)))


@pytest.mark.parametrize("text", TEXTS)
@pytest.mark.parametrize("kind", KINDS)
def test_words_are_sorted_disjoint_in_bounds_and_of_two_characters_or_more(kind: str, text: str) -> None:
    check(segmenter(kind).words(text), text)


@pytest.mark.parametrize("kind", KINDS)
@settings(max_examples=60, deadline=None)
@given(text=MIXED)
def test_words_keep_the_contract_on_random_mixed_text(kind: str, text: str) -> None:
    words = segmenter(kind).words(text)
    check(words, text)
    assert words == segmenter(kind).words(text)


@pytest.mark.parametrize("kind", KINDS)
def test_a_segmenter_can_be_sent_to_a_worker_after_it_was_used(kind: str) -> None:
    text = TEXTS[4]
    expected = segmenter(kind).words(text)
    sent = pickle.dumps(segmenter(kind))
    assert len(sent) < 2000, "loaded resources must stay behind"
    copy = pickle.loads(sent)
    assert copy == segmenter(kind)
    assert copy.words(text) == expected


@pytest.mark.parametrize("kind", KINDS)
def test_the_version_is_a_stable_non_empty_line(kind: str) -> None:
    version = segmenter(kind).version()
    assert version == segmenter(kind).version()
    assert version.strip()
    assert "\n" not in version


def test_every_segmenter_with_user_words_is_tested_with_some() -> None:
    assert [kind for kind in KINDS if hasattr(segmenter(kind), "user_words")] == WITH_USER_WORDS, "add the new kind to WITH_USER_WORDS"


@pytest.mark.parametrize("kind", WITH_USER_WORDS)
def test_user_words_are_respected(kind: str, tmp_path: Path) -> None:
    text, word = "他读完了玄铁重剑谱才走", "玄铁重剑谱"
    file = tmp_path / "words.txt"
    file.write_text(f"\ufeff# my words\n\n{word} 3 n\n量子鱼\t5\n", encoding="utf-8")
    start = text.index(word)
    cls = type(segmenter(kind))
    assert (start, start + len(word)) not in segmenter(kind).words(text)
    taught = cls(user_words=[str(file)], hmm=False)  # type: ignore[call-arg]
    assert (start, start + len(word)) in taught.words(text)
    assert (0, 3) in taught.words("量子鱼在水里")
    assert taught == pickle.loads(pickle.dumps(taught))


@pytest.mark.parametrize("kind", WITH_USER_WORDS)
def test_user_words_that_cannot_be_read_are_named(kind: str, tmp_path: Path) -> None:
    cls = type(segmenter(kind))
    with pytest.raises(FileNotFoundError, match="nowhere"):
        cls(user_words=[str(tmp_path / "nowhere.txt")]).words("中国")  # type: ignore[call-arg]
    (tmp_path / "gbk.txt").write_bytes("好\n".encode() + "中国".encode("gbk"))
    with pytest.raises(ValueError, match=r"gbk\.txt:2: not UTF-8"):
        cls(user_words=[str(tmp_path / "gbk.txt")]).words("中国")  # type: ignore[call-arg]


def test_user_words_keep_the_first_column_and_skip_comments(tmp_path: Path) -> None:
    (tmp_path / "a.txt").write_text("# c\n云计算 5\n\nBERT\t9\nBERT\n", encoding="utf-8")
    assert load_user_words([str(tmp_path / "a.txt")]) == ["云计算", "BERT"]


# --- one by one -----------------------------------------------------------------------------------------------------------------


@cache
def bert() -> tuple[Any, Any]:
    from tokenizers import normalizers, pre_tokenizers

    return normalizers.BertNormalizer(clean_text=False, handle_chinese_chars=True, strip_accents=False, lowercase=False), pre_tokenizers.BertPreTokenizer()


def bert_words(text: str) -> list[str]:
    """Words of two characters or more, cut by BERT's own rule."""
    normalizer, pre_tokenizer = bert()
    return [word for word, _ in pre_tokenizer.pre_tokenize_str(normalizer.normalize_str(text)) if len(word) > 1]


def pretokenizer_words(text: str) -> list[str]:
    return [text[start:end] for start, end in Pretokenizer().words(text)]


@settings(max_examples=150, deadline=None)
@given(
    st.one_of(
        MIXED, st.text(alphabet=st.characters(min_codepoint=32, max_codepoint=0x5FF), max_size=30), st.text(alphabet="ab中_$+<=>^`|~©×÷€£§°…—«»¿", max_size=30)
    )
)
def test_the_pretokenizer_cuts_as_bert_does(text: str) -> None:
    assert pretokenizer_words(text) == bert_words(text)


@pytest.mark.parametrize("name", ["zh", "en"])
def test_the_pretokenizer_cuts_the_example_corpus_as_bert_does(name: str) -> None:
    for line in (ROOT / f"examples/corpus/{name}.jsonl").read_text(encoding="utf-8").splitlines():
        text = json.loads(line)["text"]
        assert pretokenizer_words(text) == bert_words(text)


def test_the_pretokenizer_agrees_with_bert_on_rare_han_extensions() -> None:
    for text in ("\U0002b820\U0002b821", "\U0002ceb0\U0002ceb1"):
        assert pretokenizer_words(text) == bert_words(text)


def test_the_pretokenizer_cuts_at_white_space_punctuation_and_han() -> None:
    assert pretokenizer_words("Dr. Li's e-mail") == ["Dr", "Li", "mail"]
    assert pretokenizer_words("在Tokyo开业 3km") == ["Tokyo", "3km"]


def examples(count: int) -> list[str]:
    with (ROOT / "examples/corpus/zh.jsonl").open(encoding="utf-8") as lines:
        return [json.loads(line)["text"] for _, line in zip(range(count), lines, strict=False)]


def test_rjieba_without_hmm_equals_jieba_without_hmm() -> None:
    reference, fast = Jieba(hmm=False), Rjieba(hmm=False)
    for text in examples(12):
        assert fast.words(text) == reference.words(text)


def test_rjieba_nearly_equals_jieba_with_hmm() -> None:
    reference, fast, wanted, equal = segmenter("jieba"), segmenter("rjieba"), 0, 0
    for text in examples(12):
        words = set(reference.words(text))
        wanted += len(words)
        equal += len(words & set(fast.words(text)))
    assert equal / wanted > 0.97


@pytest.mark.parametrize("kind", ["jieba", "rjieba"])
def test_chinese_words_are_found_at_the_right_characters(kind: str) -> None:
    text = "𠮷先生在北京大学学习"
    words = [text[start:end] for start, end in segmenter(kind).words(text)]
    assert "北京大学" in words
    assert "学习" in words


def test_spacy_splits_english_with_a_blank_pipeline() -> None:
    text = "Dr. Li doesn't live in the U.K.\n now"
    words = [text[start:end] for start, end in Spacy(pipeline="en").words(text)]
    assert words == ["Dr.", "Li", "does", "n't", "live", "in", "the", "U.K.", "now"]


@pytest.mark.parametrize("pipeline", ["qq", "no_such_pipeline"])
def test_a_spacy_pipeline_that_cannot_be_loaded_is_named(pipeline: str) -> None:
    with pytest.raises(ValueError, match=f"spaCy pipeline '{pipeline}' cannot be loaded"):
        Spacy(pipeline=pipeline).words("hello there")
