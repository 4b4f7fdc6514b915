"""What WikiExtractor writes: articles between ``<doc ...>`` and ``</doc>``, or one JSON object a line with its option
``--json``.

    <doc id="12" url="https://en.wikipedia.org/wiki?curid=12" title="Anarchism">
    Anarchism                                ->  Record(id="12", title="Anarchism", text="Anarchism is a ...")

    Anarchism is a ...
    </doc>

The title is dropped where the text repeats it on top. WikiExtractor writes ``&lt;``, ``&gt;`` and ``&amp;`` for ``<``,
``>`` and ``&``; they are turned back.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from data_prep.corpora import LineCorpus
from data_prep.documents import Place, Record, Rejected
from data_prep.inputs.raw_text import as_text, decode, json_object, stand_in_id

ATTRIBUTE = re.compile(r'\b(id|title)="(.*?)"(?= \w+="|\s*>$)')


@dataclass(frozen=True, kw_only=True)
class Wikiextractor(LineCorpus):
    """The files of a WikiExtractor run, for example `wiki/*/wiki_*.bz2`."""

    output: str = "plain"
    """`plain`: articles between <doc> and </doc>; `json`: one object a line (WikiExtractor's option --json)."""

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.output not in ("plain", "json"):
            raise ValueError(f"output: {self.output!r} is not one of plain, json")

    def starts_document(self, line: bytes, previous: bytes | None) -> bool:
        return self.output == "json" or line.startswith(b"<doc ")

    def parse(self, raw: bytes, place: Place, source: str) -> Record | Rejected | None:
        if not raw.strip():
            return None
        found = self._from_json(raw, place) if self.output == "json" else self._from_plain(raw, place)
        if isinstance(found, Rejected):
            return found
        text, id, title = found
        text = restored(text).strip()
        title = restored(title).strip()
        first, _, rest = text.partition("\n")
        if title and first.strip() == title:
            text = rest.strip()
        if not text:
            return Rejected(
                place, "no text", f"the article {title!r} is empty" if title else "an article without text and title"
            )
        return Record(
            text=text, id=id or stand_in_id(raw, place, source), title=title, language=self.language, place=place
        )

    def _from_json(self, raw: bytes, place: Place) -> tuple[str, str, str] | Rejected:
        value = json_object(raw, place)
        if isinstance(value, Rejected):
            hint = "; is this plain output? Set `output: plain`" if raw.startswith(b"<doc ") else ""
            return value._replace(detail=value.detail + hint)
        text = value.get("text")
        if not isinstance(text, str):
            return Rejected(
                place, "no text", f"key 'text' is missing or not text; keys here: {', '.join(list(value)[:8])}"
            )
        return text, as_text(value.get("id")), as_text(value.get("title"))

    def _from_plain(self, raw: bytes, place: Place) -> tuple[str, str, str] | Rejected:
        content = decode(raw, place)
        if isinstance(content, Rejected):
            return content
        head, _, body = content.partition("\n")
        head = head.rstrip("\r")
        if not head.startswith("<doc "):
            hint = ". Is this JSON output? Set `output: json`" if head.startswith("{") else ""
            return Rejected(place, "text outside <doc>", f"{head[:60]!r}{hint}")
        if not head.endswith(">"):
            return Rejected(place, "damaged <doc> line", f"{head[:60]!r} does not end with >")
        text, closed, after = body.partition("</doc>")
        if not closed:
            return Rejected(place, "article without </doc>", f"{head[:60]!r}: the file is cut short or damaged here")
        if after.strip():
            return Rejected(place, "text outside <doc>", f"after the </doc> of {head[:60]!r}: {after.strip()[:60]!r}")
        attributes = dict(ATTRIBUTE.findall(head))
        return text, attributes.get("id", ""), attributes.get("title", "")


def restored(text: str) -> str:
    """``text`` with WikiExtractor's three escapes turned back."""
    return text.replace("&lt;", "<").replace("&gt;", ">").replace("&amp;", "&") if "&" in text else text
