"""Readers: one file here is one corpus format. ``kind: jsonl`` in a configuration is ``corpora/jsonl.py``.

A reader is used twice. When a run is planned, ``survey`` reads every file once, hashes it and notes where documents may be
divided; when a part is prepared, ``read`` yields the documents of one slice. For a format made of lines (``LineCorpus``) it is
enough to say how a line is recognised as the beginning of a document (``starts_document``) and how the lines of a document become
a Record (``parse``).
"""

from __future__ import annotations

import glob
import hashlib
from abc import ABC, abstractmethod
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

from data_prep.documents import Label, Place, Record, Rejected
from data_prep.streams import open_bytes, skip, stem

BOM = b"\xef\xbb\xbf"


class Slice(NamedTuple):
    """``[start, end)`` of ``path``, beginning at a document: bytes of the uncompressed content, or rows where a format has rows."""

    path: str
    start: int
    end: int
    line: int
    """1-based number of the line (or row) at ``start``."""
    size: int
    """Its text in bytes, as far as the survey can tell; decides how slices are grouped into parts."""


class Survey(NamedTuple):
    """What one pass over a file found."""

    sha256: str
    """Of the uncompressed content."""
    size: int
    slices: list[Slice]


@dataclass(frozen=True, kw_only=True)
class Corpus(ABC):
    """Base of all readers: a list of files that become documents."""

    paths: list[str]
    """Files or glob patterns; .gz, .zst and .bz2 are read as they are. Relative paths start at the working directory."""
    source: str = ""
    """Name under which the documents are counted; the file's name by default."""
    language: str = ""
    """`zh` or `en`; recognised for each document by its script when empty."""

    def __post_init__(self) -> None:
        if not self.paths:
            raise ValueError("paths: give at least one file or pattern")
        if self.language not in ("", "zh", "en"):
            raise ValueError(f"language: {self.language!r} is not one of zh, en (or leave it out)")

    @abstractmethod
    def survey(self, path: Path, slice_bytes: int) -> Survey:
        """Read a file once: its hash, its size, and slices of about ``slice_bytes`` that begin at documents."""

    @abstractmethod
    def read(self, piece: Slice) -> Iterator[Record | Rejected]:
        """The documents of one slice, each with its place; a document that cannot be read comes back as Rejected."""

    def given_labels(self) -> dict[str, list[Label]]:
        """By level, every label that the spans given with this corpus' documents can carry (none by default)."""
        return {}

    def files(self) -> list[Path]:
        """All files, patterns expanded, in a stable order.

        Raises:
            FileNotFoundError: a path or pattern matches nothing.
        """
        found: dict[Path, None] = {}
        for pattern in self.paths:
            path = Path(pattern)
            matches = [path] if path.is_file() else sorted(Path(name) for name in glob.glob(pattern, recursive=True))  # noqa: PTH207 (absolute patterns)
            matches = [match for match in matches if match.is_file()]
            if not matches:
                hint = "it is a folder; add a pattern such as /*.jsonl" if path.is_dir() else "no such file"
                raise FileNotFoundError(f"corpus path {pattern}: {hint} (looked from {Path.cwd()})")
            found.update(dict.fromkeys(matches))
        return list(found)

    def source_of(self, path: str) -> str:
        """The name under which documents of ``path`` are counted."""
        return self.source or stem(Path(path))


@dataclass(frozen=True, kw_only=True)
class LineCorpus(Corpus):
    """Base of the readers whose documents begin at a line."""

    @abstractmethod
    def starts_document(self, line: bytes, previous: bytes | None) -> bool:
        """Does a document begin at ``line``? ``previous`` is the line before it, None at the start of the file."""

    @abstractmethod
    def parse(self, raw: bytes, place: Place, source: str) -> Record | Rejected | None:
        """The bytes of one document, from its first line up to the next document's; None when there is nothing in them."""

    def survey(self, path: Path, slice_bytes: int) -> Survey:
        digest = hashlib.sha256()
        slices: list[Slice] = []
        start, start_line, offset, number = 0, 1, 0, 1
        previous: bytes | None = None
        with open_bytes(path) as stream:
            for line in stream:
                if offset - start >= slice_bytes and self.starts_document(line, previous):
                    slices.append(Slice(str(path), start, offset, start_line, offset - start))
                    start, start_line = offset, number
                digest.update(line)
                offset += len(line)
                number += 1
                previous = line
        if offset > start:
            slices.append(Slice(str(path), start, offset, start_line, offset - start))
        return Survey(digest.hexdigest(), offset, slices)

    def read(self, piece: Slice) -> Iterator[Record | Rejected]:
        source = self.source_of(piece.path)
        with open_bytes(Path(piece.path)) as stream:
            skip(stream, piece.start)
            offset, number = piece.start, piece.line
            lines: list[bytes] = []
            place = Place(piece.path, number, offset)
            previous: bytes | None = None
            while offset < piece.end:
                line = stream.readline()
                if not line:
                    raise ValueError(f"{piece.path} became shorter while it was read. Run `kmask prepare` again on unchanged files.")
                if lines and self.starts_document(line, previous):
                    yield from self._parsed(lines, place, source)
                    lines, place = [], Place(piece.path, number, offset)
                if offset == 0 and line.startswith(BOM):
                    place = place._replace(offset=len(BOM))
                    lines.append(line[len(BOM) :])
                else:
                    lines.append(line)
                offset += len(line)
                number += 1
                previous = line
            if lines:
                yield from self._parsed(lines, place, source)

    def _parsed(self, lines: list[bytes], place: Place, source: str) -> Iterator[Record | Rejected]:
        raw = lines[0] if len(lines) == 1 else b"".join(lines)
        result = self.parse(raw, place, source)
        if result is not None:
            yield result


def decode(raw: bytes, place: Place) -> str | Rejected:
    """UTF-8 text, or a rejection that names the first bad byte."""
    try:
        return raw.decode()
    except UnicodeDecodeError as error:
        return Rejected(place, "invalid UTF-8", f"byte {place.offset + error.start}: {error.reason}")


def stand_in_id(raw: bytes, place: Place, source: str) -> str:
    """An id for a document without one: different for different documents of one source, equal wherever the files lie."""
    return f"{source}:{place.line}:{hashlib.blake2b(raw, digest_size=6).hexdigest()}"


def as_text(value: Any) -> str:
    """A metadata value as text; numbers are accepted, anything else counts as absent."""
    return value if isinstance(value, str) else str(value) if isinstance(value, int) and not isinstance(value, bool) else ""
