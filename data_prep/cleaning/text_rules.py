"""Raw text -> final text, and nothing after it edits the text again.

    0. mojibake repaired (optional, ftfy)
    1. Unicode NFC (never NFKC: it would turn ，！（） into ASCII); of more than 30 combining marks on end, the first 30
    2. line ends to \\n, tabs and exotic spaces to one space, control and zero-width characters removed
    3. full-width letters and digits to half-width (optional)
    4. hard-wrapped lines (books) joined, so that a sentence is not cut at column 70
    5. traditional to simplified characters (optional, OpenCC)

Spans that came with a document move along with its characters: "北京\\u3000\\u3000大学" with a span over 大学 becomes
"北京 大学" with the span still over 大学. They never begin or end on white space. A span of which nothing is left is
dropped.

Ordinary text is clean already: each rule first looks for something to do, which is many times faster than doing it.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np

from data_prep.cleaning.composing import composed
from data_prep.cleaning.conversions import check_package, package_version, repaired, simplified
from data_prep.cleaning.edits import Edit, compositions, differences, move, place_spans, substitutions
from data_prep.cleaning.markdown import markdown_text
from data_prep.documents import Given
from data_prep.portable import Portable

SIMPLIFICATIONS = ("", "t2s", "tw2s", "tw2sp", "hk2s", "hk2sp")

_ENDS = "\r\u2028\u2029\x0b\x0c\x85"
_SPACES = "\t\u00a0\u1680\u2000-\u200a\u202f\u205f\u3000"
_REMOVED = (
    "\x00-\x08\x0e-\x1f\x7f-\x84\x86-\x9f\u00ad\u200b-\u200f\u202a-\u202e\u2060-\u2064\u2066-\u206f\ufeff\ufff9-\ufffb"
)
UNUSUAL = re.compile(f"[{_ENDS}{_SPACES}{_REMOVED}]")
UNUSUAL_RUN = re.compile(f"\r\n?|[{_ENDS}{_SPACES}{_REMOVED}]")
USUAL_ASCII = bytes(code for code in range(128) if not UNUSUAL.match(chr(code)))
SPACE_LIKE, END_LIKE = re.compile(f"[{_SPACES}]"), re.compile(f"[{_ENDS}]")
EDGE_SPACES = re.compile(" \n ?|\n ")
SINGLE_BREAK = re.compile("\n(?<!\n\n)(?!\n)")
WRAPPED = re.compile("\n(?<=[a-z,;A-Z0-9\\-]\n)(?=[a-zA-Z0-9\"'(])")
FULL_WIDTH = re.compile("[０-９Ａ-Ｚａ-ｚ]")
HALF_WIDTH_DISTANCE = 0xFEE0
UNTIDY = re.compile(f"[{_ENDS}{_SPACES}{_REMOVED}]|  | \n|\n |\n\n\n")
"""What the rules for white space would change, apart from the edges of a text."""
FEWEST_BREAKS = 4
"""A text with fewer line breaks is not taken to be hard-wrapped."""
SHORT = 400
"""Shorter texts are looked at once for something to do; in longer ones each rule looks for itself, which is faster
there."""


@dataclass(frozen=True)
class Rule:
    """One change of a text, and the same told as edits (at least those that move characters)."""

    apply: Callable[[str], str]
    edits: Callable[[str], list[Edit]]


def _substitution(pattern: str, replacement: str) -> Rule:
    compiled = re.compile(
        pattern
    )  # a pattern that begins with plain characters: those are searched for at the speed of memory
    return Rule(lambda text: compiled.sub(replacement, text), lambda text: substitutions(compiled, replacement, text))


def _usual(character: str) -> str:
    """What stands in for an unusual character."""
    return " " if SPACE_LIKE.match(character) else "\n" if END_LIKE.match(character) else ""


def _without_unusual(text: str) -> str:
    present = text.encode().translate(None, USUAL_ASCII).decode() if text.isascii() else "".join(UNUSUAL.findall(text))
    if "\r" in present:
        text = text.replace("\r\n", "\n")
    for character in sorted(set(present)):
        text = text.replace(character, _usual(character))
    return text


def _joined(text: str) -> str:
    return text.replace("\n\n", "\x00").replace("\n", " ").replace("\x00", "\n\n") if _is_wrapped(text) else text


def _half_width(text: str) -> str:
    return FULL_WIDTH.sub(lambda match: chr(ord(match[0]) - HALF_WIDTH_DISTANCE), text)


def _strip_edits(text: str) -> list[Edit]:
    start = len(text) - len(text.lstrip())
    end = max(start, len(text.rstrip()))
    return [Edit(first, last, "") for first, last in ((0, start), (end, len(text))) if first < last]


def _simplification_edits(text: str, name: str) -> list[Edit]:
    """What OpenCC does to positions. Characters changed one by one are put aside first: 寫部落格 -> 写部落格, then
    部落格 -> 博客."""
    middle = simplified(text, "t2s")
    return differences(middle if len(middle) == len(text) else text, simplified(text, name))


def _is_wrapped(text: str) -> bool:
    """Do most single line breaks fall inside a sentence? Runs of line breaks are one or two long by now."""
    paragraphs = text.count("\n\n")
    breaks = text.count("\n") - 2 * paragraphs if paragraphs else 0
    return breaks >= FEWEST_BREAKS and len(WRAPPED.findall(text)) > breaks / 2


COMPOSE = Rule(composed, compositions)
HALVE = Rule(_half_width, lambda text: differences(text, _half_width(text), ""))
JOIN = Rule(_joined, lambda text: substitutions(SINGLE_BREAK, " ", text) if _is_wrapped(text) else [])
WHITE_SPACE_RULES = (
    Rule(
        _without_unusual,
        lambda text: [Edit(match.start(), match.end(), _usual(match[0][0])) for match in UNUSUAL_RUN.finditer(text)],
    ),
    _substitution("  +", " "),
    Rule(
        lambda text: text.replace(" \n", "\n").replace("\n ", "\n"), lambda text: substitutions(EDGE_SPACES, "\n", text)
    ),
    _substitution("\n\n\n+", "\n\n"),
    Rule(str.strip, _strip_edits),
)


@dataclass(frozen=True, kw_only=True)
class TextRules(Portable):
    """What is changed in a text, whatever its language: settings of `cleaning`, which says more about each."""

    join_wrapped_lines: bool = True
    """Join the lines of hard-wrapped documents."""
    simplify: str = ""
    """OpenCC's name of a conversion to simplified Chinese; empty for none."""
    repair: bool = False
    """Repair mojibake."""
    markdown: bool = False
    """Keep what a reader of Markdown sees."""
    half_width: bool = False
    """Full-width letters and digits become half-width."""

    def __post_init__(self) -> None:
        if self.simplify not in SIMPLIFICATIONS:
            raise ValueError(f"simplify: {self.simplify!r} is not one of {', '.join(SIMPLIFICATIONS[1:])} (or empty)")
        if self.simplify:
            check_package("simplify", "opencc")
        if self.repair:
            check_package("repair", "ftfy")

    def packages(self) -> dict[str, Any]:
        """The versions of the optional packages that decide the text, as entries of a fingerprint."""
        used = [name for name, wanted in (("opencc", self.simplify), ("ftfy", self.repair)) if wanted]
        return {f"{name}_version": package_version(name) for name in used}

    def text(self, raw: str) -> str:
        """Normalised text; keeps full-width punctuation, letter case and paragraph breaks.

        Idempotent, except with ``simplify``, whose dictionaries know traditional text only: one pass is the right
        number.
        """
        if not raw:
            return raw
        if (
            self._plain
            and len(raw) < SHORT
            and not UNTIDY.search(raw)
            and raw.count("\n") < FEWEST_BREAKS
            and composed(raw) == raw
        ):
            return raw.strip()  # no rule finds anything to do, apart from the edges
        text, last = raw, None
        for rule in self._rules:
            if rule is not COMPOSE:
                text = rule.apply(text)
            elif text is not last:
                text = last = rule.apply(text)
        return text

    def spanned(self, raw: str, given: Mapping[str, Sequence[Given]]) -> tuple[str, dict[str, list[Given]]]:
        """``text(raw)``, with the spans over ``raw`` moved to where their characters went; those left without any are
        dropped."""
        spans = [span for level in given.values() for span in level]
        starts = np.array([span.start for span in spans], np.int64)
        ends = np.array([span.end for span in spans], np.int64)
        text = raw
        for rule in self._rules:
            changed = rule.apply(text)
            if changed != text:
                starts, ends = move(starts, ends, rule.edits(text))
                text = changed
        moved = iter(zip(starts.tolist(), ends.tolist(), strict=True))
        return text, {level: place_spans(text, items, [next(moved) for _ in items]) for level, items in given.items()}

    @cached_property
    def _plain(self) -> bool:
        return not (self.simplify or self.repair or self.half_width or self.markdown)

    @cached_property
    def _rules(self) -> tuple[Rule, ...]:
        rules = [Rule(repaired, lambda text: differences(text, repaired(text)))] if self.repair else []
        rules += [Rule(markdown_text, lambda text: differences(text, markdown_text(text), ""))] if self.markdown else []
        rules += [
            COMPOSE,
            *WHITE_SPACE_RULES,
            *([HALVE] if self.half_width else []),
            *([JOIN] if self.join_wrapped_lines else []),
        ]
        if name := self.simplify:
            rules.append(Rule(lambda text: simplified(text, name), lambda text: _simplification_edits(text, name)))
        return (*rules, COMPOSE)
