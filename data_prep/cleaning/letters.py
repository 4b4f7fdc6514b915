"""Which letters a text is written in: what languages are recognised by.

    Letters("彼は東京へ行った。")  ->  total 8, han 4, kana 4, chinese False
        (Japanese: kana among the Han characters)
    Letters("我喜欢の歌")          ->  total 5, han 4, kana 1, chinese True         (欢 is in Chinese standards only)

One table look-up a character. ``foreign`` are the letters of all other alphabets; the signs of phonetics, mathematics
and bopomofo speak for no language.
"""

from __future__ import annotations

import sys
from functools import cache

import numpy as np
import numpy.typing as npt

from data_prep.cleaning.characters import LAST, class_table
from data_prep.cleaning.characters import LETTER as LETTER_CLASS
from data_prep.code_points import HAN_RANGES, Ranges, code_points, members

NONE, HAN, LATIN, KANA, HANGUL, COMMON, FOREIGN = range(7)
KIND_COUNT = 7
LATIN_RANGES: Ranges = (
    *(
        (0x41, 0x5A),
        (0x61, 0x7A),
        (0xAA, 0xAA),
        (0xBA, 0xBA),
        (0xC0, 0xD6),
        (0xD8, 0xF6),
        (0xF8, 0x24F),
        (0x1E00, 0x1EFF),
        (0x2C60, 0x2C7F),
    ),
    *((0xA722, 0xA7FF), (0xAB30, 0xAB64), (0xFB00, 0xFB06), (0xFF21, 0xFF3A), (0xFF41, 0xFF5A), (0x1D400, 0x1D7FF)),
)
"""With ligatures and the letters of mathematics, which are also written as ornaments."""
KANA_RANGES: Ranges = (
    (0x3041, 0x309F),
    (0x30A1, 0x30FA),
    (0x30FC, 0x30FF),
    (0x31F0, 0x31FF),
    (0xFF66, 0xFF9D),
    (0x1AFF0, 0x1B16F),
)
HANGUL_RANGES: Ranges = ((0x1100, 0x11FF), (0x3131, 0x318E), (0xA960, 0xA97C), (0xAC00, 0xD7FB), (0xFFA0, 0xFFDC))
COMMON_RANGES: Ranges = (
    *((0xB5, 0xB5), (0x250, 0x2FF), (0x1D00, 0x1DBF), (0x2100, 0x214F), (0x3006, 0x3006)),
    *((0x3031, 0x303C), (0x3105, 0x312F), (0x31A0, 0x31BF)),
)
FEW = 100
"""A text with fewer characters is counted faster one by one."""
FEW_KANA = 0.05
"""Below this share of kana among Han characters and kana, the kana are quoted."""
FEW_CHINESE = 0.02
"""From this share on of Han characters that only Chinese standards have, the text around kana is Chinese."""


@cache
def letter_kinds() -> npt.NDArray[np.uint8]:
    """uint8[LAST + 1]: the kind of letter that a code point is."""
    letters = class_table() == LETTER_CLASS
    table = np.where(letters, FOREIGN, NONE).astype(np.uint8)
    for ranges, kind in ((COMMON_RANGES, COMMON), (LATIN_RANGES, LATIN), (KANA_RANGES, KANA), (HANGUL_RANGES, HANGUL)):
        table[letters & members(ranges, LAST + 1)] = kind
    table[members(HAN_RANGES, LAST + 1)] = HAN
    return table


@cache
def only_chinese() -> npt.NDArray[np.bool_]:
    """bool[LAST + 1]: Han characters of GB2312 and Big5 that JIS X 0208 (Japanese) has not: 这 们 说 她 吗, and 說 內
    產."""

    def listed(codec: str, rows: range, columns: range) -> set[str]:
        pairs = b"\n".join(bytes((row, column)) for row in rows for column in columns)
        return set(pairs.decode(codec, "ignore"))

    chinese = listed("gb2312", range(0xB0, 0xF8), range(0xA1, 0xFF)) | listed(
        "big5", range(0xA4, 0xFA), range(0x40, 0xFF)
    )
    only = np.zeros(LAST + 1, np.bool_)
    only[[ord(character) for character in chinese - listed("euc_jp", range(0xB0, 0xF5), range(0xA1, 0xFF))]] = True
    only &= letter_kinds() == HAN
    return only


@cache
def _kind_bytes() -> bytes:
    """The same for every code point there is."""
    return letter_kinds().take(np.arange(sys.maxunicode + 1), mode="clip").tobytes()


class Letters:
    """The letters of a text, counted when they are first asked for."""

    def __init__(self, text: str, han_share: float = 0.15) -> None:
        self.text = text
        self.ascii = text.isascii()
        """Nothing beyond ASCII?"""
        self.han_share = han_share
        """Least share of the letters that makes a text one of Han characters: a word has fewer of them than of Latin
        letters."""
        self._counts: list[int] | None = (
            None  # `cached_property` takes a lock before Python 3.12: 3 us for each short document
        )

    @property
    def counts(self) -> list[int]:
        """How many characters there are of each kind: NONE, HAN, LATIN ..."""
        if self._counts is None:
            self._counts = self._counted()
        return self._counts

    def _counted(self) -> list[int]:
        if len(self.text) < FEW:
            found, kinds = [0] * KIND_COUNT, _kind_bytes()
            for point in map(ord, self.text):
                found[kinds[point]] += 1
            return found
        counts: list[int] = np.bincount(
            letter_kinds().take(code_points(self.text), mode="clip"), minlength=KIND_COUNT
        ).tolist()
        return counts

    @property
    def total(self) -> int:
        """All letters, Han characters included."""
        return len(self.text) - self.counts[NONE]

    def within(self, ranges: Ranges) -> int:
        """How many letters lie in the ranges."""
        characters = code_points(self.text)
        found = characters[letter_kinds().take(characters, mode="clip") != NONE]
        return sum(int(((found >= first) & (found <= last)).sum()) for first, last in ranges)

    @property
    def han(self) -> int:
        """Han characters."""
        return self.counts[HAN]

    @property
    def kana(self) -> int:
        """Hiragana and katakana."""
        return self.counts[KANA]

    @property
    def chinese(self) -> bool:
        """Are the Han characters Chinese? Not among more Hangul or kana, and not among kana at all without characters
        that only Chinese has."""
        counts = self.counts
        han, kana = counts[HAN], counts[KANA]
        if kana > han or counts[HANGUL] > han:
            return False
        if not kana or kana < FEW_KANA * (han + kana):
            return True
        return int(only_chinese().take(code_points(self.text), mode="clip").sum()) >= FEW_CHINESE * han
