"""Results of several models as one table: mean over the pieces (seeds) of a measurement, and their deviation.

folders {"start": OUT/start, "ours": OUT/ours}  ->  figure         start          ours
                                                    cloze accuracy .412           .455
                                                    sentiment      .871 ± .004    .889 ± .003
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from statistics import fmean, stdev

Values = dict[str, dict[str, dict[str, list[float]]]]


def values_of(folders: Mapping[str, Path]) -> Values:
    """Values of every piece, by measure, figure and model.

    Raises:
        ValueError: a folder holds no results.
    """
    from pretrain.evaluation.results import load, pieces

    found: Values = {}
    for model, folder in folders.items():
        measures = (
            sorted(path for path in folder.glob("*") if path.is_dir() and pieces(path)) if folder.is_dir() else []
        )
        if not measures:
            raise ValueError(f"{folder}: no results of an evaluation there; `kmask eval SUITE.yaml` writes them")
        for path in measures:
            for piece in pieces(path):
                for name, outcome in load(path, piece).outcomes.items():
                    found.setdefault(path.name, {}).setdefault(name, {}).setdefault(model, []).append(outcome.value)
    return found


def shown(values: list[float] | None) -> str:
    """Mean and standard deviation (n - 1): .889 ± .003; of one value that alone."""
    if not values:
        return "–"
    mean = _short(fmean(values))
    return mean if len(values) == 1 else f"{mean} ± {_short(stdev(values))}"


def _short(value: float) -> str:
    text = f"{value:.3f}" if abs(value) < 10 else f"{value:.1f}"
    return text.replace("0.", ".", 1) if abs(value) < 1 else text


def table_lines(folders: Mapping[str, Path]) -> list[str]:
    """The table, models across."""
    rows: list[list[str]] = [["", *folders]]
    for measure, figures in values_of(folders).items():
        for figure, models in figures.items():
            rows.append([f"{measure} {figure}", *(shown(models.get(model)) for model in folders)])
    widths = [max(len(row[column]) for row in rows) for column in range(len(rows[0]))]
    return [
        "  ".join(
            cell.ljust(width) if not column else cell.rjust(width)
            for column, (cell, width) in enumerate(zip(row, widths, strict=True))
        ).rstrip()
        for row in rows
    ]
