"""Lexicon files: every format, what `auto` takes a file for, and what happens to lines that are none of it."""

from __future__ import annotations

import bz2
import gzip
import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from data_prep.filtering.cleaning import Cleaning
from data_prep.word_lists.lexicons import FORMATS, Entries, lexicon_words, load_entries
from data_prep.word_lists.user_words import UserWord, UserWords


def load(folder: Path, content: str | bytes, name: str = "l.txt", **arguments: Any) -> Entries:
    (folder / name).write_bytes(content.encode() if isinstance(content, str) else content)
    return load_entries([str(folder / name)], **arguments)


def pairs(entries: Entries) -> list[tuple[str, str]]:
    return list(zip(entries.surfaces, entries.types, strict=True))


# --- txt and tsv
# ----------------------------------------------------------------------------------------------------------------


def test_columns_are_surface_type_and_frequency(tmp_path: Path) -> None:
    content = "北京\n上海\tLOC\n广州\t120\n深圳 \t LOC \t 7\nNew York\tLOC\n字符串 \t 395499\n数组\t0.88\n"
    assert pairs(load(tmp_path, content, default_type="T")) == [
        *[
            ("北京", "T"),
            ("上海", "LOC"),
            ("广州", "T"),
            ("深圳", "LOC"),
            ("New York", "LOC"),
            ("字符串", "T"),
            ("数组", "T"),
        ]
    ]


@pytest.mark.parametrize("end", ["\n", "\r\n", "\r"])
def test_any_line_end_a_byte_order_mark_empty_lines_and_comments_are_understood(end: str, tmp_path: Path) -> None:
    content = end.join(["\ufeff北京\tLOC", "", "# a comment", "  ", "上海\ta\tb\tc", "广州"])
    entries = load(tmp_path, content, on_malformed="skip")
    assert pairs(entries) == [("北京", "LOC"), ("广州", "")]
    assert [line.split(": ")[0].rpartition(":")[2] for line in entries.malformed] == ["5"]


def test_line_numbers_go_on_through_a_long_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("data_prep.inputs.text_lines.BLOCK_BYTES", 64)
    content = b"".join(f"name {number}\tPER\r\n".encode() if number % 50 else b"\xff\xfe\n" for number in range(1, 301))
    entries = load(tmp_path, content, on_malformed="skip")
    assert len(entries.surfaces) == 294
    assert [line.split(":")[1] for line in entries.malformed] == ["50", "100", "150", "200", "250", "300"]


@pytest.mark.parametrize("compress", [gzip.compress, bz2.compress])
def test_compressed_files_are_read(compress: Any, tmp_path: Path) -> None:
    name = "l.txt.gz" if compress is gzip.compress else "l.txt.bz2"
    assert pairs(load(tmp_path, compress("北京\tLOC\n".encode()), name)) == [("北京", "LOC")]


def test_a_damaged_compressed_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=r"l\.txt\.gz is damaged or cut short"):
        load(tmp_path, gzip.compress("北京\tLOC\n".encode() * 999)[:40], "l.txt.gz")


def test_what_is_left_out_is_counted_by_reason(tmp_path: Path) -> None:
    entries = load(tmp_path, "江\n长江\tLOC\n长江\tLOC\n长江\tWORK\n黄河\n")
    assert pairs(entries) == [("长江", "LOC"), ("黄河", "")]
    assert entries.left_out == {
        "listed before": 1,
        "listed before with another type": 1,
        "shorter than 2 characters": 1,
    }
    assert entries.malformed == []


def test_the_first_file_decides_the_type(tmp_path: Path) -> None:
    (tmp_path / "a.txt").write_text("北京\tA\n", encoding="utf-8")
    (tmp_path / "b.txt").write_text("北京\tB\n上海\tB\n", encoding="utf-8")
    assert pairs(load_entries([str(tmp_path / "a.txt"), str(tmp_path / "b.txt")])) == [("北京", "A"), ("上海", "B")]


def test_an_explicit_txt_takes_the_whole_line(tmp_path: Path) -> None:
    assert pairs(load(tmp_path, "Boeing 747\nWindows 95\n长征 5\n", format="txt")) == [
        ("Boeing 747", ""),
        ("Windows 95", ""),
        ("长征 5", ""),
    ]
    with pytest.raises(ValueError, match="has a tab; with `format: txt` a line is one surface"):
        load(tmp_path, "北京\tLOC\n", format="txt")


