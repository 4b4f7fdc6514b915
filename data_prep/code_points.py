"""Text as code points, and which of them are Han: defined here once, for regular expressions, tables and compiled loops
alike.

    code_points("北京a")  ->  uint32[3]          text_of(code_points("北京a"))  ->  "北京a"
    HAN.search("在Paris")                        members(HAN_RANGES)[ord("〇")]  ->  True

Han is Unicode's script Han as far as it is written in words: ideographs of every extension (planes 2 and 3 whole, so
later extensions need no change), 々 and 〻 that repeat one, 〇 and the numerals 〡-〩 〸-〺. Radicals (⺀) are symbols.
What BERT's tokenizer takes for Chinese is another list, published and not ours to mend: ``BERT_CJK_RANGES``. So are the
alphabets of jieba and rjieba (segmenters/).
"""

from __future__ import annotations

import re
import sys

import numpy as np
import numpy.typing as npt

Ranges = tuple[tuple[int, int], ...]
"""Code points, the first and the last of each range."""
HAN_RANGES: Ranges = (
    *((0x3005, 0x3005), (0x3007, 0x3007), (0x3021, 0x3029), (0x3038, 0x303B)),
    *((0x3400, 0x4DBF), (0x4E00, 0x9FFF), (0xF900, 0xFAFF), (0x20000, 0x3FFFF)),
)
BERT_CJK_RANGES: Ranges = (
    *((0x3400, 0x4DBF), (0x4E00, 0x9FFF), (0xF900, 0xFAFF), (0x20000, 0x2A6DF), (0x2A700, 0x2B73F)),
    *((0x2B740, 0x2B81F), (0x2B920, 0x2CEAF), (0x2F800, 0x2FA1F)),
)
"""Characters that BERT's BasicTokenizer cuts out singly, as the `tokenizers` library has them (0x2B920 is its own)."""


def character_class(ranges: Ranges) -> str:
    """The ranges as they stand between the brackets of a regular expression."""
    return "".join(f"{chr(first)}-{chr(last)}" for first, last in ranges)


HAN = re.compile(f"[{character_class(HAN_RANGES)}]")
"""One Han character."""


def code_points(text: str) -> npt.NDArray[np.uint32]:
    """The code points of ``text``, uint32[C]."""
    return np.frombuffer(text.encode("utf-32-le", "surrogatepass"), np.uint32)


def text_of(characters_C: npt.NDArray[np.uint32]) -> str:
    """The text of code points; what no UTF-8 file can hold becomes U+FFFD."""
    return characters_C.astype("<u4").tobytes().decode("utf-32-le", "replace")


def members(ranges: Ranges, size: int = sys.maxunicode + 1) -> npt.NDArray[np.bool_]:
    """bool[size]: which code points lie in the ranges."""
    inside = np.zeros(size, np.bool_)
    for first, last in ranges:
        inside[first : last + 1] = True
    return inside


def lies_in(ranges: Ranges, character: str) -> bool:
    """Does a character lie in the ranges?"""
    return any(first <= ord(character) <= last for first, last in ranges)
