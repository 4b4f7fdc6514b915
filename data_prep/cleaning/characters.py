"""Classes of characters, looked up for a whole text at once.

    document.characters   uint32[C]   ->   classes(characters)   uint8[C]   ->   np.bincount: how many of each

    "京a1 。"  ->  HAN, LETTER, DIGIT, SPACE, TERMINAL

The tables are made from ``unicodedata`` on first use (some 20 ms a process); they end at U+3FFFF, above which nothing
is a letter.
"""

from __future__ import annotations

import unicodedata
from functools import cache

import numpy as np
import numpy.typing as npt

from data_prep.code_points import HAN_RANGES

OTHER, HAN, LETTER, DIGIT, SPACE, NEWLINE, PUNCTUATION, TERMINAL, CLOSER, SYMBOL, UNASSIGNED_HAN = range(11)
CLASS_COUNT = 11
LAST = 0x40000
"""Stands for every code point above the tables."""
ALONE = np.uint32(1 << 31)
"""Set in ``folded`` on characters that are tokens of their own."""

TERMINALS = "。！？!?.…｡．"
CLOSERS = "”’」』）)》〉】]\"'〕"
SYMBOLS = "#*_@\\|<>{}=+^`&＃＊＿＠＜＞｛｝＝＋"
PLAIN = "~～"  # how people write a drawn-out sound


@cache
def class_table() -> npt.NDArray[np.uint8]:
    """uint8[LAST + 1]: the class of every code point."""
    table = np.fromiter((_class(chr(code)) for code in range(LAST)), np.uint8, LAST)
    table = np.append(table, np.uint8(OTHER))
    for first, last in HAN_RANGES:
        block = table[first : last + 1]
        block[:] = np.where(block == SYMBOL, UNASSIGNED_HAN, HAN)
    for character in range(0xD800, 0xE000):
        table[character] = SYMBOL
    return table


def _class(character: str) -> int:
    if character.isalpha():
        return LETTER
    if character == "\n":
        return NEWLINE
    for characters, kind in ((TERMINALS, TERMINAL), (CLOSERS, CLOSER), (SYMBOLS, SYMBOL), (PLAIN, PUNCTUATION)):
        if character in characters:
            return kind
    category = unicodedata.category(character)
    if category[0] == "N":
        return DIGIT
    if category[0] == "P":
        return PUNCTUATION
    if category[0] == "S" or category in ("Co", "Cn"):
        return SYMBOL
    return SPACE if character.isspace() else OTHER


@cache
def fold_table() -> npt.NDArray[np.uint32]:
    """uint32[LAST + 1]: the lower-case character of letters and digits (with ``ALONE`` on Han characters), 0 for
    everything else."""
    class_C = class_table()
    table = np.arange(LAST + 1, dtype=np.uint32)
    table[~np.isin(class_C, (HAN, LETTER, DIGIT, UNASSIGNED_HAN))] = 0
    for code in np.flatnonzero(class_C == LETTER):
        lower = chr(code).lower()
        table[code] = ord(lower[0])
    for full, half, count in ((0xFF10, 0x30, 10), (0xFF21, 0x61, 26), (0xFF41, 0x61, 26)):
        table[full : full + count] = np.arange(half, half + count, dtype=np.uint32)
    table[(class_C == HAN) | (class_C == UNASSIGNED_HAN)] |= ALONE
    return table


def classes(characters: npt.NDArray[np.uint32]) -> npt.NDArray[np.uint8]:
    """The class of each character, uint8[C]."""
    return class_table().take(characters, mode="clip")


def class_counts(characters: npt.NDArray[np.uint32]) -> npt.NDArray[np.int64]:
    """How many characters of each class there are, int64[CLASS_COUNT]."""
    return np.bincount(classes(characters), minlength=CLASS_COUNT)
