"""Text in which somebody has already divided the words by spaces (SIGHAN style), one sentence a line.

    江水  向  东  流  。 \\n I like 北京 烤鸭 .   ->   江水向东流。\\nI like北京烤鸭.
    given["word"]: 江水 [0, 2), like [9, 13), 北京 [13, 15), 烤鸭 [15, 17)   (those of two characters and more)

White space between two words is taken out where a character beside it is Han, kana, or Chinese and Japanese
punctuation, and becomes one space elsewhere: between Latin words. No other segmenter is asked for these documents.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from data_prep.code_points import HAN_RANGES, character_class
from data_prep.corpora.plain_text import PlainText
from data_prep.documents import Given, Label, Place, Record, Rejected
from data_prep.inputs.raw_text import decode, stand_in_id

HAN_AND_KANA = character_class(HAN_RANGES) + "\u2e80-\u303f\u3040-\u312f\u31a0-\u31ff\ufe30-\ufe4f"
"""With radicals, bopomofo, and the punctuation of both."""
FULL_WIDTH_PUNCTUATION = "\uff01-\uff0f\uff1a-\uff20\uff3b-\uff40\uff5b-\uff9f\uffe0-\uffe6"
SHARED_PUNCTUATION = "\u00b7\u2014\u2018\u2019\u201c\u201d\u2025\u2026"
"""Marks that Latin text has too: they count as Chinese in a line with Chinese in it."""
CHINESE = re.compile(f"[{HAN_AND_KANA}{FULL_WIDTH_PUNCTUATION}]")
CLOSED_UP = re.compile(f"[{HAN_AND_KANA}{FULL_WIDTH_PUNCTUATION}{SHARED_PUNCTUATION}]")
NEVER = re.compile("(?!)")


@dataclass(frozen=True, kw_only=True)
class PreSegmented(PlainText):
    """Words divided by spaces, one sentence a line."""

    document: str = "block"
    """`file`: one document per file; `block`: blank lines between documents; `line`: one document per line."""

    def given_labels(self) -> dict[str, list[Label]]:
        return {"word": [Label("", "user")]}

    def parse(self, raw: bytes, place: Place, source: str) -> Record | Rejected | None:
        segmented = decode(raw, place)
        if isinstance(segmented, Rejected):
            return segmented
        pieces: list[str] = []
        words: list[Given] = []
        position = 0
        for line in segmented.split("\n"):
            closed_up = CLOSED_UP if CHINESE.search(line) else NEVER
            last = ""
            for word in line.split():
                before = (
                    ("" if closed_up.match(last) or closed_up.match(word) else " ") if last else "\n" if pieces else ""
                )
                last = word[-1]
                pieces += [before, word]
                position += len(before) + len(word)
                if len(word) > 1:
                    words.append(Given(position - len(word), position, ""))
        if not pieces:
            return None
        return Record(
            text="".join(pieces),
            id=stand_in_id(raw, place, source),
            title="",
            language=self.language,
            place=place,
            given={"word": tuple(words)},
        )
