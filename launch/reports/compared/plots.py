"""The plots of a comparison: differences as dots with their intervals, and figures that have an order as curves.

difference_plot([Dot("cloze accuracy", "ours", "c1", .043, .031, .055, True), ...])   dots and intervals around 0
ladders(["acc/layer 0", "acc/layer 1", "unit/3"])   {"acc": Ladder("layer", ["0", "1"], [...])}: what has an order
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from html import escape
from typing import NamedTuple

from launch.views.curve_plots import WIDTH, tick_text, ticks

NAME_WIDTH, ROW, TOP, FOOT, PAD = 190, 17, 6, 22, 14
STEP = re.compile(r"(?P<kind>[^\d/]*?) ?(?P<from>\d+)(?P<to>-\d+|\+)?")
UNITS = {"": "length in tokens", "layer": "layer (0: embeddings)", "seen": "times seen in training"}
"""What stands below a curve, by the word before the number in the names of its figures."""


class Dot(NamedTuple):
    """A difference."""

    name: str
    model: str
    colour: str
    value: float
    low: float
    high: float
    significant: bool


class Ladder(NamedTuple):
    """Figures that differ in a number alone."""

    unit: str
    steps: Sequence[str]
    figures: Sequence[str]


def ladders(figures: Sequence[str]) -> dict[str, Ladder]:
    """Figures whose last part is a number or a range, by what stands before it; at least two each, in order."""
    found: dict[str, list[tuple[int, str, str, str]]] = {}
    for figure in figures:
        before, _, last = figure.rpartition("/")
        if before and (step := STEP.fullmatch(last)):
            kind, shown = step["kind"], step["from"] + (step["to"] or "").replace("-", "–")
            found.setdefault(f"{before}/{kind}", []).append((int(step["from"]), shown, figure, kind))
    return {
        name.rstrip("/"): Ladder(
            UNITS.get(some[0][3], some[0][3]), [step for _, step, _, _ in some], [figure for _, _, figure, _ in some]
        )
        for name, some in ((name, sorted(items)) for name, items in found.items())
        if len(some) > 1
    }


def difference_plot(dots: Sequence[Dot]) -> str:
    """A row for each name, the models below each other within it."""
    names = list(dict.fromkeys(dot.name for dot in dots))
    low, high = min(0.0, *(dot.low for dot in dots)), max(0.0, *(dot.high for dot in dots))
    if low == high:
        low, high = -1.0, 1.0
    parts, y = [], TOP

    def x(value: float) -> float:
        return NAME_WIDTH + PAD + (value - low) / (high - low) * (WIDTH - NAME_WIDTH - 2 * PAD)

    for name in names:
        some = [dot for dot in dots if dot.name == name]
        middle = y + len(some) * ROW / 2
        shown = name if len(name) <= 30 else name[:29] + "…"
        parts.append(
            f'<text class="name" x="0" y="{middle + 4:.1f}">{escape(shown)}<title>{escape(name)}</title></text>'
        )
        for dot in some:
            parts.append(_dot(dot, [x(value) for value in (dot.low, dot.value, dot.high)], y + ROW / 2))
            y += ROW
        y += 5
    grid = "".join(_upright(value, x(value), y) for value in ticks(low, high, 4))
    size = f'viewBox="0 0 {WIDTH} {y + FOOT}"'
    return f'<svg class="plot" {size} role="img">{grid}{"".join(parts)}</svg>'


def _dot(dot: Dot, places: Sequence[float], y: float) -> str:
    low, middle, high = places
    told = f"{dot.name}, {dot.model}: {dot.value:+.4f}, 95 % {dot.low:+.4f} to {dot.high:+.4f}"
    line = f'<line class="range" x1="{low:.1f}" x2="{high:.1f}" y1="{y:.1f}" y2="{y:.1f}"/>'
    ring = "" if dot.significant else " hollow"
    point = f'<circle class="{dot.colour}{ring}" cx="{middle:.1f}" cy="{y:.1f}" r="4"/>'
    return f'<g class="{dot.colour}">{line}{point}<title>{escape(told)}</title></g>'


def _upright(value: float, x: float, bottom: float) -> str:
    kind = "axis" if abs(value) > 1e-12 else "zero"
    line = f'<line class="{kind}" x1="{x:.1f}" x2="{x:.1f}" y1="0" y2="{bottom:.1f}"/>'
    text = f"{value:+,.0f}" if abs(value) >= 1000 else f"{value:+.3g}" if kind == "axis" else "0"
    return f'{line}<text x="{x:.1f}" y="{bottom + 15:.1f}" text-anchor="middle">{text}</text>'


HEIGHT, LEFT, RIGHT = 200, 46, 16


def ladder_plot(ladder: Ladder, values: Mapping[str, Mapping[str, float]], colours: Mapping[str, str]) -> str:
    """A curve for each model over the steps of a ladder.

    Args:
        values: by model and figure.
    """
    every = [value for some in values.values() for value in some.values()]
    if not every:
        return ""
    low, high = min(every), max(every)
    room = (high - low) * 0.06 or abs(high) * 0.1 or 0.1
    low, high = low - room, high + room

    def x(place: int) -> float:
        return LEFT + 14 + place / (len(ladder.steps) - 1) * (WIDTH - LEFT - RIGHT - 28)

    def y(value: float) -> float:
        return 8 + (high - value) / (high - low) * (HEIGHT - 48)

    parts = []
    for value in ticks(low, high):
        line = f'<line class="axis" x1="{LEFT}" x2="{WIDTH - RIGHT}" y1="{y(value):.1f}" y2="{y(value):.1f}"/>'
        parts.append(
            f'{line}<text x="{LEFT - 6}" y="{y(value) + 4:.1f}" text-anchor="end">{tick_text(value, abs(high))}</text>'
        )
    for place, step in enumerate(ladder.steps):
        parts.append(f'<text x="{x(place):.1f}" y="{HEIGHT - 24}" text-anchor="middle">{escape(step)}</text>')
    parts.append(f'<text x="{(LEFT + WIDTH) / 2}" y="{HEIGHT - 7}" text-anchor="middle">{escape(ladder.unit)}</text>')
    for model, some in values.items():
        points = [(x(place), y(some[figure]), figure) for place, figure in enumerate(ladder.figures) if figure in some]
        line = " ".join(f"{left:.1f},{top:.1f}" for left, top, _ in points)
        parts.append(f'<polyline class="{colours[model]}" points="{line}"/>')
        for left, top, figure in points:
            title = f"<title>{escape(f'{model}, {figure}: {some[figure]:.4f}')}</title>"
            parts.append(f'<circle class="{colours[model]}" cx="{left:.1f}" cy="{top:.1f}" r="3">{title}</circle>')
    return f'<svg class="plot" viewBox="0 0 {WIDTH} {HEIGHT}" role="img">{"".join(parts)}</svg>'


def names_legend(colours: Mapping[str, str]) -> str:
    """The models in their colours."""
    names = "".join(f'<span class="{colour}">{escape(model)}</span>' for model, colour in colours.items())
    return f'<div class="curves">{names}</div>'
