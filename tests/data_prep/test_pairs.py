"""Labelled pairs: from JSON Lines, TSV and CSV to shards whose segments and labels are those of the file."""

from __future__ import annotations

import gzip
import io
import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from data_prep.corpora.jsonl import Jsonl
from data_prep.corpora.pairs import LabelledPairs
from data_prep.documents import SEGMENT, Document, Given, Record, Rejected
from data_prep.engines import Engine
from data_prep.filtering.cleaning import Cleaning
from data_prep.inputs.quoted_rows import MAX_ROW_LINES, quoted_rows
from data_prep.preparing.pipeline import prepare
from data_prep.preparing.plan import Preparation
from data_prep.shards import Prepared
from data_prep.vocabularies.vocabulary import Vocabulary

ROOT = Path(__file__).resolve().parents[2]
CLASSES = ["0", "1", "2"]


@dataclass(frozen=True, kw_only=True)
class Here(Engine):
    """Does everything in this process."""

    def run(self, work: Any, parts: Sequence[int]) -> Iterator[Any]:
        return map(work, parts)


def read(path: Path, slice_bytes: int = 1 << 30, **arguments: Any) -> list[Record | Rejected]:
    corpus = LabelledPairs(**{"paths": [str(path)], "classes": CLASSES, **arguments})
    return [item for piece in corpus.survey(path, slice_bytes).slices for item in corpus.read(piece)]


def write(path: Path, content: str | bytes) -> Path:
    path.write_bytes(content.encode() if isinstance(content, str) else content)
    return path


def parts(record: Record | Rejected) -> tuple[list[str], set[str]]:
    """The texts of a pair by its spans, and its labels."""
    assert isinstance(record, Record), record
    spans = record.given[SEGMENT]
    return [record.text[span.start : span.end] for span in spans], {span.type for span in spans}


# --- formats
# --------------------------------------------------------------------------------------------------------------------


def test_the_worked_example_of_the_module(tmp_path: Path) -> None:
    file = write(tmp_path / "p.jsonl", '{"first": "长江发源于哪里", "second": "长江源头考察", "label": 0}\n')
    (record,) = read(file)
    assert isinstance(record, Record)
    assert record.text == "长江发源于哪里\n\n长江源头考察"
    assert record.given == {SEGMENT: (Given(0, 7, "0"), Given(9, 15, "0"))}


@pytest.mark.parametrize(
    ("name", "content"),
    [
        (
            "p.jsonl",
            '{"first": "a b", "second": "c", "label": "1", "id": "x"}\n\n{"first": "d", "second": "e", "label": 2}\n',
        ),
        (
            "p.json",
            '{"first": "a b", "second": "c", "label": 1, "id": "x"}\n{"first": "d", "second": "e", "label": " 2 "}',
        ),
        ("p.tsv", "\ufefffirst\tsecond\tlabel\tid\r\na b\tc\t1\tx\r\n\r\nd\te\t2\t\r\n"),
        ("p.TSV", "id\tlabel\tsecond\tfirst\nx\t1\tc\ta b\n\t2\te\td"),
        ("p.csv", 'first,second,label,id\n"a b",c,1,x\nd,"e","2",\n'),
    ],
)
def test_every_format_gives_the_same_pairs(name: str, content: str, tmp_path: Path) -> None:
    for path in (write(tmp_path / name, content), write(tmp_path / f"{name}.gz", gzip.compress(content.encode()))):
        first, second = read(path)
        assert (parts(first), parts(second)) == ((["a b", "c"], {"1"}), (["d", "e"], {"2"}))
        assert isinstance(first, Record)
        assert first.id == "x"


def test_a_quoted_field_of_csv_may_hold_commas_quotes_and_line_breaks(tmp_path: Path) -> None:
    file = write(tmp_path / "p.csv", 'first,second,label\n"one, two","he said ""no""\n\nand left",1\nb,c,0\n')
    long, short = read(file)
    assert parts(long) == (["one, two", 'he said "no"\n\nand left'], {"1"})
    assert isinstance(short, Record)
    assert (short.place.line, short.place.offset) == (5, file.read_bytes().index(b"b,c"))