@pytest.mark.parametrize(
    ("line", "complaint"),
    [
        ("a\tb\tc", "has 3 columns"),
        ("a\tb\t3\td", "has 4 columns"),
        ("\tLOC", "has 2 columns"),
        ("北京\ttwo words", "neither a type nor a frequency"),
        ("北京\t3?", "neither a type nor a frequency"),
        ("北京\t" + "X" * 33, "neither a type nor a frequency"),
        ("北\u2028京", "a line break inside the entry"),
        ("x" * 1001, "an entry of 1001 characters"),
    ],
)
def test_a_malformed_line_is_refused_or_listed(line: str, complaint: str, tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="lexicon with malformed lines") as caught:
        load(tmp_path, f"上海\n{line}\n")
    assert f"{tmp_path / 'l.txt'}:2: " in str(caught.value)
    assert complaint in str(caught.value)
    entries = load(tmp_path, f"上海\n{line}\n", on_malformed="skip")
    assert pairs(entries) == [("上海", "")]
    assert len(entries.malformed) == 1


def test_an_unknown_format_a_missing_file_and_an_empty_list_are_named(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=r"^format: 'csv' is not one of auto, txt"):
        load(tmp_path, "x", format="csv")
    with pytest.raises(FileNotFoundError, match=r"lexicon .*nowhere: no such file"):
        load_entries([str(tmp_path / "nowhere")])
    with pytest.raises(ValueError, match=r"l\.txt: no entry of 3 characters or more"):
        load(tmp_path, "北京\n", min_characters=3)


CHARACTERS = st.one_of(
    st.characters(exclude_categories=["Cs"]), st.sampled_from("e\u0301 \u3000\u200b京é\u00adﬁ\u00a0")
)


@settings(max_examples=300, deadline=None)
@given(surface=st.text(CHARACTERS, min_size=1, max_size=12))
def test_surfaces_are_cleaned_exactly_like_the_text_of_documents(
    surface: str, tmp_path_factory: pytest.TempPathFactory
) -> None:
    surface = surface.strip()
    if not surface or set(surface) & set("\t\r\n") or surface[0] == "#":
        return
    entries = load(
        tmp_path_factory.getbasetemp(), f"北京市\n{surface}\n", min_characters=1, on_malformed="skip", format="txt"
    )
    cleaned = Cleaning().text(surface)
    if "\n" in cleaned:
        assert len(entries.malformed) == 1
    else:
        assert entries.surfaces == list(dict.fromkeys(["北京市", cleaned] if cleaned else ["北京市"]))


# --- userdict, patterns, mined
# --------------------------------------------------------------------------------------------------


def test_a_user_dictionary_gives_types_to_names(tmp_path: Path) -> None:
    content = "云计算 5 n\n李小福 2 nr\n台中 3 ns\n韩玉赏鉴 3 nz\n教育部 9 nt\nNew York 5 ns\n八一双鹿\n"
    assert pairs(load(tmp_path, content, format="userdict", default_type="T")) == [
        *[
            ("云计算", "T"),
            ("李小福", "PER"),
            ("台中", "LOC"),
            ("韩玉赏鉴", "MISC"),
            ("教育部", "ORG"),
            ("New York", "LOC"),
            ("八一双鹿", "T"),
        ]
    ]


def test_patterns_of_an_entity_ruler_are_read(tmp_path: Path) -> None:
    patterns = [
        {"label": "ORG", "pattern": "Apple Inc.", "id": "apple"},
        {"label": "LOC", "pattern": [{"TEXT": "New"}, {"ORTH": "York"}]},
        {"label": "LOC", "pattern": [{"LOWER": "san"}, {"lower": "marino"}]},
        {"label": "LOC", "pattern": [{"TEXT": "北"}, {"TEXT": "京"}]},
        {"label": "ORG", "pattern": [{"TEXT": "Procter"}, {"TEXT": "&"}, {"TEXT": "Gamble"}]},
        {"label": "WORK", "pattern": [{"TEXT": "Schindler"}, {"TEXT": "'s"}, {"TEXT": "List"}]},
        {"label": "TERM", "pattern": [{"TEXT": "e"}, {"TEXT": "-"}, {"TEXT": "mail"}]},
    ]
    content = "".join(json.dumps(pattern, ensure_ascii=False) + "\n" for pattern in patterns)
    wanted = [
        *[
            ("Apple Inc.", "ORG"),
            ("New York", "LOC"),
            ("san marino", "LOC"),
            ("San Marino", "LOC"),
            ("SAN MARINO", "LOC"),
            ("北京", "LOC"),
        ],
        *[("Procter & Gamble", "ORG"), ("Schindler's List", "WORK"), ("e-mail", "TERM")],
    ]
    assert (
        pairs(load(tmp_path, content, "p.jsonl"))
        == pairs(load(tmp_path, content, "p.txt"))
        == pairs(load(tmp_path, content, format="patterns"))
        == wanted
    )


