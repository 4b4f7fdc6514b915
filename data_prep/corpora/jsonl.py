"""One JSON object a line, with a text under a key of your choice: ``{"id": "a1", "text": "...", "title": "..."}``."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from data_prep.corpora import LineCorpus
from data_prep.documents import Place, Record, Rejected
from data_prep.inputs.raw_text import as_text, json_object, stand_in_id


@dataclass(frozen=True, kw_only=True)
class Jsonl(LineCorpus):
    """JSON Lines, one document a line."""

    text_key: str = "text"
    """Key of the document's text."""
    id_key: str = "id"
    """Key of the identifier; source and line number stand in when it is absent."""
    title_key: str = "title"
    """Key of the title, when there is one."""
    language_key: str = "lang"
    """Key of the language (`zh`, `en-US`, `jpn` ...), when there is one."""

    def starts_document(self, line: bytes, previous: bytes | None) -> bool:
        return True

    def parse(self, raw: bytes, place: Place, source: str) -> Record | Rejected | None:
        if not raw.strip():
            return None
        value = json_object(raw, place)
        return value if isinstance(value, Rejected) else self.record(value, raw, place, source)

    def record(self, value: dict[str, Any], raw: bytes, place: Place, source: str) -> Record | Rejected:
        """The document that one JSON object holds."""
        text = value.get(self.text_key)
        if not isinstance(text, str) or not text.strip():
            keys = ", ".join(list(value)[:8])
            return Rejected(place, "no text", f"key {self.text_key!r} is missing, empty or not text; keys here: {keys}")
        return Record(
            text=text,
            id=as_text(value.get(self.id_key)) or stand_in_id(raw, place, source),
            title=as_text(value.get(self.title_key)),
            language=self.language or as_text(value.get(self.language_key)),
            place=place,
        )
