"""Explainable quality rules: every document that is dropped comes with the figure and the threshold.

    Document  ->  figures (one pass over its character classes, lines and n-grams)  ->  verdicts
        ->  Rejected(place, "quality: digit ratio", "0.61 > 0.50")

Shares are of the characters that are not white space, unless said otherwise. What a rule looks at depends on the
document's language (languages/). The defaults keep what people wrote to be read (encyclopedias,
laws, novels, speeches, tutorials with code) and drop tables of numbers, link lists, spam and repetition; look at what
they drop of *your* corpus with ``explain`` before you trust them. Quality rules are off unless a configuration has a
``quality`` section: a corpus that its owner chose should not shrink unasked.
"""

from __future__ import annotations

import dataclasses
import re
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache, cached_property
from typing import Any

import numpy as np
import numpy.typing as npt

from data_prep.cleaning.characters import CLASS_COUNT, CLOSERS, NEWLINE, SPACE, SYMBOL, TERMINAL, TERMINALS
from data_prep.cleaning.quality_limits import QualityLimits
from data_prep.cleaning.verdicts import Page, Verdict
from data_prep.code_points import code_points
from data_prep.documents import Document, Place, Rejected
from data_prep.filtering.markup import markup_characters
from data_prep.filtering.shingles import ngram_hashes
from data_prep.languages import OTHER, Language, by_code

RULES_VERSION = 2
BOILERPLATE = [
    *(
        "加微信",
        "微信号",
        "微信公众号",
        "扫描二维码",
        "扫码关注",
        "点击关注",
        "点击下载",
        "点击进入",
        "立即购买",
        "立即下载",
        "免费领取",
        "加群",
    ),
    *(
        "全国包邮",
        "货到付款",
        "客服电话",
        "在线客服",
        "招商加盟",
        "加盟热线",
        "代开发票",
        "办证",
        "博彩",
        "真人娱乐",
        "彩票平台",
        "成人视频",
    ),
    *(
        "版权所有",
        "转载请注明",
        "未经授权",
        "免责声明",
        "上一篇",
        "下一篇",
        "返回首页",
        "设为首页",
        "加入收藏",
        "友情链接",
        "备案号",
    ),
    *(
        "click here",
        "buy now",
        "add to cart",
        "sign up for",
        "subscribe to our",
        "subscribe now",
        "free shipping",
        "limited time offer",
    ),
    *(
        "all rights reserved",
        "terms of use",
        "terms of service",
        "privacy policy",
        "cookie policy",
        "uses cookies",
        "accept cookies",
    ),
    *(
        "enable javascript",
        "powered by wordpress",
        "leave a comment",
        "share this",
        "log in to your",
        "lorem ipsum",
        "online casino",
        "buy viagra",
    ),
]


SENTENCE_ENDS = frozenset(TERMINALS + CLOSERS)
WEIGHTY = ~np.isin(np.arange(CLASS_COUNT), (SPACE, NEWLINE, SYMBOL))


