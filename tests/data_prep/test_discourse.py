"""Discourse-marker pairs: what is found, what only looks like it, how they are balanced, and that training never meets
them unasked."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from data_prep.corpora.jsonl import Jsonl
from data_prep.discourse.discourse import Discourse, DiscoursePair
from data_prep.discourse.marker_lists import Marker, read_markers
from data_prep.documents import SEGMENT, Document, Given
from data_prep.engines import Engine
from data_prep.preparing.pipeline import prepare
from data_prep.preparing.plan import Preparation
from data_prep.sentences import split_sentences
from data_prep.shards import Prepared
from data_prep.vocabularies.vocabulary import Vocabulary

LIST = """但是	contrast
但	contrast
!但愿
结果，	result
因为…所以	cause
虽然…但	concession
however	contrast
still,	concession
as a result,	result
if...then	condition
"""


@dataclass(frozen=True, kw_only=True)
class Here(Engine):
    """Does everything in this process."""

    def run(self, work: Any, parts: Sequence[int]) -> Iterator[Any]:
        return map(work, parts)


@pytest.fixture(scope="module")
def markers(tmp_path_factory: pytest.TempPathFactory) -> str:
    file = tmp_path_factory.mktemp("markers") / "m.tsv"
    file.write_text(LIST, encoding="utf-8")
    return str(file)


def pairs(text: str, discourse: Discourse, **given: list[Given]) -> list[DiscoursePair]:
    document = Document(id="d", language="zh", text=text, title="T", source="s", given=given)
    return list(discourse.pairs(document, *split_sentences(document.characters)))


def found(text: str, markers: str, **arguments: Any) -> list[tuple[str, str, str]]:
    """(class, first, second) of every pair, by the spans of the segments."""
    result = []
    for pair in pairs(text, Discourse(**{"markers": [markers], "min_words": 2, **arguments})):
        spans = pair.document.given[SEGMENT]
        assert {span.type for span in spans} == {pair.name}
        result.append((pair.name, *(pair.document.text[span.start : span.end] for span in spans)))
        assert "\n\n".join(result[-1][1:]) == pair.document.text
    return result


# --- finding
# --------------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("他很累。但是，他还在工作。", [("但是", "他很累。", "他还在工作。")]),
        ("他很累。但是他还在工作。", [("但是", "他很累。", "他还在工作。")]),
        ("他很累。但他还在工作。", [("但", "他很累。", "他还在工作。")]),
        ("It rained. However, we went out.", [("however", "It rained.", "we went out.")]),
        ("It rained. HOWEVER New York is dry.", [("however", "It rained.", "New York is dry.")]),
        ("It rained. Still, we went out.", [("still", "It rained.", "we went out.")]),
        ("It rained. As a result: wet streets.", [("as a result", "It rained.", "wet streets.")]),
        ("他去了。结果，门锁着。", [("结果", "他去了。", "门锁着。")]),
        ("因为下雨，所以比赛取消了。", [("因为…所以", "下雨", "比赛取消了。")]),
        ("因为下雨，风又大，所以，比赛取消了。", [("因为…所以", "下雨，风又大", "比赛取消了。")]),
        ("他来了。虽然下雨，但是路不滑。", [("虽然…但", "下雨", "是路不滑。")]),
        ("If it rains, then we stay.", [("if…then", "it rains", "we stay.")]),
        (
            "It rained today. 但是他去了。However, I stayed.",
            [("但是", "It rained today.", "他去了。"), ("however", "但是他去了。", "I stayed.")],
        ),
    ],
)
def test_a_marker_joins_what_stands_before_it_to_what_follows(
    text: str, expected: list[tuple[str, str, str]], markers: str
) -> None:
    assert found(text, markers) == expected


@pytest.mark.parametrize(
    "text",
    [
        "但是，他还在工作。",  # nothing before it
        "他很累。\n但是，他还在工作。",  # another paragraph
        "他很累，但是他还在工作。",  # inside a sentence
        "他很累。但愿他能休息。",  # begins like a marker
        "It rained. Howevers are rare words.",  # another Latin word
        "It rained. However-minded people stayed.",
        "It rained. Still waters run deep.",  # the comma is wanted
        "It rained. As a result of it we stayed.",
        "他去了。结果门锁着。",
        "因为下雨所以比赛取消了。",  # no comma before the second part
        "他说因为下雨，所以比赛取消了。",  # does not begin with the first part
        "虽然下雨，但愿路不滑。",
        "If it rains, thence we stay.",
        "他很累。但是……",  # nothing after it
        "他很累。但是",
        "好。但是他还在工作。",  # too short
        "他很累。但，是。",
    ],
)
def test_what_only_looks_like_a_pair_is_none(text: str, markers: str) -> None:
    assert found(text, markers) == []


def test_the_longest_marker_wins(markers: str) -> None:
    assert [name for name, _, _ in found("他很累。但是他在。他走了。但他在。", markers)] == ["但是", "但"]


def test_lengths_are_counted_in_han_characters_and_words(markers: str) -> None:
    text = "It rained in Rome. However, 他去了 Rome."  # 4 words; 3 characters and a word
    assert len(found(text, markers, min_words=4, max_words=4)) == 1
    assert found(text, markers, min_words=5) == found(text, markers, max_words=3) == []


def test_classes_are_the_markers_or_their_senses(markers: str) -> None:
    text = "他很累。但是，他还在工作。It rained. However, we went out."
    assert [name for name, _, _ in found(text, markers, label="sense")] == ["contrast", "contrast"]
    assert Discourse(markers=[markers], label="sense").classes == [
        "contrast",
        "result",
        "cause",
        "concession",
        "condition",
    ]
    assert Discourse(markers=[markers]).classes == [
        "但是",
        "但",
        "结果",
        "因为…所以",
        "虽然…但",
        "however",
        "still",
        "as a result",
        "if…then",
    ]


def test_the_users_own_spans_move_along(markers: str) -> None:
    text = "北京很冷。但是，上海很热。"
    spans = [Given(0, 2, "LOC"), Given(5, 7, "X"), Given(8, 10, "LOC")]
    (pair,) = pairs(text, Discourse(markers=[markers]), entity=spans)
    assert pair.document.given["entity"] == [Given(0, 2, "LOC"), Given(7, 9, "LOC")]
    assert [pair.document.text[span.start : span.end] for span in pair.document.given["entity"]] == ["北京", "上海"]


def test_labelled_pairs_make_no_discourse_pairs(markers: str) -> None:
    assert pairs("他很累。但是，他还在工作。", Discourse(markers=[markers]), **{SEGMENT: [Given(0, 13, "1")]}) == []


def test_the_lists_that_come_with_kmask_are_read() -> None:
    discourse = Discourse(label="sense")
    assert len(discourse.marker_list.markers) > 200
    assert not discourse.marker_list.malformed
    assert {"contrast", "concession", "result", "condition", "example"} <= set(discourse.classes)
    assert all(name.islower() and name.isascii() for name in discourse.classes)
    text = "天气很冷。不过他出门了。不过是一点雨。The roads were wet. Thus far nothing happened. Therefore we went on again."
    assert [pair.name for pair in pairs(text, discourse)] == ["contrast", "result"]


# --- marker files
# ---------------------------------------------------------------------------------------------------------------


def markers_of(tmp_path: Path, content: str, skip: bool = False) -> list[Marker]:
    (tmp_path / "m.tsv").write_text(content, encoding="utf-8")
    return list(read_markers([str(tmp_path / "m.tsv")], skip_malformed=skip).markers)


def test_the_sense_with_the_highest_count_wins(tmp_path: Path) -> None:
    content = "marker\tsense\tfreq\nIn addition\tList\t3\nso\tResult\t5\nin  addition\tConjunction\t2\nso\tOther\t5\nin addition\tConjunction\t2\n"
    assert markers_of(tmp_path, content) == [Marker("in addition", "Conjunction", False), Marker("so", "Result", False)]


def test_a_comma_is_wanted_only_if_every_line_wants_it(tmp_path: Path) -> None:
    assert [marker.comma for marker in markers_of(tmp_path, "still,\nStill\nthen,\n")] == [False, True]


@pytest.mark.parametrize(
    "line",
    ["一 方面\tlist", "甲…乙…丙\tlist", "\tlist", "so\tresult\tmany", "so\tresult\t1\tmore", "…\tx", "but…", "!"],
)
def test_a_malformed_line_is_refused_with_its_place_or_left_out(line: str, tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=r"markers with malformed lines:\n.*m\.tsv:2: .*\n.*on_malformed: skip"):
        markers_of(tmp_path, f"but\n{line}\n")
    assert [marker.name for marker in markers_of(tmp_path, f"but\n{line}\n", skip=True)] == ["but"]


def test_a_list_that_is_missing_or_empty_is_named(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError, match=r"marker file .*fr\.tsv: no such file"):
        _ = Discourse(markers=["fr"]).marker_list
    with pytest.raises(ValueError, match=r"m\.tsv: no marker in them"):
        markers_of(tmp_path, "# nothing\n!but\n")


def test_senses_that_are_wanted_and_missing_are_named(tmp_path: Path) -> None:
    markers_of(tmp_path, "but\tcontrast\nand\n")
    with pytest.raises(ValueError, match=r"label: sense, but 1 marker\(s\) have none, first 'and'"):
        _ = Discourse(markers=[str(tmp_path / "m.tsv")], label="sense").classes


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"markers": []}, "markers: "),
        ({"label": "x"}, "label: 'x'"),
        ({"min_words": 0}, "min_words: 0"),
        ({"min_words": 9, "max_words": 8}, "min_words: 9"),
        ({"cap": -1}, "cap: -1"),
        ({"on_malformed": "x"}, "on_malformed: 'x'"),
    ],
)
def test_settings_that_make_no_sense_are_refused(arguments: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        Discourse(**arguments)


# --- in a prepared folder
# -------------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def corpus(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Sixty documents of one paragraph, with forty pairs for `but` and twenty for 但是."""
    file = tmp_path_factory.mktemp("corpus") / "c.jsonl"
    english = [
        {"id": f"e{n}", "text": f"The rain is of number {n} and more. But New York {n} is in the sea."}
        for n in range(40)
    ]
    chinese = [{"id": f"z{n}", "text": f"江水有{n}个。但是，大学在东{n}。"} for n in range(20)]
    file.write_text(
        "".join(json.dumps(item, ensure_ascii=False) + "\n" for item in english + chinese), encoding="utf-8"
    )
    return file


