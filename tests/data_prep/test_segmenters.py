"""Segmenters: a contract that every file in segmenters/ keeps, then what is special to each, and user dictionaries."""

from __future__ import annotations

import json
import os
import pickle
import subprocess
import sys
from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from data_prep.documents import Spans
from data_prep.pieces import places, stretches
from data_prep.segmenters import Segmenter
from data_prep.segmenters.jieba import Jieba
from data_prep.segmenters.pretokenizer import Pretokenizer
from data_prep.segmenters.rjieba import Rjieba
from data_prep.segmenters.spacy import Spacy
from data_prep.spacy_pipelines import Pipeline
from data_prep.word_lists.user_words import UserWord, load_user_words
from launch.settings.components import find_kind, kinds

ROOT = Path(__file__).resolve().parents[2]
KINDS = kinds(Segmenter)
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


WITH_USER_WORDS = [kind for kind in KINDS if hasattr(segmenter(kind), "user_words")]
ENGINES = ["jieba", "rjieba"]
"""Segmenters around a library that cuts a text into pieces."""


def check(words_W2: Spans, text: str) -> None:
    assert words_W2.dtype == np.int32
    assert words_W2.shape == (len(words_W2), 2)
    position = 0
    for start, end in words_W2.tolist():
        assert position <= start
        assert end - start >= 2
        assert end <= len(text)
        position = end


def found(segmenter: Segmenter, text: str) -> list[tuple[int, int]]:
    return [(start, end) for start, end in segmenter.words(text).tolist()]


def surfaces(segmenter: Segmenter, text: str) -> list[str]:
    return [text[start:end] for start, end in found(segmenter, text)]


# --- the contract ---------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", KINDS)
def test_a_segmenter_is_a_documented_frozen_component_with_a_default_for_every_field(
    kind: str, check_component: Callable[[type], None]
) -> None:
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
    assert np.array_equal(words, segmenter(kind).words(text))


@pytest.mark.parametrize("kind", KINDS)
def test_a_segmenter_can_be_sent_to_a_worker_after_it_was_used(kind: str) -> None:
    text = TEXTS[4]
    expected = found(segmenter(kind), text)
    sent = pickle.dumps(segmenter(kind))
    assert len(sent) < 2000, "loaded resources must stay behind"
    copy = pickle.loads(sent)
    assert copy == segmenter(kind)
    assert found(copy, text) == expected


@pytest.mark.parametrize("kind", KINDS)
def test_the_version_is_a_stable_non_empty_line(kind: str) -> None:
    version = segmenter(kind).version()
    assert version == segmenter(kind).version()
    assert version.strip()
    assert "\n" not in version


# --- user dictionaries ----------------------------------------------------------------------------------------------------------


def dictionary(folder: Path, content: str | bytes) -> list[str]:
    file = folder / "words.txt"
    file.write_bytes(content.encode() if isinstance(content, str) else content)
    return [str(file)]


@pytest.mark.parametrize("kind", WITH_USER_WORDS)
def test_user_words_are_respected(kind: str, tmp_path: Path) -> None:
    text, word = "他读完了玄铁重剑谱才走", "玄铁重剑谱"
    start = text.index(word)
    assert word not in surfaces(segmenter(kind), text)
    paths = dictionary(tmp_path, f"\ufeff# my words\n\n{word} 3 n\n量子鱼\t5\n")
    taught = type(segmenter(kind))(user_words=paths, hmm=False)  # type: ignore[call-arg]
    assert (start, start + len(word)) in found(taught, text)
    assert (0, 3) in found(taught, "量子鱼在水里")
    assert taught == pickle.loads(pickle.dumps(taught))


@pytest.mark.parametrize("kind", WITH_USER_WORDS)
def test_a_frequency_decides_whether_a_word_is_kept_whole(kind: str, tmp_path: Path) -> None:
    def cut(line: str) -> list[str]:
        return surfaces(type(segmenter(kind))(user_words=dictionary(tmp_path, line), hmm=False), "我们中出了一个叛徒")  # type: ignore[call-arg]

    assert "们中" not in cut("们中 1")
    assert "们中" in cut("们中 999999999")


@pytest.mark.parametrize("kind", WITH_USER_WORDS)
def test_user_words_give_the_same_words_however_often_they_are_loaded(kind: str, tmp_path: Path) -> None:
    paths = dictionary(tmp_path, "".join(f"{a}{b}\n" for a in "北京上海天津" for b in "大学生活动中心"))
    text = "北京大学生活动中心在上海大学旁"
    cls = type(segmenter(kind))
    assert found(cls(user_words=paths), text) == found(cls(user_words=paths), text)  # type: ignore[call-arg]