@dataclass(frozen=True, kw_only=True)
class Quality(QualityLimits):
    """Thresholds; a rule whose limit is at its extreme (0 for a least, 1 for a greatest share) drops nothing."""

    def fingerprint(self) -> dict[str, Any]:
        """What decides which documents stay."""
        settings = {item.name: getattr(self, item.name) for item in dataclasses.fields(self)}
        return {"kind": "quality", "rules": RULES_VERSION, **settings, "phrases": self.phrases}

    @cached_property
    def phrases(self) -> list[str]:
        """The phrases looked for."""
        return sorted({*self.boilerplate, *(BOILERPLATE if self.builtin_boilerplate else [])})

    def check(self, document: Document, place: Place, language: Language | None = None) -> Rejected | None:
        """Why the document is dropped, by the first rule it breaks; None when it stays. ``language`` is that of its
        code, where it is no file of ours."""
        for verdict in self._verdicts(
            Page(document.text, document.characters), language or _language(document.language)
        ):
            if not verdict.passed:
                return Rejected(place, f"quality: {verdict.rule}", verdict.figures)
        return None

    def explain(self, text: str, language: str) -> list[Verdict]:
        """What every rule says of a cleaned text in ``language`` (a code: `zh`, `en` ...)."""
        return list(self._verdicts(Page(text, code_points(text)), _language(language)))

    def _verdicts(self, page: Page, language: Language) -> Iterator[Verdict]:
        """Cheap rules first; later ones are not computed when the caller stops."""
        text, characters = page.text, page.characters
        yield Verdict("too few characters", len(text), self.min_characters, False)
        if self.max_characters:
            yield Verdict("too many characters", len(text), self.max_characters, True)
        if not text:
            return
        yield Verdict("markup ratio", markup_characters(text) / len(text), self.max_markup_ratio, True)
        yield from language.verdicts(page, self)
        lines = [line for line in text.split("\n") if line.strip()]
        if len(lines) >= self.terminal_lines:
            yield Verdict(
                "terminal punctuation ratio", _terminal_ratio(lines, language.stops), self.min_terminal_ratio, False
            )
        if self.min_sentences:
            yield Verdict("too few sentences", _sentence_ends(page.classes_C), self.min_sentences, False)
        yield Verdict("repeated line ratio", _repeated_line_ratio(lines), self.max_repeated_line_ratio, True)
        n = self.ngram_characters_en if language.spaced else self.ngram_characters_zh
        repeated = _repeated_ngram_ratio(characters[: self.ngram_window], page.classes_C[: self.ngram_window], n)
        yield Verdict("repeated n-gram ratio", repeated, self.max_repeated_ngram_ratio, True)
        yield Verdict("boilerplate", max(0, self._phrases_in(text) - 1) * 1000 / len(text), self.max_boilerplate, True)

    def _phrases_in(self, text: str) -> int:
        return len(self._matcher.find_matches_as_indexes(_lower(text))) if self.phrases else 0

    @cached_property
    def _matcher(self) -> Any:
        import ahocorasick_rs

        return ahocorasick_rs.BytesAhoCorasick(
            list(map(_lower, self.phrases)), matchkind=ahocorasick_rs.MATCHKIND_LEFTMOST_LONGEST
        )


def _lower(text: str) -> bytes:
    """UTF-8 with ASCII letters in lower case: ten times as fast as ``str.lower``."""
    return text.encode("utf-8", "replace").lower()


def _language(code: str) -> Language:
    known = by_code()
    return known.get(code, known[OTHER])


@cache
def _up_to_end(stops: str) -> re.Pattern[str]:
    return re.compile(f".*[{re.escape(TERMINALS + CLOSERS + stops)}]", re.DOTALL)


def _terminal_ratio(lines: list[str], stops: str) -> float:
    """Share of characters up to the last sentence end of their line."""
    ends = SENTENCE_ENDS.union(stops) if stops else SENTENCE_ENDS
    good = sum(len(line) if line[-1] in ends else _sentence_part(line, stops) for line in lines)
    return good / sum(map(len, lines))


def _sentence_part(line: str, stops: str) -> int:
    found = _up_to_end(stops).match(line)
    return found.end() if found else 0


def _sentence_ends(classes_C: npt.NDArray[np.uint8]) -> int:
    """Runs of terminal punctuation."""
    terminal = classes_C == TERMINAL
    return int(terminal[0]) + int((terminal[1:] & ~terminal[:-1]).sum())


def _repeated_line_ratio(lines: list[str]) -> float:
    """Share of characters in lines that stood in the text before."""
    distinct = dict.fromkeys(lines)
    return 0.0 if len(distinct) == len(lines) else 1 - sum(map(len, distinct)) / sum(map(len, lines))


def _repeated_ngram_ratio(characters: npt.NDArray[np.uint32], classes_C: npt.NDArray[np.uint8], n: int) -> float:
    """Share of n-grams that stood in the text before. (32-bit hashes: in 10,000 n-grams of one text 0.01 collide.)"""
    hashes = ngram_hashes(characters[WEIGHTY[classes_C]] * np.uint32(0x9E3779B1), n)
    hashes.sort()
    return np.count_nonzero(hashes[1:] == hashes[:-1]) / max(1, len(hashes))
