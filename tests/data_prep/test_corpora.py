"""Corpus readers: a contract that every file in corpora/ keeps, then what is special to each format."""

from __future__ import annotations

import bz2
import gzip
import io
import json
import lzma
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import zstandard
from hypothesis import given, settings
from hypothesis import strategies as st

from data_prep.corpora import Corpus, LineCorpus, Slice
from data_prep.corpora.hub_dataset import HubDataset
from data_prep.corpora.jsonl import Jsonl
from data_prep.corpora.plain_text import PlainText
from data_prep.corpora.pre_segmented import PreSegmented
from data_prep.documents import Place, Record, Rejected
from data_prep.inputs.streams import open_bytes, stem
from launch.settings.components import find_kind, kinds

DOCUMENTS: list[dict[str, Any]] = [{"document": "file"}, {"document": "block"}, {"document": "line"}]
VARIANTS: dict[str, list[dict[str, Any]]] = {
    "plain_text": DOCUMENTS,
    "pre_segmented": DOCUMENTS,
    "wikiextractor": [{"output": "plain"}, {"output": "json"}],
    "annotated_jsonl": [{"kinds": ["PER"]}],
    "conll": [{"kinds": ["PER"], "document": kind} for kind in ("sentence", "docstart", "file")],
    "pairs": [
        {"classes": ["0"], "format": kind, "columns": ["first", "second", "label"]} for kind in ("jsonl", "tsv", "csv")
    ],
}
"""Settings under which a format reads differently; a format that is not listed is tested with its defaults."""


def reader(kind: str, **arguments: Any) -> Corpus:
    cls = find_kind(Corpus, kind)
    assert cls is not None
    return cls(**{**VARIANTS.get(kind, [{}])[0], **arguments})


def readers(wanted: Callable[[Corpus], bool]) -> pytest.MarkDecorator:
    """The formats that are wanted, each with all its variants."""
    chosen = [
        (kind, extra)
        for kind in kinds(Corpus)
        for extra in VARIANTS.get(kind, [{}])
        if wanted(reader(kind, paths=["x"], **extra))
    ]
    return pytest.mark.parametrize(
        ("kind", "extra"), chosen, ids=["-".join(map(str, [kind, *extra.values()])) for kind, extra in chosen]
    )


every_reader = readers(lambda corpus: True)
every_file_reader = readers(lambda corpus: not isinstance(corpus, HubDataset))
every_line_reader = readers(lambda corpus: isinstance(corpus, LineCorpus))
every_text_reader = readers(lambda corpus: type(corpus) in (Jsonl, PlainText, PreSegmented))
"""Those that find documents in LINES."""

COMPRESSIONS: dict[str, Callable[[bytes], bytes]] = {
    ".gz": gzip.compress,
    ".zst": zstandard.compress,
    ".bz2": bz2.compress,
    ".xz": lzma.compress,
}
LINES = [
    b'{"text": "one", "id": "a"}\n',
    '{"text": "江水东流。", "lang": "zh"}\r\n'.encode(),
    b"plain words\n",
    b"\n",
    b"  \t\n",
    b"\xff\xfe broken\n",
    b"[1, 2]\n",
    b'{"text": ""}\n',
    "中文一行。\n".encode(),
]


def read(corpus: Corpus, slice_bytes: int = 1 << 30) -> list[Record | Rejected]:
    """All records of all files, read slice by slice."""
    return [
        item
        for path in corpus.files()
        for piece in corpus.survey(path, slice_bytes).slices
        for item in corpus.read(piece)
    ]


def without_path(items: list[Record | Rejected]) -> list[Record | Rejected]:
    return [item._replace(place=item.place._replace(path="")) for item in items]


def jsonl(*values: Any) -> bytes:
    return "".join(json.dumps(value, ensure_ascii=False) + "\n" for value in values).encode()


# --- the contract
# ---------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", kinds(Corpus))
def test_a_reader_is_a_documented_frozen_component(kind: str, check_component: Callable[[type], None]) -> None:
    check_component(type(reader(kind, paths=["x"])))


