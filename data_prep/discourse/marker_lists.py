"""Lists of discourse markers: the words by which a sentence says how it goes on from what was said before.

    但是<TAB>contrast            at the beginning of a sentence: joins it to the one before it
    still,<TAB>concession        the same, only with a comma after it ("Still waters" is something else)
    因为…所以<TAB>cause           both parts in one sentence: joins two of its clauses
    !但愿                        begins like a marker and is none

A third column may hold a count, and a marker may have several lines: its sense is the one with the highest count, the
first listed among equals. ``#`` starts a comment; a first line ``marker<TAB>sense`` is a header. ``...`` is as good as
…, and letter case does not matter. A Chinese marker has no spaces: in a list that has been cut into words, nothing
tells 一 方面 from 一 ... 就. A name without a suffix (``zh``, ``en``) is a list that comes with kmask.
"""

from __future__ import annotations

import re
import unicodedata
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import NamedTuple

from data_prep.code_points import HAN
from data_prep.inputs.text_lines import lines_of, refusal

BETWEEN = re.compile(r"\s*(?:…+|\.{3,}|⋯+)\s*")
FORM = (
    "Write `marker`, `marker<TAB>sense` or `marker<TAB>sense<TAB>count` on each line, a marker of two parts as "
    "`first…second`, Chinese without spaces"
)
AFTER_LATIN = re.compile(r"[\s,，:：]")
COMMA = re.compile(r"\s*([,，:：]?)\s*")
CLAUSE = re.compile(r"[,，;；]\s*")


class Marker(NamedTuple):
    """One marker."""

    name: str
    """In lower case, its parts joined by …"""
    sense: str
    """What it says, empty when the list does not tell."""
    comma: bool
    """Must a comma follow it?"""


class Start(NamedTuple):
    """What a sentence that begins with ``surface`` may be."""

    surface: str
    single: Marker | None
    """The marker, when the surface is one."""
    seconds: tuple[tuple[str, Marker], ...]
    """Second parts of the markers whose first part the surface is, longest first."""


class Split(NamedTuple):
    """A marker of two parts in a sentence, in characters of the text."""

    first: tuple[int, int]
    second: tuple[int, int]
    marker: Marker


@dataclass(frozen=True, kw_only=True)
class MarkerList:
    """Markers, ready to be found."""

    markers: Sequence[Marker]
    """In the order of the files."""
    alike: frozenset[str]
    """Beginnings that are no markers."""
    malformed: Sequence[str]
    """Lines that were left out."""

    @cached_property
    def _starts(self) -> Mapping[str, Sequence[Start]]:
        """By its first two characters (the only one of shorter surfaces): every surface, longest first."""
        singles = {marker.name: marker for marker in self.markers if "…" not in marker.name}
        seconds: dict[str, list[tuple[str, Marker]]] = {}
        for marker in self.markers:
            first, paired, second = marker.name.partition("…")
            if paired:
                seconds.setdefault(first, []).append((second, marker))
        starts: dict[str, list[Start]] = {}
        for surface in dict.fromkeys([*self.alike, *singles, *seconds]):
            items = tuple(sorted(seconds.get(surface, []), key=lambda item: (-len(item[0]), item[0])))
            starts.setdefault(surface[:2], []).append(Start(surface, singles.get(surface), items))
        return {
            key: sorted(found, key=lambda item: (-len(item.surface), item.surface)) for key, found in starts.items()
        }

    @cached_property
    def _first(self) -> frozenset[str]:
        return frozenset(key[0] for key in self._starts)

    def at(self, text: str, start: int, end: int) -> Start | None:
        """What the sentence ``[start, end)`` begins with: the longest surface that fits; None when that is no
        marker."""
        first = text[start].lower()
        if first not in self._first:
            return None
        for key in (text[start : start + 2].lower(), first):
            for found in self._starts.get(key, ()):
                if not stands_at(text, start, end, found.surface):
                    continue
                if found.surface in self.alike:
                    return None
                if (
                    found.single
                    and found.single.comma
                    and after(text, start + len(found.surface), end)[1] == start + len(found.surface)
                ):
                    found = found._replace(single=None)
                if found.single or found.seconds:
                    return found
        return None

    def split(self, text: str, start: int, end: int, found: Start) -> Split | None:
        """Where the second part of a marker follows ``found`` directly after a comma of the sentence: the first such
        place."""
        begin = start + len(found.surface)
        for comma in CLAUSE.finditer(text, begin, end):
            for surface, marker in found.seconds:
                if stands_at(text, comma.end(), end, surface) and not self._misleads(text, comma.end(), end, surface):
                    return Split(
                        (after(text, begin, comma.start())[0], comma.start()),
                        (after(text, comma.end() + len(surface), end)[0], end),
                        marker,
                    )
        return None

    def _misleads(self, text: str, start: int, end: int, surface: str) -> bool:
        return any(
            len(word) > len(surface) and stands_at(text, start, end, word)
            for word in self.alike
            if word.startswith(surface)
        )


