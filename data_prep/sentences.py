"""Text -> sentences and paragraphs, for Chinese, English and both mixed in one line.

    "他说：“走吧。”然后出门。It rained. Dr. Li stayed."  ->  他说：“走吧。” | 然后出门。 | It rained. | Dr. Li stayed.

A sentence ends after 。！？ or !? with the closing quotes and brackets that follow them, after a full stop that is followed by a
space and a capital letter, quote or Han character and does not belong to an abbreviation or an initial, and at a line break.
Sentences cover every character except white space between them. A line break ends the paragraph too.
"""

from __future__ import annotations

from functools import cache

import numpy as np
import numpy.typing as npt

from data_prep.documents import Spans

_ABBREVIATIONS = """
mr mrs ms dr prof rev hon st sr jr gen col capt lt sgt maj adm gov sen rep pres vs etc inc ltd co corp vol fig figs ed eds
jan feb mar apr jun jul aug sep sept oct nov dec mt ft dept univ approx cf al e.g i.e u.s u.k a.m p.m ca
"""
ABBREVIATIONS = tuple(_ABBREVIATIONS.split())
CLOSERS = "\"'”’」』）)]】》〉"
OPENERS = "\"'“‘([「『《〈（【"
KNOWN, IDEOGRAPHS = 0x33480, 0x20000
"""Code points from the first on are of no kind; from the second up to it they are ideographs."""


@cache
def character_kinds() -> npt.NDArray[np.uint16]:
    """The kinds (bits of kernels.py) of every code point below KNOWN."""
    from data_prep import kernels

    kind_C = np.zeros(KNOWN, np.uint16)
    kind_C[IDEOGRAPHS:] = kernels.WORD
    characters = list(map(chr, range(IDEOGRAPHS)))
    for bit, holds in ((kernels.WORD, str.isalnum), (kernels.UPPER, str.isupper), (kernels.DIGIT, str.isdecimal), (kernels.BLANK, str.isspace)):
        kind_C[:IDEOGRAPHS][np.fromiter(map(holds, characters), bool, IDEOGRAPHS)] |= bit
    for listed, bit in (("_", kernels.WORD), (CLOSERS, kernels.CLOSER), ("。！？", kernels.STOP), ("!?", kernels.BANG), (OPENERS, kernels.OPENER)):
        kind_C[[ord(character) for character in listed]] |= bit
    kind_C[0x3400:0xA000] |= kernels.IDEOGRAPH | kernels.BEGINNER
    for first, last in (("A", "Z"), ("0", "9"), ("À", "Þ")):
        kind_C[ord(first) : ord(last) + 1] |= kernels.BEGINNER
    return kind_C


@cache
def _packed_abbreviations() -> npt.NDArray[np.uint64]:
    return np.sort(np.array([int.from_bytes(word.encode(), "big") for word in ABBREVIATIONS], np.uint64))


def split_sentences(characters_N: npt.NDArray[np.uint32]) -> tuple[Spans, npt.NDArray[np.int64]]:
    """Sentence spans int32[S, 2] of a text given by its code points, and int64[P]: for each paragraph the index one past its last sentence."""
    spans_S2, _, paragraph_ends_P, _ = block_sentences(characters_N, np.array([0, len(characters_N)], np.int64))
    return spans_S2, paragraph_ends_P


def block_sentences(
    characters_N: npt.NDArray[np.uint32], offsets_D1: npt.NDArray[np.int64]
) -> tuple[Spans, npt.NDArray[np.int64], npt.NDArray[np.int64], npt.NDArray[np.int64]]:
    """Sentences of several documents that begin at ``offsets_D1``, and where each document's begin among them; then the same for paragraph ends.

    Spans count in the characters of all documents, paragraph ends in the sentences of their own.
    """
    from data_prep import kernels

    found: tuple[Spans, npt.NDArray[np.int64], npt.NDArray[np.int64], npt.NDArray[np.int64]] = kernels.document_sentences(
        characters_N, offsets_D1, character_kinds(), _packed_abbreviations()
    )
    return found
