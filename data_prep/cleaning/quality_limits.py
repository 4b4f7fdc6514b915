"""The thresholds of the quality rules: what the languages read, and filtering/quality.py judges by."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass, field

from data_prep.portable import Portable


@dataclass(frozen=True, kw_only=True)
class QualityLimits(Portable):
    """Thresholds; a rule whose limit is at its extreme (0 for a least, 1 for a greatest share) drops nothing."""

    min_characters: int = 5
    """Shortest document, in characters; 0 for no limit."""
    max_characters: int = 0
    """Longest document, in characters; 0 for no limit."""
    min_han_ratio: float = 0.1
    """Chinese: least share of Han characters."""
    min_letter_ratio: float = 0.5
    """English and other languages: least share of letters."""
    max_symbol_ratio: float = 0.25
    """Greatest share of symbols: currency, mathematics, boxes, emoji, unassigned, and # * _ @ | < > { } = + ^ & and the
    like."""
    max_digit_ratio: float = 0.4
    """Greatest share of digits."""
    max_markup_ratio: float = 0.15
    """Greatest share of all characters in HTML tags, comments, scripts, style sheets and entities: the source of a page
    is no text."""
    max_repeated_line_ratio: float = 0.3
    """Greatest share of characters in lines that stood in the document before."""
    max_repeated_ngram_ratio: float = 0.4
    """Greatest share of n-grams that stood in the document before; symbols (rules drawn with =====) and white space do
    not count."""
    ngram_characters_zh: int = 12
    """Length of those n-grams in Chinese and other languages without spaces between words, in characters."""
    ngram_characters_en: int = 40
    """Length of those n-grams in English and other languages, in characters."""
    ngram_window: int = 10000
    """The n-grams of the first so many characters are looked at: a book repeats itself more than a page."""
    min_terminal_ratio: float = 0.1
    """Least share of characters that stand before a sentence end (. ! ? … or a closing quote or bracket) of their
    line."""
    terminal_lines: int = 5
    """Documents of fewer lines are not judged by it: a comment without a full stop is no list of links."""
    max_boilerplate: float = 5.0
    """Most phrases of the boilerplate list per 1,000 characters, the first one not counted."""
    boilerplate: list[str] = field(default_factory=list)
    """Phrases of advertising and page furniture to look for besides the built-in ones; the case of ASCII letters does
    not count."""
    builtin_boilerplate: bool = True
    """Look for the built-in phrases."""
    min_word_length: float = 2.5
    """English: least mean length of words, in characters."""
    max_word_length: float = 15.0
    """English: greatest mean length of words, in characters."""
    min_sentences: int = 0
    """Least number of sentence ends; 0 for no limit."""

    def __post_init__(self) -> None:
        for item in dataclasses.fields(self):
            value = getattr(self, item.name)
            if item.name.endswith("_ratio") and not 0 <= value <= 1:
                raise ValueError(f"{item.name}: {value} must lie between 0 and 1")
            if isinstance(value, int | float) and not value >= 0:
                raise ValueError(f"{item.name}: {value} must not be negative")
        for name in ("ngram_characters_zh", "ngram_characters_en", "ngram_window"):
            if getattr(self, name) < 1:
                raise ValueError(f"{name}: {getattr(self, name)} must be at least 1")
        if 0 < self.max_characters < self.min_characters:
            raise ValueError(
                f"max_characters: {self.max_characters} is less than min_characters ({self.min_characters})"
            )
        if not self.min_word_length <= self.max_word_length:
            raise ValueError(
                f"max_word_length: {self.max_word_length} is less than min_word_length ({self.min_word_length})"
            )
        if not all(phrase.strip() for phrase in self.boilerplate):
            raise ValueError("boilerplate: holds an empty phrase")
