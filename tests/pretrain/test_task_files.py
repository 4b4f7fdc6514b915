"""Files of labelled examples: what is read, and what is said about a file that cannot be."""

from __future__ import annotations

import gzip
import json
from pathlib import Path
from typing import Any

import pytest

from pretrain.evaluation.readers.json_objects import json_objects
from pretrain.evaluation.readers.splits import Example
from pretrain.evaluation.readers.tables import rows
from pretrain.evaluation.readers.tags import Span, bio, spans_of, split_tag
from pretrain.evaluation.tasks import Task
from pretrain.evaluation.tasks.classification import Classification
from pretrain.evaluation.tasks.pairs import Pairs
from pretrain.evaluation.tasks.reading import Reading, compare
from pretrain.evaluation.tasks.token_labels import TokenLabels

COLUMNS: dict[str, str | int] = {"text": "sentence", "label": "mark"}


def written(folder: Path, name: str, content: str | bytes) -> str:
    path = folder / name
    raw = content if isinstance(content, bytes) else content.encode()
    path.write_bytes(gzip.compress(raw) if name.endswith(".gz") else raw)
    return str(path)


TABLES = {
    "header.tsv": "mark\tother\tsentence\n1\tx\ta b\n\n0\ty\tc \u2028 d\n",
    "bom.tsv.gz": "\ufeffmark\tother\tsentence\r\n1\tx\ta b\r\n0\ty\tc \u2028 d",
    "lines.jsonl": '{"mark": 1, "sentence": "a b"}\n{"sentence": "c \u2028 d", "mark": "0"}\n',
    "pretty.json": '{"mark": 1,\n "sentence": "a b"}\n\n{"sentence": "c \\u2028 d",\n "mark": 0}',
    "list.json.gz": '[{"mark": 1, "sentence": "a b"}, {"sentence": "c \u2028 d", "mark": 0}]',
}


@pytest.mark.parametrize("name", TABLES)
def test_tables_of_every_kind_hold_the_same_rows(tmp_path: Path, name: str) -> None:
    found = list(rows(Path(written(tmp_path, name, TABLES[name])), COLUMNS, "\t"))
    assert [row.values for row in found] == [{"text": "a b", "label": "1"}, {"text": "c \u2028 d", "label": "0"}]


def test_columns_by_number_have_no_header_and_separators_may_be_long(tmp_path: Path) -> None:
    path = Path(written(tmp_path, "a.txt", "x||one||2.5\ny||two||0\n"))
    assert [(row.place, row.values) for row in rows(path, {"text": 1, "label": 2}, "||")] == [
        (f"{path}:1", {"text": "one", "label": "2.5"}),
        (f"{path}:2", {"text": "two", "label": "0"}),
    ]


def test_json_objects_know_their_lines(tmp_path: Path) -> None:
    path = Path(written(tmp_path, "a.json", '\n{"a":\n 1}\n{"b": 2} {"c": 3}\n'))
    assert list(json_objects(path)) == [(2, {"a": 1}), (4, {"b": 2}), (4, {"c": 3})]


def classes(folder: Path, train: str, name: str = "a.tsv", **more: Any) -> Task:
    return Classification(
        train=written(folder, name, train), columns=more.pop("columns", {"text": 0, "label": 1}), **more
    )


GOOD = "".join(f"text {number}\t{number % 2}\n" for number in range(60))


