"""Wikitext -> the plain text that a reader of the page sees, in time linear in its length, however broken the page is.

    '''数学'''（{{lang|en|Mathematics}}）研究-{zh-hans:信息;zh-hant:資訊}-[[数|數]]。<ref>书</ref>\\n== 历史 ==\\n* 古代
        ->  数学（Mathematics）研究信息數。 \\n 历史 \\n 古代

    1. one scan   comments, templates, links, tables, tags: a stack of what is open; what is never closed was text after
                  all
    2. marks      -{zh-hans:..;zh-hant:..}- become the text of one variant
                  (https://www.mediawiki.org/wiki/Writing_systems/Syntax)
    3. lines      a paragraph, a list item or a heading is one line; headings with nothing below them go

Files, categories, references, formulas, tables and templates leave nothing behind, apart from the templates that are
listed as shown.
"""

from __future__ import annotations

import html
import itertools
import re
from collections.abc import Mapping
from dataclasses import dataclass, field

from data_prep.code_points import HAN
from data_prep.inputs.wikitext_elements import ELEMENT_KIND, FALLBACKS

FILE = re.compile(r"\s*+(?:file|image|media|文件|檔案|档案|图像|圖像|图片|圖片|媒体|媒體)\s*+:", re.IGNORECASE)
HIDDEN_LINK = re.compile(r"\s*+(?:(?i:category|分类|分類)|simple|[a-z]{2,3}(?:-[a-z-]{2,12})?)\s*+:")
"""Categories and links to the same article in other languages."""
TOKEN = re.compile(
    r"(?P<comment><!--.*?(?:-->|\Z))|(?P<tag></?(?P<name>[a-zA-Z][a-zA-Z0-9]*+)(?P<rest>[^<>]*+)>)|(?P<open>\{{2,}+)|(?P<close>\}{2,}+)"
    r"|(?P<table>^[ \t:]*+\{\|)|(?P<endtable>^[ \t]*+\|\}(?!\}))|(?P<link>\[\[)|(?P<endlink>\]\])"
    r"|(?P<url>\[(?=(?:https?:|ftp:)?//|mailto:))|(?P<endurl>\])|(?P<pipe>\|)",
    re.DOTALL | re.MULTILINE,
)
CROSSES = {"[": (), "[[": ("[",), "{": ("[", "[[", "{|"), "{|": ("[", "[[", "{")}
"""What may stay open inside and is text after all when its outside is closed."""
DEEPEST = 100
"""No more than this is open at once; what opens deeper is text. Keeps the work linear."""
ENTITY = re.compile(r"&(?:#[0-9]{1,7}|#[xX][0-9a-fA-F]{1,6}|[a-zA-Z][a-zA-Z0-9]{1,30});")
MARK = re.compile(r"-\{((?:(?!-\{|\}-).)*+)\}-", re.DOTALL)
FLAG = re.compile(r"[ATRDHNS+-]|zh(?:-[a-z]+)*+")
RULE = re.compile(r"\s*+(?:[^;:]*=>)?\s*+(zh(?:-[a-z]+)*+)\s*+:(.*)", re.DOTALL)
NEXT_RULE = re.compile(r";(?=\s*+(?:[^;:]*=>\s*+)?zh(?:-[a-z]+)*+\s*+:|\s*+\Z)")
MAGIC = re.compile(f"__(?:[A-Z]{{3,30}}|{HAN.pattern}{{2,12}})__")
MARKUP = re.compile(r"'{2,5}|\[\[|\]\]|\{{2,}|\}{2,}|\{\||\|\}")
EMPTY_BRACKETS = re.compile(r" ?(?:\([\s,;:、，；：]*+\)|（[\s,;:、，；：]*+）|《》|“”|「」)")
BEFORE_BRACKET = re.compile(r"(?<![\s,;:、，；：])[\s,;:、，；：]++(?=[)）])")
AFTER_BRACKET = re.compile(r"([(（])[\s,;:、，；：]++")


@dataclass(slots=True)
class Frame:
    """Something that is open: its opening characters, and what has been found inside so far."""

    opener: str
    parts: list[str] = field(default_factory=list)
    pipes: list[int] = field(default_factory=list)
    """Where in ``parts`` a pipe stands."""

    def arguments(self) -> list[str]:
        """What stands between the pipes."""
        edges = [-1, *self.pipes, len(self.parts)]
        return ["".join(self.parts[start + 1 : end]) for start, end in itertools.pairwise(edges)]


