"""Files that are not UTF-8, by content or by name: the same documents in every encoding, however they are cut; and what
a wrong one is told."""

from __future__ import annotations

import gzip
import os
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from data_prep.component_settings import settings_of
from data_prep.corpora import Corpus, Slice
from data_prep.corpora.jsonl import Jsonl
from data_prep.corpora.pairs import LabelledPairs
from data_prep.corpora.plain_text import PlainText
from data_prep.corpora.pre_segmented import PreSegmented
from data_prep.corpora.wikiextractor import Wikiextractor
from data_prep.documents import Record, Rejected
from data_prep.files import read_json
from data_prep.inputs.text_encodings import BLOCK, ENCODINGS, likely_encoding
from data_prep.preparing.pipeline import prepare
from data_prep.preparing.plan import Preparation, find_all
from data_prep.vocabularies.vocabulary import Vocabulary

OTHERS = [name for name in ENCODINGS if name != "utf-8"]
LINES = [f"第{number}章 長江發源於哪裡，Rome was not built in {number} days。" for number in range(60)]
"""Traditional characters, which all the encodings hold."""
KINDS: dict[str, tuple[type[Corpus], dict[str, Any], str]] = {
    "jsonl": (Jsonl, {}, "".join(f'{{"id": "{number}", "text": "{line}"}}\n' for number, line in enumerate(LINES))),
    "lines": (PlainText, {"document": "line"}, "\n".join(LINES)),
    "blocks": (PlainText, {"document": "block"}, "\r\n\r\n".join(LINES) + "\r\n"),
    "file": (PlainText, {"document": "file"}, "\n".join(LINES)),
    "segmented": (PreSegmented, {"document": "line"}, "\n".join(line.replace("，", " ， ") for line in LINES)),
    "wikiextractor": (
        Wikiextractor,
        {},
        "".join(f'<doc id="{n}" title="t{n}">\nt{n}\n\n{line}\n</doc>\n' for n, line in enumerate(LINES)),
    ),
    "tsv": (
        LabelledPairs,
        {"format": "tsv", "classes": ["0"]},
        "first\tsecond\tlabel\n" + "".join(f"{line}\t{line[:4]}\t0\n" for line in LINES),
    ),
    "csv": (
        LabelledPairs,
        {"format": "csv", "classes": ["0"]},
        "first,second,label\n" + "".join(f'"{line}\n次行",{line[:4]},0\n' for line in LINES),
    ),
}


def read(corpus: Any, path: Path, slice_bytes: int, cache: Path | None) -> list[Record | Rejected]:
    survey = corpus.survey(path, slice_bytes, cache)
    assert [piece.start for piece in survey.slices[1:]] == [piece.end for piece in survey.slices[:-1]]
    return [
        record for piece in reversed(survey.slices) for record in reversed(list(corpus.read(Slice(*piece), cache)))
    ][::-1]


@pytest.mark.parametrize("compressed", [False, True])
@pytest.mark.parametrize("encoding", OTHERS)
@pytest.mark.parametrize("kind", KINDS)
def test_every_reader_finds_the_same_documents_at_the_same_places_in_every_encoding(
    kind: str, encoding: str, compressed: bool, tmp_path: Path
) -> None:
    cls, arguments, content = KINDS[kind]
    path = tmp_path / ("x.txt.gz" if compressed else "x.txt")

    def corpus(name: str) -> Corpus:
        raw = content.encode(ENCODINGS[name])
        path.write_bytes(gzip.compress(raw) if compressed else raw)
        return cls(paths=[str(path)], encoding=name, **arguments)  # type: ignore[call-arg]

    plain = corpus("utf-8")
    expected, survey = read(plain, path, 1 << 20, None), plain.survey(path, 700, None)
    assert all(isinstance(record, Record) for record in expected)
    other = corpus(encoding)
    assert other.survey(path, 700, tmp_path / "cache")[:2] == survey[:2], "hash and size are those of the text"
    for slice_bytes in (1, 700, 1 << 20):
        for cache in (None, tmp_path / "cache"):
            assert read(other, path, slice_bytes, cache) == expected


def test_a_cache_of_one_encoding_is_not_read_as_another(tmp_path: Path) -> None:
    path = tmp_path / "x.txt"
    path.write_bytes("".join(f"{line}\n" for line in LINES).encode("gb18030"))
    results = [
        read(PlainText(paths=[str(path)], document="line", encoding=name), path, 500, tmp_path / "cache")
        for name in ("gb18030", "big5", "gb18030")
    ]
    assert results[0] == results[2] != results[1]


