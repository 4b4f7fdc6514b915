"""Code points: one definition of Han, and everybody who asks whether a character is Han, over the whole of Unicode."""

from __future__ import annotations

import re
import sys
import unicodedata
from collections.abc import Callable

import numpy as np
import pytest

from data_prep import kernels
from data_prep.cleaning import characters, letters
from data_prep.code_points import BERT_CJK_RANGES, HAN, HAN_RANGES, code_points, lies_in, members, text_of
from data_prep.corpora.pre_segmented import CHINESE
from data_prep.counting import ngrams, similar_words, tallies
from data_prep.discourse import discourse
from data_prep.inputs import wikitext
from data_prep.languages import by_code
from data_prep.segmenters.pretokenizer import inner_C
from data_prep.sentences import character_kinds
from data_prep.vocabularies.vocabulary_report import token_class

EVERY = sys.maxunicode + 1
IS_HAN = members(HAN_RANGES)
NAMES = re.compile(
    "CJK (UNIFIED|COMPATIBILITY) IDEOGRAPH|(VERTICAL )?IDEOGRAPHIC ITERATION MARK|IDEOGRAPHIC NUMBER ZERO|HANGZHOU NUMERAL"
)


def points(says: Callable[[str], bool]) -> np.ndarray[tuple[int], np.dtype[np.bool_]]:
    return np.fromiter((says(chr(point)) for point in range(EVERY)), bool, EVERY)


def differ(found: np.ndarray[tuple[int], np.dtype[np.bool_]]) -> list[str]:
    return [f"U+{point:04X}" for point in np.flatnonzero(found != IS_HAN[: len(found)])[:10].tolist()]


def test_han_are_the_characters_that_unicode_names_so() -> None:
    named = points(lambda character: NAMES.match(unicodedata.name(character, "")) is not None)
    unassigned = points(lambda character: unicodedata.category(character) == "Cn")
    assert differ(named | (unassigned & IS_HAN)) == []
    assert all(HAN.fullmatch(character) for character in "〇々〻〡一㐀龥﨑𠀀𪜀𰀀\U00031350\U0003ffff")
    assert not any(HAN.search(character) for character in "ーのア가⼀⺀、。ㄅA1 ")


USERS: dict[str, Callable[[str], bool]] = {
    "regular expression": lambda character: HAN.fullmatch(character) is not None,
    "lies_in": lambda character: lies_in(HAN_RANGES, character),
    "the report's scripts": lambda character: tallies.writing_system.__wrapped__(ord(character)) == "Han",
    "similar words": lambda character: not character.isalnum() or similar_words.script_group(character) == 0,
    "classes of vocabulary": lambda character: token_class(character) == "Han character",
    "magic words": lambda character: (
        wikitext.MAGIC.fullmatch(f"__{character}{character}__") is not None and not character.isascii()
    ),
    "words of a discourse part": lambda character: (
        character.isalnum() and len(discourse.WORD.findall(character * 2)) == 2
    ),
}


@pytest.mark.parametrize("user", USERS)
def test_every_character_is_han_for_all_or_for_none(user: str) -> None:
    says = points(USERS[user])
    if user in ("similar words", "words of a discourse part"):  # they look at letters and digits only
        words = points(str.isalnum)
        says = np.where(words, says, IS_HAN)
    assert differ(says) == []


def test_the_tables_of_compiled_loops_and_arrays_say_the_same() -> None:
    inside = slice(0, characters.LAST)
    assert differ(np.isin(characters.class_table()[inside], (characters.HAN, characters.UNASSIGNED_HAN))) == []
    assert differ((characters.fold_table()[inside] & characters.ALONE) > 0) == []
    assert differ(letters.letter_kinds()[inside] == letters.HAN) == []
    assert differ((character_kinds() & kernels.IDEOGRAPH) > 0) == []
    assert bool((character_kinds()[IS_HAN[: len(character_kinds())]] & kernels.BEGINNER).all())
    assert bool((ngrams.character_classes()[IS_HAN] == ngrams.LETTER).all())
    assert by_code()["zh"].scripts is HAN_RANGES
    assert all(CHINESE.fullmatch(chr(point)) for point in np.flatnonzero(IS_HAN).tolist())


def test_what_bert_takes_for_chinese_is_its_own_published_list() -> None:
    """The normaliser of the library is asked character by character; it cuts out neither 々 nor 〇."""
    from tokenizers.normalizers import BertNormalizer

    normalizer = BertNormalizer(clean_text=False, handle_chinese_chars=True, strip_accents=False, lowercase=False)
    alone = [
        point
        for point in range(0x1000, 0x40000)
        if not 0xD800 <= point < 0xE000 and normalizer.normalize_str(chr(point)) == f" {chr(point)} "
    ]
    assert alone == np.flatnonzero(members(BERT_CJK_RANGES)).tolist()
    assert not inner_C()[members(BERT_CJK_RANGES)].any()
    assert inner_C()[[ord(character) for character in "々〇\U00030000"]].all()


@pytest.mark.parametrize("text", ["", "a", "北京𠀀😀", "\0\x7f\uffff"])
def test_code_points_and_back(text: str) -> None:
    found = code_points(text)
    assert found.tolist() == [ord(character) for character in text]
    assert text_of(found) == text


def test_half_a_surrogate_pair_is_a_code_point_and_no_text() -> None:
    assert code_points("a\ud800").tolist() == [97, 0xD800]
    assert text_of(code_points("a\ud800")) == "a\ufffd"