@dataclass(frozen=True, kw_only=True)
class Wikitext:
    """How wikitext becomes plain text."""

    variant: str
    """The variant of Chinese that marks are resolved to, one of FALLBACKS."""
    shown_templates: Mapping[str, int]
    """Templates that leave text behind: the number of the argument that is shown, by lower-case name."""

    def plain(self, text: str) -> str:
        """One line for each paragraph, list item and heading of ``text``."""
        shown = self._scan(text)
        for _ in range(8):  # marks inside marks
            shown, count = MARK.subn(self._marked, shown)
            if not count:
                break
        return "\n".join(_lines(shown))

    def _scan(self, text: str) -> str:
        stack = [Frame("")]
        unclosed: set[str] = set()
        position = 0
        while match := TOKEN.search(text, position):
            stack[-1].parts.append(_decoded(text[position : match.start()]))
            position = match.end()
            kind, token = match.lastgroup, match.group()
            if kind == "tag":
                found, position = _element(text, match, unclosed)
                stack[-1].parts.append(found)
            elif kind == "open":
                for opener in ["{{"] * (len(token) // 2 - len(token) % 2) + ["{{{"] * (len(token) % 2):
                    _open(stack, opener)
            elif kind in ("table", "link", "url"):
                _open(stack, token.lstrip(" \t:"))
            elif kind == "close":
                self._close_braces(stack, len(token))
            elif kind in ("endtable", "endlink", "endurl"):
                opener = {"endtable": "{|", "endlink": "[[", "endurl": "["}[kind]
                if not self._close(stack, opener):
                    stack[-1].parts.append(token)
            elif kind == "pipe":
                stack[-1].pipes.append(len(stack[-1].parts))
                stack[-1].parts.append("|")
        stack[-1].parts.append(_decoded(text[position:]))
        while len(stack) > 1:
            _give_up(stack)
        return "".join(stack[0].parts)

    def _close_braces(self, stack: list[Frame], count: int) -> None:
        while count >= 2:
            size = next((len(frame.opener) for frame in reversed(stack) if frame.opener.startswith("{{")), 0)
            if not size or not self._close(stack, "{"):
                break
            count -= min(size, count)
        stack[-1].parts.append("}" * count)

    def _close(self, stack: list[Frame], opener: str) -> bool:
        """Close the innermost ``opener`` (`{` for templates), unless something stronger is open inside it."""
        for depth in range(len(stack) - 1, 0, -1):
            kind = "{" if stack[depth].opener.startswith("{{") else stack[depth].opener
            if kind == opener:
                while len(stack) > depth + 1:
                    _give_up(stack)
                frame = stack.pop()
                stack[-1].parts.append(self._shown(frame))
                return True
            if kind not in CROSSES[opener]:
                return False
        return False

    def _shown(self, frame: Frame) -> str:
        arguments = frame.arguments()
        if frame.opener == "{|":
            return ""
        if frame.opener == "[":
            return "".join([*"".join(frame.parts).split(None, 1), ""][1:2])
        if frame.opener == "[[":
            title, shown = arguments[0], "|".join(arguments[1:])
            if FILE.match(title) or HIDDEN_LINK.match(title):
                return ""
            return shown if shown.strip() else title.strip().removeprefix(":")
        if frame.opener == "{{{":
            return "|".join(arguments[1:])
        wanted = self.shown_templates.get(arguments[0].strip().replace("_", " ").lower())
        return _argument(arguments[1:], wanted) if wanted else ""

    def _marked(self, match: re.Match[str]) -> str:
        flags: set[str] = set()
        head, pipe, content = match[1].partition("|")
        found = [flag.strip() for flag in head[:200].split(";")]
        if pipe and len(head) <= 200 and all(not flag or FLAG.fullmatch(flag) for flag in found):
            flags = set(found)
        else:
            content = match[1]
        if flags & {"H", "T", "D", "-"}:
            return ""
        rules = [rule for part in NEXT_RULE.split(content) if (rule := RULE.fullmatch(part))]
        if flags & {"R", "N"} or not rules:
            return content
        texts = {rule[1]: rule[2].strip() for rule in rules}
        return next(
            (texts[name] for name in (self.variant, *FALLBACKS[self.variant]) if name in texts),
            next(iter(texts.values())),
        )


def _open(stack: list[Frame], opener: str) -> None:
    if len(stack) > DEEPEST:
        stack[-1].parts.append(opener)
    else:
        stack.append(Frame(opener))


def _give_up(stack: list[Frame]) -> None:
    """What is open innermost is never closed: it is text."""
    frame = stack.pop()
    stack[-1].parts += [frame.opener, *frame.parts]


def _element(text: str, match: re.Match[str], unclosed: set[str]) -> tuple[str, int]:
    """What an element leaves behind, and where to go on. ``unclosed`` remembers names that are not closed any more."""
    name, token, end = match["name"].lower(), match.group(), match.end()
    kind = ELEMENT_KIND.get(name)
    if kind is None:
        return _decoded(token), end
    if kind in ("inline", "breaking"):
        return "" if kind == "inline" else "\n", end
    if token.startswith("</") or match["rest"].rstrip().endswith("/") or name in unclosed:
        return "", end
    closing = re.compile(f"</{name}\\s*+>", re.IGNORECASE).search(text, end)
    if closing is None:
        unclosed.add(name)
        return "", end
    return _decoded(text[end : closing.start()]) if kind == "verbatim" else "", closing.end()


def _argument(arguments: list[str], wanted: int) -> str:
    """The numbered argument of a template, by position or by name."""
    values: dict[str, str] = {}
    position = 0
    for argument in arguments:
        name, equals, value = argument.partition("=")
        if not equals or not name.strip().isalnum():
            position += 1
            name, value = str(position), argument
        values[name.strip()] = value.strip()
    return values.get(str(wanted), "")


def _decoded(text: str) -> str:
    return ENTITY.sub(lambda match: html.unescape(match.group()), text) if "&" in text else text


def _lines(text: str) -> list[str]:
    """The lines that say something, without the marks at their beginning; headings only where text follows."""
    found: list[tuple[int, str]] = []
    for line in text.split("\n"):
        if (bare := line.strip()).startswith("|"):  # a table that is never closed
            continue
        level = 0
        if len(bare) > 2 and bare[0] == bare[-1] == "=":
            level = min(len(bare) - len(bare.lstrip("=")), len(bare) - len(bare.rstrip("=")), 6, (len(bare) - 1) // 2)
            bare = bare[level : len(bare) - level]
        bare = " ".join(MARKUP.sub("", MAGIC.sub("", bare.lstrip("*#:; \t").removeprefix("----"))).split())
        bare = BEFORE_BRACKET.sub("", AFTER_BRACKET.sub(r"\1", EMPTY_BRACKETS.sub("", bare))).strip()
        if bare:
            found.append((level, bare))
    kept: list[str] = []
    below = 1  # level of what follows: 7 for text, 1 for nothing
    for level, line in reversed(found):
        if not level or level < below:
            kept.append(line)
            below = level or 7
    return kept[::-1]
