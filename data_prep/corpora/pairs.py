"""Labelled pairs of texts: query and title, sentence and sentence, question and answer. Also single labelled texts.

    {"first": "长江发源于哪里", "second": "长江源头考察", "label": 0}
        ->  Record(text="长江发源于哪里\\n\\n长江源头考察", given={"segment": (Given(0, 7, "0"), Given(9, 15, "0"))})

A pair becomes a document of two paragraphs, so no sentence and no unit reaches from one part into the other. Its parts
travel as spans of the reserved level ``segment``, whose type is the label: cleaning moves them, encoding turns them
into the columns ``segment_ends`` and ``label`` of the shard. The format is JSON Lines, TSV (no quotes, one pair a line)
or CSV (quotes as in RFC 4180; a quoted field may hold line breaks), by the file's suffix. A pair that cannot be used is
set aside with its reason.
"""

from __future__ import annotations

import csv
import io
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import IO, Any

from data_prep.corpora import LineCorpus, Slice, Survey
from data_prep.documents import SEGMENT, Given, Place, Record, Rejected
from data_prep.inputs.quoted_rows import quoted_rows
from data_prep.inputs.raw_text import BOM, as_text, decode, json_object, stand_in_id
from data_prep.inputs.streams import COMPRESSED, LONGEST_DOCUMENT, LineScan, open_bytes, rest_of_line

FORMATS = {".jsonl": "jsonl", ".json": "jsonl", ".ndjson": "jsonl", ".tsv": "tsv", ".csv": "csv"}
MAX_CLASSES = 32767


