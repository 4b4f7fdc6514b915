"""Readers: one file here is one corpus format. ``kind: jsonl`` in a configuration is ``corpora/jsonl.py``.

A reader is used twice. When a run is planned, ``survey`` reads every file once, hashes it and notes where documents may
be divided; when a part is prepared, ``read`` yields the documents of one slice. For a format made of lines
(``LineCorpus``) it is enough to say how a line is recognised as the beginning of a document (``starts_document``) and
how the lines of a document become a Record (``parse``).
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import IO, NamedTuple

from data_prep.documents import Label, Place, Record, Rejected
from data_prep.inputs.file_names import FoundFiles, find_files
from data_prep.inputs.raw_text import BOM, INVALID
from data_prep.inputs.slice_cache import SliceWriter, identity, is_sequential, open_slice
from data_prep.inputs.streams import LONGEST_DOCUMENT, LineScan, open_bytes, rest_of_line, stem
from data_prep.inputs.text_encodings import ENCODINGS
from data_prep.portable import Portable


class Slice(NamedTuple):
    """``[start, end)`` of ``path``, beginning at a document: bytes of the uncompressed content as UTF-8, or rows where
    a format has rows."""

    path: str
    start: int
    end: int
    line: int
    """1-based number of the line (or row) at ``start``. In a format of rows, a Place has it as its line and counts its
    offset in rows."""
    size: int
    """Its text in bytes, as far as the survey can tell; decides how slices are grouped into parts."""


class Survey(NamedTuple):
    """What one pass over a file found."""

    sha256: str
    """Of the uncompressed content; of the file itself where a format has rows."""
    size: int
    slices: list[Slice]


@dataclass(frozen=True, kw_only=True)
class Corpus(Portable, ABC):
    """Base of all readers: a list of files that become documents."""

    paths: list[str]
    """Files or glob patterns; .gz, .zst, .bz2 and .xz are read as they are. Relative paths start at the working
    directory."""
    source: str = ""
    """Name under which the documents are counted; by default the file's name, and that of the common folder for more
    than 100 files."""
    language: str = ""
    """A code of `cleaning.languages` (`zh`, `en`, `other`); declared by each document or recognised by its script when
    empty."""

    def __post_init__(self) -> None:
        if not self.paths:
            raise ValueError("paths: give at least one file or pattern")
        if self.language and not self.language.replace("-", "_").isidentifier():
            raise ValueError(
                f"language: {self.language!r} is no code of a language, such as zh, en, other (or leave it out)"
            )

    @abstractmethod
    def survey(self, path: Path, slice_bytes: int, cache: Path | None = None) -> Survey:
        """Read a file once: its hash, its size, and slices of about ``slice_bytes`` that begin at documents.

        ``cache`` is a folder in which what cannot be read from the middle (a compressed file) may be kept unpacked,
        slice by slice. It makes ``read`` faster and changes nothing else.

        Raises:
            OSError, ValueError: the file cannot be read or is not what the settings say; the message names it.
        """

    @abstractmethod
    def read(self, piece: Slice, cache: Path | None = None) -> Iterator[Record | Rejected]:
        """The documents of one slice, each with its place; a document that cannot be read comes back as Rejected.

        Raises:
            OSError, ValueError: the file cannot be read, or is no longer the one that was surveyed; the message names
            it.
        """

    def disk_bytes(self, path: Path) -> int:
        """Size of one of ``files()`` as it lies on the disk; 0 when it lies elsewhere."""
        return path.stat().st_size

    def identity(self, path: Path) -> str:
        """One of ``files()`` as it is now: with another content it has another identity.

        Raises:
            OSError: it is not there.
        """
        state = path.stat()
        times = f"{state.st_mtime_ns}\0{state.st_ctime_ns}"
        return f"{path.absolute()}\0{state.st_dev}\0{state.st_size}\0{times}\0{state.st_ino}"

    def given_labels(self) -> dict[str, list[Label]]:
        """By level, every label that the spans given with this corpus' documents can carry (none by default)."""
        return {}

    def pair_classes(self) -> list[str] | None:
        """The classes of labelled pairs; None when the documents are no pairs."""
        return None

    def turn_roles(self) -> list[str] | None:
        """The roles of turns; None when the documents are no dialogues."""
        return None

    def files(self) -> list[Path]:
        """All files, patterns expanded, in a stable order, each once.

        Raises:
            FileNotFoundError: a path or pattern names nothing that can be read.
        """
        return self.found().files

    def found(self) -> FoundFiles:
        """The same, with what is left out and what is named twice. A reader whose paths are no files says here what
        they are."""
        return find_files(self.paths)

    def source_of(self, path: str) -> str:
        """The name under which documents of ``path`` are counted."""
        return self.source or stem(Path(path))


