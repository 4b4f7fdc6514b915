"""Raw text -> final text, and nothing after it edits the text again.

    1. Unicode NFC (never NFKC: it would turn ，！（） into ASCII)
    2. line ends to \\n, tabs and exotic spaces to one space, control and zero-width characters removed
    3. hard-wrapped lines (books) joined, so that a sentence is not cut at column 70
    4. language by script when the reader did not know it

A document that ends up too short is rejected with a reason, never silently.
"""

from __future__ import annotations

import re
import unicodedata
from dataclasses import dataclass

from data_prep.documents import Document, Record, Rejected

LINE_ENDS = re.compile("\r\n?|[\u2028\u2029\x0b\x0c\x85]")
SPACES = re.compile("[\t \u00a0\u1680\u2000-\u200a\u202f\u205f\u3000]+")
REMOVED = re.compile("[\x00-\x08\x0e-\x1f\x7f-\x84\x86-\x9f\u00ad\u200b-\u200f\u202a-\u202e\u2060-\u2064\u2066-\u206f\ufeff\ufff9-\ufffb]+")
EDGE_SPACES = re.compile(" ?\n ?")
BLANK_LINES = re.compile("\n{3,}")
SINGLE_BREAK = re.compile("(?<!\n)\n(?!\n)")
WRAPPED = re.compile("[a-z,;A-Z0-9\\-]\n(?=[a-zA-Z0-9\"'(])")
HAN = re.compile("[\u3400-\u4dbf\u4e00-\u9fff\uf900-\ufaff\U00020000-\U0003ffff]")


@dataclass(frozen=True, kw_only=True)
class Cleaning:
    """What happens to a text before anything is found in it."""

    min_characters: int = 2
    """Documents shorter than this after cleaning are set aside as `too short`."""
    join_wrapped_lines: bool = True
    """Join the lines of hard-wrapped documents (most line breaks fall inside a sentence) and keep blank lines as paragraphs."""
    han_share: float = 0.15
    """A document is Chinese when at least this share of its letters are Han characters, English otherwise."""

    def __post_init__(self) -> None:
        if self.min_characters < 1:
            raise ValueError(f"min_characters: {self.min_characters} must be at least 1")
        if not 0 < self.han_share < 1:
            raise ValueError(f"han_share: {self.han_share} must lie between 0 and 1")

    def clean(self, record: Record, source: str) -> Document | Rejected:
        """The finished document, or why it was set aside."""
        text = self.text(record.text)
        if len(text) < self.min_characters:
            return Rejected(record.place, "too short", f"{len(text)} characters after cleaning, {self.min_characters} wanted")
        language = record.language or self.language(text)
        return Document(id=record.id, language=language, text=text, title=self.text(record.title), source=source)

    def text(self, raw: str) -> str:
        """Normalised text. Idempotent; keeps full-width punctuation, letter case and paragraph breaks."""
        text = unicodedata.normalize("NFC", raw)
        text = REMOVED.sub("", LINE_ENDS.sub("\n", text))
        text = EDGE_SPACES.sub("\n", SPACES.sub(" ", text))
        text = BLANK_LINES.sub("\n\n", text).strip()
        if self.join_wrapped_lines and "\n\n" in text:
            breaks = len(SINGLE_BREAK.findall(text))
            if breaks >= 4 and len(WRAPPED.findall(text)) > breaks / 2:
                text = SINGLE_BREAK.sub(" ", text)
        return unicodedata.normalize("NFC", text)

    def language(self, text: str) -> str:
        """`zh` or `en`, by the share of Han characters among the letters of the first 4,000 characters."""
        sample = text[:4000]
        han = len(HAN.findall(sample))
        letters = sum(map(str.isalpha, sample))
        return "zh" if han and han >= self.han_share * letters else "en"
