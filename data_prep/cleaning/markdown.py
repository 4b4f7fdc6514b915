"""Markdown -> the text a reader sees, for `cleaning.markdown: true`.

    # Title                      Title
    See [the **site**](http://x) and `code`.   ->   See the site and code.
    | a | b |  ```...```         (tables, fenced code, comments, images and rules of dashes are left out)

Regular expressions for the common forms, each bounded to a line or a fence, so that time is linear in the text. What is
no markup stays: `2 * 3 * 4`, `snake_case_name`, `a < b`.
"""

from __future__ import annotations

import re

FRONT_MATTER = re.compile(r"\A---\n(?:[^\n]*\n){0,200}?(?:---|\.\.\.)(?:\n|\Z)")
FENCE = re.compile(r"^ {0,3}(`{3,}|~{3,})[^\n]*$")
BLOCKS = (
    (
        re.compile(r"^ {0,3}#{1,6}[ \t]{1,20}([^\n]{0,1000}?)(?:[ \t]{1,20}#{1,20})?[ \t]{0,20}$", re.MULTILINE),
        r"\1",
    ),  # headings
    (
        re.compile(r"^ {0,3}(?:=+[ \t]*|(?:[*_-][ \t]*){3,}|--[ \t]*)$\n?", re.MULTILINE),
        "",
    ),  # underlines of headings, rules
    (re.compile(r"^[ \t]*\|[^\n]*\|[ \t]*$\n?", re.MULTILINE), ""),  # rows of tables
    (re.compile(r"^ {0,3}(?:>[ \t]?)+", re.MULTILINE), ""),  # quotations
    (re.compile(r"^[ \t]*(?:[*+-]|\d{1,9}[.)])[ \t]+(?:\[[ xX]\][ \t]+)?", re.MULTILINE), ""),  # items of lists
    (
        re.compile(r"^ {0,3}\[\^?[^\]\n]{1,200}\]:[ \t]*(?:<[^>\n]*>|\S+)?[^\n]*$\n?", re.MULTILINE),
        "",
    ),  # definitions of links and notes
)
SPANS = (
    (re.compile(r"!\[[^\]\n]{0,500}\](?:\([^)\n]{0,2000}\)|\[[^\]\n]{0,200}\])"), ""),  # images
    (re.compile(r"\[\^[^\]\n]{1,200}\]"), ""),  # notes
    (re.compile(r"\[([^\]\n]{1,500})\](?:\([^)\n]{0,2000}\)|\[[^\]\n]{0,200}\])"), r"\1"),  # links
    (re.compile(r"<((?:https?|mailto):[^>\s]{1,2000})>"), r"\1"),
    (re.compile(r"</?[a-zA-Z][a-zA-Z0-9-]{0,20}(?:\s[^<>\n]{0,500})?/?>"), ""),  # HTML
    (re.compile(r"(?<!`)(`{1,3})(?!`)([^`\n]{1,1000})(?<!`)\1(?!`)"), r"\2"),  # code in a line
    (re.compile(r"(\*{1,3})(?=[^\s*])([^*\n]{1,1000})(?<=[^\s*])\1"), r"\2"),  # emphasis
    (re.compile(r"(?<![^\W_])(_{1,3})(?=[^\s_])([^_\n]{1,1000})(?<=[^\s_])\1(?![^\W_])"), r"\2"),
    (re.compile(r"~~(?=\S)([^~\n]{1,1000})(?<=\S)~~"), r"\1"),
    (re.compile(r"\\([\\`*_{}\[\]()#+.!~>|-])"), r"\1"),  # escapes
)


def markdown_text(text: str) -> str:
    """What a reader sees of a Markdown document."""
    text = _without_comments(_without_fences(FRONT_MATTER.sub("", text.replace("\r\n", "\n"))))
    for pattern, replacement in BLOCKS:
        text = pattern.sub(replacement, text)
    for pattern, replacement in SPANS:
        text = pattern.sub(replacement, text)
        if pattern.pattern.startswith(("(\\*", "(?<![^\\W_])(_")):
            text = pattern.sub(replacement, text)  # one emphasis inside another
    return text


def _without_fences(text: str) -> str:
    """The lines outside fenced code; a fence that is never closed is text."""
    if "```" not in text and "~~~" not in text:
        return text
    kept: list[str] = []
    fence, held = "", list[str]()
    for line in text.split("\n"):
        match = FENCE.match(line)
        if fence:
            held.append(line)
            if match and match[1].startswith(fence) and line.strip() == match[1]:
                fence, held = "", []
        elif match:
            fence, held = match[1], [line]
        else:
            kept.append(line)
    return "\n".join([*kept, *held])


def _without_comments(text: str) -> str:
    """Text without comments of HTML; one that is never closed is text."""
    pieces, begin = [], 0
    while (start := text.find("<!--", begin)) >= 0 and (end := text.find("-->", start + 4)) >= 0:
        pieces.append(text[begin:start])
        begin = end + 3
    return "".join([*pieces, text[begin:]])
