"""Sentences with the triples of knowledge that they state, in JSON Lines.

    {"text": "鲁迅生于绍兴。", "triples": [["鲁迅", "出生地", "绍兴"]]}
        ->  Record(text="鲁迅\\n\\n出生地\\n\\n绍兴\\n\\n鲁迅生于绍兴。",
                   given={"segment": (Given(0, 2, ""), Given(4, 7, ""), Given(9, 11, ""), Given(13, 20, ""))})

A line becomes a document of 3 k + 1 paragraphs, head, relation and tail of its k triples and then the text, whose parts
travel as those of labelled pairs do (pairs.py), without a class. `universal_triples` reads them. Triples come from
whoever matched them with the text: none are searched for here. A line that cannot be used is set aside with its reason.
"""

from __future__ import annotations

import reprlib
from dataclasses import dataclass
from typing import Any

from data_prep.corpora.jsonl import Jsonl
from data_prep.documents import SEGMENT, Given, Place, Record, Rejected

MOST = 1000
"""Triples of a line."""


@dataclass(frozen=True, kw_only=True)
class Triples(Jsonl):
    """JSON Lines, one text a line, with its triples `[head, relation, tail]`."""

    triples_key: str = "triples"
    """Key of the list of triples; a line without any is set aside."""

    def pair_classes(self) -> list[str]:
        return []

    def record(self, value: dict[str, Any], raw: bytes, place: Place, source: str) -> Record | Rejected:
        record = super().record(value, raw, place, source)
        if isinstance(record, Rejected):
            return record
        triples = value.get(self.triples_key)
        if not isinstance(triples, list) or not triples:
            keys = ", ".join(list(value)[:8])
            return Rejected(
                place, "no triples", f"key {self.triples_key!r} is missing, empty or not a list; keys here: {keys}"
            )
        if len(triples) > MOST:
            return Rejected(place, "too many triples", f"{len(triples)}; at most {MOST} fit a line")
        for triple in triples:
            if not _is_triple(triple):
                detail = f"{reprlib.repr(triple)}; wanted: [head, relation, tail], three texts that are not empty"
                return Rejected(place, "not a triple", detail)
        parts, spans, start = [*(part for triple in triples for part in triple), record.text], [], 0
        for part in parts:
            spans.append(Given(start, start + len(part), ""))
            start += len(part) + 2
        return record._replace(text="\n\n".join(parts), given={SEGMENT: tuple(spans)})


def _is_triple(value: Any) -> bool:
    return (
        isinstance(value, list)
        and len(value) == 3
        and all(isinstance(part, str) and bool(part.strip()) for part in value)
    )
