"""Text -> sentences and paragraphs, for Chinese, English and both mixed in one line.

    "他说：“走吧。”然后出门。It rained. Dr. Li stayed."  ->  他说：“走吧。” | 然后出门。 | It rained. | Dr. Li stayed.

A sentence ends after 。！？ or !? with the closing quotes and brackets that follow them, after a full stop that is
followed by a space and a capital letter, quote or Han character and does not belong to an abbreviation or an initial,
and at a line break.
What stands between title marks is a name and ends none:  《你好？》很好看。
    unless the closing mark is not to be found (kernels.py).
Sentences cover every character except white space between them. A line break ends the paragraph too.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import cache
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from data_prep.code_points import HAN_RANGES, Ranges, members
from data_prep.documents import Spans

_ABBREVIATIONS = """
mr mrs ms dr prof rev hon st sr jr gen col capt lt sgt maj adm gov sen rep pres vs etc inc ltd co corp vol fig figs ed
eds
jan feb mar apr jun jul aug sep sept oct nov dec mt ft dept univ approx cf al e.g i.e u.s u.k a.m p.m ca
"""
ABBREVIATIONS = tuple(_ABBREVIATIONS.split())
CLOSERS = "\"'”’」』）)]】》〉"
OPENERS = "\"'“‘([「『《〈（【"
STOPS, BANGS = "。！？", "!?"
KNOWN, IDEOGRAPHS = 0x40000, 0x20000
"""Code points from the first on are of no kind; from the second up to it they are Han."""


class Ends(NamedTuple):
    """What a language adds to where the sentences of any text end, and begin after a full stop."""

    stops: str = ""
    """Marks that end a sentence wherever they stand."""
    beginners: Ranges = ()
    """Letters that begin a sentence after a full stop and white space, those that are small letters excepted."""


COMMON = Ends()


@cache
def character_kinds(ends: Ends = COMMON) -> npt.NDArray[np.uint16]:
    """The kinds (bits of kernels.py) of every code point below KNOWN."""
    from data_prep import kernels

    kind_C = np.zeros(KNOWN, np.uint16)
    characters = list(map(chr, range(IDEOGRAPHS)))
    for bit, holds in (
        (kernels.WORD, str.isalnum),
        (kernels.UPPER, str.isupper),
        (kernels.DIGIT, str.isdecimal),
        (kernels.BLANK, str.isspace),
    ):
        kind_C[:IDEOGRAPHS][np.fromiter(map(holds, characters), bool, IDEOGRAPHS)] |= bit
    for listed, bit in (
        ("_", kernels.WORD),
        (CLOSERS, kernels.CLOSER),
        (STOPS + ends.stops, kernels.STOP),
        (BANGS, kernels.BANG),
        (OPENERS, kernels.OPENER),
    ):
        kind_C[[ord(character) for character in listed]] |= bit
    kind_C[members(HAN_RANGES, KNOWN)] |= kernels.WORD | kernels.IDEOGRAPH | kernels.BEGINNER
    begins = members(ends.beginners, KNOWN)
    begins[np.flatnonzero(begins)] = [
        chr(point).isalpha() and not chr(point).islower() for point in np.flatnonzero(begins).tolist()
    ]
    kind_C[begins] |= kernels.BEGINNER
    for first, last in (("A", "Z"), ("0", "9"), ("À", "Þ")):
        kind_C[ord(first) : ord(last) + 1] |= kernels.BEGINNER
    return kind_C


@cache
def _packed_abbreviations() -> npt.NDArray[np.uint64]:
    return np.sort(np.array([int.from_bytes(word.encode(), "big") for word in ABBREVIATIONS], np.uint64))


def split_sentences(characters_N: npt.NDArray[np.uint32], ends: Ends = COMMON) -> tuple[Spans, npt.NDArray[np.int64]]:
    """Sentence spans int32[S, 2] of a text given by its code points, and int64[P]: for each paragraph the index one
    past its last sentence."""
    spans_S2, _, paragraph_ends_P, _ = block_sentences(characters_N, np.array([0, len(characters_N)], np.int64), [ends])
    return spans_S2, paragraph_ends_P


def block_sentences(
    characters_N: npt.NDArray[np.uint32], offsets_D1: npt.NDArray[np.int64], ends_D: Sequence[Ends]
) -> tuple[Spans, npt.NDArray[np.int64], npt.NDArray[np.int64], npt.NDArray[np.int64]]:
    """Sentences of several documents that begin at ``offsets_D1``, and where each document's begin among them; then the
    same for paragraph ends.

    Spans count in the characters of all documents, paragraph ends in the sentences of their own.
    """
    from data_prep import kernels

    distinct = tuple(dict.fromkeys(ends_D))
    numbers = {ends: number for number, ends in enumerate(distinct)}
    kind_D = np.array([numbers[ends] for ends in ends_D], np.int64)
    found: tuple[Spans, npt.NDArray[np.int64], npt.NDArray[np.int64], npt.NDArray[np.int64]] = (
        kernels.document_sentences(characters_N, offsets_D1, kind_D, _stacked(distinct), _packed_abbreviations())
    )
    return found


@cache
def _stacked(distinct: tuple[Ends, ...]) -> npt.NDArray[np.uint16]:
    return np.stack([character_kinds(ends) for ends in distinct])
