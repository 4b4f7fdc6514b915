"""Units from a word list: every occurrence, leftmost-longest, over the raw text.

    北京大学<TAB>ORG            ->  "他在北京大学读书" has the entity [2, 6) ORG

Accepted lines: ``surface`` (txt), ``surface<TAB>TYPE`` (tsv) and ``surface<TAB>frequency``. ``#`` starts a comment line. A line
that is none of these stops the run with file and line, unless ``on_malformed: skip`` is set.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

from data_prep.annotators import Annotator
from data_prep.cleaning import Cleaning
from data_prep.documents import Label, Unit
from data_prep.files import sha256_file
from data_prep.streams import open_bytes

SHOWN_ERRORS = 5


@dataclass(frozen=True, kw_only=True)
class Lexicon(Annotator):
    """Units listed in files."""

    paths: list[str]
    """Lexicon files (.gz, .zst, .bz2 are read as they are)."""
    type: str = ""
    """Type of entries whose line names none, for example `LOC`."""
    origin: str = "lexicon"
    """Who vouches for the entries: `lexicon`, `user` or `mined`."""
    min_characters: int = 2
    """Shorter entries are left out."""
    on_malformed: str = "refuse"
    """`refuse`: a malformed line ends the run; `skip`: it is left out and counted."""

    def __post_init__(self) -> None:
        super().__post_init__()
        if not self.paths:
            raise ValueError("paths: give at least one lexicon file")
        if self.on_malformed not in ("refuse", "skip"):
            raise ValueError(f"on_malformed: {self.on_malformed!r} is not one of refuse, skip")
        if self.origin not in ("lexicon", "user", "mined"):
            raise ValueError(f"origin: {self.origin!r} is not one of lexicon, user, mined")
        if self.min_characters < 1:
            raise ValueError(f"min_characters: {self.min_characters} must be at least 1")

    @cached_property
    def _entries(self) -> tuple[dict[str, str], list[str]]:
        """Surface -> type (the first file that lists a surface wins), and the malformed lines."""
        entries: dict[str, str] = {}
        malformed: list[str] = []
        clean = Cleaning().text
        for path in self.paths:
            for line, surface, label in self._lines(path, malformed):
                surface = clean(surface)
                if "\n" in surface:
                    malformed.append(f"{path}:{line}: a line break inside the entry")
                elif len(surface) >= self.min_characters:
                    entries.setdefault(surface, label or self.type)
        if malformed and self.on_malformed == "refuse":
            more = f"\n  ... and {len(malformed) - SHOWN_ERRORS} more" if len(malformed) > SHOWN_ERRORS else ""
            raise ValueError(
                "lexicon with malformed lines:\n  "
                + "\n  ".join(malformed[:SHOWN_ERRORS])
                + more
                + "\nWrite `surface` or `surface<TAB>TYPE` on each line, or set `on_malformed: skip` to leave such lines out."
            )
        if not entries:
            raise ValueError(f"lexicon {', '.join(self.paths)}: no entry of {self.min_characters} characters or more")
        return entries, malformed

    def _lines(self, path: str, malformed: list[str]) -> Iterator[tuple[int, str, str]]:
        if not Path(path).is_file():
            raise FileNotFoundError(f"lexicon {path}: no such file (looked from {Path.cwd()})")
        with open_bytes(Path(path)) as stream:
            # Line ends of every kind: lists with \r alone are still about.
            for number, raw in enumerate((piece for line in stream for piece in line.rstrip(b"\r\n").split(b"\r")), 1):
                try:
                    line = raw.decode("utf-8-sig" if number == 1 else "utf-8").strip("\r\n")
                except UnicodeDecodeError as error:
                    malformed.append(f"{path}:{number}: not UTF-8 (byte {error.start} of the line)")
                    continue
                if not line.strip() or line.startswith("#"):
                    continue
                fields = [field.strip() for field in line.split("\t")]
                if not fields[0] or len(fields) > 2 or (len(fields) == 2 and not fields[1]):
                    malformed.append(f"{path}:{number}: {line[:60]!r} has {len(fields)} columns")
                    continue
                second = fields[1] if len(fields) == 2 else ""
                if second.isdigit():
                    second = ""
                elif len(second) > 32 or any(map(str.isspace, second)):
                    malformed.append(f"{path}:{number}: {second[:40]!r} is neither a type nor a frequency")
                    continue
                yield number, fields[0], second

    @property
    def malformed(self) -> list[str]:
        """Lines left out under ``on_malformed: skip``."""
        return self._entries[1]

    def labels(self) -> list[Label]:
        return [Label(kind, self.origin) for kind in sorted(set(self._entries[0].values()))]

    @cached_property
    def _matcher(self) -> tuple[Any, list[Label]]:
        import ahocorasick_rs

        entries, _ = self._entries
        matcher = ahocorasick_rs.AhoCorasick(list(entries), matchkind=ahocorasick_rs.MatchKind.LeftmostLongest)
        return matcher, [Label(kind, self.origin) for kind in entries.values()]

    @cached_property
    def _overlapping(self) -> Any:
        import ahocorasick_rs

        return ahocorasick_rs.AhoCorasick(list(self._entries[0]), matchkind=ahocorasick_rs.MatchKind.Standard)

    def annotate(self, text: str) -> list[Unit]:
        matcher, labels = self._matcher
        found = matcher.find_matches_as_indexes(text)
        if not all(_stands_alone(text, start, end) for _, start, end in found):
            # A match that runs into a longer word may hide a shorter entry: choose among all matches that stand alone.
            every = self._overlapping.find_matches_as_indexes(text, overlapping=True)
            alone = sorted((start, -end, entry) for entry, start, end in every if _stands_alone(text, start, end))
            found, position = [], 0
            for start, minus_end, entry in alone:
                if start >= position:
                    found.append((entry, start, -minus_end))
                    position = -minus_end
        return [Unit(start, end, labels[entry]) for entry, start, end in found]

    def fingerprint(self) -> dict[str, Any]:
        return {
            "kind": "lexicon",
            "level": self.level,
            "type": self.type,
            "origin": self.origin,
            "min_characters": self.min_characters,
            "files": [sha256_file(Path(path)) for path in self.paths],
        }

    def __getstate__(self) -> dict[str, Any]:
        return {key: value for key, value in self.__dict__.items() if key not in ("_matcher", "_overlapping", "_entries")}


def _stands_alone(text: str, start: int, end: int) -> bool:
    """Latin entries must not begin or end inside a Latin word: ``Rome`` is not in ``Romeo``."""
    return not (
        (start > 0 and _is_latin(text[start]) and _is_latin(text[start - 1])) or (end < len(text) and _is_latin(text[end - 1]) and _is_latin(text[end]))
    )


def _is_latin(character: str) -> bool:
    return character < "\u0370" and character.isalnum()