def prepared(corpus: Path, output: Path, tokenizer_folder: Path, **arguments: Any) -> tuple[Prepared, dict[str, Any]]:
    settings = {"heldout": 0.3, "part_bytes": 900, "discourse": Discourse(), **arguments}
    preparation = Preparation(
        output=str(output),
        corpora=[Jsonl(paths=[str(corpus)])],
        vocabulary=Vocabulary(path=str(tokenizer_folder)),
        engine=Here(),
        **settings,
    )
    manifest = prepare(preparation, lambda progress: None)
    return Prepared.open(output), manifest


def texts(prepared: Prepared, split: str) -> dict[str, tuple[str, str, str]]:
    """By id: class, first and second part, as tokens."""
    tokens, result = prepared.tokenizer.tokens, {}
    for shard in prepared.shards(split):
        for document in range(len(shard)):
            ends, ids = shard.segment_ends.row(document).tolist(), shard.token_ids.row(document)
            pieces = [" ".join(tokens[index] for index in ids[start:end]) for start, end in ((0, ends[0]), tuple(ends))]
            result[shard.text_of("id", document)] = (prepared.classes[split][shard.label[document]], *pieces)
    return result


def test_pairs_become_shards_of_their_own_by_the_split_of_their_document(
    corpus: Path, tmp_path: Path, tokenizer_folder: Path
) -> None:
    folder, manifest = prepared(corpus, tmp_path / "out", tokenizer_folder)
    found = {split: texts(folder, split) for split in ("discourse", "discourse_heldout")}
    for split, of in (("discourse", "train"), ("discourse_heldout", "heldout")):
        documents = {shard.text_of("id", index) for shard in folder.shards(of) for index in range(len(shard))}
        assert {name.split("#")[0] for name in found[split]} == documents
    everything = {**found["discourse"], **found["discourse_heldout"]}
    assert len(everything) == 60
    assert everything["z7#9"][0] == "但是"
    assert everything["z7#9"][1:] == ("江 水 有 7 个 。", "大 学 在 东 7 。")
    assert {name: count for name, count in manifest["counts"].items() if name.startswith("discourse.kept")} == {
        "discourse.kept.but": 40,
        "discourse.kept.但是": 20,
    }