def test_a_quote_that_is_never_closed_costs_its_own_line_only(tmp_path: Path) -> None:
    rows = [
        '"open,b,0',
        *(f"a{number},b,1" for number in range(MAX_ROW_LINES + 5)),
        '"open,too,1',
        'x,"y",2',
        "last,row,0",
    ]
    result = read(write(tmp_path / "p.csv", "first,second,label\n" + "\n".join(rows) + "\n"))
    rejected = [item for item in result if isinstance(item, Rejected)]
    assert [(item.reason, item.place.line) for item in rejected] == [
        ("malformed CSV", 2),
        ("malformed CSV", len(rows) - 1),
    ]
    assert len(result) == len(rows)


def test_tsv_has_no_quotes(tmp_path: Path) -> None:
    (record,) = read(write(tmp_path / "p.tsv", 'first\tsecond\tlabel\n"a\t"b" c\t1\n'))
    assert parts(record) == (['"a', '"b" c'], {"1"})


def test_files_without_a_header_take_the_names_of_the_settings(tmp_path: Path) -> None:
    file = write(tmp_path / "p.txt", "1\tc\ta\n2\td\tb\n")
    result = read(file, format="tsv", columns=["label", "second", "first"])
    assert [parts(item) for item in result] == [(["a", "c"], {"1"}), (["b", "d"], {"2"})]


def test_a_single_labelled_text_has_one_segment(tmp_path: Path) -> None:
    file = write(tmp_path / "p.jsonl", '{"text": "很好", "label": true}\n{"text": "不好", "label": false}\n')
    result = read(file, first_key="text", second_key="", classes=["false", "true"])
    assert [parts(item) for item in result] == [(["很好"], {"true"}), (["不好"], {"false"})]


row = st.lists(st.text(st.sampled_from('ab,"\n\r\t 北。'), max_size=6), min_size=1, max_size=4)


@settings(max_examples=150, deadline=None)
@given(
    st.lists(
        st.one_of(
            row.map(lambda fields: ",".join(fields)),
            row.map(lambda fields: ",".join(f'"{field.replace(chr(34), chr(34) * 2)}"' for field in fields)),
        )
    )
)
def test_slices_of_any_size_give_the_same_pairs_and_lose_no_line(
    tmp_path_factory: pytest.TempPathFactory, rows: list[str]
) -> None:
    file = write(tmp_path_factory.getbasetemp() / "any.csv", "first,second,label\n" + "\n".join(rows))
    whole = read(file, classes=["a", "b"])
    for slice_bytes in (1, 13):
        assert read(file, slice_bytes, classes=["a", "b"]) == whole
    assert b"".join(quoted_rows(io.BytesIO(file.read_bytes()))) == file.read_bytes()
    assert len(whole) == sum(bool(piece.strip()) for piece in quoted_rows(io.BytesIO(file.read_bytes()))) - 1


# --- what is set aside, what is refused
# -----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("line", "reason"),
    [
        ('{"first": "a", "second": "b", "label": 7}', "unknown label"),
        ('{"first": "a", "second": "b", "label": [1]}', "unknown label"),
        ('{"first": "a", "second": "b"}', "no label"),
        ('{"first": "a", "second": "b", "label": null}', "no label"),
        ('{"first": "a", "second": " ", "label": 1}', "no text"),
        ('{"first": 3, "second": "b", "label": 1}', "no text"),
        ('["a", "b", 1]', "not a JSON object"),
        ("a b 1", "not JSON"),
    ],
)
def test_a_pair_that_cannot_be_used_is_set_aside_with_its_reason(line: str, reason: str, tmp_path: Path) -> None:
    good = '{"first": "a", "second": "b", "label": 1}'
    _, bad, after = read(write(tmp_path / "p.jsonl", f"{good}\n{line}\n{good}\n"))
    assert isinstance(bad, Rejected)
    assert isinstance(after, Record)
    assert (bad.reason, bad.place.line) == (reason, 2)


