"""English words by the rule BERT tokenizers cut by: white space and punctuation separate words, what BERT takes for
Chinese stands alone.

    "Dr. Li's e-mail"  ->  Dr | Li | e | mail       (. ' s - are single tokens anyway)
    is it part of a word?  1 1 0 0 1 1 0 1 0 1 0 1 1 1 1  ->  words begin where 1 follows 0 and end where 0 follows 1

Equal to ``tokenizers.pre_tokenizers.BertPreTokenizer`` for words of two characters or more, by one table look-up a
character.
"""

from __future__ import annotations

import sys
import unicodedata
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache

import numpy as np
import numpy.typing as npt

from data_prep.code_points import BERT_CJK_RANGES, code_points, members
from data_prep.documents import Spans
from data_prep.pieces import joined_words, long_spans
from data_prep.segmenters import Segmenter

ALL_INNER = 0x20000
"""From here on Unicode has neither white space nor punctuation."""


@cache
def inner_C() -> npt.NDArray[np.bool_]:
    """For each code point: can it be inside a word? Not white space, punctuation (Unicode P*), ASCII symbols and what
    BERT takes for Chinese."""
    inner = np.ones(sys.maxunicode + 1, np.bool_)
    inner[:ALL_INNER] = [
        not (character.isspace() or unicodedata.category(character).startswith("P"))
        for character in map(chr, range(ALL_INNER))
    ]
    inner[33:127] = [chr(point).isalnum() for point in range(33, 127)]
    inner[members(BERT_CJK_RANGES)] = False
    return inner


@cache
def inner_bytes() -> bytes:
    """The same for ASCII, as a table for ``bytes.translate``."""
    return bytes([*inner_C()[:128].tolist(), *[0] * 128])


@dataclass(frozen=True, kw_only=True)
class Pretokenizer(Segmenter):
    """White space and punctuation separate words."""

    def words(self, text: str) -> Spans:
        flags_N = (
            np.frombuffer(text.encode().translate(inner_bytes()), np.bool_)
            if text.isascii()
            else inner_C()[code_points(text)]
        )
        # Flanked by two characters outside words, each word has a beginning and an end.
        padded_N2 = np.zeros(len(text) + 2, np.bool_)
        padded_N2[1:-1] = flags_N
        edges = np.flatnonzero(padded_N2[1:] != padded_N2[:-1]).astype(np.int32)
        return long_spans(edges[::2], edges[1::2])

    def block_words(self, texts: Sequence[str]) -> Spans:
        return joined_words(self.words, texts)

    def version(self) -> str:
        return f"pretokenizer 1 (Unicode {unicodedata.unidata_version})"