@pytest.mark.parametrize(
    ("content", "more", "message"),
    [
        ("a\t1\nb\n", {}, r"a\.tsv:2: 1 columns between '\\t', where line 1 has 2"),
        ("a 1\n", {}, r"a\.tsv:1: no column 1 \(label\): 1 columns"),
        (
            "s\tlabel\na\t1\n",
            {"columns": {"text": "text", "label": "label"}},
            r"a\.tsv:1: no column 'text'.*'s', 'label'",
        ),
        (GOOD, {"columns": {"text": 0}}, "columns: .* must say where text, label stand"),
        (GOOD, {"columns": {"text": 0, "label": "b"}}, "all names or all numbers"),
        (b"a\t1\n\xff\t0\n", {}, r"a\.tsv:2: not UTF-8"),
        ("", {}, r"train: .*a\.tsv holds no examples|dev: .*a\.tsv: a share"),
        ("a\t1\n" * 30, {}, "all labels are '1'|holds no examples"),
        ("a\t\nb\t1\n" + GOOD, {}, r"train: .*a\.tsv:1: the label is empty"),
        (GOOD, {"figures": ["f1"], "positive": "2"}, "positive: '2' is not a label"),
        (GOOD + "z\t2\n", {"figures": ["matthews"]}, "figures: matthews is of two classes"),
        (GOOD, {"figures": ["bleu"]}, "figures: 'bleu' is not one of accuracy"),
        (GOOD, {"dev": 0.5, "test": 0.5}, "dev: the shares"),
        (GOOD, {"test": 0}, "test: 0 leaves nothing to report"),
        (GOOD, {"dev": 1.5}, "dev: 1.5 is neither a file nor a share"),
    ],
)
def test_a_table_that_cannot_be_used_is_refused(
    tmp_path: Path, content: str, more: dict[str, Any], message: str
) -> None:
    with pytest.raises(ValueError, match=message):
        classes(tmp_path, content, **more).bind()


def test_a_label_that_training_does_not_know_is_told_with_its_line(tmp_path: Path) -> None:
    dev = written(tmp_path, "dev.tsv", "a\t1\nb\t7\n")
    with pytest.raises(
        ValueError, match=r"dev: .*dev\.tsv:2: label '7' does not occur in .*a\.tsv, which has '0', '1'"
    ):
        classes(tmp_path, GOOD, dev=dev).bind()
    empty = written(tmp_path, "empty.tsv", "\n\n")
    with pytest.raises(ValueError, match=r"test: .*empty\.tsv holds no examples"):
        classes(tmp_path, GOOD, test=empty).bind()


def test_shares_keep_equal_texts_together_and_a_limit_cuts_training_only(tmp_path: Path) -> None:
    lines = "".join(f"same {number % 40}\tb{number}\t{number % 2}\n" for number in range(400))
    train = written(tmp_path, "a.tsv", lines)
    task = Pairs(train=train, columns={"first": 0, "second": 1, "label": 2}, dev=0.2, test=0.2)
    splits = task.bind().splits
    firsts = [{example.texts[0] for example in part} for part in splits[:3]]
    assert sum(map(len, firsts)) == 40 == len(set.union(*firsts))
    assert all(len(part) > 3 for part in firsts)
    small = Pairs(train=train, columns={"first": 0, "second": 1, "label": 2}, dev=0.2, test=0.2, limit=7).bind().splits
    assert small[1:] == splits[1:] and len(small.train) == 7
    assert [example for example in splits.train if example in small.train] == small.train


def test_texts_that_are_tested_are_counted_or_left_out_of_training(tmp_path: Path) -> None:
    test = written(tmp_path, "test.tsv", "text 1\t1\nnew\t0\ntext 4\t0\n")
    splits = classes(tmp_path, GOOD, test=test, dev=0).bind().splits
    assert splits.seen() == {"dev": 0, "test": 2} and len(splits.train) == 60
    apart = classes(tmp_path, GOOD, test=test, dev=0, apart=True).bind().splits
    assert apart.seen() == {"dev": 0, "test": 0} and len(apart.train) == 58


def test_scores_must_be_numbers_and_labels_can_be_ignored(tmp_path: Path) -> None:
    train = written(tmp_path, "a.tsv", "".join(f"a{n}\tb\t{n}\n" for n in range(40)) + "a\tb\t-\n")
    columns: dict[str, str | int] = {"first": 0, "second": 1, "label": 2}
    with pytest.raises(ValueError, match=r"a\.tsv:41: label '-' is not a number"):
        Pairs(train=train, columns=columns, scores=True).bind()
    assert len(Pairs(train=train, columns=columns, scores=True, ignore=["-"]).bind().splits.known) == 40
    with pytest.raises(ValueError, match="figures: 'accuracy' is not one of spearman, pearson"):
        Pairs(train=train, columns=columns, scores=True, figures=["accuracy"])


