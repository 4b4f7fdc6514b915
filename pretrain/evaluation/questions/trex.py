"""T-REx facts of LAMA (Petroni et al. 2019): whose object is asked for, in a sentence or in the relation's template.

    {"predicate_id": "P19", "sub_label": "Dante", "obj_label": "Florence",
     "evidences": [{"masked_sentence": "Dante was born in [MASK].", ...}]}
    templates (relations.jsonl)   {"relation": "P19", "template": "[X] was born in [Y] ."}

Candidates are all objects that the files give the relation (typed querying: Kassner et al. 2021), so an object may
have several tokens and models of different vocabularies compare; LAMA itself asks the whole vocabulary for one token,
which gives lower figures. A sentence is the first evidence's; where it hides the object several times, the first blank
is asked. With templates each fact is asked once.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import ClassVar

from pretrain.evaluation.facts import Fact, objects_of, read_facts, read_templates, texts_of
from pretrain.evaluation.questions import Question, Questions
from pretrain.evaluation.text_rows import check_files

MASK = "[MASK]"


@dataclass(frozen=True, kw_only=True)
class Trex(Questions):
    """Objects of facts, by relation."""

    SOURCE: ClassVar[str] = "github.com/facebookresearch/LAMA; Petroni et al. 2019, EMNLP"

    paths: list[str]
    """Files of facts, an object on each line (`P19.jsonl`, `.gz` too)."""
    templates: list[str] = field(default_factory=list)
    """Files of templates (LAMA's `relations.jsonl`); without them sentences are asked."""

    def files(self) -> Sequence[Path]:
        return [
            *check_files("paths", self.paths),
            *(check_files("templates", self.templates) if self.templates else []),
        ]

    def read(self) -> Iterator[Question]:
        facts = list(read_facts(check_files("paths", self.paths)))
        objects = objects_of(facts)
        templates = (
            read_templates(check_files("templates", self.templates), "relation", "template") if self.templates else {}
        )
        asked: set[tuple[str, str, str]] = set()
        for fact in facts:
            if not self.templates:
                texts = tuple(_sentence(fact).split(MASK))
            elif fact.relation not in templates:
                raise ValueError(f"{fact.row.place}: no template of {fact.relation} in {', '.join(self.templates)}")
            elif fact.key in asked:
                continue
            else:
                texts = texts_of(templates[fact.relation][0].text, fact.subject)
            asked.add(fact.key)
            yield Question(
                texts=texts,
                candidates=objects[fact.relation],
                answer=objects[fact.relation].index(fact.object),
                place=fact.row.place,
                group=fact.relation,
            )


def _sentence(fact: Fact) -> str:
    """The sentence with [MASK] of a fact: its own, or that of its first evidence."""
    values = fact.row.values
    evidences = values.get("evidences")
    found = values.get("masked_sentence")
    if found is None and isinstance(evidences, list) and evidences and isinstance(evidences[0], dict):
        found = evidences[0].get("masked_sentence")
    if found is None:
        raise ValueError(
            f"{fact.row.place}: lacks `masked_sentence`, its own or in `evidences`; set `templates` to ask in "
            "templates of relations"
        )
    if not isinstance(found, str) or MASK not in found:
        raise ValueError(f"{fact.row.place}: no {MASK} in the masked sentence {str(found)[:60]!r}")
    return found
