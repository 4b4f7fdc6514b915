"""Edits of a text, and where its characters went.

    "a  b"  --Edit(1, 3, " ")-->  "a b"          a span [3, 4) (the b) becomes [2, 3)

Every change that cleaning makes can be told as sorted, disjoint edits (start, end, replacement). A span is moved by
moving its start and its end. When an edge falls inside an edit the span grows to hold the whole replacement: half of a
composed character is no place.

Shape legend: E edits, P positions.
"""

from __future__ import annotations

import difflib
import itertools
import re
import unicodedata
from collections.abc import Iterator, Sequence
from functools import cache
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from data_prep.cleaning.composing import composed
from data_prep.documents import Given

SEPARATORS = "\n。，、 "
COMPARED = 1 << 22
"""Two pieces whose lengths multiply to more than this are not compared character by character."""


class Edit(NamedTuple):
    """Replace ``text[start:end]`` by ``replacement``."""

    start: int
    end: int
    replacement: str


def apply_edits(text: str, edits: Sequence[Edit]) -> str:
    """The text after sorted, disjoint edits."""
    pieces, done = [], 0
    for edit in edits:
        pieces += [text[done : edit.start], edit.replacement]
        done = edit.end
    return "".join([*pieces, text[done:]])


def move(
    starts_P: npt.NDArray[np.int64], ends_P: npt.NDArray[np.int64], edits: Sequence[Edit]
) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.int64]]:
    """Where spans lie after ``edits``. Order is kept: a position never overtakes another."""
    start_E = np.array([edit.start for edit in edits], np.int64)
    end_E = np.array([edit.end for edit in edits], np.int64)
    shift_E = np.cumsum([0, *(len(edit.replacement) - (edit.end - edit.start) for edit in edits)])
    before_P = np.searchsorted(end_E, starts_P, "right")  # edits that end at or before the start
    next_P = np.append(start_E, np.iinfo(np.int64).max)[before_P]
    begun_P = np.searchsorted(start_E, ends_P, "left")  # edits that begin before the end
    last_P = np.append(end_E, 0)[begun_P - 1]
    return np.minimum(starts_P, next_P) + shift_E[before_P], np.maximum(ends_P, last_P) + shift_E[begun_P]


def substitutions(pattern: re.Pattern[str], replacement: str, text: str) -> list[Edit]:
    """What ``pattern.sub(replacement, text)`` does."""
    return [Edit(match.start(), match.end(), replacement) for match in pattern.finditer(text)]


def compositions(text: str) -> list[Edit]:
    """What ``composed(text)`` does, in the smallest independent pieces."""
    edits: list[Edit] = []
    offset = 0
    for line in text.split("\n"):
        if composed(line) != line:
            for start, end in _clusters(line):
                piece = composed(line[start:end])
                if piece != line[start:end]:
                    edits.append(_trimmed(Edit(offset + start, offset + end, piece), line[start:end]))
        offset += len(line) + 1
    return edits


def _clusters(line: str) -> Iterator[tuple[int, int]]:
    """Pieces that normalisation cannot reach across: each begins with a starter that composes with nothing before it
    (UAX #15)."""
    start = 0
    for index, character in enumerate(line):
        if index and _begins(character):
            yield start, index
            start = index
    yield start, len(line)


def _shared(one: str, two: str) -> int:
    """How many characters two texts have in common at their beginning."""
    return sum(1 for _ in itertools.takewhile(lambda pair: pair[0] == pair[1], zip(one, two, strict=False)))


def _trimmed(edit: Edit, old: str) -> Edit:
    """Without the characters that stay at its ends."""
    head = _shared(old, edit.replacement)
    tail = _shared(old[head:][::-1], edit.replacement[head:][::-1])
    return Edit(edit.start + head, edit.end - tail, edit.replacement[head : len(edit.replacement) - tail])


def _begins(character: str) -> bool:
    if character < "\u0300":
        return True
    first = unicodedata.normalize("NFD", character)[0]
    return unicodedata.combining(first) == 0 and first not in _second_halves()


@cache
def _second_halves() -> frozenset[str]:
    """Characters that can compose with the one before them."""
    hangul = map(chr, [*range(0x1161, 0x1176), *range(0x11A8, 0x11C3)])
    parts = (unicodedata.decomposition(chr(code)).split() for code in range(0xC0, 0x20000))
    return frozenset([*hangul, *(chr(int(pair[1], 16)) for pair in parts if len(pair) == 2 and pair[0][0] != "<")])


def differences(before: str, after: str, separators: str = SEPARATORS) -> list[Edit]:
    """Edits that lead from one text to the other, for conversions that tell only their result.

    Both are divided at ``separators`` as long as that gives equally many pieces; a piece that kept its length is taken
    to have changed character by character, others are compared (difflib).
    """
    if before == after:
        return []
    for index, separator in enumerate(separators):
        if separator not in before:
            continue
        old, new = before.split(separator), after.split(separator)
        if len(old) == len(new):
            edits, offset = [], 0
            for left, right in zip(old, new, strict=True):
                if left != right:
                    edits += [
                        Edit(offset + start, offset + end, text)
                        for start, end, text in differences(left, right, separators[index + 1 :])
                    ]
                offset += len(left) + 1
            return edits
    if len(before) == len(after):
        return [
            Edit(index, index + 1, new)
            for index, (old, new) in enumerate(zip(before, after, strict=True))
            if old != new
        ]
    if len(before) * len(after) > COMPARED:
        return [Edit(0, len(before), after)]
    changes: list[tuple[int, int, int, int]] = []
    for kind, start, end, low, high in difflib.SequenceMatcher(None, before, after, autojunk=False).get_opcodes():
        if kind == "equal":
            continue
        if (
            changes and start - changes[-1][1] <= 1
        ):  # a single character between two changes belongs to them: 程式 -> 编程
            start, _, low, _ = changes.pop()
        changes.append((start, end, low, high))
    return [Edit(start, end, after[low:high]) for start, end, low, high in changes]


def place_spans(text: str, spans: Sequence[Given], places: Sequence[tuple[int, int]]) -> list[Given]:
    """The spans of one level at their new places: without white space at the edges, disjoint, none empty."""
    kept: list[Given] = []
    free = 0
    for span, (start, end) in zip(spans, places, strict=True):
        start = max(start, free)
        inner = text[start:end].strip()
        if inner:
            start += len(text[start:end]) - len(text[start:end].lstrip())
            free = start + len(inner)
            kept.append(Given(start, free, span.type))
    return kept