@pytest.mark.parametrize(
    ("line", "complaint"),
    [
        ('{"label": "X", "pattern": [{"LEMMA": "be"}]}', '{"LEMMA":"be"} is more than'),
        ('{"label": "X", "pattern": [{"LOWER": "a", "OP": "?"}]}', "run such patterns with `kind: spacy_pipeline`"),
        ('{"label": "X", "pattern": [{"LOWER": {"IN": ["a"]}}]}', "is more than"),
        ('{"label": "X", "pattern": []}', "is not {"),
        ('{"label": "X", "pattern": " "}', "the pattern is empty"),
        ('{"label": "", "pattern": "abc"}', "is not {"),
        ('{"label": "two words", "pattern": "abc"}', "is not {"),
        ('{"pattern": "abc"}', "is not {"),
        ("[1]", "is not {"),
        ("Rome", "not JSON"),
    ],
)
def test_a_pattern_that_asks_for_more_than_letters_is_refused(line: str, complaint: str, tmp_path: Path) -> None:
    content = f'{{"label": "LOC", "pattern": "Rome"}}\n{line}\n'
    with pytest.raises(ValueError, match=r"p\.jsonl:2: ") as caught:
        load(tmp_path, content, "p.jsonl")
    assert complaint in str(caught.value)
    assert len(load(tmp_path, content, "p.jsonl", on_malformed="skip").malformed) == 1


def test_a_mined_lexicon_is_recognised_by_its_heading(tmp_path: Path) -> None:
    heading = "# Mined, review me\n# surface\tscore\tcount\texamples\n"
    content = f"{heading}云计算\t0.731\t42\t…【云计算】…\nsteam engine\t-1.5e-3\t7\nx86\tnan\t3\n"
    assert pairs(load(tmp_path, content, default_type="TERM")) == [
        ("云计算", "TERM"),
        ("steam engine", "TERM"),
        ("x86", "TERM"),
    ]
    with pytest.raises(ValueError, match="is not surface, score, count"):
        load(tmp_path, f"{content}少一列\t0.5\n")


def test_what_the_miner_writes_is_read(tmp_path: Path) -> None:
    from data_prep.counting.mining import Entry
    from data_prep.counting.mining_step import write_lexicon

    found = [
        Entry("云计算", 0.731, 42, 0.7, 1.5, 1.25, "…【云计算】…"),
        Entry("steam engine", -0.5, 7, 0.1, 0, 0, "a 【steam engine】"),
    ]
    write_lexicon(tmp_path / "mined.tsv", found, {"min_count": 5})
    assert pairs(load_entries([str(tmp_path / "mined.tsv")])) == [("云计算", ""), ("steam engine", "")]


# --- auto
# -----------------------------------------------------------------------------------------------------------------------


def test_auto_never_takes_names_of_several_words_for_a_dictionary(tmp_path: Path) -> None:
    names = ["New York", "new york", "vitamin c", "San Marino n", "Boeing 747", "Rome", "北京 n"]
    assert load(tmp_path, "\n".join(names)).surfaces == names
    assert load(tmp_path, "Boeing 747\nWindows 95\n").surfaces == ["Boeing 747", "Windows 95"]


def test_auto_takes_a_file_of_words_numbers_and_tags_for_a_dictionary(tmp_path: Path) -> None:
    assert pairs(load(tmp_path, "# mine\n云计算 5 n\n李小福 2 nr\n")) == [("云计算", ""), ("李小福", "PER")]
    assert load(tmp_path, "云计算 5 n\nBoeing 747 jumbo\n").surfaces == ["云计算 5 n", "Boeing 747 jumbo"]


def test_auto_asks_when_every_line_ends_in_a_number(tmp_path: Path) -> None:
    content = "云计算 5\n李小福 2 nr\n长征 5\n"
    with pytest.raises(
        ValueError, match=r"every line ends in a number, for example '云计算 5'\. Set `format: userdict`"
    ):
        load(tmp_path, content)
    assert load(tmp_path, content, format="userdict").surfaces == ["云计算", "李小福", "长征"]


# --- anything at all
# ------------------------------------------------------------------------------------------------------------

PIECES = st.sampled_from(
    [
        b"\n",
        b"\r",
        b"\t",
        b" ",
        b"#",
        b"\xff",
        b"\xef\xbb\xbf",
        "北京".encode(),
        b"New York",
        b"LOC",
        b" 5 n",
        b'{"label": "A", "pattern": ',
        b'"x1"}',
        b"[{",
        b"}]}",
    ]
)