@every_reader
def test_no_paths_are_refused(kind: str, extra: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match="paths: give at least one"):
        reader(kind, paths=[], **extra)


@every_reader
def test_what_is_no_code_of_a_language_is_refused(kind: str, extra: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match="language: 'Not a code' is no code of a language, such as zh, en"):
        reader(kind, paths=["x"], language="Not a code", **extra)


@every_file_reader
def test_a_missing_path_is_named(kind: str, extra: dict[str, Any], tmp_path: Path) -> None:
    for missing in (tmp_path / "nowhere.txt", tmp_path / "*.none"):
        with pytest.raises(FileNotFoundError) as caught:
            reader(kind, paths=[str(missing)], **extra).files()
        assert str(missing) in str(caught.value)
        assert "no such file" in str(caught.value)


@every_file_reader
def test_a_folder_instead_of_a_file_gets_a_hint(kind: str, extra: dict[str, Any], tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError, match="it is a folder; add a pattern"):
        reader(kind, paths=[str(tmp_path)], **extra).files()


@every_file_reader
def test_patterns_are_expanded_in_order_and_no_file_is_read_twice(
    kind: str, extra: dict[str, Any], tmp_path: Path
) -> None:
    for name in ("b.txt", "a.txt", "c.txt"):
        (tmp_path / name).write_bytes(LINES[0])
    corpus = reader(kind, paths=[str(tmp_path / "c.txt"), str(tmp_path / "*.txt")], **extra)
    assert [path.name for path in corpus.files()] == ["c.txt", "a.txt", "b.txt"]


@every_text_reader
def test_invalid_utf8_is_rejected_with_the_line_where_its_document_begins(
    kind: str, extra: dict[str, Any], tmp_path: Path
) -> None:
    good, bad = LINES[0], b"some \xff\xfe bytes\n"
    content = b"".join([good, b"\n", bad, b"\n", good])
    (tmp_path / "x.txt").write_bytes(content)
    rejected = [
        item for item in read(reader(kind, paths=[str(tmp_path / "x.txt")], **extra)) if isinstance(item, Rejected)
    ]
    assert [item.reason for item in rejected] == ["invalid UTF-8"]
    place = rejected[0].place
    assert place.path == str(tmp_path / "x.txt")
    assert place.line == (1 if extra.get("document") == "file" else 3)
    assert place.offset == len(b"".join(content.splitlines(keepends=True)[: place.line - 1]))
    assert f"byte {content.index(0xFF)}" in rejected[0].detail


@every_text_reader
def test_the_position_of_invalid_utf8_counts_the_byte_order_mark(
    kind: str, extra: dict[str, Any], tmp_path: Path
) -> None:
    (tmp_path / "x.txt").write_bytes(b"\xef\xbb\xbfab\xff\n")
    (rejected,) = read(reader(kind, paths=[str(tmp_path / "x.txt")], **extra))
    assert isinstance(rejected, Rejected)
    assert "byte 5" in rejected.detail


@every_line_reader
@settings(max_examples=60, deadline=None)
@given(lines=st.lists(st.sampled_from(LINES), max_size=12), last_newline=st.booleans(), slice_bytes=st.integers(1, 80))
def test_slices_of_any_size_give_the_same_documents(
    kind: str,
    extra: dict[str, Any],
    tmp_path_factory: pytest.TempPathFactory,
    lines: list[bytes],
    last_newline: bool,
    slice_bytes: int,
) -> None:
    file = tmp_path_factory.getbasetemp() / f"slices-{kind}.txt"
    content = b"".join(lines)
    content = content if last_newline else content.rstrip(b"\n")
    file.write_bytes(content)
    corpus = reader(kind, paths=[str(file)], **extra)
    whole, cut = corpus.survey(file, 1 << 30), corpus.survey(file, slice_bytes)
    assert (whole.sha256, whole.size) == (cut.sha256, cut.size) == (whole.sha256, len(content))
    edges = [0, *(piece.end for piece in cut.slices)]
    assert [piece.start for piece in cut.slices] == edges[:-1]
    assert edges[-1] == len(content)
    assert [piece.line for piece in cut.slices] == [1 + content[: piece.start].count(b"\n") for piece in cut.slices]
    assert read(corpus, slice_bytes) == read(corpus)
    for item in read(corpus):
        assert content[: item.place.offset].count(b"\n") == item.place.line - 1