@pytest.mark.parametrize("kind", WITH_USER_WORDS)
def test_user_words_that_cannot_be_read_are_named(kind: str, tmp_path: Path) -> None:
    cls = type(segmenter(kind))
    with pytest.raises(FileNotFoundError, match=r"user dictionary .*nowhere"):
        cls(user_words=[str(tmp_path / "nowhere.txt")]).words("中国")  # type: ignore[call-arg]
    with pytest.raises(ValueError, match=r"words\.txt:2: not UTF-8"):
        cls(user_words=dictionary(tmp_path, "好\n".encode() + "中国".encode("gbk"))).words("中国")  # type: ignore[call-arg]


@pytest.mark.parametrize("kind", ENGINES)
def test_user_words_outside_the_alphabet_of_the_engine_are_listed(kind: str, tmp_path: Path) -> None:
    subject = type(segmenter(kind))(user_words=dictionary(tmp_path, "云计算\n卡尔·马克思 5 nr\n《三体》\nC++\n"))  # type: ignore[call-arg]
    assert [line.partition(":")[2] for line in subject.dictionary.unreachable] == ["2: 卡尔·马克思", "3: 《三体》"]
    assert [word.word for word in subject.dictionary.words] == ["云计算", "C++"]


ANY = "\\s\\S"


def test_every_form_of_a_dictionary_line_is_read(tmp_path: Path) -> None:
    lines = "云计算 5 n\r\n云朵 7\r云彩 nz\n雨\n北京\t9\tns\n上海\tLOC\t8\n广州\t6\n深圳\tLOC\n云计算 99 v\n韩玉赏鉴  3  nz\n"
    assert load_user_words(dictionary(tmp_path, lines), ANY).words == [
        UserWord("云计算", 5, "n"),
        UserWord("云朵", 7, ""),
        UserWord("云彩", None, "nz"),
        UserWord("雨", None, ""),
        UserWord("北京", 9, "ns"),
        UserWord("上海", 8, "LOC"),
        UserWord("广州", 6, ""),
        UserWord("深圳", None, "LOC"),
        UserWord("韩玉赏鉴", 3, "nz"),
    ]


@pytest.mark.parametrize(
    ("line", "complaint"),
    [
        ("New York", "'New York' is not `word`, `word frequency` or `word frequency tag`"),
        ("new york", "'new york' is not"),
        ("New York 5 nz", "'New York 5 nz' is not"),
        ("好\t1\t2", "is not word, frequency, tag"),
        ("好\tn\t1\tx", "is not word, frequency, tag"),
        ("北京 0", "frequency 0 must lie between 1 and"),
        ("北京 99999999999999999999999", "must lie between 1 and"),
    ],
)
def test_a_malformed_dictionary_line_is_named_with_file_and_line(line: str, complaint: str, tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="user dictionary with malformed lines") as caught:
        load_user_words(dictionary(tmp_path, f"上海\n{line}\n"), ANY)
    assert f"{tmp_path / 'words.txt'}:2: " in str(caught.value)
    assert complaint in str(caught.value)


@pytest.mark.parametrize("kind", ENGINES)
@settings(max_examples=60, deadline=None)
@given(text=st.one_of(MIXED, st.text(max_size=30)), hmm=st.booleans())
def test_the_pieces_of_an_engine_join_to_the_text(kind: str, text: str, hmm: bool) -> None:
    engine = segmenter(kind).engine  # type: ignore[attr-defined]
    assert "".join(engine.cut(text, hmm) if kind == "rjieba" else engine.cut(text, HMM=hmm)) == text


def test_pieces_that_do_not_make_up_the_text_are_an_error() -> None:
    with pytest.raises(RuntimeError, match="text of 3 characters have 2"):
        places(["a", "b"], "abc")


# --- one by one -----------------------------------------------------------------------------------------------------------------


@cache
def bert() -> tuple[Any, Any]:
    from tokenizers import normalizers, pre_tokenizers

    return normalizers.BertNormalizer(
        clean_text=False, handle_chinese_chars=True, strip_accents=False, lowercase=False
    ), pre_tokenizers.BertPreTokenizer()


def bert_words(text: str) -> list[str]:
    """Words of two characters or more, cut by BERT's own rule."""
    normalizer, pre_tokenizer = bert()
    return [word for word, _ in pre_tokenizer.pre_tokenize_str(normalizer.normalize_str(text)) if len(word) > 1]


def pretokenizer_words(text: str) -> list[str]:
    return surfaces(Pretokenizer(), text)


