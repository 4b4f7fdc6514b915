"""A record as it was read -> the document that preparation works on, or why it is set aside.

    Record  ->  final text (cleaning/text_rules.py)  ->  long enough?
        ->  its language, as declared or by script (languages/)  ->  Document

A document that ends up too short is rejected with a reason, never silently; ``lost_spans`` counts the user's spans of
which nothing is left.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

from data_prep.cleaning.letters import Letters
from data_prep.cleaning.text_rules import TextRules
from data_prep.documents import Document, Given, Record, Rejected
from data_prep.languages import Language, built_in, by_code, declared, recognised
from data_prep.portable import Portable

LANGUAGE_SAMPLE = 4000


@dataclass(frozen=True, kw_only=True)
class Cleaning(Portable):
    """What happens to a text before anything is found in it."""

    min_characters: int = 2
    """Documents shorter than this after cleaning are set aside as `too short`."""
    join_wrapped_lines: bool = True
    """Join the lines of hard-wrapped documents (most line breaks fall inside a sentence) and keep blank lines as
    paragraphs."""
    han_share: float = 0.15
    """A document is Chinese when at least this share of its letters are Han characters, unless kana or Hangul among
    them say otherwise."""
    languages: list[Language] = field(default_factory=built_in)
    """Languages of the corpus. Documents in no other one belong to `other`: Japanese, Korean, Cyrillic and so on; leave
    it out (`[zh, en]`), and they are set aside."""
    simplify: str = ""
    """Traditional to simplified Chinese with OpenCC: `t2s` (characters), `tw2s`, `hk2s` (variants of Taiwan, Hong
    Kong), `tw2sp`, `hk2sp` (their words too: 軟體 becomes 软件). Empty: leave it. Needs kmask[opencc]."""
    repair: bool = False
    """Repair mojibake (`Ã©` for é) with ftfy; full-width punctuation, quotes and ligatures stay. Needs kmask[ftfy]."""
    markdown: bool = False
    """The texts are Markdown: keep what a reader sees (no marks, links' addresses, images, tables, fenced code; see
    markdown.py)."""
    half_width: bool = False
    """Full-width letters and digits (Ａ１) become half-width (A1); punctuation stays."""

    def __post_init__(self) -> None:
        if self.min_characters < 1:
            raise ValueError(f"min_characters: {self.min_characters} must be at least 1")
        if not 0 < self.han_share < 1:
            raise ValueError(f"han_share: {self.han_share} must lie between 0 and 1")
        codes = [language.code for language in self.languages]
        if not codes or len(set(codes)) < len(codes):
            raise ValueError(f"languages: {', '.join(codes) or 'none'}; give at least one, and each once")
        _ = self.text_rules

    def fingerprint(self) -> dict[str, Any]:
        """What decides the text: the settings, and the versions of the packages they need."""
        settings = {item.name: getattr(self, item.name) for item in dataclasses.fields(self)}
        settings["languages"] = {code: language.fingerprint() for code, language in self.known.items()}
        return {"kind": "cleaning", **settings, **self.text_rules.packages()}

    def clean(self, record: Record, source: str) -> Document | Rejected:
        """The finished document, or why it was set aside."""
        text, given = self.spanned(record.text, record.given) if record.given else (self.text(record.text), {})
        if len(text) < self.min_characters:
            return Rejected(
                record.place, "too short", f"{len(text)} characters after cleaning, {self.min_characters} wanted"
            )
        language = self.language(text, record.language)
        if not language:
            found = f"declared {record.language!r}" if record.language else "by its letters"
            return Rejected(
                record.place, "other language", f"{found}, none of {', '.join(self.known)} (`cleaning.languages`)"
            )
        return Document(
            id=record.id, language=language, text=text, title=self.text(record.title), source=source, given=given
        )

    @cached_property
    def text_rules(self) -> TextRules:
        """What is changed in a text.

        Raises:
            ValueError: an unknown kind of `simplify`, or a package that a setting needs is missing.
        """
        return TextRules(**{item.name: getattr(self, item.name) for item in dataclasses.fields(TextRules)})

    def text(self, raw: str) -> str:
        """Normalised text, as ``TextRules.text`` makes it."""
        return self.text_rules.text(raw)

    def spanned(self, raw: str, given: Mapping[str, Sequence[Given]]) -> tuple[str, dict[str, list[Given]]]:
        """``text(raw)`` with the spans over ``raw`` moved, as ``TextRules.spanned`` does it."""
        return self.text_rules.spanned(raw, given)

    @cached_property
    def known(self) -> dict[str, Language]:
        """The languages by code, in the order in which they are asked."""
        return by_code(self.languages)

    def language(self, text: str, said: str = "") -> str:
        """The code of the language that a document declares, or that its first 4,000 characters are in; empty when it
        is in none of ``languages``."""
        code = declared(self.known, said) if said else None
        return recognised(self.known, Letters(text[:LANGUAGE_SAMPLE], self.han_share)) if code is None else code


def lost_spans(record: Record, document: Document) -> dict[str, int]:
    """By level, how many of the user's spans had nothing left after cleaning (they covered white space or invisible
    characters only)."""
    return {
        level: lost
        for level, spans in record.given.items()
        if (lost := len(spans) - len(document.given.get(level, ())))
    }
