"""Blocks: what is found in a document does not depend on the documents beside it."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from data_prep import blocks
from data_prep.annotating.annotation import WORD, Annotation
from data_prep.annotators import Annotator
from data_prep.annotators.lexicon import Lexicon
from data_prep.blocks import AnnotatedBlock, Block, in_blocks
from data_prep.cleaning import text_rules
from data_prep.counting.unit_counts import every
from data_prep.documents import SEGMENT, Annotated, Document, Given, Label, Spans, Units
from data_prep.encoded import Encoded, EncodedBlock
from data_prep.encoding import Tokenizer, encode, encode_block
from data_prep.filtering.cleaning import Cleaning
from data_prep.pieces import joined_words, single_words
from data_prep.segmenters import Segmenter
from data_prep.segmenters.compiled_jieba import CompiledJieba
from data_prep.segmenters.jieba import Jieba
from data_prep.segmenters.pretokenizer import Pretokenizer
from data_prep.segmenters.rjieba import Rjieba
from data_prep.shard_writer import write_shard
from data_prep.vocabularies.vocabulary import bert_normalizer
from data_prep.vocabularies.vocabulary_training import WordTally
from masking.keyed import hash_key, hash_keys

WORDS = [
    "长江",
    "北京大学",
    "上海",
    "New York",
    "Rome",
    "a",
    "B",
    "。",
    ".",
    " ",
    "\n",
    "\n\n",
    "“",
    "”",
    "3",
    "%",
    "é",
    "İ",
    "\u0903",
    "🙂",
]
WORDS += ["上地", "the", "!", "?"]
TEXT = st.lists(st.sampled_from(WORDS), min_size=1, max_size=14).map("".join)
LABELS = [WORD, Label("ORG", "lexicon"), Label("LOC", "lexicon"), Label("", "user"), Label("X", "user")]


@dataclass(frozen=True, kw_only=True)
class Halves(Annotator):
    """The first half of each sentence: an annotator that looks at one document at a time."""

    def labels(self) -> list[Label]:
        return [Label("X", "user")]

    def annotate(self, document: Document, sentences_S2: Spans) -> Units:
        return Units.of(
            (start, start + (end - start) // 2, 0) for start, end in sentences_S2.tolist() if end - start > 1
        )

    def fingerprint(self) -> dict[str, Any]:
        return {"kind": "halves"}


@pytest.fixture(scope="module")
def annotation(tmp_path_factory: pytest.TempPathFactory) -> Annotation:
    file = tmp_path_factory.mktemp("lexicon") / "entities.tsv"
    file.write_text(
        "北京大学\tORG\n上海\tLOC\n长江\tLOC\nRome\tLOC\nNew York\tLOC\n上地\tLOC\n江上\tLOC\n", encoding="utf-8"
    )
    annotators = [
        Lexicon(level="entity", paths=[str(file)]),
        Halves(level="half"),
        Lexicon(level="all", paths=[str(file)], boundaries="any"),
    ]
    return Annotation(
        segmenters={"zh": Rjieba(), "en": Pretokenizer()},
        annotators=annotators,
        labels={label: n for n, label in enumerate(LABELS)},
    )


@st.composite
def documents(draw: st.DrawFn) -> list[Document]:
    found = []
    for number, text in enumerate(draw(st.lists(TEXT, min_size=1, max_size=9))):
        given: dict[str, list[Given]] = {}
        if draw(st.integers(0, 4)) == 0:
            given["own"] = [Given(0, 1, "X")]
        if draw(st.integers(0, 6)) == 0 and len(text) > 1:
            given["word"] = [Given(0, 2, "")]
        if draw(st.integers(0, 6)) == 0:
            given[SEGMENT] = [Given(0, 1, "yes"), Given(1, len(text), "")]
        language = draw(st.sampled_from(["zh", "en", "xx"]))
        found.append(
            Document(id=f"d{number}", language=language, text=text, title=f"T{number}", source="s", given=given)
        )
    return found


def plain(value: Annotated | Encoded) -> Any:
    """Everything in it, as lists."""
    if isinstance(value, Annotated):
        units = {
            level: [found.start_U.tolist(), found.end_U.tolist(), found.label_U.tolist()]
            for level, found in value.units.items()
        }
        return (
            value.document,
            value.sentences_S2.tolist(),
            value.paragraph_ends_P.tolist(),
            list(units.items()),
            value.words,
        )
    tokens = {
        level: [found.start_U.tolist(), found.length_U.tolist(), found.label_U.tolist()]
        for level, found in value.units.items()
        if len(found.start_U)
    }
    arrays = (value.token_ids_T, value.flags_T, value.sentence_ends_S, value.paragraph_ends_P, value.segment_ends_G)
    return (
        value.id,
        value.language,
        value.source,
        value.title,
        [array.tolist() for array in arrays],
        tokens,
        value.label,
    )


@settings(max_examples=150, deadline=None)
@given(found=documents())
def test_a_document_in_a_block_is_what_it_is_alone(
    found: list[Document], annotation: Annotation, tokenizer_folder: Path
) -> None:
    tokenizer = Tokenizer(folder=tokenizer_folder)
    alone = [annotation.annotate(document) for document in found]
    encoded = [encode(item, tokenizer, ["no", "yes"]) for item in alone]
    together = annotation.annotate_block(Block(found))
    tokens = encode_block(together, tokenizer, ["no", "yes"])
    assert [plain(together.document(number)) for number in range(len(found))] == [plain(item) for item in alone]
    assert [plain(tokens.document(number)) for number in range(len(found))] == [plain(item) for item in encoded]
    assert Counter(together.dropped) == sum((Counter(item.dropped) for item in alone), Counter())
    assert Counter(tokens.dropped) == sum((Counter(item.dropped) for item in encoded), Counter())
    assert together.cut_D.sum() == sum(
        count for item in alone for reason, count in item.dropped.items() if reason.startswith("word cut")
    )
    middle = len(found) // 2
    parts = [part for part in (together.part(0, middle), together.part(middle, len(found))) if len(part)]
    assert [plain(part.document(number)) for part in parts for number in range(len(part))] == [
        plain(item) for item in alone
    ]
    chosen_D = np.arange(len(found)) % 2 == 0
    some = tokens.take(chosen_D)
    assert [plain(some.document(number)) for number in range(len(some))] == [plain(item) for item in encoded[::2]]


def test_blocks_and_documents_make_the_same_shard(
    annotation: Annotation, tokenizer_folder: Path, tmp_path: Path
) -> None:
    tokenizer, levels = Tokenizer(folder=tokenizer_folder), ["word", "entity", "half", "none"]
    texts = ["长江在上海。" * number + "Rome was there." * (number % 3) for number in range(1, 30)]
    found = [
        Document(id=f"d{number}", language="zh", text=text, title="", source="s") for number, text in enumerate(texts)
    ]
    singly = [encode(annotation.annotate(document), tokenizer) for document in found]
    write_shard(tmp_path / "a.arrow", singly, levels, 1000)
    halves = [encode_block(annotation.annotate_block(Block(half)), tokenizer) for half in (found[:11], found[11:])]
    write_shard(
        tmp_path / "b.arrow",
        [halves[0], *(halves[1].document(number) for number in range(len(halves[1])))],
        levels,
        1000,
    )
    assert (tmp_path / "a.arrow").read_bytes() == (tmp_path / "b.arrow").read_bytes()


@pytest.mark.parametrize(
    "segmenter",
    [Rjieba(), Rjieba(hmm=False), Pretokenizer(), CompiledJieba(), Jieba()],
    ids=lambda item: type(item).__name__,
)
@settings(max_examples=60, deadline=None)
@given(
    texts=st.lists(
        st.one_of(TEXT, st.text(st.characters(codec="utf-8"), min_size=1, max_size=8)), min_size=1, max_size=6
    )
)
def test_words_of_joined_texts_are_those_of_each(texts: list[str], segmenter: Segmenter) -> None:
    assert segmenter.block_words(texts).tolist() == single_words(segmenter.words, texts).tolist()


def test_words_that_leave_their_text_are_refused_in_a_block() -> None:
    def wrong(text: str) -> Spans:
        return np.array([[0, len(text) + 1]], np.int32)

    with pytest.raises(ValueError, match="outside the text"):
        single_words(wrong, ["ab", "cd"])
    assert joined_words(wrong, ["ab"]).tolist() == [[0, 3]]  # alone it harms nobody else


def test_documents_are_divided_by_number_and_by_size(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(blocks, "BLOCK_CHARACTERS", 10)
    monkeypatch.setattr(blocks, "BLOCK_DOCUMENTS", 3)
    found = [Document(id="", language="", text="x" * size, title="", source="") for size in (1, 1, 1, 20, 4, 4, 4, 1)]
    assert [[len(document.text) for document in block] for block in in_blocks(found)] == [
        [1, 1, 1],
        [20],
        [4, 4, 4],
        [1],
    ]


def test_a_block_of_one_comes_back_as_it_was(annotation: Annotation, tokenizer_folder: Path) -> None:
    annotated = annotation.annotate(Document(id="a", language="zh", text="长江在上海。", title="t", source="s"))
    encoded = encode(annotated, Tokenizer(folder=tokenizer_folder))
    assert plain(AnnotatedBlock.of(annotated).document(0)) == plain(annotated)
    assert plain(EncodedBlock.of(encoded).document(0)) == plain(encoded)
    assert EncodedBlock.of(replace(encoded, label=3)).document(0).label == 3


@given(
    st.lists(st.tuples(st.integers(0, 40), st.integers(0, 2**64 - 1), st.booleans()), min_size=1, max_size=8),
    st.integers(1, 16),
)
def test_every_sixteenth_unit_of_a_document_is_the_same_wherever_it_stands(
    found: list[tuple[int, int, bool]], stride: int
) -> None:
    expected, begin = [], 0
    for count, key, chosen in found:
        expected += list(range(begin, begin + count))[key % stride :: stride] if chosen else []
        begin += count
    keys_D = np.array([key for _, key, _ in found], np.uint64)
    assert (
        every(
            stride, keys_D, np.array([count for count, _, _ in found]), np.array([chosen for *_, chosen in found])
        ).tolist()
        == expected
    )


# --- what short documents are spared
# -------------------------------------------------------------------------------------------------


@settings(max_examples=300)
@given(
    st.lists(
        st.sampled_from(
            [*WORDS, "  ", " \n", "\n ", "\n\n\n", "\t", "\r\n", "\u3000", "e\u0301", "\u200b", "\x00", "Å"]
        ),
        max_size=14,
    ).map("".join)
)
def test_a_short_text_is_cleaned_as_a_long_one(raw: str) -> None:
    quick, patch = Cleaning(), pytest.MonkeyPatch()
    text, language = quick.text(raw), quick.language(raw)
    patch.setattr(text_rules, "SHORT", 0)
    try:
        assert (text, language) == (Cleaning().text(raw), Cleaning().language(raw))
    finally:
        patch.undo()


@given(st.lists(st.text()))
def test_keys_of_many_names_are_those_of_each(names: Sequence[str]) -> None:
    assert hash_keys("heldout", names).tolist() == [hash_key("heldout", name) for name in names]


# --- words of a vocabulary
# -----------------------------------------------------------------------------------------------------------


def slow_counts(texts: Sequence[str], normalizer: Any) -> tuple[Counter[str], Counter[str]]:
    """The definition: the library normalises each text as a whole."""
    characters, words = Counter[str](), Counter[str]()
    for text in texts:
        normal = normalizer.normalize_str(text) if normalizer else text
        characters.update(normal)
        words.update(normal[start:end] for start, end in Pretokenizer().words(normal).tolist() if end - start <= 100)
    return characters, words


@pytest.mark.parametrize("kind", ["uncased", "cased", "none", "other"])
@settings(max_examples=60, deadline=None)
@given(
    texts=st.lists(
        st.one_of(
            TEXT,
            st.text(st.characters(codec="utf-8"), max_size=12),
            st.sampled_from(["x" * 101, "ab" * 50, "कि हिन्दी x", "각 가 Éé ﬁ", "the the thé"]),
        ),
        max_size=8,
    )
)
def test_counted_words_are_those_of_the_library(texts: list[str], kind: str) -> None:
    from tokenizers import normalizers

    made = {
        "uncased": bert_normalizer(True),
        "cased": bert_normalizer(False),
        "none": None,
        "other": normalizers.NFKC(),
    }
    tally = WordTally(made[kind])
    for text in texts:
        tally.add(text)
    characters, words = slow_counts(texts, made[kind])
    assert (tally.characters, tally.words) == (characters, words)
    for text in texts:  # and go on after they were looked at
        tally.add(text)
    assert tally.words == words + words


def test_many_words_are_counted(tmp_path: Path) -> None:
    tally = WordTally(bert_normalizer(True))
    texts = [" ".join(f"w{number:x}" for number in range(start, start + 3000)) for start in range(0, 200_000, 1500)]
    for text in texts:
        tally.add(text)
    assert (tally.characters, tally.words) == slow_counts(texts, bert_normalizer(True))
    tally.write(tmp_path / "counts.json")
    assert json.loads((tmp_path / "counts.json").read_bytes())["words"] == dict(tally.words)