@settings(max_examples=150, deadline=None)
@given(
    st.one_of(
        MIXED,
        st.text(alphabet=st.characters(min_codepoint=32, max_codepoint=0x5FF), max_size=30),
        st.text(alphabet="ab中_$+<=>^`|~©×÷€£§°…—«»¿", max_size=30),
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
        assert found(fast, text) == found(reference, text)


def test_rjieba_nearly_equals_jieba_with_hmm() -> None:
    reference, fast, wanted, equal = segmenter("jieba"), segmenter("rjieba"), 0, 0
    for text in examples(12):
        words = set(found(reference, text))
        wanted += len(words)
        equal += len(words & set(found(fast, text)))
    assert equal / wanted > 0.97


@pytest.mark.parametrize("kind", ["jieba", "rjieba"])
def test_chinese_words_are_found_at_the_right_characters(kind: str) -> None:
    text = "𠮷先生在北京大学学习"
    words = surfaces(segmenter(kind), text)
    assert "北京大学" in words
    assert "学习" in words


def test_spacy_splits_english_with_a_blank_pipeline() -> None:
    text = "Dr. Li doesn't live in the U.K.\n now"
    assert surfaces(Spacy(pipeline="en"), text) == ["Dr.", "Li", "does", "n't", "live", "in", "the", "U.K.", "now"]


@pytest.mark.parametrize("pipeline", ["qq", "no_such_pipeline"])
def test_a_spacy_pipeline_that_cannot_be_loaded_is_named(pipeline: str) -> None:
    with pytest.raises(ValueError, match=f"spaCy pipeline '{pipeline}' cannot be loaded"):
        Spacy(pipeline=pipeline).words("hello there")


def test_a_spacy_pipeline_is_loaded_again_before_its_vocabulary_fills_the_memory(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("data_prep.spacy_pipelines.MOST_NEW_WORDS", 3)
    subject = Pipeline("en", frozenset())
    first = subject.nlp
    first("one two three four five")
    second = subject.nlp
    assert second is not first
    assert second is subject.nlp


def test_the_version_of_a_spacy_segmenter_follows_the_content_of_its_folder(tmp_path: Path) -> None:
    import spacy

    nlp = spacy.blank("en")
    nlp.to_disk(tmp_path / "one")
    nlp.to_disk(tmp_path / "same")
    nlp.add_pipe("sentencizer")
    nlp.to_disk(tmp_path / "other")
    one, same, other = (Spacy(pipeline=str(tmp_path / name)).version() for name in ("one", "same", "other"))
    assert one == same != other


# --- jieba's dictionary -----------------------------------------------------------------------------------------------------------

PLANTED = """
import logging, marshal, sys, tempfile
from pathlib import Path
from data_prep.tagging.tagging import Tagger
from data_prep.segmenters.compiled_jieba import CompiledJieba
from data_prep.segmenters.jieba import Jieba
place = Path(tempfile.gettempdir())
assert str(place) == sys.argv[1]
(place / "jieba.cache").write_bytes(marshal.dumps(({"大": 9, "大学在": 9, "大学": 0}, 9)))
print(*[kind(hmm=False).words("他在北京大学在读").tolist() for kind in (Jieba, CompiledJieba)])
print([pair.word for pair in Tagger(engine="jieba")._jieba.cut("他在北京大学在读")])
"""


def test_a_file_planted_for_jieba_in_the_shared_temporary_folder_changes_no_word(tmp_path: Path) -> None:
    environment = {**os.environ, "TMPDIR": str(tmp_path), "PYTHONPATH": os.pathsep.join(filter(None, sys.path))}
    done = subprocess.run(
        [sys.executable, "-c", PLANTED, str(tmp_path)], env=environment, capture_output=True, text=True, check=True
    )
    assert done.stdout.splitlines() == ["[[2, 6], [6, 8]] [[2, 6], [6, 8]]", "['他', '在', '北京大学', '在读']"]
    assert [file.name for file in tmp_path.iterdir()] == ["jieba.cache"], "and none is left there by us"


BOTH = (Rjieba(hmm=True), Rjieba(hmm=False))


@given(st.text("他在北京大学。\n，、aC+3. ！", max_size=300), st.integers(1, 40))
def test_a_long_text_is_segmented_in_stretches_with_the_same_words(text: str, length: int) -> None:
    assert "".join(piece for _, piece in stretches(text, length)) == text
    assert all(text[start:].startswith(piece) for start, piece in stretches(text, length))
    for segmenter in BOTH:
        whole = segmenter.words(text).tolist()
        pieces = [
            [first + start, last + start]
            for start, piece in stretches(text, length)
            for first, last in segmenter.words(piece).tolist()
        ]
        assert pieces == whole


def test_a_text_longer_than_a_stretch_has_the_words_of_its_sentences() -> None:
    sentence = "他在北京大学读书。"
    once = Rjieba().words(sentence)
    many = Rjieba().words(sentence * 60_000)
    expected = (np.arange(60_000)[:, None, None] * len(sentence) + once[None]).reshape(-1, 2)
    assert many.dtype == np.int32 and np.array_equal(many, expected)
