"""Classes of texts: sentiment, topic, acceptability."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

from pretrain.evaluation.readers.splits import Example
from pretrain.evaluation.readers.tables import rows
from pretrain.evaluation.tasks import Problem, Task
from pretrain.evaluation.tasks._texts import Classes, check_columns, check_figures

ROLES = ("text", "label")


@dataclass(frozen=True, kw_only=True)
class Classification(Task):
    """One text, one of several classes."""

    columns: dict[str, str | int] = field(default_factory=lambda: {name: name for name in ROLES})
    """Where `text` and `label` stand: names in the header (of JSON: keys), or numbers from 0 in a file without one."""
    separator: str = "\t"
    """Between the columns of a file that is no JSON."""
    ignore: list[str] = field(default_factory=list)
    """Labels whose examples are left out."""
    figures: list[str] = field(default_factory=list)
    """What is reported; the first one chooses. `accuracy`, `macro_f1` (both by default); of two classes also `f1` and
    `matthews`."""
    positive: str = ""
    """The class that `f1` is of; empty: the last in the order of their names."""

    def __post_init__(self) -> None:
        super().__post_init__()
        check_columns(self.columns, ROLES, self.separator)
        check_figures(self.figures, False)

    def examples(self, path: Path) -> list[Example]:
        return [
            Example(row.place, (row.values["text"],), row.values["label"].strip())
            for row in rows(path, self.columns, self.separator)
            if row.values["label"].strip() not in self.ignore
        ]

    def bind(self) -> Problem:
        return Classes(self.divided(), self.train, self.figures or ["accuracy", "macro_f1"], self.positive)