@pytest.mark.parametrize("suffix", COMPRESSIONS)
@every_line_reader
def test_compressed_files_give_the_same_documents_as_plain_ones(
    kind: str, extra: dict[str, Any], suffix: str, tmp_path: Path
) -> None:
    content = b"".join(LINES * 40)
    (tmp_path / "x.txt").write_bytes(content)
    (tmp_path / f"x.txt{suffix}").write_bytes(COMPRESSIONS[suffix](content))
    plain, packed = (reader(kind, paths=[str(tmp_path / name)], **extra) for name in ("x.txt", f"x.txt{suffix}"))
    assert without_path(read(packed, 500)) == without_path(read(plain))
    assert packed.survey(packed.files()[0], 500).sha256 == plain.survey(plain.files()[0], 500).sha256


@every_line_reader
def test_several_zstandard_frames_in_one_file_are_read_to_the_end(
    kind: str, extra: dict[str, Any], tmp_path: Path
) -> None:
    (tmp_path / "x.txt").write_bytes(LINES[0] * 2)
    (tmp_path / "x.txt.zst").write_bytes(zstandard.compress(LINES[0]) * 2)
    plain, packed = (reader(kind, paths=[str(tmp_path / name)], **extra) for name in ("x.txt", "x.txt.zst"))
    assert without_path(read(packed)) == without_path(read(plain))


@every_text_reader
def test_a_byte_order_mark_changes_nothing_but_the_offsets(kind: str, extra: dict[str, Any], tmp_path: Path) -> None:
    content = b"".join(LINES[:5])
    (tmp_path / "x.txt").write_bytes(content)
    plain = read(reader(kind, paths=[str(tmp_path / "x.txt")], **extra))
    (tmp_path / "x.txt").write_bytes(b"\xef\xbb\xbf" + content)
    marked = read(reader(kind, paths=[str(tmp_path / "x.txt")], **extra))
    place = Place("", 0, 0)
    assert [item.place.line for item in marked] == [item.place.line for item in plain]
    assert [item._replace(place=place) if isinstance(item, Record) else item.reason for item in marked] == [
        item._replace(place=place) if isinstance(item, Record) else item.reason for item in plain
    ]
    assert isinstance(marked[0], Record)
    assert "\ufeff" not in marked[0].text


@pytest.mark.parametrize("suffix", ["", *COMPRESSIONS])
@every_line_reader
def test_an_empty_file_has_no_slices(kind: str, extra: dict[str, Any], suffix: str, tmp_path: Path) -> None:
    file = tmp_path / f"x.txt{suffix}"
    file.write_bytes(COMPRESSIONS[suffix](b"") if suffix else b"")
    survey = reader(kind, paths=[str(file)], **extra).survey(file, 10)
    assert (survey.size, survey.slices) == (0, [])


@every_line_reader
def test_a_file_that_became_shorter_while_it_was_read_is_an_error(
    kind: str, extra: dict[str, Any], tmp_path: Path
) -> None:
    (tmp_path / "x.txt").write_bytes(LINES[0])
    corpus = reader(kind, paths=[str(tmp_path / "x.txt")], **extra)
    with pytest.raises(ValueError, match=r"x\.txt became shorter while it was read"):
        list(corpus.read(Slice(str(tmp_path / "x.txt"), 0, 1000, 1, 1000)))


@every_text_reader
def test_files_under_one_source_name_do_not_share_stand_in_ids(
    kind: str, extra: dict[str, Any], tmp_path: Path
) -> None:
    for name in ("first.txt", "second.txt"):
        (tmp_path / name).write_bytes(jsonl({"text": f"the text of {name}"}))
    records = read(reader(kind, paths=[str(tmp_path / "*.txt")], source="books", **extra))
    ids = [item.id for item in records if isinstance(item, Record)]
    assert len(ids) == 2
    assert len(set(ids)) == 2


