"""Patterns of spaCy's EntityRuler -> surfaces of a lexicon.

    {"label": "ORG", "pattern": "Apple Inc."}                                  ->  Apple Inc.
    {"label": "LOC", "pattern": [{"TEXT": "New"}, {"ORTH": "York"}]}           ->  New York
    {"label": "LOC", "pattern": [{"LOWER": "san"}, {"LOWER": "marino"}]}       ->  san marino | San Marino | SAN MARINO

A lexicon compares letters exactly, so a pattern with ``LOWER`` becomes three entries: lower case, capitalised words,
upper case. Tokens are written side by side as spaCy's tokenizers would have divided them: a space between words of
letters and digits, none beside Han characters, hyphens and slashes, before ``'s`` and closing marks, after opening
ones. Any other attribute (LEMMA, POS, OP, REGEX ...) needs the tokens themselves: run such patterns with ``kind:
spacy_pipeline``.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import orjson

from data_prep.code_points import HAN

WITHOUT_SPACE = "-–/'’"
OPENING, CLOSING = "([{<“‘《（「『", ")]}>.,;:!?%”’》）」』"


def is_pattern(line: str) -> bool:
    """Does a file of patterns begin with this line?"""
    try:
        value = orjson.loads(line)
    except ValueError:
        return False
    return isinstance(value, dict) and "label" in value and "pattern" in value


def pattern_entries(line: str) -> Sequence[tuple[str, str]]:
    """The surfaces of one pattern, each with its label.

    Raises:
        ValueError: not a pattern, or one that asks for more than the letters of its tokens.
    """
    try:
        value = orjson.loads(line)
    except ValueError as error:
        raise ValueError(f"not JSON ({error})") from None
    label, pattern = (value.get("label"), value.get("pattern")) if isinstance(value, dict) else (None, None)
    if (
        not isinstance(label, str)
        or not label.strip()
        or len(label.split()) > 1
        or not isinstance(pattern, str | list)
        or not pattern
    ):
        raise ValueError(f'{line[:60]!r} is not {{"label": "TYPE", "pattern": "surface" or a list of tokens}}')
    if isinstance(pattern, str):
        if not pattern.strip():
            raise ValueError("the pattern is empty")
        return ((pattern.strip(), label.strip()),)
    tokens = [_token(token) for token in pattern]
    forms = [""]
    if any(lower for _, lower in tokens):
        forms = ["lower", "capitalize", "upper"]
    surfaces = [_join([getattr(text, form)() if lower and form else text for text, lower in tokens]) for form in forms]
    return [(surface, label.strip()) for surface in dict.fromkeys(surfaces)]


def _token(token: Any) -> tuple[str, bool]:
    """The text of a token of a pattern, and whether its case does not matter."""
    if isinstance(token, dict) and len(token) == 1:
        attribute, text = next(iter(token.items()))
        if attribute.upper() in ("LOWER", "TEXT", "ORTH") and isinstance(text, str) and text.strip():
            return text.strip(), attribute.upper() == "LOWER"
    shown = orjson.dumps(token).decode()[:60]
    raise ValueError(
        f'the token {shown} is more than {{"LOWER"|"TEXT"|"ORTH": "text"}}; run such patterns with '
        "`kind: spacy_pipeline`"
    )


def _join(tokens: list[str]) -> str:
    text = tokens[0]
    for token in tokens[1:]:
        before, after = text[-1], token[0]
        tight = before in WITHOUT_SPACE or after in WITHOUT_SPACE or before in OPENING or after in CLOSING
        text += token if tight or token == "n't" or HAN.match(before) or HAN.match(after) else f" {token}"
    return text
