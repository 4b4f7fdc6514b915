"""What is special to each corpus format beyond JSON Lines and plain text, and to the cache of unpacked slices."""

from __future__ import annotations

import bz2
import gzip
import json
import os
import shutil
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from data_prep.corpora import Corpus, Slice
from data_prep.corpora.annotated_jsonl import AnnotatedJsonl
from data_prep.corpora.hub_dataset import HubDataset
from data_prep.corpora.jsonl import Jsonl
from data_prep.corpora.parquet import Parquet
from data_prep.corpora.plain_text import PlainText
from data_prep.corpora.pre_segmented import PreSegmented
from data_prep.corpora.wiki_dump import WikiDump
from data_prep.corpora.wikiextractor import Wikiextractor
from data_prep.documents import Given, Label, Place, Record, Rejected
from data_prep.engines import Engine
from data_prep.filtering.duplicates import Duplicates
from data_prep.inputs.streams import LONGEST_DOCUMENT, open_bytes
from data_prep.inputs.wikitext import Wikitext
from data_prep.preparing.pipeline import prepare
from data_prep.preparing.plan import Preparation
from data_prep.preparing.surveying import Listing, Surveyor
from data_prep.running.supervision import Watch
from data_prep.vocabularies.vocabulary import Vocabulary

HERE = Place("x", 1, 0)
REVISION = "0123456789abcdef0123456789abcdef01234567"


def read(corpus: Corpus, slice_bytes: int = 1 << 30, cache: Path | None = None) -> list[Record | Rejected]:
    return [
        item
        for path in corpus.files()
        for piece in corpus.survey(path, slice_bytes, cache).slices
        for item in corpus.read(piece, cache)
    ]


def record(item: Record | Rejected | None) -> Record:
    assert isinstance(item, Record), item
    return item


def reason(item: Record | Rejected | None) -> str:
    assert isinstance(item, Rejected), item
    return item.reason


def shown(items: list[Record | Rejected]) -> list[str]:
    return [item.text if isinstance(item, Record) else item.reason for item in items]


# --- the cache of unpacked slices
# -----------------------------------------------------------------------------------------------


@pytest.fixture
def packed(tmp_path: Path) -> Path:
    """A gzip file that a survey in slices of 1,000 bytes divides."""
    file = tmp_path / "x.jsonl.gz"
    file.write_bytes(gzip.compress(b"".join(b'{"text": "document %d"}\n' % number for number in range(400))))
    return file


def cached(cache: Path) -> list[Path]:
    return sorted(cache.rglob("*.zst"))


def test_a_cache_holds_every_slice_but_the_first_and_changes_no_document(packed: Path, tmp_path: Path) -> None:
    corpus = Jsonl(paths=[str(packed)])
    without, cache = read(corpus, 1000), tmp_path / "cache"
    assert read(corpus, 1000, cache) == without
    assert len(cached(cache)) == len(corpus.survey(packed, 1000).slices) - 1 > 3
    assert [file for file in cache.rglob("*") if file.is_file()] == [
        file for file in cache.rglob("*") if file.suffix == ".zst"
    ]


def test_slices_in_the_cache_are_read_instead_of_the_compressed_file(packed: Path, tmp_path: Path) -> None:
    corpus, cache = Jsonl(paths=[str(packed)]), tmp_path / "cache"
    slices = corpus.survey(packed, 1000, cache).slices
    expected = list(corpus.read(slices[-1]))
    status = packed.stat()
    packed.write_bytes(bytes(status.st_size))  # of the same size and time, and unreadable
    os.utime(packed, ns=(status.st_atime_ns, status.st_mtime_ns))
    assert list(corpus.read(slices[-1], cache)) == expected


def cut_short(file: Path) -> None:
    file.write_bytes(file.read_bytes()[:-3])