# --- damaged compressed files
# ---------------------------------------------------------------------------------------------------


def many_lines() -> bytes:
    return b"".join(
        jsonl({"id": str(number), "text": f"number {number} of many, {number * number}"}) for number in range(3000)
    )


def damage(content: bytes, how: str) -> bytes:
    if how == "cut":
        return content[: len(content) // 2]
    if how == "last byte cut":
        return content[:-1]
    if how == "not compressed":
        return b"hello, these are plain bytes"
    half = len(content) // 2
    return content[:half] + bytes(255 - byte for byte in content[half : half + 4]) + content[half + 4 :]


@pytest.mark.parametrize("how", ["cut", "last byte cut", "flipped bytes", "not compressed"])
@pytest.mark.parametrize("suffix", COMPRESSIONS)
def test_a_damaged_compressed_file_is_named(suffix: str, how: str, tmp_path: Path) -> None:
    file = tmp_path / f"x.jsonl{suffix}"
    file.write_bytes(damage(COMPRESSIONS[suffix](many_lines()), how))
    with pytest.raises(ValueError, match="is damaged or cut short") as caught:
        Jsonl(paths=[str(file)]).survey(file, 1000)
    assert str(file) in str(caught.value)


def test_the_source_is_the_name_without_compression_and_format(tmp_path: Path) -> None:
    assert [stem(Path(name)) for name in ("a/zhwiki.jsonl.gz", "b.txt", "c.v2.jsonl.zst", "d")] == [
        "zhwiki",
        "b",
        "c.v2",
        "d",
    ]
    assert Jsonl(paths=["x"]).source_of("dir/zhwiki.jsonl.bz2") == "zhwiki"
    assert Jsonl(paths=["x"], source="wiki").source_of("dir/other.jsonl") == "wiki"


def test_open_bytes_streams_lines_and_supports_reading_in_blocks(tmp_path: Path) -> None:
    content = many_lines()
    (tmp_path / "x.zst").write_bytes(zstandard.compress(content))
    with open_bytes(tmp_path / "x.zst") as stream:
        first = stream.readline()
        rest = io.BytesIO()
        while block := stream.read(1000):
            rest.write(block)
    assert first + rest.getvalue() == content


# --- jsonl
# ----------------------------------------------------------------------------------------------------------------------


def one(line: bytes, **arguments: Any) -> Record | Rejected | None:
    return Jsonl(paths=["x"], **arguments).parse(line, Place("x.jsonl", 7, 100), "wiki")


def test_jsonl_reads_text_id_title_and_language() -> None:
    record = one(jsonl({"text": "江水", "id": "a1", "title": "江", "lang": "zh"}))
    assert record == Record(text="江水", id="a1", title="江", language="zh", place=Place("x.jsonl", 7, 100))


def test_jsonl_reads_under_keys_of_the_users_choice() -> None:
    record = one(
        jsonl({"body": "words", "key": 12, "head": "T", "tongue": "en"}),
        text_key="body",
        id_key="key",
        title_key="head",
        language_key="tongue",
    )
    assert record == Record(text="words", id="12", title="T", language="en", place=Place("x.jsonl", 7, 100))


def test_jsonl_without_an_id_begins_its_id_with_source_and_line_number() -> None:
    record = one(jsonl({"text": "words"}))
    assert isinstance(record, Record)
    assert record.id.startswith("wiki:7")
    assert (record.title, record.language) == ("", "")


def test_jsonl_ids_carry_the_right_line_numbers_through_blank_and_bad_lines(tmp_path: Path) -> None:
    (tmp_path / "w.jsonl").write_bytes(b"".join([jsonl({"text": "one"}), b"\n", b"oops\n", jsonl({"text": "four"})]))
    items = read(Jsonl(paths=[str(tmp_path / "w.jsonl")]), 1)
    assert [(item.id[:3] if isinstance(item, Record) else item.reason, item.place.line) for item in items] == [
        ("w:1", 1),
        ("not JSON", 3),
        ("w:4", 4),
    ]


def test_jsonl_the_language_of_the_configuration_wins_and_what_a_document_declares_is_handed_on() -> None:
    for value, setting, expected in (("en", "zh", "zh"), ("fr", "", "fr"), (None, "en", "en"), (3, "", "3")):
        record = one(jsonl({"text": "words", "lang": value}), language=setting)
        assert isinstance(record, Record)
        assert record.language == expected


@pytest.mark.parametrize(
    ("line", "reason", "detail"),
    [
        (b"not json\n", "not JSON", ""),
        (b'{"text": "half\n', "not JSON", ""),
        (b'{"text": "\\ud800"}\n', "not JSON", ""),
        (b'{"text": NaN}\n', "not JSON", ""),
        (b'["text"]\n', "not a JSON object", "found list"),
        (b'"text"\n', "not a JSON object", "found str"),
        (b"null\n", "not a JSON object", "found NoneType"),
        (b'{"body": "x", "id": "1"}\n', "no text", "keys here: body, id"),
        (b'{"text": ""}\n', "no text", "'text' is missing, empty or not text"),
        (b'{"text": " \\n "}\n', "no text", ""),
        (b'{"text": null}\n', "no text", ""),
        (b'{"text": ["a"]}\n', "no text", ""),
    ],
)
def test_jsonl_lines_without_a_document_are_rejected_with_the_reason(line: bytes, reason: str, detail: str) -> None:
    rejected = one(line)
    assert isinstance(rejected, Rejected)
    assert rejected.reason == reason
    assert detail in rejected.detail
    assert rejected.place == Place("x.jsonl", 7, 100)


def test_jsonl_ignores_values_that_are_no_metadata() -> None:
    record = one(jsonl({"text": "words", "id": ["a"], "title": {"t": 1}}))
    assert isinstance(record, Record)
    assert (record.id[:6], record.title) == ("wiki:7", "")
    record = one(jsonl({"text": "words", "id": True, "title": 5}))
    assert isinstance(record, Record)
    assert (record.id[:6], record.title) == ("wiki:7", "5")


# --- plain text
# -----------------------------------------------------------------------------------------------------------------

POEM = "\n\n床前明月光\n疑是地上霜\n \n\nsecond\n\n\nthird\nline"


def plain(tmp_path: Path, document: str) -> list[tuple[str, str]]:
    (tmp_path / "poem.txt").write_text(POEM, encoding="utf-8")
    items = read(PlainText(paths=[str(tmp_path / "poem.txt")], document=document), 1)
    return [(":".join(item.id.split(":")[:2]), item.text.strip()) for item in items if isinstance(item, Record)]


def test_plain_text_one_document_per_file(tmp_path: Path) -> None:
    assert plain(tmp_path, "file") == [("poem:1", POEM.strip())]


def test_plain_text_one_document_per_block(tmp_path: Path) -> None:
    assert plain(tmp_path, "block") == [
        ("poem:3", "床前明月光\n疑是地上霜"),
        ("poem:7", "second"),
        ("poem:10", "third\nline"),
    ]


def test_plain_text_one_document_per_line(tmp_path: Path) -> None:
    expected = [
        ("poem:3", "床前明月光"),
        ("poem:4", "疑是地上霜"),
        ("poem:7", "second"),
        ("poem:10", "third"),
        ("poem:11", "line"),
    ]
    assert plain(tmp_path, "line") == expected


def test_plain_text_refuses_another_unit() -> None:
    with pytest.raises(ValueError, match="document: 'page' is not one of file, block, line"):
        PlainText(paths=["x"], document="page")


def test_plain_text_of_white_space_only_is_no_document(tmp_path: Path) -> None:
    (tmp_path / "x.txt").write_text(" \n\n \n")
    for document in ("file", "block", "line"):
        assert read(PlainText(paths=[str(tmp_path / "x.txt")], document=document)) == []
