"""Unicode NFC, without the texts on which it takes for ever.

    "e" + U+0301      ->  "é"
    "a" + 200,000 marks in any order  ->  "a" + the first 30 of them

Normalisation sorts the marks (characters of a combining class other than 0) after each letter, in time quadratic in
their number: 200,000 of them take minutes. No script stacks more than a few; UAX #15 allows 30 (its Stream-Safe Text
Format puts U+034F after each 30 of them). We drop what comes after the thirtieth: such text is damage or decoration,
and U+034F would only be one more character to learn. ``surplus_marks`` counts what is dropped. Every other text comes
out as ``unicodedata.normalize("NFC", text)``.
"""

from __future__ import annotations

import itertools
import re
import unicodedata
from functools import cache

MOST_MARKS = 30
"""Marks that may follow each other (UAX #15, section 13)."""
FIRST_MARK, LAST_MARK = 0x300, 0x1FFFF


def composed(text: str) -> str:
    """The text in NFC, with runs of at most 30 marks before and after."""
    if text.isascii():
        return text
    capped = _capped(text)
    result = unicodedata.normalize("NFC", capped)
    return result if result is capped else _capped(result)  # a few marks become two


def surplus_marks(text: str) -> int:
    """How many marks of ``text`` are dropped because too many others stand before them."""
    if len(text) <= MOST_MARKS or text.isascii():
        return 0
    return len(text) - len(_capped(text))


def _capped(text: str) -> str:
    if len(text) <= MOST_MARKS or text.isascii() or not _is_crowded(text):
        return text
    return _patterns()[1].sub(lambda match: match[0][:MOST_MARKS], text)


def _is_crowded(text: str) -> bool:
    """Is there a run of more than 30 marks? It holds one of every 31 characters: only the surroundings of those that
    are marks are looked at."""
    step = MOST_MARKS + 1
    mark, run = _patterns()
    return any(
        run.search(text, max(0, step * found.start() - MOST_MARKS), step * (found.start() + 1))
        for found in mark.finditer(text[::step])
    )


@cache
def _patterns() -> tuple[re.Pattern[str], re.Pattern[str]]:
    """A mark; more than 30 of them."""
    codes = (code for code in range(FIRST_MARK, LAST_MARK) if unicodedata.combining(chr(code)))
    groups = (
        [code for _, code in group] for _, group in itertools.groupby(enumerate(codes), lambda item: item[1] - item[0])
    )
    marks = "[" + "".join(f"{chr(group[0])}-{chr(group[-1])}" for group in groups) + "]"
    return re.compile(marks), re.compile(f"{marks}{{{MOST_MARKS + 1},}}")
