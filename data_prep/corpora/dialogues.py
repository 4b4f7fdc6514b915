"""Dialogues: turns of two speakers or more, in order.

    {"turns": [{"role": "user", "text": "你好"}, {"role": "system", "text": "您好，请讲"}]}
        ->  Record(text="你好\\n\\n您好，请讲", given={"segment": (Given(0, 2, "user"), Given(4, 9, "system"))})

A dialogue becomes a document with a paragraph or more for each turn, so no sentence and no unit reaches from one turn
into the next. Its turns travel as spans of the reserved level ``segment``, whose type is the role: cleaning moves them,
encoding turns them into the columns ``segment_ends`` and ``segment_labels`` of the shard. A dialogue that cannot be
used is set aside with its reason.
"""

from __future__ import annotations

import reprlib
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from data_prep.corpora import LineCorpus
from data_prep.documents import SEGMENT, Given, Place, Record, Rejected
from data_prep.inputs.raw_text import as_text, json_object, stand_in_id

MAX_ROLES = 255
ALTERNATING = ["odd", "even"]
"""Roles of turns whose speakers take turns: the first, third, ... and the second, fourth, ..."""


@dataclass(frozen=True, kw_only=True)
class Dialogues(LineCorpus):
    """JSON Lines, one dialogue a line: a list of turns, each a text or an object with a role and a text."""

    roles: list[str] = field(default_factory=list)
    """Every role, as it is written in the files, in the order of their numbers; a dialogue with another one is set
    aside. Empty: two speakers take turns, whatever roles the file names."""
    turns_key: str = "turns"
    """Key of the list of turns."""
    text_key: str = "text"
    """Key of the text in a turn that is an object."""
    role_key: str = "role"
    """Key of the role in a turn that is an object."""
    id_key: str = "id"
    """Key of the identifier; source and line number stand in when it is absent."""
    title_key: str = "title"
    """Key of the title, when there is one."""
    language_key: str = "lang"
    """Key of the language (`zh`, `en-US`, `jpn` ...), when there is one."""

    def __post_init__(self) -> None:
        super().__post_init__()
        if len(set(self.roles)) < len(self.roles) or not all(role.strip() for role in self.roles):
            raise ValueError(f"roles: {self.roles} must name every role once")
        if len(self.roles) > MAX_ROLES:
            raise ValueError(f"roles: {len(self.roles)} are too many; at most {MAX_ROLES} fit")

    def turn_roles(self) -> list[str]:
        return self.roles or ALTERNATING

    def starts_document(self, line: bytes, previous: bytes | None) -> bool:
        return True

    def parse(self, raw: bytes, place: Place, source: str) -> Record | Rejected | None:
        if not raw.strip():
            return None
        value = json_object(raw, place)
        return value if isinstance(value, Rejected) else self.record(value, raw, place, source)

    def record(self, value: Mapping[str, Any], raw: bytes, place: Place, source: str) -> Record | Rejected:
        """The dialogue that one object holds."""
        items = value.get(self.turns_key)
        if not isinstance(items, list) or not items:
            keys = ", ".join(list(value)[:8])
            detail = f"key {self.turns_key!r} is missing, empty or no list; keys here: {keys}"
            return Rejected(place, "no turns", detail)
        texts: list[str] = []
        spans: list[Given] = []
        start = 0
        for number, item in enumerate(items):
            text, role = (item.get(self.text_key), item.get(self.role_key)) if isinstance(item, dict) else (item, None)
            if not isinstance(text, str) or not text.strip():
                detail = (
                    f"turn {number + 1} is {reprlib.repr(item)}; a text, or an object with {self.text_key!r}, is wanted"
                )
                return Rejected(place, "turn without text", detail)
            role = as_text(role).strip() if self.roles else ALTERNATING[number % 2]
            if role not in self.turn_roles():
                detail = f"turn {number + 1} has {role[:80]!r}; roles are {', '.join(self.roles)[:200]}"
                return Rejected(place, "unknown role", detail)
            texts.append(text)
            spans.append(Given(start, start + len(text), role))
            start += len(text) + 2
        return Record(
            text="\n\n".join(texts),
            id=as_text(value.get(self.id_key)) or stand_in_id(raw, place, source),
            title=as_text(value.get(self.title_key)),
            language=self.language or as_text(value.get(self.language_key)),
            place=place,
            given={SEGMENT: tuple(spans)},
        )
