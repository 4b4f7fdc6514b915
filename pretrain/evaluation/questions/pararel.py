"""ParaRel (Elazar et al. 2021): the same facts asked in several wordings, which should get the same answer.

    facts      {"predicate_id": "P20", "sub_label": "Dante", "obj_label": "Ravenna"}       (trex_lms_vocab/P20.jsonl)
    patterns   {"predicate_id": "P20", "pattern": "[X] passed away in [Y]."}              (graphs_json/P20.jsonl)

Each fact is asked in each pattern of its relation; candidates are all objects that the files of facts give the
relation. As in the published program a wording is left out where `a` or `an` before [Y] does not fit the object.
Facts of relations without patterns are left out, and patterns without facts.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

from pretrain.evaluation.facts import RELATION, objects_of, read_facts, read_templates, texts_of
from pretrain.evaluation.questions import Question, Questions
from pretrain.evaluation.text_rows import check_files

ARTICLE = re.compile(r"\b(an?) \[Y\]")


@dataclass(frozen=True, kw_only=True)
class Pararel(Questions):
    """Objects of facts, each asked in all patterns of its relation."""

    SOURCE: ClassVar[str] = "github.com/yanaiela/pararel; Elazar et al. 2021, TACL"

    paths: list[str]
    """Files of facts, an object on each line (`P20.jsonl`, `.gz` too)."""
    patterns: list[str]
    """Files of patterns, an object on each line."""

    def files(self) -> Sequence[Path]:
        return [*check_files("paths", self.paths), *check_files("patterns", self.patterns)]

    def read(self) -> Iterator[Question]:
        patterns = read_templates(check_files("patterns", self.patterns), RELATION, "pattern")
        facts = {fact.key: fact for fact in read_facts(check_files("paths", self.paths)) if fact.relation in patterns}
        if not facts:
            raise ValueError(f"patterns: {', '.join(self.patterns)} have none for the relations of the facts")
        objects = objects_of(facts.values())
        for key, fact in facts.items():
            for pattern in patterns[fact.relation]:
                if _article_fits(pattern.text, fact.object):
                    yield Question(
                        texts=texts_of(pattern.text, fact.subject),
                        candidates=objects[fact.relation],
                        answer=objects[fact.relation].index(fact.object),
                        place=f"{fact.row.place} in the words of {pattern.place}",
                        group=fact.relation,
                        fact="\t".join(key),
                    )


def _article_fits(pattern: str, answer: str) -> bool:
    found = ARTICLE.search(pattern)
    return found is None or (found[1] == "an") == (answer[0].lower() in "aeiou")