@settings(max_examples=60, deadline=None)
@given(
    text=st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"), max_size=40),
    filler=st.integers(BLOCK - 9, BLOCK + 3),
)
def test_characters_on_the_edge_of_a_block_are_whole(
    text: str, filler: int, tmp_path_factory: pytest.TempPathFactory
) -> None:
    path = tmp_path_factory.getbasetemp() / "edge.txt"
    for encoding in ("gb18030", "utf-16", "utf-16-le"):
        path.write_bytes(f"{'a' * filler}{text}".encode(encoding))
        (record,) = read(PlainText(paths=[str(path)], encoding=encoding), path, 1 << 20, None)
        assert isinstance(record, Record) and record.text.removeprefix("\ufeff") == f"{'a' * filler}{text}"


@pytest.mark.parametrize(
    ("encoding", "bad"),
    [("gb18030", b"\xff"), ("gb18030", b"\x81"), ("big5", b"\xff\xff"), ("big5", b"\xc2\x80\xc2\x80")],
)
def test_bytes_that_are_no_text_cost_one_document(encoding: str, bad: bytes, tmp_path: Path) -> None:
    raw = [f'{{"text": "{line}"}}'.encode(ENCODINGS[encoding]) for line in LINES[:5]]
    raw[2] = raw[2].replace(b"Rome", bad)
    path = tmp_path / "x.jsonl"
    path.write_bytes(b"\n".join(raw))
    found = read(Jsonl(paths=[str(path)], encoding=encoding), path, 1, None)
    assert [isinstance(record, Record) for record in found] == [True, True, False, True, True]
    (rejected,) = (record for record in found if isinstance(record, Rejected))
    assert rejected.reason == f"invalid {encoding}" and "line 3" in rejected.detail and rejected.place.line == 3


def test_a_file_cut_short_inside_a_character_costs_its_last_document(tmp_path: Path) -> None:
    path = tmp_path / "x.txt"
    for encoding in ("gb18030", "utf-16"):
        path.write_bytes("北京\n上海".encode(encoding)[:-1])
        first, last = read(PlainText(paths=[str(path)], document="line", encoding=encoding), path, 1, None)
        assert isinstance(first, Record) and first.text.strip() == "北京"
        assert isinstance(last, Rejected) and last.reason == f"invalid {encoding}"


@pytest.mark.parametrize(
    ("codec", "named"),
    [("gb18030", "gb18030"), ("gbk", "gb18030"), ("big5", "big5"), ("utf-16", "utf-16"), ("utf-16-be", "utf-16")],
)
@pytest.mark.parametrize("kind", ["jsonl", "lines", "file"])
def test_text_that_is_not_utf8_is_set_aside_with_what_it_looks_like_and_what_to_set(
    kind: str, codec: str, named: str, tmp_path: Path
) -> None:
    cls, arguments, content = KINDS[kind]
    path = tmp_path / "x.txt"
    if named == "gb18030":  # usually simplified: traditional characters are rare ones there
        content = content.replace("長江發源於哪裡", "长江发源于哪里")
    path.write_bytes(content.encode(codec))
    rejected = [
        record
        for record in read(cls(paths=[str(path)], **arguments), path, 1 << 20, None)
        if isinstance(record, Rejected)
    ]
    assert rejected[0].reason == "invalid UTF-8"
    assert rejected[0].detail.endswith(f"; looks like {named.upper()}: set `encoding: {named}`")


def test_english_in_utf16_is_not_taken_for_utf8_full_of_zeros(tmp_path: Path) -> None:
    path = tmp_path / "x.txt"
    path.write_bytes("the river rises\nand falls again\n".encode("utf-16-le"))
    (first, *_) = read(PlainText(paths=[str(path)], document="line"), path, 1, None)
    assert isinstance(first, Rejected) and first.detail == "byte 1: zero; looks like UTF-16: set `encoding: utf-16`"


def test_nothing_is_named_where_nothing_is_likely() -> None:
    for raw in (b"", b"\xff", b"caf\xe9 au lait, d\xe9j\xe0 vu, \xe0 bient\xf4t", bytes(range(256)), b"\xe5\x8c"):
        assert likely_encoding(raw) == ""
    assert likely_encoding("长江发源于哪里？".encode("gbk")) == "gb18030"


