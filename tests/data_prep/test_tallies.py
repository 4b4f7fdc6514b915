"""Tallies: what they count is what is there, and it does not depend on how the corpus was divided."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from data_prep.annotating.annotation import WORD, Annotation
from data_prep.annotators.lexicon import Lexicon
from data_prep.counting import surfaces, tallies
from data_prep.counting.merging import merge
from data_prep.counting.passages import PASSAGE, SAMPLES
from data_prep.counting.surfaces import Surfaces, Top, merge_tops
from data_prep.counting.tallies import EDGES, Tally
from data_prep.documents import Annotated, Document
from data_prep.encoded import Encoded
from data_prep.encoding import Tokenizer, encode
from data_prep.segmenters.pretokenizer import Pretokenizer
from data_prep.segmenters.rjieba import Rjieba

ZH = ["长江发源于青藏高原，流入东海。", "他在北京大学读书。", "上海是一座大城市！", "书中有山水。"]
EN = ["The river rises in the west.", "It rained in Rome.", "New York opened a new station."]
Made = tuple[Annotated, Encoded]


@pytest.fixture(scope="module")
def annotation(tmp_path_factory: pytest.TempPathFactory) -> Annotation:
    file = tmp_path_factory.mktemp("lexicon") / "entities.tsv"
    file.write_text("北京大学\tORG\n上海\tLOC\n长江\tLOC\nRome\tLOC\nNew York\tLOC\n", encoding="utf-8")
    lexicon = Lexicon(level="entity", paths=[str(file)])
    labels = {label: number for number, label in enumerate([WORD, *lexicon.labels()])}
    return Annotation(segmenters={"zh": Rjieba(), "en": Pretokenizer()}, annotators=[lexicon], labels=labels)


def document(number: int, repeat: int = 1) -> Document:
    language, texts = ("zh", ZH) if number % 3 else ("en", EN)
    text = " ".join([texts[number % len(texts)], texts[number // 2 % len(texts)]] * repeat)
    return Document(id=f"doc-{number}", language=language, text=text, title=f"T{number}", source=f"s{number % 2}")


def made(documents: Sequence[Document], annotation: Annotation, tokenizer: Tokenizer) -> list[Made]:
    found = [annotation.annotate(item) for item in documents]
    return [(item, encode(item, tokenizer)) for item in found]


@pytest.fixture(scope="module")
def corpus(annotation: Annotation, tokenizer_folder: Path) -> list[Made]:
    return made([document(number) for number in range(40)], annotation, Tokenizer(folder=tokenizer_folder))


def tally(items: Sequence[Made], annotation: Annotation, folder: Path) -> dict[str, Any]:
    """The tally of documents, as it comes back from its file."""
    result = Tally(list(annotation.labels), Tokenizer(folder=folder))
    for annotated, encoded in items:
        result.add(annotated, encoded)
    found: dict[str, Any] = json.loads(json.dumps(result.plain(), ensure_ascii=False).encode())
    return found


def bin_of(value: int) -> int:
    return max(number for number, edge in enumerate(EDGES.tolist()) if edge <= max(value, 1))


def test_sums_and_histograms_are_those_of_a_plain_loop(
    corpus: list[Made], annotation: Annotation, tokenizer_folder: Path
) -> None:
    unknown = Tokenizer(folder=tokenizer_folder).special_ids["[UNK]"]
    for group in tally(corpus, annotation, tokenizer_folder)["groups"]:
        mine = [(a, e) for a, e in corpus if (e.source, e.language) == (group["source"], group["language"])]
        sentences = [int(length) for _, e in mine for length in np.diff(e.sentence_ends_S, prepend=np.uint32(0))]
        assert group["documents"] == len(mine)
        assert group["characters"] == sum(len(a.document.text) for a, _ in mine)
        assert group["tokens"] == sum(len(e.token_ids_T) for _, e in mine)
        assert group["sentences"] == len(sentences)
        assert group["unknown"] == sum(int((e.token_ids_T == unknown).sum()) for _, e in mine)
        lengths = {
            "document_characters": [len(a.document.text) for a, _ in mine],
            "document_tokens": [len(e.token_ids_T) for _, e in mine],
            "sentence_tokens": sentences,
        }
        for name, values in lengths.items():
            expected = Counter(map(bin_of, values))
            assert group[name] == [expected[number] for number in range(max(expected) + 1)], name


def test_units_are_counted_by_their_text_and_length(
    corpus: list[Made], annotation: Annotation, tokenizer_folder: Path
) -> None:
    found = tally(corpus, annotation, tokenizer_folder)
    names = list(annotation.labels)
    expected: dict[tuple[str, str, str], Counter[str]] = {}
    lengths: dict[str, Counter[int]] = {}
    for a, e in corpus:
        for level, units in a.units.items():
            for start, end, label in zip(
                units.start_U.tolist(), units.end_U.tolist(), units.label_U.tolist(), strict=True
            ):
                if level != "word" or end - start > 1:
                    expected.setdefault((level, names[label].type, e.language), Counter())[
                        a.document.text[start:end]
                    ] += 1
        for level, tokens in e.units.items():
            lengths.setdefault(level, Counter()).update(tokens.length_U.tolist())
    assert {
        (item["level"], item["type"], item["language"]): dict(item["surfaces"]) for item in found["surfaces"]
    } == expected
    assert all(item["error"] == 0 for item in found["surfaces"])
    assert found["unit_lengths"] == {
        level: [count[number] for number in range(max(count) + 1)] for level, count in lengths.items()
    }


@settings(max_examples=25)
@given(data=st.data())
def test_any_division_and_order_gives_the_same_tally(
    data: st.DataObject, corpus: list[Made], annotation: Annotation, tokenizer_folder: Path
) -> None:
    parts: list[list[Made]] = [[] for _ in range(data.draw(st.integers(1, 5)))]
    for item in data.draw(st.permutations(corpus)):
        parts[data.draw(st.integers(0, len(parts) - 1))].append(item)
    whole = tally(corpus, annotation, tokenizer_folder)
    assert whole["samples"] and whole["unknown_characters"]
    pieces = [tally(part, annotation, tokenizer_folder) for part in parts]
    for found in (merge(pieces), merge(reversed(pieces)), merge([merge(pieces[:2]), merge(pieces[2:])])):
        found, expected = (json.loads(json.dumps(value, ensure_ascii=False)) for value in (found, whole))
        # From every sixteenth character, so it depends on where a part begins.
        assert abs(sum(found.pop("scripts").values()) - sum(expected.pop("scripts").values())) <= 16 * (len(parts) + 1)
        assert found == expected


def test_batches_do_not_change_the_counts(
    corpus: list[Made], annotation: Annotation, tokenizer_folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    whole = tally(corpus, annotation, tokenizer_folder)
    monkeypatch.setattr(tallies, "BATCH_CHARACTERS", 50)
    batches = tally(corpus, annotation, tokenizer_folder)
    assert {**batches, "scripts": {}} == {**whole, "scripts": {}}


@given(st.lists(st.lists(st.integers(0, 30), min_size=1, max_size=60), min_size=1, max_size=6), st.integers(1, 8))
def test_counts_of_frequent_units_are_wrong_by_no_more_than_they_say(batches: list[list[int]], kept: int) -> None:
    patch = pytest.MonkeyPatch()
    patch.setattr(surfaces, "KEPT", kept)
    try:
        characters = np.arange(100, dtype=np.uint32)
        tops, whole = [], Counter[str]()
        for numbers in batches:
            start = np.array(numbers)
            found = Surfaces()
            for piece in (start[: len(start) // 2], start[len(start) // 2 :]):
                found.add(characters, piece, piece + 1, np.zeros(len(piece), np.int64))
            tops.append(found.top(0))
            whole.update(map(chr, numbers))
        top = merge_tops(tops, kept)
    finally:
        patch.undo()
    assert all(count <= whole[surface] <= count + top.error for surface, count in top.surfaces)
    assert all(count <= top.floor for surface, count in whole.items() if surface not in dict(top.surfaces))


def test_equal_texts_of_two_types_are_kept_apart() -> None:
    found = Surfaces()
    characters = np.frombuffer("北京北京上海".encode("utf-32-le"), np.uint32)
    found.add(characters, np.array([0, 2, 4, 0]), np.array([2, 4, 6, 4]), np.array([1, 7, 1, 1]))
    assert found.top(1).surfaces == [("上海", 1), ("北京", 1), ("北京北京", 1)]
    assert found.top(7).surfaces == [("北京", 1)]
    assert found.top(3) == Top([], 0, 0)


def test_words_of_a_large_part_are_estimated_near_the_truth(annotation: Annotation, tokenizer_folder: Path) -> None:
    corpus = made(
        [document(number, repeat=200) for number in range(60)], annotation, Tokenizer(folder=tokenizer_folder)
    )
    truth: Counter[str] = Counter()
    for a, e in corpus:
        if e.language == "en":
            words = zip(a.units["word"].start_U.tolist(), a.units["word"].end_U.tolist(), strict=True)
            truth.update(a.document.text[start:end] for start, end in words if end - start > 1)
    (found,) = (
        item
        for item in tally(corpus, annotation, tokenizer_folder)["surfaces"]
        if item["level"] == "word" and item["language"] == "en"
    )
    for surface, count in found["surfaces"]:
        assert abs(count - truth[surface]) < 0.2 * truth[surface] + 200, surface


def test_unknown_characters_are_counted_and_known_ones_are_not(annotation: Annotation, tokenizer_folder: Path) -> None:
    texts = ["蠊在北京。蠊☃", "山水。", "a☃b 蠊"]
    documents = [
        Document(id=str(number), language="zh", text=text, title="", source="s") for number, text in enumerate(texts)
    ]
    found = tally(made(documents, annotation, Tokenizer(folder=tokenizer_folder)), annotation, tokenizer_folder)
    assert found["unknown_characters"] == [["蠊", 3], ["☃", 2]]
    assert found["unknown_alone"] == 5


def test_samples_hold_their_units_at_their_places(annotation: Annotation, tokenizer_folder: Path) -> None:
    corpus = made([document(number, repeat=30) for number in range(40)], annotation, Tokenizer(folder=tokenizer_folder))
    samples = tally(corpus, annotation, tokenizer_folder)["samples"]
    texts = {a.document.id: a.document.text for a, _ in corpus}
    assert Counter(sample["language"] for sample in samples) == {"zh": SAMPLES, "en": SAMPLES}
    for sample in samples:
        assert 0 < len(sample["text"]) <= PASSAGE
        assert sample["text"] in texts[sample["id"]]
        for start, end, _ in sample["units"]["word"]:
            assert 0 <= start < end <= len(sample["text"])
    entities = {sample["text"][start:end] for sample in samples for start, end, _ in sample["units"]["entity"]}
    assert entities <= {"北京大学", "上海", "长江", "Rome", "New York"} and entities


def test_an_empty_part_has_an_empty_tally_that_merges(
    corpus: list[Made], annotation: Annotation, tokenizer_folder: Path
) -> None:
    empty = tally([], annotation, tokenizer_folder)
    whole = tally(corpus, annotation, tokenizer_folder)
    assert empty["groups"] == [] and empty["surfaces"] == []
    assert json.loads(json.dumps(merge([empty, whole, empty]))) == whole


def test_documents_without_tokens_and_ids_that_cannot_be_written_are_counted(
    annotation: Annotation, tokenizer_folder: Path
) -> None:
    blank = Document(id="blank", language="en", text="\u0301", title="", source="s")
    broken = Document(id="x\ud800", language="zh", text="北京大学。", title="\udfff", source="s")
    found = tally(made([blank, broken], annotation, Tokenizer(folder=tokenizer_folder)), annotation, tokenizer_folder)
    assert sum(group["documents"] for group in found["groups"]) == 2
