"""Explainable quality rules for Chinese and English documents: every document that is dropped comes with the figure and the threshold.

    Document  ->  figures (one pass over its character classes, lines and n-grams)  ->  verdicts  ->  Rejected(place, "quality: digit ratio", "0.61 > 0.50")

Shares are of the characters that are not white space, unless said otherwise. The defaults keep what people wrote to be read (encyclopedias,
laws, novels, speeches, tutorials with code) and drop tables of numbers, link lists, spam and repetition; look at what they drop of
*your* corpus with ``explain`` before you trust them. Quality rules are off unless a configuration has a ``quality`` section: a
corpus that its owner chose should not shrink unasked.
"""

from __future__ import annotations

import dataclasses
import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from data_prep.cleaning.characters import (
    CLASS_COUNT,
    CLOSERS,
    DIGIT,
    HAN,
    LETTER,
    NEWLINE,
    SPACE,
    SYMBOL,
    TERMINAL,
    TERMINALS,
    UNASSIGNED_HAN,
    classes,
    code_points,
)
from data_prep.cleaning.shingles import ngram_hashes
from data_prep.documents import Document, Place, Rejected

RULES_VERSION = 1
BOILERPLATE = [
    *("加微信", "微信号", "微信公众号", "扫描二维码", "扫码关注", "点击关注", "点击下载", "点击进入", "立即购买", "立即下载", "免费领取", "加群"),
    *("全国包邮", "货到付款", "客服电话", "在线客服", "招商加盟", "加盟热线", "代开发票", "办证", "博彩", "真人娱乐", "彩票平台", "成人视频"),
    *("版权所有", "转载请注明", "未经授权", "免责声明", "上一篇", "下一篇", "返回首页", "设为首页", "加入收藏", "友情链接", "备案号"),
    *("click here", "buy now", "add to cart", "sign up for", "subscribe to our", "subscribe now", "free shipping", "limited time offer"),
    *("all rights reserved", "terms of use", "terms of service", "privacy policy", "cookie policy", "uses cookies", "accept cookies"),
    *("enable javascript", "powered by wordpress", "leave a comment", "share this", "log in to your", "lorem ipsum", "online casino", "buy viagra"),
]


SENTENCE_ENDS = frozenset(TERMINALS + CLOSERS)
UP_TO_END = re.compile(f".*[{re.escape(TERMINALS + CLOSERS)}]", re.DOTALL)
WEIGHTY = ~np.isin(np.arange(CLASS_COUNT), (SPACE, NEWLINE, SYMBOL))


class Verdict(NamedTuple):
    """What one rule says of a document."""

    rule: str
    value: float
    threshold: float
    above: bool
    """Is the threshold an upper limit?"""

    @property
    def passed(self) -> bool:
        """Does the document stay?"""
        return self.value <= self.threshold if self.above else self.value >= self.threshold

    @property
    def figures(self) -> str:
        """``0.61 > 0.50``: the value and the limit it keeps or breaks."""
        sign = {(True, True): "<=", (True, False): ">", (False, True): ">=", (False, False): "<"}[self.above, self.passed]
        value, threshold = _shown(self.value, self.threshold)
        return f"{value} {sign} {threshold}"


def _shown(value: float, threshold: float) -> tuple[str, str]:
    """Both with two decimals (whole numbers with none), the value with as many as tell it from the threshold."""
    whole = threshold >= 1 and threshold == int(threshold)
    limit = f"{threshold:.0f}" if whole else f"{threshold:.2f}"
    for digits in range(0 if whole and value == int(value) else 2, 17):
        if value == threshold or float(f"{value:.{digits}f}") != threshold:
            return f"{value:.{digits}f}", limit
    return repr(value), limit


