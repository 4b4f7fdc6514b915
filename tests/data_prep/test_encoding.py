"""Encoding: character spans become token spans; checked against the definition on every document of examples/."""

from __future__ import annotations

import json
import pickle
from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from data_prep.annotating.annotation import WORD, Annotation
from data_prep.annotators.lexicon import Lexicon
from data_prep.documents import SEGMENT, Annotated, Document, Given, Place, Record, Units
from data_prep.encoded import Encoded
from data_prep.encoding import FLAG_CAPITAL, Tokenizer, encode
from data_prep.filtering.cleaning import Cleaning
from data_prep.segmenters.pretokenizer import Pretokenizer
from data_prep.segmenters.rjieba import Rjieba
from data_prep.vocabularies.vocabulary import Vocabulary, adopt

ROOT = Path(__file__).resolve().parents[2]
LEXICONS = ROOT / "examples/lexicons"


def example_documents() -> Iterator[Document]:
    for name in ("zh", "en"):
        for number, line in enumerate(
            (ROOT / f"examples/corpus/{name}.jsonl").read_text(encoding="utf-8").splitlines(), 1
        ):
            value = json.loads(line)
            document = Cleaning().clean(
                Record(value["text"], value["id"], value["title"], "", Place(name, number, 0)), name
            )
            assert isinstance(document, Document)
            yield document


@pytest.fixture(scope="module")
def examples(annotation: Annotation) -> list[Annotated]:
    return [annotation.annotate(document) for document in example_documents()]


@pytest.fixture(scope="module")
def annotation() -> Annotation:
    """The segmenters and lexicons of configs/data/demo.yaml."""
    entities = Lexicon(level="entity", paths=[str(LEXICONS / f"entities.{language}.tsv") for language in ("zh", "en")])
    phrases = Lexicon(
        level="phrase", type="phrase", paths=[str(LEXICONS / f"phrases.{language}.txt") for language in ("zh", "en")]
    )
    annotators = [entities, phrases]
    labels = dict.fromkeys([WORD, *(label for annotator in annotators for label in annotator.labels())])
    return Annotation(
        segmenters={"zh": Rjieba(), "en": Pretokenizer()},
        annotators=annotators,
        labels={label: index for index, label in enumerate(labels)},
    )