def flip(file: Path) -> None:
    content = bytearray(file.read_bytes())
    content[len(content) // 2] ^= 1
    file.write_bytes(content)


def empty(file: Path) -> None:
    file.write_bytes(b"")


def swap_content(file: Path) -> None:
    file.write_bytes(
        next(other for other in cached(file.parent) if other.stat().st_size != file.stat().st_size).read_bytes()
    )


@pytest.mark.parametrize("damage", [cut_short, flip, empty, swap_content, Path.unlink])
def test_a_damaged_or_missing_cache_file_is_not_used(
    damage: Callable[[Path], None], packed: Path, tmp_path: Path
) -> None:
    corpus, cache = Jsonl(paths=[str(packed)]), tmp_path / "cache"
    slices = corpus.survey(packed, 1000, cache).slices
    expected = [item for piece in slices for item in corpus.read(piece)]
    damage(cached(cache)[0])
    assert [item for piece in slices for item in corpus.read(piece, cache)] == expected


def test_a_changed_file_does_not_find_the_slices_of_its_former_self(packed: Path, tmp_path: Path) -> None:
    corpus, cache = Jsonl(paths=[str(packed)]), tmp_path / "cache"
    read(corpus, 1000, cache)
    packed.write_bytes(gzip.compress(b"".join(b'{"text": "another_ %d"}\n' % number for number in range(400))))
    assert all("another_" in text for text in shown(read(corpus, 1000, cache)))


def test_a_cache_that_cannot_be_written_is_done_without(
    packed: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    (tmp_path / "cache").write_text("a file where a folder should be")
    corpus = Jsonl(paths=[str(packed)])
    assert read(corpus, 1000, tmp_path / "cache") == read(corpus, 1000)
    assert "is read without a cache" in caplog.text


def test_plain_files_need_no_cache(tmp_path: Path) -> None:
    (tmp_path / "x.jsonl").write_text('{"text": "words"}\n' * 100)
    read(Jsonl(paths=[str(tmp_path / "x.jsonl")]), 50, tmp_path / "cache")
    assert not (tmp_path / "cache").exists()


def test_a_document_too_long_to_hold_is_set_aside_and_the_next_one_is_read(tmp_path: Path) -> None:
    (tmp_path / "x.txt").write_bytes(b"a" * (LONGEST_DOCUMENT + 5) + b"\nnext\n")
    corpus = PlainText(paths=[str(tmp_path / "x.txt")], document="line")
    for slice_bytes in (1 << 20, 1 << 30):
        first, second = read(corpus, slice_bytes)
        assert (reason(first), first.place.line, record(second).text.strip(), second.place.line) == (
            "document too long",
            1,
            "next",
            2,
        )
        assert f"{LONGEST_DOCUMENT + 6} bytes" in first.detail  # type: ignore[union-attr]


# --- annotated JSON Lines
# -------------------------------------------------------------------------------------------------------


def annotated(spans: Any, text: str = "鲁迅生于绍兴。", **settings: Any) -> Record | Rejected | None:
    corpus = AnnotatedJsonl(
        **{"paths": ["x"], "kinds": ["PER", "LOC", "TERM", "W"], "levels": {"TERM": "phrase", "W": "word"}, **settings}
    )
    return corpus.parse(json.dumps({"text": text, "spans": spans}).encode(), HERE, "s")


def test_spans_come_out_sorted_by_level_as_lists_or_objects() -> None:
    found = record(annotated([{"start": 4, "end": 6, "label": "LOC"}, [0, 2, "PER"], [0, 6, "TERM"], [2, 4, "W"]]))
    assert found.given == {
        "entity": (Given(0, 2, "PER"), Given(4, 6, "LOC")),
        "phrase": (Given(0, 6, "TERM"),),
        "word": (Given(2, 4, ""),),
    }


def test_span_positions_count_characters_not_bytes_or_surrogates() -> None:
    found = record(annotated([[1, 3, "PER"]], text="𠀀鲁迅"))
    assert found.text[1:3] == "鲁迅"
    assert found.given["entity"] == (Given(1, 3, "PER"),)


def test_levels_without_spans_are_there_and_empty() -> None:
    assert record(annotated([])).given == {"entity": (), "phrase": (), "word": ()}


def test_the_keys_of_spans_are_the_users_choice() -> None:
    corpus = AnnotatedJsonl(
        paths=["x"],
        kinds=["ORG"],
        level="name",
        text_key="body",
        spans_key="entities",
        start_key="from",
        end_key="to",
        kind_key="type",
    )
    line = json.dumps({"body": "Acme makes", "entities": [{"from": 0, "to": 4, "type": "ORG"}]}).encode()
    assert record(corpus.parse(line, HERE, "s")).given == {"name": (Given(0, 4, "ORG"),)}
    assert corpus.given_labels() == {"name": [Label("ORG", "user")]}


def test_every_declared_kind_is_a_label_of_its_level() -> None:
    corpus = AnnotatedJsonl(
        paths=["x"], kinds=["PER", "W", "V", "TERM"], levels={"TERM": "phrase", "W": "word", "V": "word"}
    )
    assert corpus.given_labels() == {
        "entity": [Label("PER", "user")],
        "word": [Label("", "user")],
        "phrase": [Label("TERM", "user")],
    }


@pytest.mark.parametrize(
    ("spans", "expected"),
    [
        ([[0, 2, "MISC"]], "undeclared kind of span"),
        ([[0, 9, "PER"]], "span outside the text"),
        ([[-1, 2, "PER"]], "span outside the text"),
        ([[2, 0, "PER"]], "span without characters"),
        ([[2, 2, "PER"]], "span without characters"),
        ([[0, 3, "PER"], [2, 4, "LOC"]], "spans overlap"),
        ([[0, 2, "PER"], [0, 2, "PER"]], "spans overlap"),
        ([[0, 2]], "not a span"),
        ([[0.0, 2, "PER"]], "not a span"),
        ([[True, 2, "PER"]], "not a span"),
        ([{"start": 0, "end": 2}], "not a span"),
        (["PER"], "not a span"),
        ([None], "not a span"),
        (None, "no spans"),
        ({"start": 0}, "no spans"),
    ],
)
def test_a_document_with_a_span_that_cannot_be_kept_is_set_aside_with_the_reason(spans: Any, expected: str) -> None:
    assert reason(annotated(spans)) == expected


def test_deeply_nested_nonsense_in_a_span_is_shown_briefly() -> None:
    item = AnnotatedJsonl(paths=["x"], kinds=["A"]).parse(
        b'{"text": "a", "spans": [' + b"[" * 900 + b"]" * 900 + b"]}", HERE, "s"
    )
    assert reason(item) == "not a span"


def test_spans_of_different_levels_may_overlap() -> None:
    assert len(record(annotated([[0, 3, "PER"], [2, 4, "TERM"]])).given["phrase"]) == 1


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"kinds": []}, "kinds: "),
        ({"kinds": ["A", "A"]}, "kinds: "),
        ({"kinds": [" "]}, "kinds: "),
        ({"kinds": ["A"], "levels": {"B": "word"}}, "levels: B not among kinds: A"),
        ({"kinds": ["A"], "levels": {"A": ""}}, "levels: a level needs a name"),
        ({"kinds": ["A"], "level": ""}, "level: give a name"),
    ],
)
def test_nonsense_about_kinds_and_levels_is_refused(settings: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        AnnotatedJsonl(paths=["x"], **settings)


# --- pre-segmented text
# ---------------------------------------------------------------------------------------------------------


def segmented(text: str, document: str = "block") -> Record:
    return record(PreSegmented(paths=["x"], document=document).parse(text.encode(), HERE, "s"))


@pytest.mark.parametrize(
    ("line", "text", "words"),
    [
        ("江水  向  东  流  。\n", "江水向东流。", ["江水"]),
        ("江水\u3000东流\r\n", "江水东流", ["江水", "东流"]),
        ("I like 北京 烤鸭 .", "I like北京烤鸭.", ["like", "北京", "烤鸭"]),
        ("New York is big .", "New York is big .", ["New", "York", "is", "big"]),
        ("“ Hi ” , he said …", "“ Hi ” , he said …", ["Hi", "he", "said"]),
        ("他 说 “ 走 …… ” 。", "他说“走……”。", ["……"]),
        ("用 ＮＥＣ ＰＣ 机", "用ＮＥＣ ＰＣ机", ["ＮＥＣ", "ＰＣ"]),
        ("カタカナ を 読む", "カタカナを読む", ["カタカナ", "読む"]),
        ("한국 사람 입니다", "한국 사람 입니다", ["한국", "사람", "입니다"]),
        ("𠀀𪛖 字", "𠀀𪛖字", ["𠀀𪛖"]),
        ("天 地", "天地", []),
    ],
)
def test_spaces_go_where_chinese_is_written_without_and_words_keep_their_place(
    line: str, text: str, words: list[str]
) -> None:
    found = segmented(line)
    assert found.text == text
    assert [found.text[word.start : word.end] for word in found.given["word"]] == words


def test_words_of_several_lines_are_counted_through_the_whole_text() -> None:
    found = segmented("江水 东流\n\n  \nthe end\n", "file")
    assert found.text == "江水东流\nthe end"
    assert [found.text[word.start : word.end] for word in found.given["word"]] == ["江水", "东流", "the", "end"]


def test_pre_segmented_documents_end_as_the_setting_says(tmp_path: Path) -> None:
    (tmp_path / "x.txt").write_text("一 二\n三\n\n四\n", encoding="utf-8")
    for document, expected in (
        ("file", ["一二\n三\n四"]),
        ("block", ["一二\n三", "四"]),
        ("line", ["一二", "三", "四"]),
    ):
        assert shown(read(PreSegmented(paths=[str(tmp_path / "x.txt")], document=document), 1)) == expected
    assert PreSegmented(paths=["x"]).given_labels() == {"word": [Label("", "user")]}


# --- WikiExtractor
# --------------------------------------------------------------------------------------------------------------

EXTRACTED = """<doc id="12" url="https://en.wikipedia.org/wiki?curid=12" title="AT&amp;T">
AT&amp;T

A company with &lt;b&gt;.

Second "paragraph".
</doc>
<doc id="13" revid="7" url="https://x" title="The "Quoted" title">
Text without its title.

</doc>

<doc id="14" url="https://x" title="Empty">
Empty

</doc>
"""


def test_wikiextractor_articles_have_id_title_and_text_without_the_repeated_title(tmp_path: Path) -> None:
    (tmp_path / "wiki_00.bz2").write_bytes(bz2.compress(EXTRACTED.encode()))
    for slice_bytes in (1, 1 << 30):
        first, second, third = read(Wikiextractor(paths=[str(tmp_path / "wiki_*")], language="en"), slice_bytes)
        assert record(first)[:4] == ('A company with <b>.\n\nSecond "paragraph".', "12", "AT&T", "en")
        assert record(second)[:3] == ("Text without its title.", "13", 'The "Quoted" title')
        assert reason(third) == "no text"


def test_wikiextractor_json_lines_read_the_same() -> None:
    corpus = Wikiextractor(paths=["x"], output="json")
    line = json.dumps(
        {"id": "12", "revid": "3", "url": "u", "title": "AT&amp;T", "text": "AT&amp;T\n\nA company."}
    ).encode()
    assert record(corpus.parse(line, HERE, "s"))[:3] == ("A company.", "12", "AT&T")


@pytest.mark.parametrize(
    ("raw", "expected", "detail"),
    [
        (b'<doc id="1" title="T">\nwords\n', "article without </doc>", "cut short"),
        (b'<doc id="1" title="T">\nwords\n</doc>\nmore\n', "text outside <doc>", "'more'"),
        (b"words\n", "text outside <doc>", "'words'"),
        (b'{"id": "1"}\n', "text outside <doc>", "Set `output: json`"),
        (b'<doc id="1" titl\nwords\n</doc>\n', "damaged <doc> line", "does not end with >"),
    ],
)
def test_wikiextractor_output_that_is_damaged_is_set_aside(raw: bytes, expected: str, detail: str) -> None:
    item = Wikiextractor(paths=["x"]).parse(raw, HERE, "s")
    assert reason(item) == expected
    assert detail in item.detail  # type: ignore[union-attr]


def test_wikiextractor_plain_output_read_as_json_gets_a_hint() -> None:
    item = Wikiextractor(paths=["x"], output="json").parse(b'<doc id="1" title="T">\n', HERE, "s")
    assert "Set `output: plain`" in item.detail  # type: ignore[union-attr]


# --- wikitext
# -------------------------------------------------------------------------------------------------------------------


def wiki(text: str, variant: str = "zh-hans") -> str:
    return Wikitext(variant=variant, shown_templates={"lang": 2}).plain(text)


@pytest.mark.parametrize(
    ("source", "text"),
    [
        ("'''Rome''' is ''old''.", "Rome is old."),
        ("[[City|the city]] and [[Town]]s", "the city and Towns"),
        ("[[File:a.jpg|thumb|a [[link]] and [[File:b.png]]]]text[[文件:c.jpg]]", "text"),
        ("text [[Category:X]][[分类:甲]][[de:Rom]][[zh-yue:羅馬]]", "text"),
        ("see [[:Category:X]] [[Re:Zero]]", "see Category:X Re:Zero"),
        ("a{{Infobox|x={{b|c}}|y=[[d|e]]}}b", "ab"),
        ("{{lang|de|Rom}} {{Lang|en|1=a|2=b}} {{other|x}}", "Rom b"),
        ("a<ref>book</ref>b<ref name=x />c<REF name='y'>z</Ref >d", "abcd"),
        ("a<!-- note\n{{x -->b", "ab"),
        ("{|\n| a || b\n{|\n| c\n|}\n|}\nafter", "after"),
        ("x<br/>y<br>z", "x\ny\nz"),
        ("<b>a</b> <span style='x'>c</span> 1 < 2 <unknown>", "a c 1 < 2 <unknown>"),
        ("[https://a.b label] [https://a.b] https://c.d", "label https://c.d"),
        ("<nowiki>a|b <x> &amp;</nowiki>", "a|b <x> &"),
        ("== A ==\ntext\n=== B ===\n\n== C ==\n{{reflist}}", "A\ntext"),
        ("== A ==\n=== B ===\ntext", "A\nB\ntext"),
        ("* one\n** two\n: three\n# four\n----\nfive", "one\ntwo\nthree\nfour\nfive"),
        ("__NOTOC__ a __目录__", "a"),
        ("数学（{{IPA|x}}，{{y}}）是（，1990年）", "数学是（1990年）"),
        ("&lt;b&gt; &nbsp;x &#26481; &#xD800; &unknown;", "<b> x 東 � &unknown;"),
        ("{{{1|default}}}", "default"),
        ("<math>a|b</math>x<gallery>\nf.jpg|y\n</gallery>", "x"),
        ("", ""),
    ],
)
def test_wikitext_becomes_what_a_reader_sees(source: str, text: str) -> None:
    assert wiki(source) == text


@pytest.mark.parametrize(
    ("source", "variant", "text"),
    [
        ("-{zh-hans:信息;zh-hant:資訊}-", "zh-hans", "信息"),
        ("-{zh-hans:信息;zh-hant:資訊}-", "zh-tw", "資訊"),
        ("-{zh-cn:软件; zh-tw:軟體; zh-hk:軟件;}-", "zh-mo", "軟件"),
        ("-{zh-tw:甲}-", "zh-cn", "甲"),
        ("-{A|zh-cn:软件;zh-tw:軟體}-", "zh-hans", "软件"),
        ("a-{H|zh-cn:软件;zh-tw:軟體}-b-{T|zh:x}-", "zh-hans", "ab"),
        ("-{原樣}- -{R|zh:x}-", "zh-hans", "原樣 zh:x"),
        ("-{zh-hans;zh-hant|兩者}-", "zh-hans", "兩者"),
        ("-{zh-tw:甲;zh-hk:-{zh-hans:乙;zh-hant:丙}-}-", "zh-hk", "丙"),
        ("-{[[A|甲]]}-", "zh-hans", "甲"),
        ("-{ never closed", "zh-hans", "-{ never closed"),
    ],
)
def test_marks_of_the_chinese_wikipedia_become_the_text_of_one_variant(source: str, variant: str, text: str) -> None:
    assert wiki(source, variant) == text


@pytest.mark.parametrize(
    "broken",
    [
        "{{a|b [[c]] text",
        "[[File:x|text",
        "{|\n| a\ntext",
        "text }} ]] |}",
        "<ref>text",
        "[http://x text",
        "{{a|[[b}}text]]",
    ],
)
def test_what_is_never_closed_was_text_after_all(broken: str) -> None:
    assert "text" in wiki(broken)


@pytest.mark.parametrize(
    "piece",
    [
        "{{",
        "[[",
        "<b>",
        "{|\n",
        "<ref>",
        "[http://",
        "{{a|",
        "-{",
        "==a\n",
        "-{zh:",
        "<!--",
        "(",
        "|}\n",
        "-{;",
        "}}",
        "[[a|{{b|",
        "<math>",
    ],
)
def test_pages_of_repeated_marks_take_no_longer_than_their_length(piece: str) -> None:
    wiki(piece * 20_000)  # ends at all: anything quadratic would run into the time limit of the tests
    wiki(piece * 10_000 + "}}" * 5_000 + "]]" * 5_000)


# --- MediaWiki dumps
# ------------------------------------------------------------------------------------------------------------

PAGE = """  <page>
    <title>{title}</title>
    <ns>{ns}</ns>
    <id>{id}</id>{extra}
    <revision>
      <id>99</id>
      <model>{model}</model>
      <text bytes="5" xml:space="preserve">{text}</text>
    </revision>
  </page>
"""
HEADER = '<mediawiki xmlns="http://www.mediawiki.org/xml/export-0.11/" version="0.11" xml:lang="zh">\n  <siteinfo>\n    <sitename>W</sitename>\n  </siteinfo>\n'


def page(text: str, title: str = "T", ns: int = 0, id: int = 1, extra: str = "", model: str = "wikitext") -> str:
    return PAGE.format(title=title, ns=ns, id=id, extra=extra, model=model, text=text)


def test_a_dump_gives_its_articles_and_counts_the_rest(tmp_path: Path) -> None:
    pages = [
        page("'''江'''是[[河]]。\n\n&lt;ref&gt;x&lt;/ref&gt;长。", title="江", id=7),
        page("x", ns=10, title="Template:T"),
        page("#REDIRECT [[江]]", extra='\n    <redirect title="江" />'),
        page("#重定向 [[江]]"),
        page("a {}", model="css"),
        page("{{x}}"),
        page(""),
        page("&amp;amp; second -{zh-cn:软件;zh-tw:軟體}-", title="A &amp; B", id=8),
    ]
    (tmp_path / "zhwiki.xml.bz2").write_bytes(bz2.compress((HEADER + "".join(pages) + "</mediawiki>\n").encode()))
    corpus = WikiDump(paths=[str(tmp_path / "zhwiki.xml.bz2")], variant="zh-tw", language="zh")
    items = read(corpus)
    assert shown(items) == [
        "江是河。\n长。",
        "page of another namespace",
        "redirect",
        "redirect",
        "page without wikitext",
        "no text",
        "no text",
        "& second 軟體",
    ]
    assert record(items[0])[1:4] == ("7", "江", "zh")
    assert (record(items[-1]).id, record(items[-1]).title) == ("8", "A & B")
    assert read(corpus, 1, tmp_path / "cache") == items == read(corpus, 700)


def test_of_several_revisions_the_last_is_read() -> None:
    text = page("old").replace("  </page>", "    <revision>\n      <text>new</text>\n    </revision>\n  </page>")
    assert record(WikiDump(paths=["x"]).parse(text.encode(), HERE, "s")).text == "new"


@pytest.mark.parametrize(
    ("raw", "expected"),
    [
        (page("text")[:-20], "page without </page>"),
        (page("text") + "more", "text outside pages"),
        (page("te\x01xt"), "not XML"),
        (page("a &undefined; b"), "not XML"),
        ("words\n", "not a page"),
        (HEADER + page("x").replace("<page>", "<pagd>"), "not a page"),
        *(
            (HEADER.replace("<siteinfo>", f"<siteinfo>{tag}"), "not a page")
            for tag in ("<page >", "<page\t>", "<page/>", "</text\n>")
        ),
    ],
)
def test_damaged_pages_are_set_aside(raw: str, expected: str) -> None:
    assert reason(WikiDump(paths=["x"]).parse(raw.encode(), HERE, "s")) == expected


@pytest.mark.parametrize("raw", [HEADER, HEADER + "</mediawiki>\n", '<?xml version="1.0"?>\n' + HEADER, "\n \n"])
def test_the_header_of_a_dump_is_no_document(raw: str) -> None:
    assert WikiDump(paths=["x"]).parse(raw.encode(), HERE, "s") is None


def test_templates_that_leave_text_are_a_setting() -> None:
    corpus = WikiDump(paths=["x"], shown_templates={"Person_Name": 1})
    assert record(corpus.parse(page("{{person name|鲁迅}} {{lang|en|x}}").encode(), HERE, "s")).text == "鲁迅"


@pytest.mark.parametrize(
    ("settings", "message"),
    [({"variant": "zh"}, "variant: 'zh' is not one of"), ({"shown_templates": {"a": 0}}, "shown_templates: ")],
)
def test_nonsense_about_wikitext_is_refused(settings: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        WikiDump(paths=["x"], **settings)


# --- Parquet
# --------------------------------------------------------------------------------------------------------------------


def rows(count: int) -> dict[str, Any]:
    return {
        "other": [1.5] * count,
        "text": [f"第{number}行" * (number % 7 + 1) for number in range(count)],
        "id": list(range(count)),
        "title": [None] * count,
        "lang": ["zh", "fr", None, "en"] * (count // 4),
    }


@pytest.mark.parametrize("row_group", [7, 100, 1000])
def test_parquet_rows_are_the_same_for_slices_of_any_size(row_group: int, tmp_path: Path) -> None:
    file = tmp_path / "x.parquet"
    pq.write_table(pa.table(rows(400)), file, row_group_size=row_group)
    corpus = Parquet(paths=[str(file)])
    items = read(corpus)
    assert [record(item).text for item in items] == rows(400)["text"]
    assert [record(item).id for item in items[:3]] == ["0", "1", "2"]
    assert [record(item).language for item in items[:4]] == ["zh", "fr", "", "en"]
    assert [item.place for item in items[:2]] == [Place(str(file), 1, 0), Place(str(file), 2, 1)]
    for slice_bytes in (1, 300, 3000):
        slices = corpus.survey(file, slice_bytes).slices
        assert [piece.start for piece in slices] == [0, *(piece.end for piece in slices[:-1])]
        assert [item for piece in slices for item in corpus.read(piece)] == items


def test_one_huge_row_group_is_divided_and_tiny_ones_are_joined(tmp_path: Path) -> None:
    table = pa.table({"text": [f"{number:0100d}" for number in range(2000)], "vector": [[1.0] * 50] * 2000})
    for row_group in (2000, 2):
        pq.write_table(table, tmp_path / "x.parquet", row_group_size=row_group)
        survey = Parquet(paths=["x"]).survey(tmp_path / "x.parquet", 50_000)
        assert survey.size == sum(piece.size for piece in survey.slices) == 200_000
        assert [piece.end - piece.start for piece in survey.slices] == [512, 512, 512, 464]


def test_a_missing_column_is_told_at_the_survey_with_those_there_are(tmp_path: Path) -> None:
    pq.write_table(pa.table(rows(4)), tmp_path / "x.parquet")
    for settings, message in (
        (
            {"text_key": "body"},
            r"x\.parquet has no column 'body' \(text_key\); its columns: other, text, id, title, lang",
        ),
        ({"title_key": "head"}, r"no column 'head' \(title_key\)"),
        ({"text_key": "other"}, r"column 'other' \(text_key\) holds double, not text"),
    ):
        with pytest.raises(ValueError, match=message):
            Parquet(paths=["x"], **settings).survey(tmp_path / "x.parquet", 100)


@pytest.mark.parametrize("kind", [pa.string(), pa.large_string(), pa.dictionary(pa.int32(), pa.string()), pa.binary()])
def test_every_way_of_storing_text_is_read_and_bad_rows_are_set_aside_alone(kind: pa.DataType, tmp_path: Path) -> None:
    values = pa.array([b"one", None, b"", b"\xff\xfe", "东".encode()], pa.binary())
    text = values.cast(kind) if kind == pa.binary() else pa.array(["one", None, "", "x", "东"]).cast(kind)
    if kind in (pa.string(), pa.large_string()):
        other = pa.large_binary() if kind == pa.large_string() else pa.binary()
        text = values.cast(other).view(kind)
    pq.write_table(pa.table({"text": text}), tmp_path / "x.parquet")
    bad = "x" if pa.types.is_dictionary(kind) else "invalid UTF-8"
    items = read(Parquet(paths=[str(tmp_path / "x.parquet")]))
    assert shown(items) == ["one", "no text", "no text", bad, "东"]
    assert record(items[0]).id.startswith("x:1:")


def test_parquet_errors_name_the_file(tmp_path: Path) -> None:
    file = tmp_path / "x.parquet"
    pq.write_table(pa.table(rows(400)), file)
    content = file.read_bytes()
    slices = Parquet(paths=[str(file)]).survey(file, 1 << 20).slices
    file.write_bytes(content[: len(content) // 2])
    with pytest.raises(ValueError, match=r"x\.parquet is damaged or not a Parquet file"):
        Parquet(paths=[str(file)]).survey(file, 1000)
    file.write_bytes(content[:4] + bytes(300) + content[304:])
    with pytest.raises(ValueError, match=r"x\.parquet is damaged or not a Parquet file"):
        [item for piece in slices for item in Parquet(paths=[str(file)]).read(piece)]
    pq.write_table(pa.table(rows(4)), file)
    with pytest.raises(ValueError, match="became shorter while it was read"):
        list(Parquet(paths=[str(file)]).read(Slice(str(file), 0, 400, 1, 1)))


# --- datasets
# -------------------------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def dataset_folders(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """The same 600 documents in three kinds of folder."""
    import datasets

    folder = tmp_path_factory.mktemp("datasets")
    found = datasets.Dataset.from_dict(rows(600))
    found.save_to_disk(folder / "saved" / "wiki", num_shards=2)
    datasets.DatasetDict({"train": found, "test": found.select(range(3))}).save_to_disk(folder / "splits" / "wiki")
    (folder / "files" / "wiki").mkdir(parents=True)
    lines = [json.dumps({name: rows(600)[name][row] for name in rows(0)}) for row in range(600)]
    (folder / "files" / "wiki" / "train.jsonl").write_text("\n".join(lines) + "\n")
    return {name: folder / name / "wiki" for name in ("saved", "splits", "files")}


def test_dataset_folders_of_every_kind_give_the_same_rows_in_slices_of_any_size(
    dataset_folders: dict[str, Path], tmp_path: Path
) -> None:
    outcomes, hashes = [], set()
    for folder in dataset_folders.values():
        corpus = HubDataset(paths=[str(folder)])
        for slice_bytes, cache in ((1 << 30, None), (1, None), (1, tmp_path / "cache")):
            hashes.add(corpus.survey(folder, slice_bytes).sha256)
            outcomes.append(
                [item._replace(place=item.place._replace(path="")) for item in read(corpus, slice_bytes, cache)]
            )
    assert len(hashes) == 1
    assert [record(item).text for item in outcomes[0]] == rows(600)["text"]
    assert all(found == outcomes[0] for found in outcomes)
    assert len(list((tmp_path / "cache").iterdir())) == 1, (
        "the folder of data files, which cannot be read from the middle, is cached"
    )


def test_a_dataset_is_counted_under_the_name_of_its_folder_and_its_size_is_that_of_its_files(
    dataset_folders: dict[str, Path],
) -> None:
    corpus = HubDataset(paths=[str(dataset_folders["files"])])
    assert corpus.source_of(str(dataset_folders["files"])) == "wiki"
    assert corpus.disk_bytes(dataset_folders["files"]) == (dataset_folders["files"] / "train.jsonl").stat().st_size


def test_dataset_errors_name_the_dataset_and_what_it_has(dataset_folders: dict[str, Path]) -> None:
    for name, settings, message in (
        ("splits", {"split": "dev"}, "has no split 'dev'; it has train, test"),
        ("files", {"split": "dev"}, "wiki cannot be read with `datasets`.*dev"),
        (
            "saved",
            {"text_key": "body"},
            r"wiki has no column 'body' \(text_key\); its columns: other, text, id, title, lang",
        ),
        ("files", {"text_key": "body"}, r"wiki has no column 'body' \(text_key\)"),
    ):
        with pytest.raises(ValueError, match=message):
            read(HubDataset(paths=[str(dataset_folders[name])], **settings))
    with pytest.raises(ValueError, match="became shorter while it was read"):
        list(HubDataset(paths=["x"]).read(Slice(str(dataset_folders["saved"]), 0, 700, 1, 1)))


def test_a_damaged_line_of_json_is_told_before_pyarrow_meets_it(tmp_path: Path) -> None:
    (tmp_path / "train.jsonl").write_text('{"text": "one"}\n\n{"text": "two", "id": 1,{ "title": "x"}\n')
    with pytest.raises(ValueError, match=r"train\.jsonl:3: not JSON .* `kind: jsonl`"):
        HubDataset(paths=[str(tmp_path)]).survey(tmp_path, 100)
    (tmp_path / "train.jsonl").unlink()
    (tmp_path / "train.json").write_text('[\n{"text": "one"},\n{"text": "two"}\n]\n')
    assert shown(read(HubDataset(paths=[str(tmp_path)]))) == ["one", "two"]


def test_a_saved_dataset_that_is_cut_short_is_told_even_between_two_record_batches(
    dataset_folders: dict[str, Path], tmp_path: Path
) -> None:
    shutil.copytree(dataset_folders["saved"], tmp_path / "wiki")
    file = next((tmp_path / "wiki").glob("*.arrow"))
    content = file.read_bytes()
    for kept in (len(content) - 8, len(content) // 2):
        file.write_bytes(content[:kept])
        with pytest.raises(ValueError, match=r"\.arrow is cut short"):
            HubDataset(paths=["x"]).survey(tmp_path / "wiki", 1000)


def test_what_is_no_dataset_is_refused_with_what_to_do(tmp_path: Path) -> None:
    (tmp_path / "x.jsonl").write_text("")
    for settings, error, message in (
        ({"paths": [str(tmp_path / "none")]}, FileNotFoundError, "no such folder"),
        ({"paths": ["org/name"]}, FileNotFoundError, "give its `revision`"),
        ({"paths": [str(tmp_path / "x.jsonl")]}, ValueError, "it is a file; read it with the kind of its format"),
        ({"paths": [str(tmp_path)], "revision": REVISION}, ValueError, "revision: .* is a folder"),
        ({"paths": ["x"], "revision": "main"}, ValueError, "revision: 'main' is not a full commit hash"),
        ({"paths": ["x"], "split": ""}, ValueError, "split: "),
    ):
        with pytest.raises(error, match=message):
            HubDataset(**settings).files()


def test_a_dataset_of_the_hub_is_streamed_at_its_revision_and_cached(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    import datasets

    calls: list[dict[str, Any]] = []

    def load(path: str, name: str | None, **options: Any) -> Any:
        calls.append({"path": path, "name": name, **options})
        return datasets.Dataset.from_dict(rows(600)).to_iterable_dataset(num_shards=3)

    monkeypatch.setattr(datasets, "load_dataset", load)
    corpus = HubDataset(paths=["org/wiki"], name="20231101.zh", revision=REVISION)
    (path,) = corpus.files()
    slices = corpus.survey(path, 1, tmp_path / "cache").slices
    assert calls == [
        {"path": "org/wiki", "name": "20231101.zh", "split": "train", "revision": REVISION, "streaming": True}
    ]
    assert (corpus.source_of(str(path)), corpus.disk_bytes(path), len(slices)) == ("wiki", 0, 3)
    from_cache = [item for piece in slices for item in corpus.read(piece, tmp_path / "cache")]
    assert len(calls) == 1, "nothing is streamed again"
    assert [item for piece in slices for item in corpus.read(piece)] == from_cache
    assert [record(item).text for item in from_cache] == rows(600)["text"]


@pytest.fixture
def streamed(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """The numbers of rows that are taken from a stream, one entry for each time it is opened."""
    counts: list[int] = []
    open_stream = HubDataset._streamed

    def counting(self: HubDataset, path: Path, start: int) -> Iterator[Any]:
        counts.append(0)
        for table in open_stream(self, path, start):
            counts[-1] += table.num_rows
            yield table

    monkeypatch.setattr(HubDataset, "_streamed", counting)
    return counts


@dataclass(frozen=True, kw_only=True)
class Here(Engine):
    """Does everything in this process."""

    def run(self, work: Callable[[int], Any], parts: Sequence[int]) -> Iterator[Any]:
        return map(work, parts)


def test_a_whole_preparation_streams_every_row_of_a_dataset_once(
    dataset_folders: dict[str, Path], streamed: list[int], tokenizer_folder: Path, tmp_path: Path
) -> None:
    folder = tmp_path / "wiki"
    folder.mkdir()
    lines = [
        json.dumps({"id": f"d{row}", "text": f"The river number {row} rises in the west. " * 4}) for row in range(6000)
    ]
    (folder / "train.jsonl").write_text("\n".join(lines) + "\n")
    settings = Preparation(
        output=str(tmp_path / "out"),
        corpora=[HubDataset(paths=[str(folder)])],
        vocabulary=Vocabulary(path=str(tokenizer_folder)),
        duplicates=Duplicates(),
        part_bytes=40_000,
        engine=Here(),
    )
    manifest = prepare(settings, lambda progress: None)
    assert (
        len(list((tmp_path / "out/parts").iterdir())) > 20
        and manifest["counts"]["documents.wiki.en"] + manifest["counts"].get("rejected.duplicate", 0) > 0
    )
    assert streamed == [6000]
    assert not (tmp_path / "out/unpacked").exists()


def test_whoever_finds_the_cache_of_a_dataset_gone_makes_it_again(
    dataset_folders: dict[str, Path], streamed: list[int], tmp_path: Path
) -> None:
    folder = dataset_folders["files"]
    corpus = HubDataset(paths=[str(folder)])
    slices = corpus.survey(folder, 1, tmp_path / "cache").slices
    expected = [item for piece in slices for item in corpus.read(piece)]
    (file,) = (tmp_path / "cache").iterdir()
    content = file.read_bytes()
    for damage in (b"", content[: len(content) // 2], None):
        file.unlink()
        if damage is not None:
            file.write_bytes(damage)
        streamed.clear()
        assert [item for piece in slices[1:] for item in corpus.read(piece, tmp_path / "cache")] == [
            item for piece in slices[1:] for item in corpus.read(piece)
        ]
        assert streamed[0] == 600 and file.read_bytes() == content
    assert [item for piece in slices for item in corpus.read(piece, tmp_path / "cache")] == expected
    (tmp_path / "cannot").write_text("")  # a cache that cannot be made costs time only
    assert [item for piece in slices for item in corpus.read(piece, tmp_path / "cannot")] == expected
    middle = len(content) // 2
    file.write_bytes(content[: middle - 200] + bytes(400) + content[middle + 200 :])
    with pytest.raises(ValueError, match=r"\.arrow is damaged .* only a cache"):
        [item for piece in slices for item in corpus.read(piece, tmp_path / "cache")]


def test_a_dataset_whose_files_change_in_place_is_surveyed_again(tmp_path: Path) -> None:
    folder = tmp_path / "wiki"
    folder.mkdir()
    (folder / "train.jsonl").write_text('{"text": "one"}\n')
    corpus = HubDataset(paths=[str(folder)])
    surveyor = Surveyor(
        corpora=[corpus],
        listing=Listing.of([corpus.found()]),
        part_bytes=1000,
        watch=Watch(folder=tmp_path / "out", launch="notes"),
    )
    first = surveyor(0)
    assert surveyor.finished(0) == first
    with (folder / "train.jsonl").open("a") as file:
        file.write('{"text": "two"}\n')
    assert surveyor.finished(0) is None


def test_small_compressed_files_are_unpacked_once_too(
    tmp_path: Path, tokenizer_folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = tmp_path / "x.jsonl.gz"
    file.write_bytes(
        gzip.compress(
            b"".join(b'{"text": "The river number %d rises in the west."}\n' % number for number in range(4000))
        )
    )
    opened: list[Path] = []

    def counting(path: Path, encoding: str = "utf-8") -> Any:
        opened.append(path)
        return open_bytes(path, encoding)

    monkeypatch.setattr("data_prep.corpora.open_bytes", counting)
    monkeypatch.setattr("data_prep.inputs.slice_cache.open_bytes", counting)
    settings = {"vocabulary": Vocabulary(path=str(tokenizer_folder)), "part_bytes": 10_000, "engine": Here()}
    prepare(
        Preparation(output=str(tmp_path / "out"), corpora=[Jsonl(paths=[str(file)])], **settings), lambda progress: None
    )
    assert len(list((tmp_path / "out/parts").iterdir())) > 20
    assert opened == [file, file], "by the survey, and for the first slice, which begins where the file does"