@settings(max_examples=300, deadline=None)
@given(
    content=st.one_of(st.binary(max_size=60), st.lists(PIECES, max_size=14).map(b"".join)),
    format=st.sampled_from(FORMATS),
)
def test_every_line_becomes_an_entry_or_is_counted(
    content: bytes, format: str, tmp_path_factory: pytest.TempPathFactory
) -> None:
    folder = tmp_path_factory.getbasetemp()
    try:
        entries = load(folder, content, on_malformed="skip", format=format)
    except ValueError as error:
        assert "no entry of 2 characters" in str(error) or "every line ends in a number" in str(error)
        return
    assert len(set(entries.surfaces)) == len(entries.surfaces) == len(entries.types)
    lines = content.removeprefix(b"\xef\xbb\xbf").replace(b"\r\n", b"\n").replace(b"\r", b"\n").split(b"\n")
    meant = [
        line
        for line in lines
        if line.strip() and not line.startswith(b"#") and not line.decode(errors="replace").isspace()
    ]
    counted = len(entries.surfaces) + len(entries.malformed) + sum(entries.left_out.values())
    assert counted >= len(meant) if format in ("auto", "patterns") else counted == len(meant)
    assert all(
        surface == surface.strip() and "\n" not in surface and "\t" not in surface for surface in entries.surfaces
    )


@pytest.mark.parametrize("line", ["北京\tLOC\t120\t\t", "北京\tLOC\t", "北京\t\t", "北京\t"])
def test_tabs_at_the_end_of_a_line_say_nothing(line: str, tmp_path: Path) -> None:
    entries = load(tmp_path, f"{line}\n上海\tLOC\n")
    assert entries.surfaces == ["北京", "上海"]
    assert entries.types[0] == ("LOC" if "LOC" in line else "")


def test_all_malformed_lexicons_are_reported_at_once(tmp_path: Path) -> None:
    from data_prep.annotators.lexicon import Lexicon
    from data_prep.corpora.jsonl import Jsonl
    from data_prep.preparing.plan import Preparation

    for name, lines in (("a", 7), ("b", 1), ("c", 2)):
        (tmp_path / f"{name}.tsv").write_text("上海\n" + "北京\tLOC\textra\n" * lines, encoding="utf-8")
    annotators = [
        Lexicon(level="entity", paths=[str(tmp_path / "a.tsv"), str(tmp_path / "b.tsv")]),
        Lexicon(level="phrase", paths=[str(tmp_path / "missing.tsv")]),
        Lexicon(level="phrase", paths=[str(tmp_path / "c.tsv")]),
    ]
    with pytest.raises(ValueError, match="lexicon with malformed lines") as caught:
        _ = Preparation(output="o", corpora=[Jsonl(paths=["x"])], annotators=annotators).labels
    told = str(caught.value)
    assert [told.count(f"{name}.tsv:") for name in "abc"] == [5, 1, 2]
    assert f"... and 2 more in {tmp_path / 'a.tsv'}" in told and "missing.tsv: no such file" in told


# --- counts
# ---------------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("content", "format"),
    [
        ("北京\tLOC\t900\n行一\tLOC\t2\n上地\t0.5\n长江\n", "tsv"),
        ("北京 900 ns\n行一 2 nr\n上地 1\n长江\n", "userdict"),
        ("# surface\tscore\tcount\n北京\t0.9\t900\n行一\t0.9\t2\n上地\t0.1\t1\n", "mined"),
    ],
)
def test_entries_seen_less_often_than_asked_are_left_out_and_counted(content: str, format: str, tmp_path: Path) -> None:
    found = load(tmp_path, content, format=format, min_frequency=3)
    assert found.surfaces == ["北京"] + ["长江"] * (format != "mined"), "a line without a count stays"
    assert found.left_out == {"seen less than 3 times": 2}
    assert (
        len(load(tmp_path, content, format=format).surfaces)
        == len(load(tmp_path, content, format=format, min_frequency=0.5).surfaces)
        >= 3
    )


def test_a_frequency_asked_of_lists_without_counts_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=r"l\.txt: min_frequency is 3, and no line says how often"):
        load(tmp_path, "北京\tLOC\n上海\n", min_frequency=3)
    with pytest.raises(ValueError, match=r"no entry of 2 characters or more seen 5 times or more"):
        load(tmp_path, "北京\tLOC\t4\n", min_frequency=5)


def test_a_lexicon_becomes_words_without_what_the_segmenter_cannot_produce(tmp_path: Path) -> None:
    (tmp_path / "l.tsv").write_text("北京大学\tORG\t900\nNew York\tLOC\n卡尔·马克思\na\tb\tc\n", encoding="utf-8")
    found = lexicon_words([str(tmp_path / "l.tsv")], "\u4e00-\u9fffa-zA-Z")
    assert found.words == [UserWord("北京大学", None, "")], "counts of a list of names are no counts of words"
    assert (
        len(found.unreachable) == 3
        and "l.tsv:4: " in found.unreachable[0]
        and found.unreachable[1:] == ["New York", "卡尔·马克思"]
    )
    assert lexicon_words([], "a") == UserWords([], [])
