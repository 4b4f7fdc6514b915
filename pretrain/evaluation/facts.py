"""Facts (subject, relation, object) from files, and patterns that put them into words.

    {"predicate_id": "P19", "sub_label": "Dante", "obj_label": "Florence"}     ->  Fact
    {"predicate_id": "P19", "pattern": "[X] was born in [Y]."}                 ->  Pattern
    texts_of("[X] was born in [Y].", "Dante")                                  ->  ("Dante was born in ", ".")

A line without `predicate_id` belongs to the relation that its file is named after: `P19.jsonl`.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

from pretrain.evaluation.text_rows import Row, json_rows

SUBJECT, OBJECT = "[X]", "[Y]"
RELATION = "predicate_id"
NAMED = re.compile(r"P\d+")


class Fact(NamedTuple):
    """A fact and where it stands."""

    row: Row
    relation: str
    subject: str
    object: str

    @property
    def key(self) -> tuple[str, str, str]:
        """What it says."""
        return self.relation, self.subject, self.object


class Pattern(NamedTuple):
    """A sentence with [X] for the subject and [Y] for the object."""

    place: str
    text: str


def _relation(row: Row, file: Path, name: str) -> str:
    if name in row.values:
        return row.name(name)
    stem = file.name.partition(".")[0]
    if not NAMED.fullmatch(stem):
        raise ValueError(f"{row.place}: lacks `{name}`, and {file.name} is not named after a relation (P19.jsonl)")
    return stem


def read_facts(files: Sequence[Path]) -> Iterator[Fact]:
    """The facts of files in the form of LAMA's T-REx.

    Raises:
        ValueError: a line lacks subject, object or relation.
    """
    for file in files:
        for row in json_rows(file):
            yield Fact(row, _relation(row, file, RELATION), row.text("sub_label"), row.text("obj_label"))


def read_templates(files: Sequence[Path], relation: str, pattern: str) -> dict[str, list[Pattern]]:
    """The different patterns of each relation, in the order of the files.

    Args:
        relation: the name under which a line has its relation.
        pattern: the name under which it has its pattern.

    Raises:
        ValueError: a pattern has not one [X] and one [Y].
    """
    found: dict[str, dict[str, Pattern]] = {}
    for file in files:
        for row in json_rows(file):
            text = row.text(pattern)
            if text.count(SUBJECT) != 1 or text.count(OBJECT) != 1:
                raise ValueError(f"{row.place}: {text!r} must hold {SUBJECT} once and {OBJECT} once")
            found.setdefault(_relation(row, file, relation), {}).setdefault(text, Pattern(row.place, text))
    return {name: list(patterns.values()) for name, patterns in found.items()}


def objects_of(facts: Iterable[Fact]) -> dict[str, tuple[str, ...]]:
    """The different objects of each relation: what may be answered.

    Raises:
        ValueError: a relation has one object only.
    """
    found: dict[str, dict[str, None]] = {}
    first: dict[str, str] = {}
    for fact in facts:
        found.setdefault(fact.relation, {})[fact.object] = None
        first.setdefault(fact.relation, fact.row.place)
    for relation, objects in found.items():
        if len(objects) < 2:
            raise ValueError(f"{first[relation]}: all facts of {relation} have one object, so there is nothing to ask")
    return {relation: tuple(objects) for relation, objects in found.items()}


def texts_of(pattern: str, subject: str) -> tuple[str, str]:
    """What stands before and after the object."""
    before, after = pattern.split(OBJECT)
    return before.replace(SUBJECT, subject), after.replace(SUBJECT, subject)
