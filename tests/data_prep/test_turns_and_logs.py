"""Dialogues and search logs: what is read, what is set aside, and what stands in the shard."""

from __future__ import annotations

import itertools
import json
from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from data_prep.corpora import Corpus
from data_prep.corpora.dialogues import Dialogues
from data_prep.corpora.pairs import LabelledPairs
from data_prep.corpora.search_log import SearchLog
from data_prep.documents import SEGMENT, Given, Record, Rejected
from data_prep.encoded import Encoded
from data_prep.engines import Engine
from data_prep.preparing.pipeline import prepare
from data_prep.preparing.plan import Preparation
from data_prep.preparing.verification import verify
from data_prep.shard import Shard
from data_prep.shard_writer import write_shard
from data_prep.shards import Prepared
from data_prep.vocabularies.vocabulary import Vocabulary


@dataclass(frozen=True, kw_only=True)
class Here(Engine):
    """Does everything in this process."""

    def run(self, work: Any, parts: Sequence[int]) -> Iterator[Any]:
        return map(work, parts)


def read(corpus: Corpus, path: Path, values: Sequence[Any], slice_bytes: int = 1 << 30) -> list[Record | Rejected]:
    path.write_text("".join(json.dumps(value, ensure_ascii=False) + "\n" for value in values), encoding="utf-8")
    return [item for piece in corpus.survey(path, slice_bytes).slices for item in corpus.read(piece)]


def reasons(items: Sequence[Record | Rejected]) -> list[str]:
    return [item.reason if isinstance(item, Rejected) else item.text for item in items]


def turn(role: Any, text: Any) -> dict[str, Any]:
    return {"role": role, "text": text}


def test_turns_become_paragraphs_and_spans_with_their_roles(tmp_path: Path) -> None:
    file = tmp_path / "d.jsonl"
    value = {"id": "a", "lang": "zh", "turns": [turn("Q", "你好"), turn("R", "请讲"), turn("R", "hm")]}
    (record,) = read(Dialogues(paths=[str(file)], roles=["Q", "R"]), file, [value])
    assert isinstance(record, Record)
    assert (record.text, record.id, record.language) == ("你好\n\n请讲\n\nhm", "a", "zh")
    assert record.given == {SEGMENT: (Given(0, 2, "Q"), Given(4, 6, "R"), Given(8, 10, "R"))}


def test_without_roles_speakers_take_turns_and_turns_may_be_texts(tmp_path: Path) -> None:
    file = tmp_path / "d.jsonl"
    (record,) = read(Dialogues(paths=[str(file)]), file, [{"turns": ["a b", turn("x", "c"), "d"]}])
    assert isinstance(record, Record)
    assert [span.type for span in record.given[SEGMENT]] == ["odd", "even", "odd"]


@pytest.mark.parametrize(
    ("value", "reason"),
    [
        ({"turns": []}, "no turns"),
        ({"text": "a"}, "no turns"),
        ({"turns": "a"}, "no turns"),
        ({"turns": [turn("Q", "a"), turn("R", " ")]}, "turn without text"),
        ({"turns": [{"role": "Q"}]}, "turn without text"),
        ({"turns": [3]}, "turn without text"),
        ({"turns": [turn("Z", "a")]}, "unknown role"),
        ({"turns": ["a"]}, "unknown role"),
        ([1], "not a JSON object"),
    ],
)
def test_a_dialogue_that_cannot_be_used_is_set_aside(tmp_path: Path, value: Any, reason: str) -> None:
    file = tmp_path / "d.jsonl"
    assert reasons(read(Dialogues(paths=[str(file)], roles=["Q", "R"]), file, [value])) == [reason]


def test_roles_must_be_names() -> None:
    for roles in (["Q", "Q"], ["Q", " "]):
        with pytest.raises(ValueError, match=r"roles: \[.*\] must name every role once"):
            Dialogues(paths=["x"], roles=roles)
    with pytest.raises(ValueError, match="roles: 256 are too many; at most 255 fit"):
        Dialogues(paths=["x"], roles=[str(number) for number in range(256)])