@dataclass(frozen=True, kw_only=True)
class Quality:
    """Thresholds; a rule whose limit is at its extreme (0 for a least, 1 for a greatest share) drops nothing."""

    min_characters: int = 5
    """Shortest document, in characters; 0 for no limit."""
    max_characters: int = 0
    """Longest document, in characters; 0 for no limit."""
    min_han_ratio: float = 0.1
    """Chinese: least share of Han characters."""
    min_letter_ratio: float = 0.5
    """English: least share of letters."""
    max_symbol_ratio: float = 0.25
    """Greatest share of symbols: currency, mathematics, boxes, emoji, unassigned, and # * _ @ | < > { } = + ^ & and the like."""
    max_digit_ratio: float = 0.4
    """Greatest share of digits."""
    max_repeated_line_ratio: float = 0.3
    """Greatest share of characters in lines that stood in the document before."""
    max_repeated_ngram_ratio: float = 0.4
    """Greatest share of n-grams that stood in the document before; symbols (rules drawn with =====) and white space do not count."""
    ngram_characters_zh: int = 12
    """Length of those n-grams in Chinese, in characters."""
    ngram_characters_en: int = 40
    """Length of those n-grams in English, in characters."""
    ngram_window: int = 10000
    """The n-grams of the first so many characters are looked at: a book repeats itself more than a page."""
    min_terminal_ratio: float = 0.1
    """Least share of characters that stand before a sentence end (. ! ? … or a closing quote or bracket) of their line."""
    terminal_lines: int = 5
    """Documents of fewer lines are not judged by it: a comment without a full stop is no list of links."""
    max_boilerplate: float = 5.0
    """Most phrases of the boilerplate list per 1,000 characters, the first one not counted."""
    boilerplate: list[str] = field(default_factory=list)
    """Phrases of advertising and page furniture to look for besides the built-in ones; the case of ASCII letters does not count."""
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
            raise ValueError(f"max_characters: {self.max_characters} is less than min_characters ({self.min_characters})")
        if not self.min_word_length <= self.max_word_length:
            raise ValueError(f"max_word_length: {self.max_word_length} is less than min_word_length ({self.min_word_length})")
        if not all(phrase.strip() for phrase in self.boilerplate):
            raise ValueError("boilerplate: holds an empty phrase")

    def fingerprint(self) -> dict[str, Any]:
        """What decides which documents stay."""
        settings = {item.name: getattr(self, item.name) for item in dataclasses.fields(self)}
        return {"kind": "quality", "rules": RULES_VERSION, **settings, "phrases": self.phrases}

    @cached_property
    def phrases(self) -> list[str]:
        """The phrases looked for."""
        return sorted({*self.boilerplate, *(BOILERPLATE if self.builtin_boilerplate else [])})

    def check(self, document: Document, place: Place) -> Rejected | None:
        """Why the document is dropped, by the first rule it breaks; None when it stays."""
        for verdict in self._verdicts(document.text, document.characters, document.language):
            if not verdict.passed:
                return Rejected(place, f"quality: {verdict.rule}", verdict.figures)
        return None

    def explain(self, text: str, language: str) -> list[Verdict]:
        """What every rule says of a cleaned text in ``language`` (`zh` or `en`)."""
        return list(self._verdicts(text, code_points(text), language))

    def _verdicts(self, text: str, characters: npt.NDArray[np.uint32], language: str) -> Iterator[Verdict]:
        """Cheap rules first; later ones are not computed when the caller stops."""
        yield Verdict("too few characters", len(text), self.min_characters, False)
        if self.max_characters:
            yield Verdict("too many characters", len(text), self.max_characters, True)
        if not text:
            return
        kinds = classes(characters)
        counts = np.bincount(kinds, minlength=CLASS_COUNT).tolist()
        visible = max(1, len(text) - counts[SPACE] - counts[NEWLINE])
        if language == "zh":
            yield Verdict("han ratio", (counts[HAN] + counts[UNASSIGNED_HAN]) / visible, self.min_han_ratio, False)
        else:
            yield Verdict("letter ratio", (counts[LETTER] + counts[HAN]) / visible, self.min_letter_ratio, False)
        yield Verdict("symbol ratio", counts[SYMBOL] / visible, self.max_symbol_ratio, True)
        yield Verdict("digit ratio", counts[DIGIT] / visible, self.max_digit_ratio, True)
        if language == "en":
            mean = visible / (1 + counts[SPACE] + counts[NEWLINE] - text.count("\n\n"))
            yield Verdict("mean word length", mean, self.min_word_length, False)
            yield Verdict("mean word length", mean, self.max_word_length, True)
        lines = [line for line in text.split("\n") if line.strip()]
        if len(lines) >= self.terminal_lines:
            yield Verdict("terminal punctuation ratio", _terminal_ratio(lines), self.min_terminal_ratio, False)
        if self.min_sentences:
            yield Verdict("too few sentences", _sentence_ends(kinds), self.min_sentences, False)
        yield Verdict("repeated line ratio", _repeated_line_ratio(lines), self.max_repeated_line_ratio, True)
        n = self.ngram_characters_zh if language == "zh" else self.ngram_characters_en
        repeated = _repeated_ngram_ratio(characters[: self.ngram_window], kinds[: self.ngram_window], n)
        yield Verdict("repeated n-gram ratio", repeated, self.max_repeated_ngram_ratio, True)
        yield Verdict("boilerplate", max(0, self._phrases_in(text) - 1) * 1000 / len(text), self.max_boilerplate, True)

    def _phrases_in(self, text: str) -> int:
        return len(self._matcher.find_matches_as_indexes(_lower(text))) if self.phrases else 0

    @cached_property
    def _matcher(self) -> Any:
        import ahocorasick_rs

        return ahocorasick_rs.BytesAhoCorasick(list(map(_lower, self.phrases)), matchkind=ahocorasick_rs.MATCHKIND_LEFTMOST_LONGEST)

    def __getstate__(self) -> dict[str, Any]:
        return {item.name: getattr(self, item.name) for item in dataclasses.fields(self)}  # the matcher cannot travel


def _lower(text: str) -> bytes:
    """UTF-8 with ASCII letters in lower case: ten times as fast as ``str.lower``."""
    return text.encode("utf-8", "replace").lower()


def _terminal_ratio(lines: list[str]) -> float:
    """Share of characters up to the last sentence end of their line."""
    good = sum(len(line) if line[-1] in SENTENCE_ENDS else _sentence_part(line) for line in lines)
    return good / sum(map(len, lines))


def _sentence_part(line: str) -> int:
    found = UP_TO_END.match(line)
    return found.end() if found else 0


def _sentence_ends(kinds: npt.NDArray[np.uint8]) -> int:
    """Runs of terminal punctuation."""
    terminal = kinds == TERMINAL
    return int(terminal[0]) + int((terminal[1:] & ~terminal[:-1]).sum())


def _repeated_line_ratio(lines: list[str]) -> float:
    """Share of characters in lines that stood in the text before."""
    distinct = dict.fromkeys(lines)
    return 0.0 if len(distinct) == len(lines) else 1 - sum(map(len, distinct)) / sum(map(len, lines))


def _repeated_ngram_ratio(characters: npt.NDArray[np.uint32], kinds: npt.NDArray[np.uint8], n: int) -> float:
    """Share of n-grams that stood in the text before. (32-bit hashes: in 10,000 n-grams of one text 0.01 collide.)"""
    hashes = ngram_hashes(characters[WEIGHTY[kinds]] * np.uint32(0x9E3779B1), n)
    hashes.sort()
    return np.count_nonzero(hashes[1:] == hashes[:-1]) / max(1, len(hashes))