@pytest.mark.parametrize("name", ["p.tsv", "p.csv"])
def test_a_row_with_another_number_of_columns_is_set_aside(name: str, tmp_path: Path) -> None:
    between = "\t" if name == "p.tsv" else ","
    lines = [["first", "second", "label"], ["a", "b"], ["a", "b", "1", "c"], ["a", "b", "1"]]
    result = read(write(tmp_path / name, "\n".join(map(between.join, lines))))
    assert [item.reason if isinstance(item, Rejected) else "" for item in result] == ["wrong number of columns"] * 2 + [
        ""
    ]


def test_pairs_without_a_label_are_kept_when_allowed(tmp_path: Path) -> None:
    file = write(tmp_path / "p.jsonl", '{"first": "a", "second": "b"}\n{"first": "a", "second": "b", "label": "1"}\n')
    assert [parts(item)[1] for item in read(file, allow_unlabelled=True)] == [{""}, {"1"}]
    assert [parts(item)[1] for item in read(file, allow_unlabelled=True, label_key="", classes=[])] == [{""}, {""}]


def test_a_column_that_is_not_there_is_named(tmp_path: Path) -> None:
    file = write(tmp_path / "p.csv", "query,title,label\na,b,1\n")
    with pytest.raises(ValueError, match=r"p\.csv: no column first, second in the header line \(query, title, label\)"):
        read(file)


