"""Evaluated models as one self-contained page: the table, differences with intervals, curves of ordered figures."""

from __future__ import annotations

from html import escape
from math import isfinite
from statistics import fmean
from typing import Any

from launch.reports.compared.differences import Comparison
from launch.reports.compared.plots import Dot, Ladder, difference_plot, ladder_plot, ladders, names_legend
from launch.reports.compared.reading import Results
from launch.reports.compared.table import BETTER, Row, best_layer, explained, interval, mark, number, rows_of, shown
from launch.views.curve_plots import COLOURS
from launch.views.page import page

SCALES = {"exp_ratio": "perplexity"}
"""Figures that share no scale with the others, by metric."""


def comparison_page(results: Results, comparison: Comparison) -> str:
    """The whole page."""
    models = [comparison.baseline, *comparison.others]
    colours = {model: f"c{number % COLOURS}" for number, model in enumerate(models)}
    title = " · ".join(models)
    told = "".join(f"<p class=quiet>{escape(text)}</p>" for text in explained(comparison))
    sections = [
        ("main", "Measure by measure", overview(results, comparison, colours)),
        ("figures", "All figures", told + table(results, comparison)),
        *(
            (f"m{place}", name, plots(results, comparison, name, colours))
            for place, name in enumerate(results.measures)
        ),
        ("left", "Left out", "".join(f"<p>{escape(text)}</p>" for text in comparison.left_out)),
    ]
    present = [section for section in sections if section[2]]
    links = "".join(f'<a href="#{name}">{escape(heading)}</a>' for name, heading, _ in present)
    body = "".join(f'<h2 id="{name}">{escape(heading)}</h2>{content}' for name, heading, content in present)
    lines = "".join(
        f'<br><b class="{colours[model]}">{escape(model)}</b>: {escape(results.paths[model] or "model not told")}'
        f" <span class=quiet>results in {escape(str(results.folders[model]))}</span>"
        for model in models
    )
    heading = f'<h1>{escape(title)}</h1><div class="quiet">evaluation of {len(models)} models</div><p>{lines[4:]}</p>'
    return page(title, f"{heading}<nav>{links}</nav>{body}", wide=True)


def overview(results: Results, comparison: Comparison, colours: dict[str, str]) -> str:
    """The figures that stand for the measures, a plot for each kind of scale."""
    main = {measure: [results.main(measure)] for measure in results.measures}
    return _difference_cards(results, comparison, colours, main)


def plots(results: Results, comparison: Comparison, measure: str, colours: dict[str, str]) -> str:
    """The plots of a measure that has several figures: single ones as differences, ordered ones as curves."""
    figures = results.figures(measure)
    if len(figures) == 1:
        return ""
    ordered = ladders(figures)
    curves = "".join(_curve(results, measure, name, ladder, colours) for name, ladder in ordered.items())
    single = [figure for figure in figures if not any(figure in ladder.figures for ladder in ordered.values())]
    dots = "" if len(single) == 1 else _difference_cards(results, comparison, colours, {measure: single})
    return dots + (f'<div class="plots">{curves}</div>{names_legend(colours)}' if curves else "")


def _curve(results: Results, measure: str, name: str, ladder: Ladder, colours: dict[str, str]) -> str:
    values = {
        model: {
            figure: fmean(found)
            for figure in ladder.figures
            if (found := [value for value in results.values(measure, figure, model) if isfinite(value)])
        }
        for model in colours
    }
    drawn = ladder_plot(ladder, values, colours)
    return f'<div class="card"><h4>{escape(name)}</h4>{drawn}</div>' if drawn else ""


def _difference_cards(
    results: Results, comparison: Comparison, colours: dict[str, str], figures: dict[str, list[str]]
) -> str:
    scales: dict[str, list[Dot]] = {}
    for measure, names in figures.items():
        for figure in names:
            for model in comparison.others:
                one = comparison.differences[measure].get(model, {}).get(figure)
                if one is None:
                    continue
                name = f"{measure} {figure}" if len(figures) > 1 else figure
                dot = Dot(name, model, colours[model], one.value, one.low, one.high, one.significant)
                scales.setdefault(SCALES.get(_metric(results, measure, figure), ""), []).append(dot)
    cards = "".join(
        f'<div class="card"><h4>{escape(f"Change against {comparison.baseline}")}'
        f"{f', {scale} (lower is better)' if scale else ''}</h4>{difference_plot(dots)}</div>"
        for scale, dots in scales.items()
    )
    if not cards:
        return ""
    shown = {model: colour for model, colour in colours.items() if model != comparison.baseline}
    narrow = ' style="max-width:640px"' if len(scales) == 1 else ""
    about = "Bars: 95 %. Full dots: significant after Holm's correction; hollow ones: not."
    return f'<div class="plots"{narrow}>{cards}</div>{names_legend(shown)}<p class=quiet>{about}</p>'


def _metric(results: Results, measure: str, figure: str) -> str:
    pieces = [piece for model in results.measures[measure].values() for piece in model.values()]
    return str(next(piece.found.outcomes[figure].metric for piece in pieces if figure in piece.found.outcomes))


def table(results: Results, comparison: Comparison) -> str:
    """All figures; of every other model its value, difference, interval and p."""
    above = f'<th></th><th class="n">{escape(comparison.baseline)}</th>' + "".join(
        f'<th class="over" colspan="4">{escape(model)}</th>' for model in comparison.others
    )
    heads = '<th></th><th class="n"></th>' + "".join(
        f'<th class="n{" first" if not place else ""}">{head}</th>'
        for _ in comparison.others
        for place, head in enumerate(("value", "change", "95 %", "p"))
    )
    lines = "".join(f"<tr>{_cells(results, comparison, row)}</tr>" for row in rows_of(results))
    return f'<div class="scroll"><table class="matrix"><tr>{above}</tr><tr>{heads}</tr>{lines}</table></div>'


def _cells(results: Results, comparison: Comparison, row: Row) -> str:
    name = escape(row.name.strip())
    if not row.figure:
        return f'<td class="name" colspan="{2 + 4 * len(comparison.others)}">{name}</td>'
    inset = 9 * (len(row.name) - len(row.name.lstrip()))
    inner = f'<span style="padding-left:{inset}px">{name}</span>' if inset else name
    cells = f'<td class="name">{inner}</td><td class="n">{_value(results, row, comparison.baseline)}</td>'
    for model in comparison.others:
        cells += f'<td class="n first">{_value(results, row, model)}</td>'
        found = comparison.differences[row.measure].get(model, {}).get(row.figure)
        cells += '<td class="n quiet" colspan="3">·</td>' if found is None or row.layers else _difference(found)
    return cells


def _value(results: Results, row: Row, model: str) -> str:
    if row.layers:
        best = best_layer(results, row, model)
        return f"{number(best[1])} <small>at {best[0]}</small>" if best else "–"
    return escape(shown(results.values(row.measure, row.figure, model)))


def _difference(found: Any) -> str:
    sign = mark(found.better, found.significant)
    style = "" if not found.significant else " s-good" if sign == BETTER else " s-bad"
    told = (
        f"{found.examples:,} examples, {found.differing:,} of them differ; p {found.p:.4f}, after Holm's correction "
        f"for {found.among} figures {found.adjusted:.4f}"
    )
    p = "< .001" if found.adjusted < 0.001 else number(found.adjusted)
    return (
        f'<td class="n{style}" title="{escape(told)}">{sign} {number(found.value, sign=True)}</td>'
        f'<td class="n quiet">{interval(found.low, found.high)}</td><td class="n quiet">{p}</td>'
    )
