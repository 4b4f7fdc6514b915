"""Results of several models as a table: mean over the pieces (seeds) of a measurement and their deviation, and the
difference to a baseline.

                                     ────────────── ours ───────────────
                              start                change            95 %
    cloze
      accuracy                 .412         .455  ▲ +.043  +.031 to +.055
      unit_accuracy/word       .506         .561  ▲ +.055  +.036 to +.074
    sentiment accuracy  .871 ± .004  .889 ± .003  ▲ +.018  +.004 to +.031
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterator, Mapping, Sequence
from statistics import fmean, stdev
from typing import Any, NamedTuple

from launch.reports.compared.differences import Comparison
from launch.reports.compared.reading import Results
from launch.shell.formatting import counted
from launch.views.grid import Column, grid, wrapped
from launch.views.words import Line, Word

LAYER = re.compile(r"(.+)/layer (\d+)")
NONE = Word("–", "dim")
BETTER, WORSE = "▲", "▼"


class Row(NamedTuple):
    """A line of the table."""

    name: str
    measure: str
    figure: str
    """Empty: a heading; of the layers of a probe, the figure without its layer."""
    layers: Sequence[str] = ()


def rows_of(results: Results, inner: bool = True) -> Iterator[Row]:
    """Measure by measure, `accuracy/word` below `accuracy` as `word`, or left out where ``inner`` is false; the layers
    of a probe are one row."""
    for measure in results.measures:
        figures = results.figures(measure)
        layers: dict[str, list[str]] = {}
        for figure in figures:
            if found := LAYER.fullmatch(figure):
                layers.setdefault(found[1], []).append(figure)
        names = list(dict.fromkeys(found[1] if (found := LAYER.fullmatch(figure)) else figure for figure in figures))
        if len(names) > 1:
            yield Row(measure, measure, "")
        for depth, name in _nested(names):
            if depth and not inner:
                continue
            last = name.rpartition("/")[2]
            title = f"{measure} {name}" if len(names) == 1 else f"{'  ' * depth}  {last if depth else name}"
            if name in figures:
                yield Row(title, measure, name)
            if name in layers:
                yield Row(f"{title}, best layer", measure, name, layers[name])


def _nested(names: Sequence[str], above: str = "", depth: int = 0) -> Iterator[tuple[int, str]]:
    """Every name with how many others it is part of, behind these."""
    for name in names:
        parent = name.rpartition("/")[0]
        if (parent if parent in names else "") == above:
            yield depth, name
            yield from _nested(names, name, depth + 1)


def inner_figures(results: Results) -> int:
    """How many figures are parts of others."""
    return len(list(rows_of(results))) - len(list(rows_of(results, inner=False)))


def shown(values: Sequence[float]) -> str:
    """Mean and standard deviation (n - 1): .889 ± .003; of one value that alone; `–` where one is not defined."""
    if not values or not all(map(math.isfinite, values)):
        return "–"
    mean = number(fmean(values))
    return mean if len(values) == 1 else f"{mean} ± {number(stdev(values))}"


def number(value: float, sign: bool = False) -> str:
    """Three digits that matter: .889, 3.14, 17.3; `–` where it is not defined."""
    if not math.isfinite(value):
        return "–"
    text = f"{value:{'+' if sign else ''}.{3 if abs(value) < 1 else 2 if abs(value) < 10 else 1}f}"
    if not float(text):
        text = "0.000"
    return text.replace("0.", ".", 1) if abs(float(text)) < 1 else text


def interval(low: float, high: float) -> str:
    """+.004 to +.031."""
    return f"{number(low, sign=True)} to {number(high, sign=True)}"


def mark(better: bool | None, significant: bool) -> str:
    """What stands before a difference."""
    return " " if not significant or better is None else BETTER if better else WORSE


def figures_lines(results: Results, width: int) -> Iterator[Line]:
    """The figures alone, models across."""
    rows = list(rows_of(results, inner=False))
    yield from grid([row.name for row in rows], [_values(results, rows, model) for model in results.folders], width)
    if parts := inner_figures(results):
        yield from (
            [Word(line, "dim")] for line in wrapped(f"{counted(parts, 'part')} of these figures: --json", width, 0)
        )


def compared_lines(results: Results, comparison: Comparison, width: int) -> Iterator[Line]:
    """Figures and differences, then what the marks mean and what was left out."""
    rows = list(rows_of(results, inner=False))
    columns = [_values(results, rows, comparison.baseline)]
    for model in comparison.others:
        columns.append(_values(results, rows, model)._replace(above=model, head=""))
        cells = [_difference(comparison, row, model) for row in rows]
        columns.append(Column("change", [first for first, _ in cells], model))
        columns.append(Column("95 %", [second for _, second in cells], model))
    yield from grid([row.name for row in rows], columns, width)
    yield []
    parts = inner_figures(results)
    more = [f"{counted(parts, 'part')} of these figures, by length and the like: --html, --json."] if parts else []
    for text in [*explained(comparison), *more, *comparison.left_out]:
        yield from ([Word(line, "dim")] for line in wrapped(text, width, 0))


def explained(comparison: Comparison) -> list[str]:
    """What a reader must know about the differences, as sentences."""
    text = f"Changes are against {comparison.baseline}. 95 %: the middle of 10,000 draws of the examples, the same "
    text += "for both models"
    if comparison.several:
        text += "; where there are several seeds (±: their standard deviation), these are drawn again too"
    found = [text + "."]
    if comparison.main or comparison.rest:
        others = f" and, apart from these, of the {comparison.rest} others" if comparison.rest else ""
        found.append(
            f"{BETTER} better, {WORSE} worse: p < .05 after Holm's correction for the number of figures: of the "
            f"{comparison.main} that stand for a measure{others}."
        )
    return found


def _values(results: Results, rows: Sequence[Row], model: str) -> Column:
    return Column(model, [_value(results, row, model) for row in rows])


def _value(results: Results, row: Row, model: str) -> Word:
    if row.layers:
        best = best_layer(results, row, model)
        return Word(f"{number(best[1])} at {best[0]}") if best else NONE
    if not row.figure:
        return Word("")
    values = results.values(row.measure, row.figure, model)
    return Word(shown(values)) if values else NONE


def best_layer(results: Results, row: Row, model: str) -> tuple[int, float] | None:
    """The layer of the highest mean, and that mean."""
    means = {}
    for figure in row.layers:
        values = results.values(row.measure, figure, model)
        if values and all(map(math.isfinite, values)):
            means[int(figure.rpartition(" ")[2])] = fmean(values)
    return max(means.items(), key=lambda item: item[1], default=None)


def _difference(comparison: Comparison, row: Row, model: str) -> tuple[Word, Word]:
    if not row.figure or row.layers:
        return Word(""), Word("")
    found = comparison.differences[row.measure].get(model, {}).get(row.figure)
    if found is None:
        return NONE, Word("")
    style = "" if not found.significant else "good" if found.better else "bad"
    sign = mark(found.better, found.significant)
    return Word(f"{sign} {number(found.value, sign=True)}", style), Word(interval(found.low, found.high), "dim")


def values_of(results: Results) -> dict[str, dict[str, dict[str, Any]]]:
    """Every value by measure, figure and model, as plain values: of each piece, their mean and deviation."""
    found: dict[str, dict[str, dict[str, Any]]] = {}
    for measure, models in results.measures.items():
        for figure in results.figures(measure):
            for model, pieces in models.items():
                values = {
                    name: piece.found.outcomes[figure].value
                    for name, piece in pieces.items()
                    if figure in piece.found.outcomes
                }
                if values:
                    found.setdefault(measure, {}).setdefault(figure, {})[model] = _summary(values)
    return found


def _summary(values: Mapping[str, float]) -> dict[str, Any]:
    known = [value for value in values.values() if math.isfinite(value)]
    return {
        "mean": fmean(known) if len(known) == len(values) else None,
        "deviation": stdev(known) if len(known) == len(values) > 1 else None,
        "pieces": {name: value if math.isfinite(value) else None for name, value in values.items()},
    }