def test_a_utf8_file_under_another_encoding_is_refused_and_not_misread(tmp_path: Path) -> None:
    path = tmp_path / "x.txt"
    for content in ("\n".join(LINES).encode(), "\ufeffplain".encode()):
        path.write_bytes(content)
        for encoding in OTHERS:
            with pytest.raises(ValueError, match=rf"x\.txt is UTF-8, not {encoding}\. Leave `encoding` out"):
                PlainText(paths=[str(path)], encoding=encoding).survey(path, 1 << 20)


@pytest.mark.parametrize(
    ("name", "hint"),
    [
        ("gbk", "gb18030 reads GBK and GB2312 too"),
        ("GB2312", "gb18030 reads"),
        ("latin-1", "is not one of utf-8, gb18030"),
    ],
)
def test_an_encoding_that_is_not_offered_is_refused(name: str, hint: str) -> None:
    with pytest.raises(ValueError, match=r"^encoding: ") as caught:
        Jsonl(paths=["x"], encoding=name)
    assert hint in str(caught.value)


def test_the_default_leaves_the_settings_of_a_plan_as_they_were() -> None:
    assert "encoding" not in settings_of(Jsonl(paths=["x"]))
    assert settings_of(Jsonl(paths=["x"], encoding="big5"))["encoding"] == "big5"


def quiet(progress: object) -> None:
    """Listens to nothing."""


def test_a_corpus_in_gb18030_is_prepared_into_the_same_shards_part_by_part(tmp_path: Path) -> None:
    lines = [f"第{number}条 北京大学的法院在人民广场，共{number}页。" for number in range(300)]
    hashes = []
    for encoding in ("utf-8", "gb18030"):
        folder = tmp_path / encoding
        folder.mkdir()
        (folder / "laws.txt").write_bytes("\n".join(lines).encode(encoding))
        corpus = PlainText(paths=[str(folder / "laws.txt")], document="line", encoding=encoding)
        vocabulary = Vocabulary(size=200, min_frequency=1)
        manifest = prepare(
            Preparation(output=str(folder / "out"), corpora=[corpus], vocabulary=vocabulary, part_bytes=4000), quiet
        )
        assert read_json(folder / "out/plan.json")["parts"] > 3 and not manifest["counts"].get(
            "rejected.invalid gb18030"
        )
        hashes.append([shard["sha256"] for shard in manifest["shards"]])
    assert hashes[0] == hashes[1]


# --- names of files
# ---------------------------------------------------------------------------------------------------------------


@pytest.fixture
def misnamed(tmp_path: Path) -> Path:
    """A folder with one sound file and one whose name is GBK."""
    folder = tmp_path / "corpus"
    folder.mkdir()
    (folder / "good.txt").write_text("\n".join(LINES), encoding="utf-8")
    try:
        Path(os.fsdecode(os.fsencode(folder) + b"/" + "坏".encode("gbk") + b".txt")).write_text(
            "江河湖海", encoding="utf-8"
        )
    except OSError:
        pytest.skip("this file system takes UTF-8 names only")
    return folder


def test_a_file_whose_name_is_not_utf8_is_left_out_and_named(misnamed: Path, tmp_path: Path) -> None:
    from launch.reports.prepared.warning_lines import input_lines

    corpus = PlainText(paths=[f"{misnamed}/*.txt"], document="line")
    assert corpus.files() == [misnamed / "good.txt"]
    assert [item.path for item in corpus.found().left_out] == [f"{misnamed}/\\xbb\\xb5.txt"]
    preparation = Preparation(
        output=str(tmp_path / "out"), corpora=[corpus], vocabulary=Vocabulary(size=200, min_frequency=1)
    )
    assert input_lines(preparation, find_all(preparation)) == [
        f"warning: 1 file(s) left out, name not UTF-8: {misnamed}/\\xbb\\xb5.txt (rename it)"
    ]
    manifest = prepare(preparation, quiet)
    assert sum(shard["documents"] for shard in manifest["shards"]) == len(LINES)
    assert manifest["counts"]["rejected.name not UTF-8"] == 1


def test_a_pattern_of_nothing_but_such_files_is_refused(misnamed: Path) -> None:
    (misnamed / "good.txt").unlink()
    with pytest.raises(
        FileNotFoundError, match=r"only files whose names are not UTF-8, such as .*xbb.xb5\.txt\. Rename them"
    ) as caught:
        PlainText(paths=[f"{misnamed}/*.txt"]).files()
    str(caught.value).encode()
    with pytest.raises(FileNotFoundError, match="Rename them"):
        replace(PlainText(paths=["x"]), paths=[str(next(misnamed.iterdir()))]).files()
