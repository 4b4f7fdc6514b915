"""JSON Lines whose documents come with spans that somebody has marked.

    {"text": "鲁迅生于绍兴。", "spans": [[0, 2, "PER"], {"start": 4, "end": 6, "label": "LOC"}]}
        ->  Record(text=..., given={"entity": (Given(0, 2, "PER"), Given(4, 6, "LOC"))})

Positions are half-open and count characters (Unicode code points) of the text as it stands in the file. Nothing marked
is lost silently: a document with a span that cannot be kept is set aside with the reason.
"""

from __future__ import annotations

import itertools
import reprlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple

from data_prep.corpora.jsonl import Jsonl
from data_prep.documents import Given, Label, Place, Record, Rejected
from data_prep.inputs.raw_text import as_text


@dataclass(frozen=True, kw_only=True)
class AnnotatedJsonl(Jsonl):
    """JSON Lines, one document a line, with spans `[start, end, kind]` or objects."""

    kinds: list[str]
    """Every kind that the spans may have (`PER`, `LOC` ...); a document with another one is set aside."""
    level: str = "entity"
    """Level of the kinds that `levels` does not name."""
    levels: dict[str, str] = field(default_factory=dict)
    """Level by kind where it is another one: `{TERM: phrase}`. With a kind at level `word`, all words must be given."""
    spans_key: str = "spans"
    """Key of the list of spans. A document without it is set aside; one in which nothing is marked has an empty
    list."""
    start_key: str = "start"
    """Key of the first character in a span that is an object."""
    end_key: str = "end"
    """Key of the character after the last in a span that is an object."""
    kind_key: str = "label"
    """Key of the kind in a span that is an object."""

    def __post_init__(self) -> None:
        super().__post_init__()
        if not self.kinds or len(set(self.kinds)) < len(self.kinds) or not all(kind.strip() for kind in self.kinds):
            raise ValueError(f"kinds: {self.kinds} must name every kind of span once, for example [PER, LOC, ORG]")
        unknown = sorted(set(self.levels) - set(self.kinds))
        if unknown:
            raise ValueError(f"levels: {', '.join(unknown)} not among kinds: {', '.join(self.kinds)}")
        if not all(level.strip() for level in self.levels.values()):
            raise ValueError("levels: a level needs a name (entity, phrase, word or one of your own)")
        if not self.level.strip():
            raise ValueError("level: give a name (entity, phrase, word or one of your own)")

    def level_of(self, kind: str) -> str:
        """The level at which spans of ``kind`` are units."""
        return self.levels.get(kind, self.level)

    def given_labels(self) -> dict[str, list[Label]]:
        labels: dict[str, dict[Label, None]] = {}
        for kind in self.kinds:
            level = self.level_of(kind)
            labels.setdefault(level, {})[Label(_type(kind, level), "user")] = None
        return {level: list(found) for level, found in labels.items()}

    def record(self, value: dict[str, Any], raw: bytes, place: Place, source: str) -> Record | Rejected:
        record = super().record(value, raw, place, source)
        if isinstance(record, Rejected):
            return record
        given = self.given(value.get(self.spans_key), record)
        return record._replace(given=given) if isinstance(given, Mapping) else Rejected(place, *given)

    def given(self, spans: Any, record: Record) -> Mapping[str, Sequence[Given]] | Problem:
        """The spans of a document by level, or what is wrong with them."""
        if not isinstance(spans, list):
            return Problem(
                "no spans", f"key {self.spans_key!r} is missing or not a list (write [] where nothing is marked)"
            )
        levels: dict[str, list[Given]] = {self.level_of(kind): [] for kind in self.kinds}
        for item in spans:
            span = self.span(item, record.text)
            if isinstance(span, Problem):
                return span
            level = self.level_of(span.type)
            levels[level].append(span._replace(type=_type(span.type, level)))
        for level, found in levels.items():
            found.sort()
            for left, right in itertools.pairwise(found):
                if left.end > right.start:
                    return Problem(
                        "spans overlap",
                        f"{list(left)} and {list(right)} at level {level}; give them different levels, or keep one",
                    )
        return {level: tuple(found) for level, found in levels.items()}

    def span(self, item: Any, text: str) -> Given | Problem:
        """One span as it is written in the file."""
        if isinstance(item, dict):
            item = [item.get(self.start_key), item.get(self.end_key), item.get(self.kind_key)]
        shown = reprlib.repr(item)
        if (
            not isinstance(item, list)
            or len(item) != 3
            or not all(type(edge) is int for edge in item[:2])
            or not as_text(item[2])
        ):
            wanted = f"[start, end, kind] or {{{self.start_key}, {self.end_key}, {self.kind_key}}} with whole numbers"
            return Problem("not a span", f"{shown}; wanted: {wanted}")
        start, end, kind = item[0], item[1], as_text(item[2])
        if kind not in self.kinds:
            return Problem("undeclared kind of span", f"{shown}; kinds are {', '.join(self.kinds)}. Add it to `kinds`")
        if start >= end:
            return Problem("span without characters", f"{shown} ends before it begins; positions are [start, end)")
        if start < 0 or end > len(text):
            return Problem(
                "span outside the text", f"{shown}; the text has {len(text)} characters (code points, not bytes)"
            )
        return Given(start, end, kind)


class Problem(NamedTuple):
    """Why a document is set aside."""

    reason: str
    detail: str


def _type(kind: str, level: str) -> str:
    return "" if level == "word" else kind
