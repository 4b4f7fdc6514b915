"""Regular expressions over parts of speech, in the notation of chunk grammars: ``<a|b>*<n.*>`` is any number of a or b,
then a noun.

    tags      r v a n w             one private character for each distinct tag, so that a sentence is a short string
    NP        <a|b|n>{0,4}<n>       becomes a regular expression over these characters
    found     tokens [2, 4) NP

Inside ``<>`` stands a regular expression that must match a whole tag; outside, the usual ``( ) | ? * + {m,n}``; blanks
mean nothing. The leftmost match wins, then the type named first, then what its pattern prefers (the longest, with
greedy repetition). A pattern that could take exponential time is refused (see tag_ambiguity.py).
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence

from data_prep.tagging.tag_ambiguity import explodes

FIRST_CODE = 0xF0000
TAG = re.compile("<([^<>]+)>")
OPERATORS = re.compile(r"(?:[()|?*+]|\{[0-9]*(?:,[0-9]*)?\})*")


def check_grammar(grammar: Mapping[str, str]) -> None:
    """Is every pattern well-formed?

    Raises:
        ValueError: one is not; says which and why.
    """
    for kind, pattern in grammar.items():
        bare = "".join(pattern.split())
        if not kind.isidentifier():
            raise ValueError(f"{kind!r} is no name for a type of chunk")
        if not TAG.search(bare) or not OPERATORS.fullmatch(TAG.sub("", bare)) or "(?" in bare:
            raise ValueError(
                f"{kind}: {pattern!r} must be made of <tag> items and ( ) | ? * + {{m,n}}, for example <a|b>*<n.*>+"
            )
        try:
            _compiled([pattern], [])
            for inside in TAG.findall(bare):
                re.compile(inside)
        except re.error as error:
            raise ValueError(f"{kind}: {pattern!r} is no regular expression ({error})") from None
        if explodes(bare):
            remedy = (
                "Repeat the items or the group, not both, and let the ways through a repeated group begin with "
                "different tags"
            )
            raise ValueError(
                f"{kind}: in {pattern!r} the same tags can go round a loop in two ways, which takes for ever on a "
                f"long sentence. {remedy}"
            )


def _compiled(patterns: Sequence[str], tags: Sequence[str]) -> re.Pattern[str]:
    """One expression with one named group ``p0``, ``p1`` ... for each pattern; ``tags`` are numbered by their place."""

    def characters(item: re.Match[str]) -> str:
        codes = [chr(FIRST_CODE + number) for number, tag in enumerate(tags) if re.fullmatch(item[1], tag)]
        return f"[{''.join(codes)}]" if codes else "(?!)"

    bare = ["".join(pattern.split()).replace("(", "(?:") for pattern in patterns]
    return re.compile("|".join(f"(?P<p{number}>{TAG.sub(characters, pattern)})" for number, pattern in enumerate(bare)))


class _Codes(dict[str, str]):
    """Tag -> its character; a tag never seen gets the next one."""

    def __missing__(self, tag: str) -> str:
        self[tag] = code = chr(FIRST_CODE + len(self))
        return code


class TagMatcher:
    """Finds the patterns of a grammar. Tags need not be known beforehand: the expression is made anew when one is met
    first."""

    def __init__(self, grammar: Mapping[str, str]) -> None:
        self._patterns = list(grammar.values())
        self._codes = _Codes()
        self._expression: re.Pattern[str] = _compiled(self._patterns, [])
        self._known = 0

    def find(self, tags: Sequence[str], ends: Sequence[int]) -> Iterator[tuple[int, int, int]]:
        """``(first token, end token, number of the type)`` of each match; none crosses one of the ascending token
        positions ``ends``."""
        string = "".join(map(self._codes.__getitem__, tags))
        if len(self._codes) > self._known:
            self._expression = _compiled(self._patterns, list(self._codes))
            self._known = len(self._codes)
        start = 0
        for end in [*ends, len(string)]:
            for match in self._expression.finditer(string, start, end):
                if match.lastgroup and match.end() > match.start():
                    yield match.start(), match.end(), int(match.lastgroup[1:])
            start = end
