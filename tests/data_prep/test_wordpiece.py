"""The compiled WordPiece gives the ids and offsets of the `tokenizers` library, or hands the text over to it."""

from __future__ import annotations

import gzip
import json
import random
import sys
import unicodedata
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from data_prep.documents import Document
from data_prep.encoding import Tokenizer
from data_prep.vocabularies.tokenizer_folders import SPECIAL_TOKENS
from data_prep.vocabularies.vocabulary import bert
from data_prep.wordpiece import SELF_TEST, Wordpiece

REAL = Path(__file__).resolve().parents[3] / "shared" / "data" / "raw"
PIECES = """
the rain naive cafe caf ##é ##e ##s open ##ed ##ing ##ng x ##x 北 京 大 学 ， 。 ! ? " ' - _ 1 ##1 2 ##2 ß ##ß ᄀ ##ᅡ ##ᆨ ﬁ ¡ # [ ] MASK é É Ｒ ａ
か ##か 🙂
"""
WORDS = PIECES.split()
TEXTS = [
    "The rain, the RAIN — naïve cafés opened!",
    "北京大学，在 ＡＢＣ 中。",
    "e\u0301 cafe\u0301s \u0301x",
    "각각 ᄀ",
    "[MASK] ##x # x",
    "a\u200bb\x00c\ufffdd\te\nf\u3000g",
    "x" * 100 + " " + "x" * 101,
    "İstanbul ẞ ß K Å ﬁ",
    "",
    " ",
    SELF_TEST,
]


def backend(lowercase: bool = True, words: list[str] = WORDS) -> Any:
    tokens = list(
        dict.fromkeys(
            [*SPECIAL_TOKENS, *words, *map(chr, range(33, 127)), *(f"##{chr(point)}" for point in range(97, 123))]
        )
    )
    made = bert({token: index for index, token in enumerate(tokens)}, lowercase=lowercase)
    made.encode_special_tokens = True
    return made


def check(library: Any, compiled: Wordpiece, text: str) -> None:
    wanted = library.encode(text, add_special_tokens=False)
    found = compiled.encode(np.frombuffer(text.encode("utf-32-le"), np.uint32))
    assert found is not None
    assert found[0].tolist() == wanted.ids
    assert list(zip(found[1].tolist(), found[2].tolist(), strict=True)) == wanted.offsets


@pytest.fixture(scope="module", params=[True, False], ids=["uncased", "cased"])
def pair(request: pytest.FixtureRequest) -> tuple[Any, Wordpiece]:
    library = backend(request.param)
    compiled = Wordpiece.of(library)
    assert compiled is not None
    return library, compiled


@pytest.mark.parametrize("text", TEXTS, ids=range(len(TEXTS)))
def test_ids_and_offsets_are_those_of_the_library(pair: tuple[Any, Wordpiece], text: str) -> None:
    check(*pair, text)


@settings(max_examples=300)
@given(st.text(st.one_of(st.sampled_from("thernaiopgxdsé北京，1 \n-#"), st.characters(codec="utf-8")), max_size=40))
def test_any_text_gives_what_the_library_gives_or_is_handed_over(text: str) -> None:
    library, compiled = PAIR
    handed_over = any(
        unicodedata.combining(character) and unicodedata.category(character) != "Mn" for character in text
    )
    if not handed_over:
        check(library, compiled, text)


def test_every_character_of_unicode_alone_and_inside_a_word(pair: tuple[Any, Wordpiece]) -> None:
    library, compiled = pair
    points = [point for point in range(sys.maxunicode + 1) if not 0xD800 <= point < 0xE000]
    characters = [chr(point) for point in random.Random(7).sample(points, 20000)] + [
        chr(point) for point in range(0x20, 0x3100)
    ]
    mixed = [
        character
        for character in characters
        if not unicodedata.combining(character) or unicodedata.category(character) == "Mn"
    ]
    check(library, compiled, " ".join(mixed) + " " + "".join(f"x{character}x " for character in mixed))


def test_a_text_whose_characters_depend_on_each_other_is_handed_to_the_library() -> None:
    _library, compiled = PAIR
    text = "x \u302e rain"  # a combining mark that is not stripped and may be reordered
    assert compiled.encode(np.frombuffer(text.encode("utf-32-le"), np.uint32)) is None


@pytest.mark.parametrize("change", ["model", "normalizer", "pre_tokenizer", "added", "prefix"])
def test_a_tokenizer_of_another_kind_is_left_to_the_library(change: str) -> None:
    from tokenizers import Tokenizer as Backend
    from tokenizers import models, normalizers, pre_tokenizers

    made = backend()
    if change == "model":
        made = Backend(models.BPE())
    elif change == "normalizer":
        made.normalizer = normalizers.NFKC()
    elif change == "pre_tokenizer":
        made.pre_tokenizer = pre_tokenizers.Whitespace()
    elif change == "added":
        made.add_tokens(["new york"])
    else:
        made.model = models.WordPiece({"[UNK]": 0, "a": 1, "@@b": 2}, unk_token="[UNK]", continuing_subword_prefix="@@")
    assert Wordpiece.of(made) is None


def test_an_encoder_without_a_compiled_copy_gives_the_same(
    tokenizer_folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    document = Document(id="1", language="zh", text="北京 rained, opened 江山！ Ünknown", title="", source="s")
    fast, slow = Tokenizer(folder=tokenizer_folder), Tokenizer(folder=tokenizer_folder)
    monkeypatch.setattr(Wordpiece, "of", staticmethod(lambda backend: None))
    expected = slow.encode(document)
    assert slow._compiled is None
    monkeypatch.undo()
    assert fast._compiled is not None
    assert [array.tolist() for array in fast.encode(document)] == [array.tolist() for array in expected]


@pytest.mark.skipif(not REAL.is_dir(), reason="the development corpora are not here")
def test_real_text_gives_what_the_library_gives(pair: tuple[Any, Wordpiece]) -> None:
    for file in sorted(REAL.glob("*/*.jsonl.gz")):
        with gzip.open(file, "rt", encoding="utf-8") as lines:
            for _, line in zip(range(15), lines, strict=False):
                check(*pair, json.loads(line)["text"][:5000])


PAIR = (backend(), Wordpiece.of(backend()))