def test_a_suffix_that_names_no_format_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=r"p\.dat\.gz: the suffix '\.dat' names no format"):
        read(write(tmp_path / "p.dat.gz", gzip.compress(b"x")))


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"classes": []}, "classes: name the labels"),
        ({"label_key": ""}, "classes: name the labels"),
        ({"classes": ["a", "a"]}, "classes: .* must name every label once"),
        ({"classes": ["a", " "]}, "classes: .* must name every label once"),
        ({"classes": [str(number) for number in range(40000)]}, "classes: 40000 are too many"),
        ({"first_key": ""}, "first_key: "),
        ({"format": "xml"}, "format: 'xml' is not one of"),
        ({"columns": ["first", "label"]}, "columns: second not among them"),
    ],
)
def test_settings_that_make_no_sense_are_refused(arguments: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        LabelledPairs(**{"paths": ["x"], "classes": CLASSES, **arguments})


# --- to the shards
# --------------------------------------------------------------------------------------------------------------


def preparation(tmp_path: Path, tokenizer_folder: Path, *corpora: Any, **arguments: Any) -> Preparation:
    vocabulary = Vocabulary(path=str(tokenizer_folder))
    return Preparation(
        **{
            "output": str(tmp_path / "out"),
            "corpora": list(corpora),
            "vocabulary": vocabulary,
            "engine": Here(),
            "heldout": 0,
            **arguments,
        }
    )


def test_the_shard_holds_the_parts_and_labels_of_the_file(tmp_path: Path, tokenizer_folder: Path) -> None:
    rows = [
        (
            "  江水\u200b，大学。 山水！\n\n书生",
            "the rain. New York",
            "b",
        ),  # cleaning shortens the first part; both have several sentences
        ("北京", "the\u3000river", "a"),
        ("is rome in new york", "天地", ""),
        ("\ufffd", "the", "a"),  # a part without tokens
    ]
    lines = [
        json.dumps({"first": first, "second": second, "label": label, "id": str(number)})
        for number, (first, second, label) in enumerate(rows)
    ]
    file = write(tmp_path / "p.jsonl", "\n".join(lines))
    manifest = prepare(
        preparation(
            tmp_path, tokenizer_folder, LabelledPairs(paths=[str(file)], classes=["a", "b"], allow_unlabelled=True)
        ),
        lambda progress: None,
    )
    prepared = Prepared.open(tmp_path / "out")
    (shard,) = prepared.shards("train")
    assert manifest["classes"] == {"train": ["a", "b"], "heldout": ["a", "b"]}
    assert prepared.classes["train"] == ("a", "b")
    assert shard.label.tolist() == [1, 0, -1, 0]
    assert shard.label.dtype == np.int16
    tokens = prepared.tokenizer.tokens
    found = []
    for document in range(len(shard)):
        ends = shard.segment_ends.row(document).tolist()
        ids = shard.token_ids.row(document)
        assert len(ends) == 2
        assert ends[-1] == len(ids)
        assert {end for end in ends if end} <= set(shard.sentence_ends.row(document).tolist())
        assert {end for end in ends if end} <= set(shard.paragraph_ends.row(document).tolist())
        for units in shard.units.values():
            low, high = units.offsets_D1[document : document + 2]
            starts = units.start_U[low:high].astype(int)
            assert not ((starts < ends[0]) & (starts + units.length_U[low:high] > ends[0])).any(), (
                "a unit reaches into the other part"
            )
        found.append(
            [" ".join(tokens[index] for index in ids[start:end]) for start, end in ((0, ends[0]), tuple(ends))]
        )
    assert found[:3] == [
        ["江 水 ， 大 学 。 山 水 ！ 书 生", "the rain . new york"],
        ["北 京", "the river"],
        ["is rome in new york", "天 地"],
    ]
    assert found[3] == ["", "the"]


def test_pairs_and_documents_may_share_a_folder(tmp_path: Path, tokenizer_folder: Path) -> None:
    pairs = write(tmp_path / "p.tsv", "first\tsecond\tlabel\nthe\train\t1\n")
    documents = write(tmp_path / "d.jsonl", '{"text": "The rain. The river.\\n\\nNew York."}\n')
    prepare(
        preparation(
            tmp_path,
            tokenizer_folder,
            LabelledPairs(paths=[str(pairs)], classes=CLASSES),
            Jsonl(paths=[str(documents)]),
        ),
        lambda progress: None,
    )
    (shard,) = Prepared.open(tmp_path / "out").shards("train")
    assert [shard.segment_ends.row(document).tolist() for document in range(2)] == [[1, 2], []]
    assert shard.label.tolist() == [1, -1]


def test_a_part_of_which_cleaning_leaves_nothing_sets_the_pair_aside(tmp_path: Path, tokenizer_folder: Path) -> None:
    file = write(
        tmp_path / "p.jsonl",
        '{"first": "\u200b\u00ad", "second": "the rain", "label": 1}\n{"first": "the", "second": "rain", "label": 1}\n',
    )
    manifest = prepare(
        preparation(tmp_path, tokenizer_folder, LabelledPairs(paths=[str(file)], classes=CLASSES)),
        lambda progress: None,
    )
    assert manifest["counts"]["rejected.no text"] == 1
    assert [len(shard) for shard in Prepared.open(tmp_path / "out").shards("train")] == [1]


def test_hard_wrapped_parts_are_joined_but_never_with_each_other() -> None:
    first, second = (
        "the river and\nthe rain in\nrome is of\nthe river",
        "new york and\nrome of the\nopened river\nand the rain",
    )
    spans = (Given(0, len(first), "1"), Given(len(first) + 2, len(first) + 2 + len(second), "1"))
    record = Record(f"{first}\n\n{second}", "1", "", "", None, {SEGMENT: spans})  # type: ignore[arg-type]
    document = Cleaning().clean(record, "s")
    assert isinstance(document, Document)
    assert document.text == first.replace("\n", " ") + "\n\n" + second.replace("\n", " ")
    assert [(span.start, span.end) for span in document.given[SEGMENT]] == [span[:2] for span in spans]


def test_corpora_whose_classes_differ_are_refused(tmp_path: Path, tokenizer_folder: Path) -> None:
    corpora = [LabelledPairs(paths=["x"], classes=classes) for classes in (["a", "b"], ["b", "a"])]
    with pytest.raises(ValueError, match="corpora: labelled pairs with different classes"):
        preparation(tmp_path, tokenizer_folder, *corpora)
    assert preparation(
        tmp_path, tokenizer_folder, corpora[0], replace(corpora[1], classes=[], allow_unlabelled=True)
    ).classes["train"] == ["a", "b"]


def test_the_example_pairs_are_read(tmp_path: Path) -> None:
    queries = read(ROOT / "examples/pairs/query_title.jsonl", first_key="query", second_key="title")
    assert len(queries) > 20
    assert {label for item in queries for label in parts(item)[1]} == set(CLASSES)
    assert {item.language for item in queries if isinstance(item, Record)} == {"zh", "en"}