SCHEMES = {
    "bio": "O B-A I-A B-A B-B I-B O",
    "iob1": "O I-A I-A B-A I-B I-B O",
    "bioes": "O B-A E-A S-A B-B E-B O",
    "bilou": "O B-A L-A U-A B-B L-B O",
    "bmes": "O B-A E-A S-A B-B E-B O",
}
SPANS = [Span("A", 1, 3), Span("A", 3, 4), Span("B", 4, 6)]


@pytest.mark.parametrize("scheme", SCHEMES)
def test_tags_of_every_scheme_are_the_same_spans(scheme: str) -> None:
    assert spans_of([split_tag(tag, scheme) for tag in SCHEMES[scheme].split()]) == SPANS
    with pytest.raises(ValueError, match=f"tag 'X-A' is not one of {scheme}"):
        split_tag("X-A", scheme)
    assert bio(["A", "B"]) == ["O", "B-A", "I-A", "B-B", "I-B"]


@pytest.mark.parametrize(
    ("tags", "conlleval", "strict"),
    [
        ("I-A I-A O", [Span("A", 0, 2)], []),
        ("B-A I-B I-B", [Span("A", 0, 1), Span("B", 1, 3)], [Span("A", 0, 1)]),
        ("B-A I-A O I-A", [Span("A", 0, 2), Span("A", 3, 4)], [Span("A", 0, 2)]),
        ("O I-A B-A I-A", [Span("A", 1, 2), Span("A", 2, 4)], [Span("A", 2, 4)]),
    ],
)
def test_forbidden_tags_are_read_by_both_conventions(tags: str, conlleval: list[Span], strict: list[Span]) -> None:
    split = [split_tag(tag, "bio") for tag in tags.split()]
    assert (spans_of(split), spans_of(split, strict=True)) == (conlleval, strict)


def test_spans_are_those_of_seqeval() -> None:
    labelling = pytest.importorskip("seqeval.metrics.sequence_labeling")
    scheme = pytest.importorskip("seqeval.scheme")
    import random

    draw = random.Random(0)
    for _ in range(300):
        tags = draw.choices(bio(["A", "B"]), k=draw.randint(1, 8))
        split = [split_tag(tag, "bio") for tag in tags]
        assert {(s.type, s.start, s.end - 1) for s in spans_of(split)} == set(labelling.get_entities(tags))
        known = scheme.Entities([tags], scheme.IOB2).entities[0]
        assert {(s.type, s.start, s.end) for s in spans_of(split, strict=True)} == {
            (one.tag, one.start, one.end) for one in known
        }


def spans(found: list[Example]) -> list[tuple[str, list[tuple[str, str]]]]:
    """Texts, and their spans as type and text."""
    return [(one.texts[0], [(span.type, one.texts[0][span.start : span.end]) for span in one.label]) for one in found]


def test_tagged_words_and_json_spans_are_read_alike(tmp_path: Path) -> None:
    conll = written(tmp_path, "a.conll.gz", "-DOCSTART- O\n\nEU x B-ORG\nrejects y O\n\t\nNew z B-LOC\nYork q I-LOC")
    task = TokenLabels(train=conll)
    assert spans(task.examples(Path(conll))) == [("EU rejects", [("ORG", "EU")]), ("New York", [("LOC", "New York")])]
    cluener = {"text": "叶老桂在浙商", "label": {"name": {"叶老桂": [[0, 2]]}, "company": {"浙商": [[4, 5]]}}}
    listed = {"text": "叶老桂在浙商", "label": [[4, 6, "company"], [0, 3, "name"]]}
    objects = written(tmp_path, "a.json", json.dumps(cluener, indent=1) + json.dumps(listed))
    assert spans(task.examples(Path(objects))) == [("叶老桂在浙商", [("name", "叶老桂"), ("company", "浙商")])] * 2


