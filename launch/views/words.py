"""What views are made of: lines of styled words, and the tokens of a masked sample as such words.

    他 在 ‹北 京› hidden by [MASK] and a random 水     他在‹北京› with both in colour; without colours 他在‹北→M京→水›

terminal.py and page.py render the words; nothing here knows either.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from masking.display import Piece

BRACKETS = {"word": ("‹", "›"), "phrase": ("«", "»"), "entity": ("{", "}")}
"""Around a unit of several tokens whose hidden tokens are drawn."""


KINDS = tuple(BRACKETS)
"""The kinds of units, each of which has a style of its own."""


class Word(NamedTuple):
    """A piece of text with a style."""

    text: str
    style: str = ""
    """`title`, `dim`, `special`, `good` or `bad`, a kind of unit (`word`, `phrase`, `entity`), or what replaced a
    hidden token (`mask`, `random`, `kept`, `similar`)."""
    plain: str = ""
    """What stands for it where there are no colours, if not ``text``."""


Line = list[Word]


def kind_of(level: str) -> str:
    """How a level is drawn: other levels than the three usual ones look like phrases."""
    return level if level in KINDS else "phrase"


def joined(tokens: list[str]) -> list[str]:
    """Tokens with a leading space where one belongs: before Latin words, not inside words and not around Han."""
    result = []
    for index, token in enumerate(tokens):
        previous = tokens[index - 1] if index else ""
        latin = (token[:1].isascii() and token[:1].isalnum()) or token.startswith("[")
        after = (previous[-1:].isascii() and previous[-1:].isalnum()) or previous.endswith("]")
        glued = token.startswith("##")
        result.append(token[2:] if glued else (" " + token if index and (latin or after) else token))
    return result


def cells(drawn: Sequence[Piece]) -> list[Line]:
    """The words of every token: a space where one belongs, brackets of its unit, the token in its colour."""
    result = []
    for piece, text in zip(drawn, joined([piece.token for piece in drawn]), strict=True):
        core = text.removeprefix(" ") or text
        left, right = BRACKETS.get(piece.kind, ("[", "]"))
        special = piece.token.startswith("[") and piece.token.endswith("]")
        mark = {"mask": "→M", "random": f"→{piece.replaced_by}", "kept": "=", "similar": f"≈{piece.replaced_by}"}.get(
            piece.action, ""
        )
        style = piece.action or (piece.kind if piece.kind != "character" else "special" if special else "")
        cell = [Word(" ")] if text != core else []
        cell += [Word(left, piece.kind)] if piece.opens else []
        cell += [Word(core, style, core + mark if mark else "")]
        result.append(cell + ([Word(right, piece.kind)] if piece.closes else []))
    return result


def legend() -> Line:
    """The colours and brackets of ``cells``."""
    replaced = [
        Word("[MASK]", "mask", "→M [MASK]"),
        Word("random", "random", "→x random"),
        Word("kept", "kept", "= kept"),
        Word("similar", "similar", "≈x similar word"),
    ]
    units = [Word(f"{BRACKETS[kind][0]}{kind}{BRACKETS[kind][1]}", kind) for kind in ("entity", "phrase", "word")]
    return [Word("hidden: "), *spaced(replaced), Word("   units of several tokens: "), *spaced(units)]


def spaced(words: Sequence[Word]) -> Line:
    """Words with spaces between them."""
    return [part for word in words for part in (Word("  "), word)][1:]
