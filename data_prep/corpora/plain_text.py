"""Plain text files. ``document`` says what one document is: a whole ``file``, a ``paragraph`` block (blank lines
between), a ``line``."""

from __future__ import annotations

from dataclasses import dataclass

from data_prep.corpora import LineCorpus
from data_prep.documents import Place, Record, Rejected
from data_prep.inputs.raw_text import decode, stand_in_id


@dataclass(frozen=True, kw_only=True)
class PlainText(LineCorpus):
    """Plain UTF-8 text."""

    document: str = "file"
    """`file`: one document per file; `block`: blank lines between documents; `line`: one document per line."""

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.document not in ("file", "block", "line"):
            raise ValueError(f"document: {self.document!r} is not one of file, block, line")

    def starts_document(self, line: bytes, previous: bytes | None) -> bool:
        if self.document == "file":
            return previous is None
        if self.document == "line":
            return True
        return previous is None or (not previous.strip() and bool(line.strip()))

    def parse(self, raw: bytes, place: Place, source: str) -> Record | Rejected | None:
        text = decode(raw, place)
        if isinstance(text, Rejected):
            return text
        if not text.strip():
            return None
        return Record(text=text, id=stand_in_id(raw, place, source), title="", language=self.language, place=place)