def test_each_title_that_was_shown_is_a_pair(tmp_path: Path) -> None:
    file = tmp_path / "l.jsonl"
    shown = [{"title": "a", "clicked": True}, {"title": "b", "clicked": 0}, {"title": "c", "clicked": 3}]
    values = [
        {"id": "1", "query": "q", "lang": "en", "titles": shown},
        {"id": "2", "query": "q", "title": "d", "clicked": False},
    ]
    for slice_bytes in (1, 1 << 30):
        items = read(SearchLog(paths=[str(file)]), file, values, slice_bytes)
        found = [(i.id, i.text, i.language, i.given[SEGMENT][1]) for i in items if isinstance(i, Record)]
        assert found == [
            ("1#0", "q\n\na", "en", Given(3, 4, "strong")),
            ("1#1", "q\n\nb", "en", Given(3, 4, "weak")),
            ("1#2", "q\n\nc", "en", Given(3, 4, "strong")),
            ("2", "q\n\nd", "", Given(3, 4, "weak")),
        ]


@pytest.mark.parametrize(
    ("value", "found"),
    [
        ({"titles": []}, ["no query"]),
        ({"query": "q", "titles": []}, ["no titles"]),
        ({"query": "q", "titles": "a"}, ["no titles"]),
        ({"query": "q", "titles": [{"clicked": 1}, {"title": "b", "clicked": 1}]}, ["no title", "q\n\nb"]),
        ({"query": "q", "titles": ["a"]}, ["no title"]),
        ({"query": "q", "title": "a"}, ["not said whether it was clicked"]),
        ({"query": "q", "title": "a", "clicked": "yes"}, ["not said whether it was clicked"]),
        ({"query": "q", "title": "a", "clicked": -1}, ["not said whether it was clicked"]),
        ([], ["not a JSON object"]),
    ],
)
def test_what_a_log_does_not_say_is_set_aside(tmp_path: Path, value: Any, found: list[str]) -> None:
    file = tmp_path / "l.jsonl"
    assert reasons(read(SearchLog(paths=[str(file)]), file, [value])) == found


def preparation(tmp_path: Path, tokenizer_folder: Path, *corpora: Corpus) -> Preparation:
    return Preparation(
        output=str(tmp_path / "out"),
        corpora=list(corpora),
        vocabulary=Vocabulary(path=str(tokenizer_folder)),
        engine=Here(),
        heldout=0,
    )


def test_the_shard_holds_the_turns_and_roles_of_the_file(tmp_path: Path, tokenizer_folder: Path) -> None:
    file = tmp_path / "d.jsonl"
    corpus = Dialogues(paths=[str(file)], roles=["Q", "R"])
    values = [
        {"turns": [turn("Q", "江水。\n\n大学！"), turn("R", "the rain. New York"), turn("R", "山水")]},
        {"turns": [turn("R", "北京"), turn("Q", "\u200b")]},  # cleaning leaves nothing of the second turn
        {"turns": [turn("R", "the river"), turn("Q", "rome")]},
    ]
    read(corpus, file, values)
    manifest = prepare(preparation(tmp_path, tokenizer_folder, corpus), lambda progress: None)
    prepared = Prepared.open(tmp_path / "out")
    (shard,) = prepared.shards("train")
    assert manifest["roles"] == {"train": ["Q", "R"], "heldout": ["Q", "R"]} and "classes" not in manifest
    assert prepared.roles["train"] == ("Q", "R") and not prepared.classes
    assert manifest["counts"]["rejected.no text"] == 1
    tokens, found = prepared.tokenizer.tokens, []
    for document in range(len(shard)):
        ids, ends = shard.token_ids.row(document), shard.segment_ends.row(document).tolist()
        pieces = [" ".join(tokens[i] for i in ids[s:e]) for s, e in zip([0, *ends[:-1]], ends, strict=True)]
        found.append(list(zip(pieces, shard.segment_labels.row(document).tolist(), strict=True)))
    assert found == [
        [("江 水 。 大 学 ！", 0), ("the rain . new york", 1), ("山 水", 1)],
        [("the river", 1), ("rome", 0)],
    ]
    assert list(verify(tmp_path / "out")) == []


def test_dialogues_of_other_roles_and_pairs_are_kept_apart(tmp_path: Path, tokenizer_folder: Path) -> None:
    one, other = Dialogues(paths=["x"], roles=["Q", "R"]), Dialogues(paths=["y"])
    with pytest.raises(ValueError, match="dialogues with different roles"):
        preparation(tmp_path, tokenizer_folder, one, other)
    with pytest.raises(ValueError, match=r"dialogues and labelled pairs\. Prepare them into a folder each"):
        preparation(tmp_path, tokenizer_folder, one, LabelledPairs(paths=["z"], classes=["0"]))


