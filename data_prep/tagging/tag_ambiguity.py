"""Grammars on which matching would take exponential time, recognised by their form.

    (<n>+)+<v>             n after n: by the inner + or by the outer one      2 ways at every word: refused
    (<n>|<n><n>)*<v>       two words: one item twice, or the other once       refused
    (<a>?<n>)+<v>          every word can be matched by one item only         fine

A regular expression is tried in every way it can match. Two ways around the same loop double the work with every word
of a sentence (Weideman et al. 2016, "Analyzing matching time behavior of backtracking regular expression matchers"), so
we look for a loop that the same tags can go round in two ways. Which items can match one tag is tried with the tags of
jieba, of the Penn Treebank, the universal ones, and those that the grammar itself names. A repetition with bounds
counts as one without.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable, Hashable, Iterable
from typing import NamedTuple, TypeVar

TAGS = """
a ad ag an b c d df dg e eng f g h i j k l m mg mq n ng nr nrfg nrt ns nt nz o p q r rg rr rz s t tg u ud ug uj ul uv uz
v vd vg vi vn vq x y z zg
CC CD DT EX FW IN JJ JJR JJS LS MD NN NNS NNP NNPS PDT POS PRP PRP$ RB RBR RBS RP SYM TO UH VB VBD VBG VBN VBP VBZ WDT
WP WP$ WRB $ # HYPH NFP
ADJ ADP ADV AUX CCONJ DET INTJ NOUN NUM PART PRON PROPN PUNCT SCONJ SYM VERB X SPACE . , :
"""
Node = TypeVar("Node", bound=Hashable)
LEXEME = re.compile(r"<(?P<item>[^<>]+)>|(?P<quantifier>(?:[*+?]|\{[0-9]*,?[0-9]*\})[?+]?)|(?P<sign>[()|])")


class GrammarPiece(NamedTuple):
    """A part of a pattern; items are known by their number in it."""

    empty: bool
    """Can it match nothing?"""
    first: frozenset[int]
    last: frozenset[int]


class _Reader:
    """Reads one pattern: which item may follow which, and in how many ways."""

    def __init__(self, pattern: str) -> None:
        self.items: list[str] = []
        self.following: Counter[tuple[int, int]] = Counter()
        self.empty_loop = False
        self._lexemes = list(LEXEME.finditer(pattern))
        self._at = 0
        self._alternatives()

    def _sign(self) -> str | None:
        return self._lexemes[self._at]["sign"] if self._at < len(self._lexemes) else ")"

    def _alternatives(self) -> GrammarPiece:
        pieces = [self._sequence()]
        while self._at < len(self._lexemes) and self._sign() == "|":
            self._at += 1
            pieces.append(self._sequence())
        return GrammarPiece(
            any(piece.empty for piece in pieces),
            _union(piece.first for piece in pieces),
            _union(piece.last for piece in pieces),
        )

    def _sequence(self) -> GrammarPiece:
        whole = GrammarPiece(True, frozenset(), frozenset())
        while self._at < len(self._lexemes) and self._sign() not in (")", "|"):
            piece = self._repeated()
            self._join(whole.last, piece.first)
            first = whole.first | piece.first if whole.empty else whole.first
            last = whole.last | piece.last if piece.empty else piece.last
            whole = GrammarPiece(whole.empty and piece.empty, first, last)
        return whole

    def _repeated(self) -> GrammarPiece:
        lexeme = self._lexemes[self._at]
        self._at += 1
        if lexeme["item"]:
            self.items.append(lexeme["item"])
            number = frozenset([len(self.items) - 1])
            piece = GrammarPiece(False, number, number)
        else:
            piece = self._alternatives()
            self._at += 1  # the closing bracket
        while self._at < len(self._lexemes) and (quantifier := self._lexemes[self._at]["quantifier"]):
            self._at += 1
            least, most = _bounds(quantifier)
            if most > 1:
                self.empty_loop |= piece.empty
                self._join(piece.last, piece.first)
            piece = piece._replace(empty=piece.empty or not least)
        return piece

    def _join(self, before: Iterable[int], after: Iterable[int]) -> None:
        self.following.update((one, other) for one in before for other in after)


def explodes(pattern: str) -> bool:
    """Is there a loop in a well-formed pattern that the same tags can go round in two ways?"""
    reader = _Reader(pattern)
    if reader.empty_loop:
        return True
    known = {*TAGS.split(), *re.findall(r"[\w$#-]+", " ".join(reader.items))}
    tags = [frozenset(tag for tag in known if re.fullmatch(item, tag)) for item in reader.items]
    after: dict[int, list[int]] = {}
    for one, other in reader.following:
        after.setdefault(one, []).append(other)

    def together(pair: tuple[int, int]) -> list[tuple[int, int]]:
        return [
            (one, other)
            for one in after.get(pair[0], [])
            for other in after.get(pair[1], [])
            if tags[one] & tags[other]
        ]

    if any(
        ways > 1 and one in _reached(other, lambda item: after.get(item, []))
        for (one, other), ways in reader.following.items()
    ):
        return True
    for item in range(len(reader.items)):
        apart = [pair for pair in _reached((item, item), together) if pair[0] != pair[1]]
        if any((item, item) in _reached(pair, together) for pair in apart):
            return True
    return False


def _reached(start: Node, following: Callable[[Node], list[Node]]) -> set[Node]:
    """Everything on the ways out of ``start``; itself too."""
    found, waiting = {start}, [start]
    while waiting:
        for node in following(waiting.pop()):
            if node not in found:
                found.add(node)
                waiting.append(node)
    return found


def _bounds(quantifier: str) -> tuple[int, float]:
    sign = quantifier[0]
    if sign != "{":
        return int(sign == "+"), 1 if sign == "?" else float("inf")
    least, comma, most = quantifier[1 : quantifier.index("}")].partition(",")
    return int(least or 0), float(most or "inf") if comma else float(least or 0)


def _union(sets: Iterable[frozenset[int]]) -> frozenset[int]:
    return frozenset[int]().union(*sets)
