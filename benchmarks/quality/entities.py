"""Gold entities against units: their edges, and precision, recall and F1 of the entity level by source."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from data_prep.annotating.annotation import CUT, Annotation
from data_prep.annotators import Annotator
from data_prep.annotators.lexicon import Lexicon
from data_prep.annotators.part_of_speech import PartOfSpeech
from data_prep.annotators.spacy_pipeline import SpacyPipeline
from data_prep.documents import Document
from data_prep.preparing.plan import Preparation
from launch.settings.components import read_config
from quality.gold_sets import Marked, entities
from quality.scores import REAL, Score, annotation_of, table

ENTITY_SETS = {
    "people's daily dev": ("zh", "ner/zh/peoples_daily_example.dev.gz"),
    "people's daily test": ("zh", "ner/zh/peoples_daily_example.test.gz"),
    "weibo dev": ("zh", "ner/zh/weibo_dev.conll.gz"),
    "cluener train": ("zh", "ner/zh/cluener_train.json.gz"),
    "wnut17 dev": ("en", "ner/en/wnut17dev.conll.gz"),
    "gum dev": ("en", "ner/en/gum_dev.conllu.gz"),
}
TYPED = ("PER", "LOC", "ORG")


def sources(preparation: Preparation, language: str, models: Path) -> dict[str, list[Annotator]]:
    """The ways to find entities that are compared; within each, earlier ones win."""
    lexicons: list[Annotator] = [annotator for annotator in preparation.annotators if isinstance(annotator, Lexicon)]
    untitled: list[Annotator] = [
        annotator for annotator in lexicons if isinstance(annotator, Lexicon) and annotator.type != "TITLE"
    ]
    hints: list[Annotator] = [PartOfSpeech(level="entity")]
    recogniser: list[Annotator] = [SpacyPipeline(level="entity", pipeline=str(models / f"{language}_ner"))]
    found: dict[str, list[Annotator]] = {"words only": [], "lexicons": lexicons, "lexicons without titles": untitled}
    if language == "zh":
        found |= {"POS hints": hints, "lexicons + hints": [*lexicons, *hints]}
    return {
        **found,
        "spaCy NER": recogniser,
        "all, lexicons first": [*lexicons, *recogniser, *hints],
        "all, NER first": [*recogniser, *lexicons, *hints],
    }


def bench_entities(data: Path, models: Path) -> None:
    """Two tables: edges, and the entity level."""
    preparation = read_config(Preparation, REAL, [])
    edges: list[list[str]] = []
    level: list[list[str]] = []
    for name, (language, file) in ENTITY_SETS.items():
        gold = entities(data / file)
        total = sum(len(sentence.entities) for sentence in gold)
        edges.append([f"{name}: {total:,} entities", *[""] * 3])
        level.append([edges[-1][0], *[""] * 7])
        for source, annotators in sources(preparation, language, models).items():
            row, scores = entity_rows(annotation_of(preparation, annotators), gold, language)
            edges.append([f"  {source}", *row])
            if annotators:
                level.append([f"  {source}", *scores])
    table(
        "Gold entities at the edges of units (%)", ["", "both edges", "exactly one unit", "words cut of 1,000"], edges
    )
    table(
        "The entity level against the gold entities (%); typed: PER, LOC and ORG on both sides, others left out",
        ["", "found", "P", "R", "F1", "typed P", "typed R", "typed F1"],
        level,
    )


def entity_rows(annotation: Annotation, gold: Sequence[Marked], language: str) -> tuple[list[str], list[str]]:
    """Cells of both tables for one way to find entities."""
    kinds = [label.type for label in annotation.labels]
    fitting = whole = cut = seen = 0
    plain, typed = Score(), Score()
    for text, marked in gold:
        document = Document(id="", language=language, text=text, title="", source="")
        annotated = annotation.annotate(document)
        spans = {
            name: set(zip(units.start_U.tolist(), units.end_U.tolist(), strict=True))
            for name, units in annotated.units.items()
        }
        inside = {place for start, end in spans["word"] for place in range(start + 1, end)}
        listed = set[tuple[int, int]]().union(*spans.values())
        on_edges = {(start, end) for start, end, _ in marked if start not in inside and end not in inside}
        fitting += len(on_edges)
        whole += sum(span in listed or span[1] - span[0] == 1 for span in on_edges)
        cut += annotated.dropped.get(CUT, 0)
        seen += len(spans["word"])
        units = annotated.units.get("entity")
        found = (
            set(
                zip(
                    units.start_U.tolist(), units.end_U.tolist(), (kinds[label] for label in units.label_U), strict=True
                )
            )
            if units
            else set()
        )
        plain = plain.plus((span[:2] for span in found), (span[:2] for span in marked))
        typed = typed.plus((span for span in found if span[2] in TYPED), (span for span in marked if span[2] in TYPED))
    total = max(1, plain.gold)
    shares = [f"{100 * fitting / total:.1f}", f"{100 * whole / total:.1f}", f"{1000 * cut / max(1, seen):.1f}"]
    return shares, [f"{plain.found:,}", *plain.cells(), *typed.cells()]