@pytest.mark.parametrize(
    ("name", "content", "more", "message"),
    [
        ("a.conll", "EU B-ORG\nrejects\n", {}, r"a\.conll:2: 1 columns between spaces or tabs, at least 2"),
        ("a.conll", "EU ORG\n", {}, r"a\.conll:1: tag 'ORG' is not one of bio: B-TYPE, I-TYPE or O"),
        ("a.conll", "EU B-ORG\n", {"columns": {"text": "t", "label": "l"}}, "columns: .* is no JSON"),
        ("a.json", '{"text": "ab"}', {}, r"a\.json:1: no key 'label' \(label\); it has 'text'"),
        ("a.json", '{"text": "ab", "label": [[0, 3, "x"]]}', {}, r"\[0, 3\) is no span of a text of 2 characters"),
        ("a.json", '{"text": "ab", "label": {"x": {"b": [[0, 0]]}}}', {}, r"'b' does not stand at \[0, 0\]"),
        ("a.json", '{"text": "ab", "label": [[0, 2, "x"], [1, 2, "y"]]}', {}, "overlap.*`overlaps: longest`"),
        ("a.json", '{"text": "ab"\n', {}, r"a\.json:1: not JSON"),
        ("a.json", "[1]", {}, "a JSON object is expected, found int"),
        ("a.conll", "EU O\n" * 30, {"dev": 0}, "no span is labelled|holds no examples"),
    ],
)
def test_a_file_of_spans_that_cannot_be_used_is_refused(
    tmp_path: Path, name: str, content: str, more: dict[str, Any], message: str
) -> None:
    path = written(tmp_path, name, content)
    with pytest.raises(ValueError, match=message):
        TokenLabels(train=path, test=path, **more).bind()


def test_of_overlapping_spans_the_longest_can_be_kept(tmp_path: Path) -> None:
    path = written(tmp_path, "a.json", '{"text": "abcde", "label": [[0, 2, "x"], [1, 4, "y"], [4, 5, "z"]]}')
    assert spans(TokenLabels(train=path, overlaps="longest").examples(Path(path))) == [
        ("abcde", [("y", "bcd"), ("z", "e")])
    ]


def squad(answer: str, start: int, **more: Any) -> str:
    question = {"question": "who?", "id": "q1", "answers": [{"text": answer, "answer_start": start}], **more}
    return json.dumps({"data": [{"paragraphs": [{"context": "it was Ann, and Ann alone", "qas": [question]}]}]})


def test_answers_are_found_where_the_file_says_or_near(tmp_path: Path) -> None:
    for start, found in ((7, 7), (14, 16), (0, 7)):
        path = written(tmp_path, "a.json", squad("Ann", start))
        assert Reading(train=path).examples(Path(path))[0].label == [Span("answer", found, found + 3)]
    for content, message in (
        (squad("Bob", 0), "question 'q1': the answer 'Bob' does not stand in its context"),
        (squad("Ann", 7, is_impossible=True), "has no answer"),
        ('{"data": [{"rows": []}]}', r"a\.json:1: not built as SQuAD's files are.*KeyError: 'paragraphs'"),
    ):
        path = written(tmp_path, "a.json", content)
        with pytest.raises(ValueError, match=message):
            Reading(train=path).examples(Path(path))


@pytest.mark.parametrize(
    ("said", "answer", "by", "exact", "f1"),
    [
        ("The Ann!", "ann", "words", 1, 1),
        ("Ann and Bob", "Bob or Ann", "words", 0, 2 / 3),
        ("", "Ann", "words", 0, 0),
        ("《北京》大学", "北京大学", "characters", 1, 1),
        ("在北京大学", "北京的大学", "characters", 0, 0.4),
        ("于2008年", "2008年", "characters", 0, 0.8),
    ],
)
def test_answers_are_compared_as_the_published_programs_do(
    said: str, answer: str, by: str, exact: float, f1: float
) -> None:
    assert compare(said, answer, by) == (exact, pytest.approx(f1))