@dataclass(frozen=True, kw_only=True)
class LabelledPairs(LineCorpus):
    """Labelled pairs in JSON Lines, TSV or CSV."""

    classes: list[str] = field(default_factory=list)
    """Every label, as it is written in the files, in the order of the class numbers. A pair with another one is set
    aside."""
    allow_unlabelled: bool = False
    """Keep pairs without a label (class -1) instead of setting them aside."""
    first_key: str = "first"
    """Key or column of the first text."""
    second_key: str = "second"
    """Key or column of the second text; empty for single texts."""
    label_key: str = "label"
    """Key or column of the label; empty when there is none (needs `allow_unlabelled`)."""
    id_key: str = "id"
    """Key or column of the identifier, when there is one; source and line number stand in."""
    language_key: str = "lang"
    """Key or column of the language (`zh`, `en-US`, `jpn` ...), when there is one."""
    format: str = ""
    """`jsonl`, `tsv` or `csv`; by the file's suffix when empty."""
    columns: list[str] = field(default_factory=list)
    """Names of the columns of TSV and CSV files that have no header line."""

    def __post_init__(self) -> None:
        super().__post_init__()
        if len(set(self.classes)) < len(self.classes) or not all(name.strip() for name in self.classes):
            raise ValueError(f"classes: {self.classes} must name every label once")
        if len(self.classes) > MAX_CLASSES:
            raise ValueError(f"classes: {len(self.classes)} are too many; at most {MAX_CLASSES} fit")
        if not self.allow_unlabelled and not (self.classes and self.label_key):
            raise ValueError("classes: name the labels and their key (label_key), or set allow_unlabelled: true")
        if not self.first_key:
            raise ValueError("first_key: give the key of the first text (a single text has an empty second_key)")
        if self.format not in ("", *FORMATS.values()):
            raise ValueError(f"format: {self.format!r} is not one of jsonl, tsv, csv (or leave it out)")
        if self.columns and (missing := [key for key in self._needed if key not in self.columns]):
            raise ValueError(
                f"columns: {', '.join(missing)} not among them; first_key, second_key and label_key must be"
            )

    @property
    def _needed(self) -> list[str]:
        return [key for key in (self.first_key, self.second_key, self.label_key) if key]

    def pair_classes(self) -> list[str]:
        return self.classes

    def format_of(self, path: str) -> str:
        """How ``path`` is written.

        Raises:
            ValueError: its suffix does not tell.
        """
        inner = Path(path).with_suffix("") if Path(path).suffix in COMPRESSED else Path(path)
        found = self.format or FORMATS.get(inner.suffix.lower(), "")
        if not found:
            raise ValueError(
                f"pairs {path}: the suffix {inner.suffix!r} names no format. Set `format` to jsonl, tsv or csv."
            )
        return found

    def survey(self, path: Path, slice_bytes: int, cache: Path | None = None) -> Survey:
        if self.format_of(str(path)) == "jsonl":
            return super().survey(path, slice_bytes, cache)
        with open_bytes(path, self.encoding) as stream:
            if stream.read(1):
                self._check_header(str(path))
        return (
            super().survey(path, slice_bytes, cache)
            if self.format_of(str(path)) == "tsv"
            else self._survey_rows(path, slice_bytes, cache)
        )

    def _survey_rows(self, path: Path, slice_bytes: int, cache: Path | None) -> Survey:
        """Like a survey of lines, for rows that may reach over several."""
        slices: list[Slice] = []
        start, line = 0, 1
        with open_bytes(path, self.encoding) as stream, self.keeper(path, cache) as writer:
            scan = LineScan(stream, writer)
            for row in quoted_rows(stream):
                if scan.offset - start >= slice_bytes:
                    slices.append(Slice(str(path), start, scan.offset, line, scan.offset - start))
                    writer.finish(scan.offset)
                    start, line = scan.offset, scan.line
                scan.take(row)
            if scan.offset > start:
                slices.append(Slice(str(path), start, scan.offset, line, scan.offset - start))
                writer.finish(scan.offset)
            return Survey(scan.sha256.hexdigest(), scan.offset, slices)

    def _documents(self, stream: IO[bytes], piece: Slice) -> Iterator[tuple[Place, bytes, int]]:
        if self.format_of(piece.path) != "csv":
            yield from super()._documents(stream, piece)
            return
        place = Place(piece.path, piece.line, piece.start)
        for row in quoted_rows(stream):
            size = len(row) + sum(map(len, rest_of_line(stream, row)))
            bom = len(BOM) if place.offset == 0 and row.startswith(BOM) else 0
            yield place._replace(offset=place.offset + bom), row[bom:], size
            place = place._replace(line=place.line + max(1, row.count(b"\n")), offset=place.offset + size)
            if place.offset >= piece.end:
                return
        raise ValueError(
            f"{piece.path} became shorter while it was read. Run `kmask prepare` again on unchanged files."
        )

    def starts_document(self, line: bytes, previous: bytes | None) -> bool:
        return True

    def parse(self, raw: bytes, place: Place, source: str) -> Record | Rejected | None:
        if not raw.strip():
            return None
        if self.format_of(place.path) == "jsonl":
            value = json_object(raw, place)
            return value if isinstance(value, Rejected) else self.record(value, raw, place, source)
        header = self._header(place.path)
        if place.line == 1 and not self.columns:
            return None
        fields = self._fields(raw, place)
        if isinstance(fields, Rejected):
            return fields
        if len(fields) != len(header):
            return Rejected(
                place, "wrong number of columns", f"{len(fields)}, not {len(header)} ({', '.join(header)[:200]})"
            )
        return self.record(dict(zip(header, fields, strict=True)), raw, place, source)

    def record(self, value: Mapping[str, Any], raw: bytes, place: Place, source: str) -> Record | Rejected:
        """The pair that one object or row holds."""
        texts: list[str] = []
        for key in filter(None, (self.first_key, self.second_key)):
            text = value.get(key)
            if not isinstance(text, str) or not text.strip():
                return Rejected(
                    place,
                    "no text",
                    f"key {key!r} is missing, empty or not text; keys here: {', '.join(list(value)[:8])}",
                )
            texts.append(text)
        label = _label(value.get(self.label_key)) if self.label_key else ""
        if not label and not self.allow_unlabelled:
            return Rejected(
                place,
                "no label",
                f"key {self.label_key!r} is missing or empty; `allow_unlabelled: true` keeps such pairs",
            )
        if label and label not in self.classes:
            return Rejected(
                place, "unknown label", f"{label[:80]!r}; classes are {', '.join(self.classes)[:200] or 'not given'}"
            )
        spans, start = [], 0
        for text in texts:
            spans.append(Given(start, start + len(text), label))
            start += len(text) + 2
        return Record(
            text="\n\n".join(texts),
            id=as_text(value.get(self.id_key)) or stand_in_id(raw, place, source),
            title="",
            language=self.language or as_text(value.get(self.language_key)),
            place=place,
            given={SEGMENT: tuple(spans)},
        )

    def _fields(self, raw: bytes, place: Place) -> list[str] | Rejected:
        text = decode(raw, place)
        if isinstance(text, Rejected):
            return text
        if self.format_of(place.path) == "tsv":
            return text.rstrip("\r\n").split("\t")
        try:
            rows = list(csv.reader(io.StringIO(text, newline=""), strict=True))
        except csv.Error as error:
            return Rejected(place, "malformed CSV", str(error))
        return (
            rows[0]
            if len(rows) == 1
            else Rejected(place, "malformed CSV", f"{len(rows)} rows in one line; lines must end in \\n")
        )

    @cached_property
    def _headers(self) -> dict[str, list[str]]:
        return {}

    def _header(self, path: str) -> list[str]:
        """The names of a file's columns."""
        if not self.columns and path not in self._headers:
            with open_bytes(Path(path), self.encoding) as stream:
                rows = (
                    quoted_rows(stream) if self.format_of(path) == "csv" else iter([stream.readline(LONGEST_DOCUMENT)])
                )
                fields = self._fields(next(rows).removeprefix(BOM), Place(path, 1, 0))
            if isinstance(fields, Rejected):
                raise ValueError(f"pairs {path}: the header line cannot be read: {fields.reason} ({fields.detail})")
            self._headers[path] = [name.strip() for name in fields]
        return self.columns or self._headers[path]

    def _check_header(self, path: str) -> None:
        self._headers.pop(path, None)
        header = self._header(path)
        missing = [key for key in self._needed if key not in header]
        if missing or len(set(header)) < len(header):
            what = f"no column {', '.join(missing)}" if missing else "two columns of one name"
            remedy = (
                "Set first_key, second_key and label_key to what the file has, or `columns` if it has no header line."
            )
            raise ValueError(f"pairs {path}: {what} in the header line ({', '.join(header)[:200]}). {remedy}")


def _label(value: Any) -> str:
    """A label as text: ``0``, ``true``, ``relevant``; empty when there is none."""
    if value is None:
        return ""
    return str(value).lower() if isinstance(value, bool) else str(value).strip()