@dataclass(frozen=True, kw_only=True)
class LineCorpus(Corpus):
    """Base of the readers whose documents begin at a line."""

    encoding: str = "utf-8"
    """`utf-8`, `gb18030` (also for GBK and GB2312), `big5`, `utf-16` (by its byte order mark; `utf-16-le`, `utf-16-be`
    without one)."""

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.encoding not in ENCODINGS:
            hint = (
                "; gb18030 reads GBK and GB2312 too" if self.encoding.lower().startswith(("gb", "cp936", "euc")) else ""
            )
            raise ValueError(f"encoding: {self.encoding!r} is not one of {', '.join(ENCODINGS)}{hint}")

    @abstractmethod
    def starts_document(self, line: bytes, previous: bytes | None) -> bool:
        """Does a document begin at ``line``? ``previous`` is the line before it, None at the start of the file or
        slice."""

    @abstractmethod
    def parse(self, raw: bytes, place: Place, source: str) -> Record | Rejected | None:
        """The bytes of one document, from its first line up to the next document's; None when there is nothing in
        them."""

    def parse_all(self, raw: bytes, place: Place, source: str) -> Iterable[Record | Rejected]:
        """The same where a line may hold several documents."""
        result = self.parse(raw, place, source)
        return [] if result is None else [result]

    def survey(self, path: Path, slice_bytes: int, cache: Path | None = None) -> Survey:
        slices: list[Slice] = []
        start, start_line = 0, 1
        with open_bytes(path, self.encoding) as stream, self.keeper(path, cache) as writer:
            scan = LineScan(stream, writer)
            while True:
                scan.leap(start + slice_bytes)
                line = stream.readline(LONGEST_DOCUMENT)
                if not line or (scan.offset and self.starts_document(line, scan.last)):
                    if scan.offset > start:
                        slices.append(Slice(str(path), start, scan.offset, start_line, scan.offset - start))
                        writer.finish(scan.offset)
                    start, start_line = scan.offset, scan.line
                if not line:
                    return Survey(scan.sha256.hexdigest(), scan.offset, slices)
                scan.take(line)

    def keeper(self, path: Path, cache: Path | None) -> SliceWriter:
        """Keeps what is surveyed, where a part could not be read without reading everything before it."""
        return SliceWriter(cache if is_sequential(path, self.encoding) else None, identity(path, self.encoding))

    def read(self, piece: Slice, cache: Path | None = None) -> Iterator[Record | Rejected]:
        source = self.source_of(piece.path)
        with open_slice(Path(piece.path), piece.start, piece.end, cache, self.encoding) as stream:
            for place, raw, size in self._documents(stream, piece):
                if size > LONGEST_DOCUMENT:
                    detail = (
                        f"{size} bytes; one document may have {LONGEST_DOCUMENT}. Divide it, or choose a setting "
                        "under which the file holds several"
                    )
                    yield Rejected(place, "document too long", detail)
                else:
                    yield from map(self._by_encoding, self.parse_all(raw, place, source))

    def _by_encoding(self, result: Record | Rejected) -> Record | Rejected:
        """A rejection for broken text names the encoding that was asked for, and not the stream's."""
        if self.encoding == "utf-8" or not isinstance(result, Rejected) or result.reason != INVALID:
            return result
        return result._replace(
            reason=f"invalid {self.encoding}",
            detail=f"in the document at line {result.place.line}, bytes that are no text in {self.encoding}",
        )

    def _documents(self, stream: IO[bytes], piece: Slice) -> Iterator[tuple[Place, bytes, int]]:
        """Place, content and size of each document; the content of one that is too long is left out."""
        place, offset, number = Place(piece.path, piece.line, piece.start), piece.start, piece.line
        lines: list[bytes] = []
        size = 0
        previous: bytes | None = None
        while offset < piece.end:
            line = stream.readline(LONGEST_DOCUMENT)
            if not line:
                raise ValueError(
                    f"{piece.path} became shorter while it was read. Run `kmask prepare` again on unchanged files."
                )
            if previous is not None and self.starts_document(line, previous):
                yield place, b"".join(lines), size
                place, lines, size = Place(piece.path, number, offset), [], 0
            length = len(line) if line.endswith(b"\n") else len(line) + sum(map(len, rest_of_line(stream, line)))
            previous, offset, number, size = line, offset + length, number + 1, size + length
            if size > LONGEST_DOCUMENT:
                lines.clear()
            elif number == 2 and line.startswith(BOM):
                place = place._replace(offset=len(BOM))
                lines.append(line[len(BOM) :])
            else:
                lines.append(line)
        if previous is not None:
            yield place, b"".join(lines), size