def test_readers_of_other_splits_see_what_they_saw_before(corpus: Path, tmp_path: Path, tokenizer_folder: Path) -> None:
    with_pairs, manifest = prepared(corpus, tmp_path / "with", tokenizer_folder)
    without, plain = prepared(corpus, tmp_path / "without", tokenizer_folder, discourse=None)
    assert "classes" not in plain
    for split in ("train", "heldout"):
        assert [shard.path.read_bytes() for shard in with_pairs.shards(split)] == [
            shard.path.read_bytes() for shard in without.shards(split)
        ]
        assert with_pairs.tokens(split) == without.tokens(split)
    mine = {name: count for name, count in manifest["counts"].items() if not name.startswith("discourse.")}
    assert mine == plain["counts"]
    with pytest.raises(ValueError, match="holds no labelled pairs"):
        _ = without.shards("train")[0].label


def test_balance_keeps_as_many_of_each_class_as_the_cap_says_whatever_the_parts(
    corpus: Path, tmp_path: Path, tokenizer_folder: Path
) -> None:
    kept = []
    for name, part_bytes in (("small", 900), ("large", 1 << 20)):
        folder, manifest = prepared(
            corpus, tmp_path / name, tokenizer_folder, part_bytes=part_bytes, discourse=Discourse(cap=25)
        )
        kept.append({**texts(folder, "discourse"), **texts(folder, "discourse_heldout")})
        assert manifest["counts"]["discourse.left out.but"] == 15
    assert kept[0] == kept[1]
    assert Counter(name for name, _, _ in kept[0].values()) == {"but": 25, "但是": 20}


def test_equal_pairs_count_once_for_the_cap(tmp_path: Path, tokenizer_folder: Path) -> None:
    file = tmp_path / "c.jsonl"
    lines = [{"id": str(n), "text": "The rain is in Rome. But New York is of the sea."} for n in range(9)]
    lines += [{"id": f"o{n}", "text": f"The rain is in Rome. But the sea is of number {n}."} for n in range(3)]
    file.write_text("".join(json.dumps(item) + "\n" for item in lines), encoding="utf-8")
    folder, _ = prepared(file, tmp_path / "out", tokenizer_folder, discourse=Discourse(cap=4), heldout=0)
    assert len(texts(folder, "discourse")) == 12


def test_another_marker_list_is_another_plan(
    corpus: Path, tmp_path: Path, tokenizer_folder: Path, markers: str
) -> None:
    prepared(corpus, tmp_path / "out", tokenizer_folder)
    with pytest.raises(ValueError, match=r"was begun with other settings:\n.*discourse"):
        prepared(corpus, tmp_path / "out", tokenizer_folder, discourse=Discourse(markers=[markers]))
