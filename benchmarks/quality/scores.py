"""Precision, recall and F1 of spans, tables of them, and the preparation that the parts measure.

    Score().plus(found={(0, 2), (2, 3)}, gold={(0, 2), (2, 4)}).cells()   ->   ["50.0", "50.0", "50.0"]

Figures are per cent; a span counts when both its edges are right.
"""

from __future__ import annotations

import sys
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from data_prep.annotating.annotation import WORD, Annotation
from data_prep.annotators import Annotator
from data_prep.preparing.plan import Preparation

REAL = Path(__file__).resolve().parents[1] / "real" / "data.yaml"
"""The preparation whose segmenters and lexicons are measured."""


class Score(NamedTuple):
    """Spans in common, found, and in the gold set."""

    common: int = 0
    found: int = 0
    gold: int = 0

    def plus(self, found: Iterable[Any], gold: Iterable[Any]) -> Score:
        """With the spans of one more text."""
        found, gold = set(found), set(gold)
        return Score(self.common + len(found & gold), self.found + len(found), self.gold + len(gold))

    def cells(self) -> list[str]:
        """Precision, recall and F1 in per cent."""
        precision, recall = self.common / max(1, self.found), self.common / max(1, self.gold)
        return [
            f"{100 * value:.1f}"
            for value in (precision, recall, 2 * precision * recall / max(1e-9, precision + recall))
        ]


def table(title: str, head: Sequence[str], rows: Sequence[Sequence[str]]) -> None:
    """Print aligned columns, the first to the left and the others to the right."""
    widths = [max(len(row[column]) for row in [head, *rows]) for column in range(len(head))]
    print(f"\n{title}\n")
    for row in [head, *rows]:
        print(
            "  ".join(
                cell.ljust(width) if column == 0 else cell.rjust(width)
                for column, (cell, width) in enumerate(zip(row, widths, strict=True))
            )
        )
    sys.stdout.flush()


def annotation_of(preparation: Preparation, annotators: Sequence[Annotator]) -> Annotation:
    """The preparation's segmenters with these annotators."""
    labels = dict.fromkeys([WORD, *(label for annotator in annotators for label in annotator.labels())])
    numbered = {label: number for number, label in enumerate(labels)}
    languages = preparation.cleaning.known
    return Annotation(
        segmenters=preparation.all_segmenters, annotators=annotators, labels=numbered, languages=languages
    )
