"""Tags of every published scheme as spans, and spans as BIO tags.

    O B-PER I-PER O        ->  [Span("PER", 1, 3)]          half-open, in units
    B-PER M-PER E-PER S-LOC ->  [Span("PER", 0, 3), Span("LOC", 3, 4)]

``spans_of`` reads tags as conlleval does (Tjong Kim Sang, CoNLL-2000): whatever follows another type, or an end, begins
a span, so that ``O I-PER`` holds one. ``strict`` takes only what BIO allows: a span begins with B.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

OUTSIDE = "O"
PREFIXES = {"bio": "BI", "iob1": "BI", "bioes": "BIES", "bilou": "BILU", "bmes": "BMES"}
"""Letters of each scheme; ``M`` is I, ``L`` is E, ``U`` is S."""
PLAIN = str.maketrans("MLU", "IES")


class Span(NamedTuple):
    """A labelled stretch."""

    type: str
    start: int
    end: int


def split_tag(tag: str, scheme: str) -> tuple[str, str]:
    """Prefix (B, I, E, S or O) and type of a tag.

    Raises:
        ValueError: it is not a tag of the scheme.
    """
    if tag == OUTSIDE:
        return OUTSIDE, ""
    prefix, _, kind = tag.partition("-")
    if len(prefix) != 1 or prefix not in PREFIXES[scheme] or not kind:
        letters = ", ".join(f"{letter}-TYPE" for letter in PREFIXES[scheme])
        raise ValueError(f"tag {tag!r} is not one of {scheme}: {letters} or {OUTSIDE}")
    return prefix.translate(PLAIN), kind


def spans_of(tags: Sequence[tuple[str, str]], strict: bool = False) -> list[Span]:
    """Spans of tags as ``split_tag`` gives them.

    Args:
        strict: tags are BIO's, and an I that no B of its type began is not read.
    """
    found: list[Span] = []
    begin, before, inside = -1, OUTSIDE, ""
    for place, (prefix, kind) in enumerate([*tags, (OUTSIDE, "")]):
        goes_on = begin >= 0 and prefix in "IE" and kind == inside and before in "BI"
        if not goes_on:
            if begin >= 0:
                found.append(Span(inside, begin, place))
            begin = place if prefix != OUTSIDE and (not strict or prefix == "B") else -1
        before, inside = prefix, kind
    return found


def bio(types: Sequence[str]) -> list[str]:
    """All BIO tags of these types, O first."""
    return [OUTSIDE, *(f"{prefix}-{kind}" for kind in types for prefix in "BI")]
