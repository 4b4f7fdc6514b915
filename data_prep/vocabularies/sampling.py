"""Which text a vocabulary is trained on: all of it, or passages drawn by a keyed hash, with a budget per source and
language.

    1. the characters wanted are divided evenly over the sources; a source that has fewer gives what it does not need to
       the others
    2. a part gets of each source's budget what it holds of the source, and divides it evenly over the languages that
       occur in it
    3. of every document, by a hash of its id and line, so many passages of a thousand characters as its language's
       budget allows

    budget 10, sources {a: 2, b: 30, c: 30}   ->   a 2, b 4, c 4
    9 passages, share 1/3, phase .5           ->   passages 1, 4 and 7

So the sample is a function of (plan, part), and no source and no language is left out because of where it stands in the
corpus.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import TypeVar

from data_prep.planned import Plan
from masking.keyed import hash_key, uniform

K = TypeVar("K")
PASSAGE = 1000
WORD_EDGE = 64
"""A passage begins after white space when there is some so many characters before its edge."""


def even_budgets(budget: float, sizes: Mapping[K, float]) -> dict[K, float]:
    """``budget`` evenly over ``sizes``; none gets more than its size, and what it leaves goes to the others."""
    found: dict[K, float] = {}
    for waiting, (name, size) in zip(
        range(len(sizes), 0, -1), sorted(sizes.items(), key=lambda item: item[1]), strict=True
    ):
        found[name] = min(size, budget / waiting)
        budget -= found[name]
    return found


@dataclass(frozen=True, kw_only=True)
class Sample:
    """How much of each source is read."""

    characters_per_byte: Mapping[str, float]
    """By source: wanted characters for each byte of its text."""

    @staticmethod
    def of(plan: Plan, characters: int) -> Sample | None:
        """A sample of about so many characters; None: the corpus is no larger, all of it is read."""
        sizes: dict[str, float] = {**plan.source_bytes()}
        if sum(sizes.values()) <= characters:  # a character has at least one byte
            return None
        return Sample(
            characters_per_byte={
                name: budget / max(sizes[name], 1) for name, budget in even_budgets(characters, sizes).items()
            }
        )

    def shares(
        self, part_bytes: Mapping[str, int], characters: Mapping[tuple[str, str], int]
    ) -> dict[tuple[str, str], float]:
        """The share of each (source, language) that is read in a part which holds ``part_bytes`` of each source."""
        found: dict[tuple[str, str], float] = {}
        for source, size in part_bytes.items():
            present = {group: float(count) for group, count in characters.items() if group[0] == source and count}
            budgets = even_budgets(size * self.characters_per_byte[source], present)
            found.update({group: budget / present[group] for group, budget in budgets.items()})
        return found


def chosen(identity: str, line: int, characters: int, share: float) -> list[int]:
    """Numbers of the passages of a document that are read: every 1/share-th from a keyed one. (Its ``line``, for ids
    given twice.)"""
    passages = -(-characters // PASSAGE)
    if share >= 1:
        return list(range(passages))
    phase = uniform(hash_key("vocabulary", identity, line), 0)
    last = int(passages * share + phase)
    found = (
        int((number - phase) / share) for number in range(1, last + 1)
    )  # the first k with floor((k + 1) share + phase) >= number
    return sorted({min(number, passages - 1) for number in found})


def passages(text: str, numbers: Iterable[int]) -> str:
    """Those passages of ``text``, a line break between them."""
    return "\n".join(text[_edge(text, number * PASSAGE) : _edge(text, (number + 1) * PASSAGE)] for number in numbers)


def _edge(text: str, position: int) -> int:
    """Where a passage begins, so that no word is cut where words are divided by spaces."""
    if position == 0 or position >= len(text):
        return min(position, len(text))
    return text.rfind(" ", max(0, position - WORD_EDGE), position) + 1 or position
