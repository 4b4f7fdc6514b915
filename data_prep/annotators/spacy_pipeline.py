"""Entities and noun phrases from a spaCy pipeline that the user has: NER, EntityRuler, noun chunks.

    "Marie Curie lived in Paris."  with `take: entities`     ->   [0, 11) PERSON, [21, 26) GPE      origin `ner`
    "The old town sleeps."         with `take: noun_chunks`  ->   [0, 12) NP                        origin `pos`

The pipeline sees one sentence at a time and only the components it needs. Entities of a pipeline whose only source is
an EntityRuler have the origin `lexicon`. Nothing is downloaded: name an installed pipeline, or a folder that
``nlp.to_disk`` wrote.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

from data_prep.annotators import Annotator
from data_prep.documents import Document, Label, Spans, Units
from data_prep.spacy_pipelines import (
    LEMMATIZERS,
    PARSERS,
    RECOGNISERS,
    SENTENCES,
    TAGGERS,
    Pipeline,
    factories,
    pipeline,
)

RULERS = frozenset({"entity_ruler", "future_entity_ruler", "span_ruler"})
UNNEEDED = {
    "entities": SENTENCES | LEMMATIZERS | PARSERS | TAGGERS,
    "noun_chunks": RECOGNISERS | SENTENCES | LEMMATIZERS,
}
PROBE = "It rained."


@dataclass(frozen=True, kw_only=True)
class SpacyPipeline(Annotator):
    """What a spaCy pipeline finds."""

    pipeline: str
    """Name of an installed pipeline (`en_core_web_sm`) or its folder."""
    take: str = "entities"
    """`entities` (doc.ents), or `noun_chunks` (needs a parser, and a language for which spaCy has them: not
    Chinese)."""
    types: dict[str, str] = field(default_factory=dict)
    """The pipeline's label -> the type a unit gets; labels not listed are left out. Empty takes all labels as they
    are."""
    languages: list[str] = field(default_factory=list)
    """Only documents of these languages are read; empty for the pipeline's own."""

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.take not in ("entities", "noun_chunks"):
            raise ValueError(f"take: {self.take!r} is not one of entities, noun_chunks")
        if self.take == "noun_chunks" and self.types:
            raise ValueError("types: noun chunks are all of the type NP; leave `types` out")
        if not all(self.types.values()):
            raise ValueError("types: each label needs a type")

    @cached_property
    def _pipeline(self) -> Pipeline:
        found = pipeline(self.pipeline, UNNEEDED[self.take])
        if self.take == "noun_chunks":
            try:
                list(found.nlp(PROBE).noun_chunks)
            except (ValueError, NotImplementedError):
                why = (
                    "it has no parser"
                    if "noun_chunks" in found.nlp.Defaults.syntax_iterators
                    else f"spaCy has none for the language {found.nlp.lang!r}"
                )
                raise ValueError(
                    f"take: the spaCy pipeline {self.pipeline!r} finds no noun chunks: {why}. Use a pipeline with a "
                    "parser, or `kind: chunks`."
                ) from None
        return found

    def _sources(self) -> dict[str, str]:
        """The components that make entities, with their factories."""
        nlp = self._pipeline.nlp
        makers = {
            name: factory
            for name, factory in factories(nlp).items()
            if factory in RULERS or "doc.ents" in nlp.get_pipe_meta(name).assigns
        }
        if not makers and not self.types:
            raise ValueError(
                f"pipeline: {self.pipeline!r} has no component that finds entities (its components: "
                f"{', '.join(self._pipeline.components) or 'none'}). Train or add an `ner` or `entity_ruler`; if a "
                "component of your own finds them, list its labels under `types`."
            )
        return makers

    @cached_property
    def _kinds(self) -> dict[str, str]:
        """The pipeline's label -> type."""
        if self.take == "noun_chunks":
            return {"NP": "NP"}
        if self.types:
            return self.types
        labels = self._pipeline.nlp.pipe_labels
        return {label: label for name in self._sources() for label in labels.get(name, [])}

    @cached_property
    def _numbers(self) -> dict[str, int]:
        """Type -> number of its label."""
        return {label.type: number for number, label in enumerate(self.labels())}

    def labels(self) -> list[Label]:
        if self.take == "noun_chunks":
            return [Label("NP", "pos")]
        factories_used = set(self._sources().values())
        origin = "lexicon" if factories_used and factories_used <= RULERS else "ner"
        return [Label(kind, origin) for kind in sorted(set(self._kinds.values()))]

    def annotate(self, document: Document, sentences_S2: Spans) -> Units:
        if not self._pipeline.reads(document, self.languages):
            return Units.of([])
        return Units.of((start, end, self._numbers[kind]) for start, end, kind in self._found(document, sentences_S2))

    def _found(self, document: Document, sentences_S2: Spans) -> Iterator[tuple[int, int, str]]:
        for offset, doc in self._pipeline.analysed(document, sentences_S2):
            for span in doc.ents if self.take == "entities" else doc.noun_chunks:
                label = span.label_ if self.take == "entities" else "NP"
                kind = self._kinds.get(label)
                if kind is None and not self.types:
                    raise ValueError(
                        f"pipeline: {self.pipeline!r} found an entity {label!r} that none of its components "
                        "announces; list its labels under `types`"
                    )
                if kind is not None and span.text.strip():
                    text = span.text
                    start = offset + span.start_char + len(text) - len(text.lstrip())
                    yield start, start + len(text.strip()), kind

    def fingerprint(self) -> dict[str, Any]:
        settings = {"take": self.take, "types": dict(sorted(self.types.items())), "languages": sorted(self.languages)}
        return {"kind": "spacy_pipeline", "level": self.level, **settings, "pipeline": self._pipeline.identity()}