@pytest.fixture(scope="module", params=[True, False], ids=["uncased", "cased"])
def trained(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Tokenizer:
    """A vocabulary trained on examples/."""
    folder = tmp_path_factory.mktemp("trained")
    Vocabulary(size=2500, lowercase=request.param).make(folder, (document.text for document in example_documents()))
    return Tokenizer(folder=folder)


@pytest.fixture
def tokenizer(tokenizer_folder: Path) -> Tokenizer:
    return Tokenizer(folder=tokenizer_folder)


def offsets(tokenizer: Tokenizer, text: str) -> tuple[list[int], Any]:
    """Ids and offsets by the library itself."""
    encoding = tokenizer._backend.encode(text, add_special_tokens=False)
    return encoding.ids, np.array(encoding.offsets, np.int64).reshape(-1, 2)


def aligned(units: Units, level: str, offsets_T2: Any) -> tuple[list[tuple[int, int, int]], int]:
    """By the definition: the tokens that touch a unit must all lie inside it. Also how many units do not fit."""
    kept, misfits = [], 0
    for begin, end, label in zip(units.start_U.tolist(), units.end_U.tolist(), units.label_U.tolist(), strict=True):
        touching = np.flatnonzero((offsets_T2[:, 0] < end) & (offsets_T2[:, 1] > begin))
        if not len(touching) or offsets_T2[touching, 0].min() < begin or offsets_T2[touching, 1].max() > end:
            misfits += 1
        elif level != "word" or len(touching) > 1:
            assert touching.tolist() == list(range(touching[0], touching[-1] + 1))
            kept.append((int(touching[0]), len(touching), label))
    return kept, misfits


def check(annotated: Annotated, encoded: Encoded, tokenizer: Tokenizer) -> None:
    """Everything that Encoded promises, by brute force."""
    text = annotated.document.text
    ids, offsets_T2 = offsets(tokenizer, text)
    assert encoded.token_ids_T.tolist() == ids
    assert [bool(flag & FLAG_CAPITAL) for flag in encoded.flags_T] == [text[start].isupper() for start, _ in offsets_T2]
    ends = [int((offsets_T2[:, 0] < end).sum()) for _, end in annotated.sentences_S2.tolist()]
    assert encoded.sentence_ends_S.tolist() == sorted({end for end in ends if end})
    assert encoded.paragraph_ends_P.tolist() == sorted(
        {ends[index - 1] for index in annotated.paragraph_ends_P.tolist()} - {0}
    )
    assert encoded.sentence_ends_S.tolist()[-1:] == ([len(ids)] if ids else [])
    assert set(encoded.units) == set(annotated.units)
    for level, units in annotated.units.items():
        table = encoded.units[level]
        found = list(zip(table.start_U.tolist(), table.length_U.tolist(), table.label_U.tolist(), strict=True))
        expected, misfits = aligned(units, level, offsets_T2)
        assert found == expected, f"{annotated.document.id} {level}"
        assert encoded.dropped.get(f"{level} fits no token boundary", 0) == misfits
        for start, length, _ in found:
            pairs = offsets_T2[start : start + length].tolist()
            gaps = [text[before[1] : after[0]] for before, after in pairwise(pairs)]
            assert not "".join(gaps).strip(), "a token range skips characters"


def test_every_unit_of_the_examples_covers_exactly_its_characters(
    examples: list[Annotated], trained: Tokenizer
) -> None:
    kept = dict.fromkeys(("word", "phrase", "entity"), 0)
    for annotated in examples:
        encoded = encode(annotated, trained)
        check(annotated, encoded, trained)
        for level in kept:
            kept[level] += len(encoded.units[level].start_U)
    assert min(kept.values()) > 100


def annotated(
    text: str,
    *places: tuple[int, int],
    level: str = "entity",
    sentences: list[tuple[int, int]] | None = None,
    label: int = 0,
) -> Annotated:
    spans = sentences or ([(0, len(text))] if text else [])
    document = Document(id="1", language="zh", text=text, title="T", source="s")
    return Annotated(
        document=document,
        sentences_S2=np.array(spans, np.int32).reshape(-1, 2),
        paragraph_ends_P=np.array([len(spans)] if spans else [], np.int64),
        units={level: Units.of((start, end, label) for start, end in places)},
        dropped={},
    )


def test_the_worked_example_of_the_module(tokenizer: Tokenizer) -> None:
    text = "北京大学 opened"
    encoded = encode(annotated(text, (0, 4), (5, 11), label=3), tokenizer)
    assert [tokenizer.tokens[index] for index in encoded.token_ids_T] == ["北", "京", "大", "学", "opened"]
    assert encoded.units["entity"].start_U.tolist() == [0, 4]
    assert encoded.units["entity"].length_U.tolist() == [4, 1]
    assert encoded.units["entity"].label_U.tolist() == [3, 3]


def test_a_unit_that_ends_inside_a_token_is_dropped_and_counted(tokenizer: Tokenizer) -> None:
    encoded = encode(annotated("the opened river", (0, 3), (4, 8), (6, 16), (11, 16)), tokenizer)
    assert list(zip(encoded.units["entity"].start_U, encoded.units["entity"].length_U, strict=True)) == [(0, 1), (2, 1)]
    assert encoded.dropped == {"entity fits no token boundary": 2}


def test_a_word_of_one_token_is_its_own_unit_and_not_listed(tokenizer: Tokenizer) -> None:
    encoded = encode(annotated("the rivers", (0, 3), (4, 10), level="word"), tokenizer)
    assert (encoded.units["word"].start_U.tolist(), encoded.units["word"].length_U.tolist()) == ([1], [2])
    assert not encoded.dropped


def test_a_unit_may_begin_or_end_with_white_space_or_removed_characters(tokenizer: Tokenizer) -> None:
    encoded = encode(annotated("the \ufffd北京 river", (3, 8)), tokenizer)
    assert (encoded.units["entity"].start_U.tolist(), encoded.units["entity"].length_U.tolist()) == ([1], [2])


def test_a_unit_without_tokens_is_dropped(tokenizer: Tokenizer) -> None:
    encoded = encode(annotated("the \ufffd\ufffd river", (4, 6)), tokenizer)
    assert encoded.units["entity"].start_U.tolist() == []
    assert encoded.dropped == {"entity fits no token boundary": 1}


@pytest.mark.parametrize("text", ["", "\ufffd\ufffd"])
def test_a_document_without_tokens_is_encoded_as_empty(text: str, tokenizer: Tokenizer) -> None:
    encoded = encode(annotated(text, *([(0, 1)] if text else [])), tokenizer)
    for array in (
        encoded.token_ids_T,
        encoded.flags_T,
        encoded.sentence_ends_S,
        encoded.paragraph_ends_P,
        encoded.units["entity"].start_U,
    ):
        assert array.tolist() == []
    assert encoded.dropped == ({"entity fits no token boundary": 1} if text else {})


def test_sentences_without_tokens_are_left_out(tokenizer: Tokenizer) -> None:
    text = "北京 \ufffd 江水"
    encoded = encode(annotated(text, sentences=[(0, 2), (3, 4), (5, 7)]), tokenizer)
    assert encoded.sentence_ends_S.tolist() == [2, 4]
    assert encoded.paragraph_ends_P.tolist() == [4]


def test_capitals_are_flagged_from_the_raw_text_though_the_vocabulary_is_uncased(tokenizer: Tokenizer) -> None:
    text = "The rain in Rome. 北京 É à Ж ж Rivers"
    encoded = encode(annotated(text), tokenizer)
    _, offsets_T2 = offsets(tokenizer, text)
    flagged = [
        text[start:end] for (start, end), flag in zip(offsets_T2, encoded.flags_T, strict=True) if flag & FLAG_CAPITAL
    ]
    assert flagged == ["The", "Rome", "É", "Ж", "River"]


def test_full_width_capitals_are_flagged(tokenizer: Tokenizer) -> None:
    assert encode(annotated("Ａ"), tokenizer).flags_T.tolist() == [FLAG_CAPITAL]


@pytest.mark.parametrize("name", ["[PAD]", "[CLS]", "[SEP]", "[MASK]"])
def test_a_special_token_spelled_out_in_the_text_stays_text(name: str, tokenizer: Tokenizer) -> None:
    encoded = encode(annotated(f"the {name} river"), tokenizer)
    assert tokenizer.special_ids[name] not in encoded.token_ids_T.tolist()


def test_characters_outside_the_basic_plane_count_as_one(tokenizer: Tokenizer) -> None:
    text = "𠮷😀北京 the"
    encoded = encode(annotated(text, (2, 4), (5, 8)), tokenizer)
    tokens = [tokenizer.tokens[index] for index in encoded.token_ids_T]
    found = [
        tokens[start : start + length]
        for start, length in zip(encoded.units["entity"].start_U, encoded.units["entity"].length_U, strict=True)
    ]
    assert found == [["北", "京"], ["the"]]


def test_a_unit_longer_than_the_format_allows_is_dropped(tokenizer: Tokenizer) -> None:
    encoded = encode(annotated("北" * 65536, (0, 65536)), tokenizer)
    assert encoded.dropped == {"entity fits no token boundary": 1}
    encoded = encode(annotated("北" * 65536, (1, 65536)), tokenizer)
    assert encoded.units["entity"].length_U.tolist() == [65535]


# --- parts of pairs, sentences and paragraphs
# -----------------------------------------------------------------------------------


def pair(first: str, second: str, kind: str = "") -> Document:
    spans = [Given(0, len(first), kind), Given(len(first) + 2, len(first) + 2 + len(second), kind)]
    return Document(id="1", language="zh", text=f"{first}\n\n{second}", title="", source="s", given={SEGMENT: spans})


def pieces(encoded: Encoded, ends: Any, tokenizer: Tokenizer) -> list[str]:
    tokens = [tokenizer.tokens[index] for index in encoded.token_ids_T]
    return [" ".join(tokens[start:end]) for start, end in pairwise([0, *ends.tolist()])]


def test_a_pair_has_the_ends_of_its_parts_and_the_number_of_its_class(
    annotation: Annotation, tokenizer: Tokenizer
) -> None:
    encoded = encode(annotation.annotate(pair("北京 the", "opened 江水。书", "b")), tokenizer, ["a", "b"])
    assert pieces(encoded, encoded.segment_ends_G, tokenizer) == ["北 京 the", "opened 江 水 。 书"]
    assert encoded.label == 1
    assert "segment" not in encoded.units


def test_a_pair_without_a_class_and_a_document_have_label_minus_one(
    annotation: Annotation, tokenizer: Tokenizer
) -> None:
    unlabelled = encode(annotation.annotate(pair("the", "rain")), tokenizer, ["a"])
    document = encode(annotated("the rain"), tokenizer)
    assert (unlabelled.label, unlabelled.segment_ends_G.tolist()) == (-1, [1, 2])
    assert (document.label, document.segment_ends_G.tolist()) == (-1, [])


@pytest.mark.parametrize(
    ("first", "second"),
    [("北京大", "学江水"), ("new", "york and rome"), ("他在北京", "大学。"), ("Dr", "Li is in Rome"), ("the", "##ing")],
)
def test_the_parts_of_a_pair_never_merge(first: str, second: str, annotation: Annotation, tokenizer: Tokenizer) -> None:
    annotated = annotation.annotate(pair(first, second))
    encoded = encode(annotated, tokenizer)
    alone = [
        encode(annotation.annotate(Document(id="1", language="zh", text=part, title="", source="s")), tokenizer)
        for part in (first, second)
    ]
    boundary = len(alone[0].token_ids_T)
    assert encoded.segment_ends_G.tolist() == [boundary, len(encoded.token_ids_T)]
    assert encoded.token_ids_T.tolist() == [*alone[0].token_ids_T.tolist(), *alone[1].token_ids_T.tolist()]
    assert boundary in encoded.sentence_ends_S.tolist()
    assert boundary in encoded.paragraph_ends_P.tolist()
    edges = [
        (start, end)
        for units in annotated.units.values()
        for start, end in zip(units.start_U, units.end_U, strict=True)
    ]
    assert all(end <= len(first) or start > len(first) for start, end in edges)


@pytest.mark.parametrize(
    ("text", "sentences", "paragraphs"),
    [
        (
            "江水。The rain. 北京！New York is open.\n书",
            ["江 水 。", "the rain .", "北 京 ！", "new york is open .", "书"],
            [4, 1],
        ),
        ("在 Rome. 大学 opened\n\n\nthe river? 天。", ["在 rome .", "大 学 opened", "the river ?", "天 。"], [2, 2]),
        (
            "在 the river, 山水；and 江水。\n \n“北京。” The rain",
            ["在 the river , 山 水 ； and 江 水 。", "“ 北 京 。 ”", "the rain"],
            [1, 2],
        ),
        ("\n大学 3.5 and 0.2 in Rome。and\n", ["大 学 3 . 5 and 0 . 2 in rome 。", "and"], [2]),
    ],
)
def test_sentences_and_paragraphs_of_mixed_text(
    text: str, sentences: list[str], paragraphs: list[int], annotation: Annotation, tokenizer: Tokenizer
) -> None:
    encoded = encode(annotation.annotate(Document(id="1", language="zh", text=text, title="", source="s")), tokenizer)
    assert pieces(encoded, encoded.sentence_ends_S, tokenizer) == sentences
    ends = encoded.sentence_ends_S[np.cumsum(paragraphs) - 1]
    assert encoded.paragraph_ends_P.tolist() == ends.tolist()


# --- the tokenizer as data_prep sees it
# -----------------------------------------------------------------------------------------


def test_the_tokenizer_knows_its_tokens_and_specials(tokenizer: Tokenizer) -> None:
    assert tokenizer.special_ids == {"[PAD]": 0, "[UNK]": 1, "[CLS]": 2, "[SEP]": 3, "[MASK]": 4}
    assert tokenizer.tokens[:5] == list(tokenizer.special_ids)
    assert len(set(tokenizer.tokens)) == len(tokenizer.tokens)


def test_the_tokenizer_can_be_sent_to_a_worker_after_it_was_used(tokenizer: Tokenizer) -> None:
    document = annotated("the river").document
    before = tokenizer.encode(document)[0].tolist()
    copy = pickle.loads(pickle.dumps(tokenizer))
    assert copy.encode(document)[0].tolist() == before


def test_a_folder_without_a_tokenizer_is_named(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=r"holds no tokenizer\.json") as caught:
        _ = Tokenizer(folder=tmp_path).tokens
    assert str(tmp_path) in str(caught.value)


def test_missing_special_tokens_are_named(tmp_path: Path, tokenizer_folder: Path) -> None:
    content = json.loads((tokenizer_folder / "tokenizer.json").read_text(encoding="utf-8"))
    content["added_tokens"] = [
        token for token in content["added_tokens"] if token["content"] not in ("[MASK]", "[SEP]")
    ]
    for name in ("[MASK]", "[SEP]"):
        del content["model"]["vocab"][name]
    content["post_processor"] = None
    (tmp_path / "tokenizer.json").write_text(json.dumps(content), encoding="utf-8")
    with pytest.raises(ValueError, match=r"\[SEP\], \[MASK\] missing from the vocabulary"):
        _ = Tokenizer(folder=tmp_path).special_ids


def test_vocabulary_and_rules_have_hashes_of_their_own(tmp_path: Path, tokenizer_folder: Path) -> None:
    original = Tokenizer(folder=tokenizer_folder)
    lines = (tokenizer_folder / "vocab.txt").read_text(encoding="utf-8")
    for name, content, config in (("longer", lines + "extra\n", "{}"), ("cased", lines, '{"do_lower_case": false}')):
        (tmp_path / name).mkdir()
        (tmp_path / name / "vocab.txt").write_text(content, encoding="utf-8")
        (tmp_path / name / "tokenizer_config.json").write_text(config)
        adopt(tmp_path / name, tmp_path / name / "made")
    longer, cased = (Tokenizer(folder=tmp_path / name / "made") for name in ("longer", "cased"))
    assert longer.vocabulary_sha256 != original.vocabulary_sha256 == cased.vocabulary_sha256
    assert longer.rules_sha256 == original.rules_sha256 != cased.rules_sha256