def stands_at(text: str, start: int, end: int, surface: str) -> bool:
    """Does ``surface`` stand at ``start``, and no longer Latin word?"""
    stop = start + len(surface)
    if stop > end or text[start:stop].lower() != surface:
        return False
    return bool(HAN.match(surface[-1])) or stop == end or AFTER_LATIN.match(text, stop) is not None


def after(text: str, place: int, end: int) -> tuple[int, int]:
    """Where the text goes on after a marker that ends at ``place``, and where the comma between them ends (``place``
    when there is none)."""
    match = COMMA.match(text, place, end)
    assert match is not None, "the pattern matches nothing at all too"
    return match.end(), match.end(1) if match[1] else place


def resolve(path: str) -> Path:
    """The file that an entry of ``markers`` means."""
    return Path(path) if "." in path or "/" in path else Path(__file__).with_name("markers") / f"{path}.tsv"


def read_markers(paths: Iterable[str], *, skip_malformed: bool) -> MarkerList:
    """Read marker files.

    Raises:
        FileNotFoundError: there is none at a path.
        ValueError: malformed lines (unless they are to be skipped), or no marker at all.
    """
    senses: dict[str, Counter[str]] = {}
    comma: dict[str, bool] = {}
    alike: set[str] = set()
    malformed: list[str] = []
    for path in paths:
        for number, line in lines_of(str(resolve(path)), malformed, what="marker file"):
            fields = [field.strip() for field in unicodedata.normalize("NFC", line).split("\t")]
            if number == 1 and [field.lower() for field in fields[:2]] == ["marker", "sense"]:
                continue
            if fields[0].startswith("!") and len(fields) == 1 and (word := fields[0][1:].strip().lower()):
                alike.add(word)
                continue
            name = _name(fields[0].rstrip(",，").strip())
            if name is None or len(fields) > 3 or (len(fields) == 3 and not fields[2].isdecimal()):
                malformed.append(f"{path}:{number}: {line[:60]!r}")
                continue
            senses.setdefault(name, Counter())[fields[1] if len(fields) > 1 else ""] += (
                int(fields[2]) if len(fields) == 3 else 1
            )
            comma[name] = comma.get(name, True) and fields[0].endswith((",", "，"))
    if malformed and not skip_malformed:
        raise refusal("markers", malformed, f"{FORM}, or set `on_malformed: skip` to leave such lines out.")
    markers = [
        Marker(name, max(found, key=lambda sense: (bool(sense), found[sense])), comma[name])
        for name, found in senses.items()
    ]
    if not markers:
        raise ValueError(f"markers {', '.join(paths)}: no marker in them. {FORM}.")
    return MarkerList(markers=markers, alike=frozenset(alike - senses.keys()), malformed=malformed)


def _name(written: str) -> str | None:
    """A marker in lower case, its parts joined by …; None when it cannot be one."""
    parts = BETWEEN.split(written.lower())
    good = all(any(map(str.isalnum, part)) and not (HAN.search(part) and " " in part) for part in parts)
    return "…".join(" ".join(part.split()) for part in parts) if good and len(parts) <= 2 else None