def document(ids: list[int], ends: list[int], roles: list[int]) -> Encoded:
    return Encoded(
        id="x",
        language="en",
        source="s",
        title="",
        token_ids_T=np.array(ids, np.int32),
        flags_T=np.zeros(len(ids), np.uint8),
        sentence_ends_S=np.array([len(ids)] if ids else [], np.uint32),
        paragraph_ends_P=np.array([len(ids)] if ids else [], np.uint32),
        units={},
        dropped={},
        segment_ends_G=np.array(ends, np.uint32),
        segment_labels_G=np.array(roles, np.int16),
        label=0,
    )


def random_documents(rng: np.random.Generator, turns: int) -> list[Encoded]:
    made = []
    for _ in range(60):
        count = int(rng.integers(0, turns + 1))
        ends = np.cumsum(rng.integers(0, 4, count)).tolist()
        ids = rng.integers(0, 3, ends[-1] if ends else 2).tolist()
        language = "zh" if rng.random() < 0.5 else "en"
        made.append(replace(document(ids, ends, rng.integers(0, 2, count).tolist()), language=language))
    return made


@pytest.mark.parametrize("roles", [False, True])
def test_the_table_of_parts_knows_texts_owners_and_lengths(tmp_path: Path, roles: bool) -> None:
    documents = random_documents(np.random.default_rng(3), 5 if roles else 2)
    write_shard(tmp_path / "s.arrow", documents, [], 100, pairs=True, roles=roles)
    table = Shard(tmp_path / "s.arrow", ()).part_table
    expected, by_hash = [], defaultdict(set)
    for number, item in enumerate(documents):
        ends = [0, *item.segment_ends_G.tolist()]
        for place, (start, end) in enumerate(itertools.pairwise(ends)):
            if end > start and (roles or (place == 1 and len(ends) == 3)):
                group = int(table.origin_D[number]) * 256 + (int(item.segment_labels_G[place]) if roles else 0)
                expected.append((group << 32 | (end - start), number, start, end))
    assert sorted(zip(*(column.tolist() for column in table[:4]), strict=True)) == sorted(expected)
    origins = {(item.language, int(origin)) for item, origin in zip(documents, table.origin_D, strict=True)}
    assert len(origins) == 2 == len({origin for _, origin in origins})
    assert (np.diff(table.key_P) >= 0).all() and (np.diff(table.known_P) >= 0).all()
    for number, start, end, text in zip(*(column.tolist() for column in table[1:5]), strict=True):
        by_hash[text].add(tuple(documents[number].token_ids_T[start:end].tolist()))
    texts = {text for found in by_hash.values() for text in found}
    assert all(len(found) == 1 for found in by_hash.values()) and len(by_hash) == len(texts)
    owners = table.owner_D[[bool(len(item.segment_ends_G)) for item in documents]]
    firsts = {tuple(d.token_ids_T[: d.segment_ends_G[0]].tolist()) for d in documents if len(d.segment_ends_G)}
    assert len(set(owners.tolist())) == (len(owners) if roles else len(firsts))


def test_parts_outside_their_document_and_roles_that_are_missing_are_damage(tmp_path: Path) -> None:
    good = document([1, 2, 1], [1, 3], [0, 1])
    for name, ends in (("long", [1, 4]), ("falling", [2, 1])):
        write_shard(tmp_path / name, [replace(good, segment_ends_G=np.array(ends, np.uint32))], [], 100, roles=True)
        with pytest.raises(ValueError, match=r"segment_ends: those of document 0 do not rise to its length"):
            _ = Shard(tmp_path / name, ()).part_table
    write_shard(tmp_path / "few", [replace(good, segment_labels_G=np.array([1], np.int16))], [], 100, roles=True)
    with pytest.raises(ValueError, match="segment_labels: not one for each segment"):
        _ = Shard(tmp_path / "few", ()).segment_labels
    write_shard(tmp_path / "pairs", [good], [], 100, pairs=True)
    with pytest.raises(ValueError, match=r"holds no dialogues\. Prepare them with `kind: dialogues`"):
        _ = Shard(tmp_path / "pairs", ()).segment_labels
