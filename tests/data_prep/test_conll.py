"""Tagged columns: entities become the user's units, whatever the tagging scheme."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from test_pipeline import Here, quiet

from data_prep.corpora.conll import Conll
from data_prep.documents import Record, Rejected
from data_prep.preparing.pipeline import prepare
from data_prep.preparing.plan import Preparation
from data_prep.shards import Prepared
from data_prep.vocabularies.vocabulary import Vocabulary

CHINESE = "鲁 B-PER\n迅 I-PER\n生 O\n于 O\n绍 B-LOC\n兴 I-LOC\n。 O\n"
ENGLISH = "Li NNP B-PER\nMei NNP I-PER\nof IN O\nRome NNP B-LOC\n. . O\n"


def read(folder: Path, content: str, **settings: Any) -> list[Record | Rejected]:
    (folder / "x.conll").write_text(content, encoding="utf-8")
    corpus = Conll(**{"paths": [str(folder / "x.conll")], "kinds": ["PER", "LOC"], **settings})
    return [item for piece in corpus.survey(folder / "x.conll", 1 << 20).slices for item in corpus.read(piece)]


def entities(item: Record | Rejected) -> list[tuple[str, str]]:
    assert isinstance(item, Record), item
    return [(item.text[span.start : span.end], span.type) for span in item.given["entity"]]


def test_chinese_characters_are_closed_up_and_english_words_have_spaces(tmp_path: Path) -> None:
    chinese, english = read(tmp_path, f"{CHINESE}\n{ENGLISH}")
    assert isinstance(chinese, Record) and isinstance(english, Record)
    assert (chinese.text, english.text) == ("鲁迅生于绍兴。", "Li Mei of Rome .")
    assert entities(chinese) == [("鲁迅", "PER"), ("绍兴", "LOC")]
    assert entities(english) == [("Li Mei", "PER"), ("Rome", "LOC")]


@pytest.mark.parametrize(
    ("tags", "expected"),
    [
        (["B-LOC", "I-LOC", "O"], ["ab"]),
        (["B-LOC", "B-LOC", "I-LOC"], ["a", "bc"]),
        (["I-LOC", "I-LOC", "O"], ["ab"]),  # IOB1
        (["I-LOC", "B-LOC", "I-PER"], ["a", "b", "c"]),
        (["B-LOC", "E-LOC", "S-LOC"], ["ab", "c"]),  # BIOES
        (["S-LOC", "S-LOC", "O"], ["a", "b"]),
        (["B-LOC", "M-LOC", "E-LOC"], ["abc"]),  # BMES
        (["E-LOC", "I-LOC", "O"], ["a", "b"]),
        (["O", "I-PER", "I-LOC"], ["b", "c"]),
    ],
)
def test_every_scheme_of_tags_is_read(tags: list[str], expected: list[str], tmp_path: Path) -> None:
    (item,) = read(tmp_path, "".join(f"{token}\t{tag}\n" for token, tag in zip("甲乙丙", tags, strict=True)))
    assert [text.translate(str.maketrans("甲乙丙", "abc")) for text, _ in entities(item)] == expected


def test_documents_are_sentences_or_stretches_or_files(tmp_path: Path) -> None:
    content = f"-DOCSTART- -X- O\n\n{CHINESE}\n\n{ENGLISH}\n-DOCSTART- -X- O\n\n{CHINESE}"
    assert len(read(tmp_path, content)) == 3
    first, second = read(tmp_path, content, document="docstart")
    assert isinstance(first, Record) and first.text == "鲁迅生于绍兴。\nLi Mei of Rome ." and len(entities(first)) == 4
    assert entities(second) == [("鲁迅", "PER"), ("绍兴", "LOC")]
    assert len(read(tmp_path, content, document="file")) == 1


def test_comments_of_conll_u_are_passed_over_and_other_columns_may_be_named(tmp_path: Path) -> None:
    (item,) = read(tmp_path, "# text = 鲁迅\n1\t鲁\tB-PER\tx\n2\t迅\tI-PER\tx\n", token_column=1, tag_column=2)
    assert entities(item) == [("鲁迅", "PER")]
    (item,) = read(tmp_path, "# O\n1 O\n")
    assert isinstance(item, Record) and item.text == "# 1"


@pytest.mark.parametrize(
    ("line", "complaint"),
    [("北 X-LOC", "line 2: '北 X-LOC' has no tag"), ("北", "has no tag"), ("北 B-ORG", "B-ORG is of no declared")],
)
def test_a_wrong_line_sets_its_document_aside(line: str, complaint: str, tmp_path: Path) -> None:
    found = read(tmp_path, f"东 O\n{line}\n\n{CHINESE}")
    assert isinstance(found[0], Rejected) and found[0].reason == "not a tagged token" and complaint in found[0].detail
    assert isinstance(found[1], Record)


@pytest.mark.parametrize(
    ("settings", "complaint"),
    [
        ({"kinds": []}, "kinds"),
        ({"level": "word"}, "level"),
        ({"document": "line"}, "document: 'line'"),
        ({"tag_column": 0}, "tag_column: 0"),
    ],
)
def test_impossible_settings_are_refused(settings: dict[str, Any], complaint: str) -> None:
    with pytest.raises(ValueError, match=complaint):
        Conll(**{"paths": ["x"], "kinds": ["PER"], **settings})


def test_tagged_entities_become_units_of_shards(tokenizer_folder: Path, tmp_path: Path) -> None:
    file = tmp_path / "x.conll"
    file.write_text(f"{CHINESE}\n{ENGLISH}", encoding="utf-8")
    corpora = [Conll(paths=[str(file)], kinds=["PER", "LOC"])]
    vocabulary = Vocabulary(path=str(tokenizer_folder))
    manifest = prepare(
        Preparation(output=str(tmp_path / "out"), corpora=corpora, vocabulary=vocabulary, heldout=0, engine=Here()),
        quiet,
    )
    assert manifest["counts"]["units.entity.PER.user"] == manifest["counts"]["units.entity.LOC.user"] == 2, json.dumps(
        manifest["counts"]
    )
    assert Prepared.open(tmp_path / "out").levels == ("word", "entity")
