"""Small plots as HTML, drawn from numbers: no library, nothing fetched, colours from the page's stylesheet.

length_histogram([0, 3, 9, 4], edges)  ->  <svg> with a logarithmic axis and a mark at the median
"""

from __future__ import annotations

from collections.abc import Sequence
from math import log
from typing import NamedTuple

from launch.shell.formatting import percent, short

WIDTH, HEIGHT, FOOT = 300, 74, 16


def bar(share: float, colour: str = "") -> str:
    """A horizontal bar that fills ``share`` of its cell."""
    if share <= 0:
        return ""
    style = f"width:{100 * min(max(share, 0.0), 1.0):.1f}%" + (f";background:{colour}" if colour else "")
    return f'<div class="bar" style="{style}"></div>'


def quantile(counts: Sequence[int], edges: Sequence[int], share: float) -> float:
    """The value below which ``share`` of what a histogram counted lies, between the ends of its bin."""
    wanted, passed = share * sum(counts), 0
    for number, count in enumerate(counts):
        if count and passed + count >= wanted:
            low, high = edges[number], edges[min(number + 1, len(edges) - 1)] - 1
            return low + (wanted - passed) / count * max(high - low, 0)
        passed += count
    return 0.0


def length_histogram(
    counts: Sequence[int], edges: Sequence[int], first: int, last: int, colour: str = "var(--bar)"
) -> str:
    """Bars over a logarithmic axis from bin ``first`` to the end of bin ``last``.

    Heights are counts for each doubling of length; a line marks the median.
    """
    if not sum(counts):
        return ""
    axis = LogarithmicAxis(edges[first], edges[last + 1])
    middle = quantile(counts, edges, 0.5)
    low, high = (quantile(counts, edges, share) for share in (0.05, 0.95))
    title = f"<title>median {middle:,.0f}, nine of ten between {low:,.0f} and {high:,.0f}</title>"
    base = f'<line class="axis" x1="0" x2="{WIDTH}" y1="{HEIGHT - FOOT}" y2="{HEIGHT - FOOT}"/>'
    bars = f'<g fill="{colour}">{density_bars(counts, edges, axis)}</g>'
    picture = f"{title}{base}{bars}{axis.ticks()}{median_mark(middle, axis)}"
    size = f'viewBox="0 0 {WIDTH} {HEIGHT}" width="{WIDTH}" height="{HEIGHT}"'
    return f'<svg {size} role="img">{picture}</svg>'


class LogarithmicAxis(NamedTuple):
    """Places of values between ``first`` and ``last`` on the width of a plot."""

    first: int
    last: int

    def place(self, value: float) -> float:
        """Distance from the left."""
        low, high = log(self.first), log(self.last)
        return (log(max(value, 1)) - low) / (high - low) * WIDTH

    def ticks(self) -> str:
        """Round numbers below the axis."""
        steps = (1, 2, 5) if self.last < 30 * self.first else (1, 3) if self.last < 1000 * self.first else (1,)
        ticks = ""
        for value in (step * 10**power for power in range(11) for step in steps):
            if self.first <= value <= self.last:
                at = self.place(value)
                anchor = "start" if at < 12 else "end" if at > WIDTH - 14 else "middle"
                name = short(value).replace(".00", "").replace(".0", "")
                ticks += f'<text x="{at:.1f}" y="{HEIGHT - 3}" text-anchor="{anchor}">{name}</text>'
        return ticks


def density_bars(counts: Sequence[int], edges: Sequence[int], axis: LogarithmicAxis) -> str:
    """A bar for each bin that counted something."""
    densities = [count / log(edges[number + 1] / edges[number]) for number, count in enumerate(counts)]
    highest = max(densities)
    bars = ""
    for number, density in enumerate(densities):
        if density:
            left, right = axis.place(edges[number]), axis.place(edges[number + 1])
            height = max(1.0, density / highest * (HEIGHT - FOOT - 14))
            place = f'x="{left:.1f}" y="{HEIGHT - FOOT - height:.1f}"'
            bars += f'<rect {place} width="{max(right - left - 0.6, 0.8):.1f}" height="{height:.1f}"/>'
    return bars


def median_mark(middle: float, axis: LogarithmicAxis) -> str:
    """A line at the median, with its value beside it."""
    at = axis.place(middle)
    side, beside = ("end", -4) if at > WIDTH - 60 else ("start", 4)
    line = f'<line class="mark" x1="{at:.1f}" x2="{at:.1f}" y1="2" y2="{HEIGHT - FOOT}"/>'
    value = short(round(middle))
    return f'{line}<text class="marked" x="{at + beside:.1f}" y="11" text-anchor="{side}">{value}</text>'


def count_histogram(counts: Sequence[int], first: int, last: int, colour: str) -> str:
    """Bars for the values first, first + 1, ... last; everything beyond is joined into a bar of its own."""
    values = [*counts[first : last + 1], *[0] * (last + 1 - max(len(counts), first)), sum(counts[last + 1 :])]
    highest, whole = max(values), sum(values)
    if not highest:
        return ""
    step = 34
    bars = ""
    for number, value in enumerate(values):
        height = value / highest * 70
        name = str(first + number) if first + number <= last else f"> {last}"
        share = percent(value, whole).replace(" %", "") if value else ""
        x, y = number * step, 90 - height
        size = f'width="{step - 6}" height="{height:.1f}"'
        bars += f'<rect x="{x + 2}" y="{y:.1f}" {size} fill="{colour}"><title>{name}: {value:,}</title></rect>'
        bars += f'<text x="{x + step / 2 - 1}" y="{y - 4:.1f}" text-anchor="middle">{share}</text>'
        bars += f'<text class="name" x="{x + step / 2 - 1}" y="104" text-anchor="middle">{name}</text>'
    width = len(values) * step
    base = f'<line class="axis" x1="0" x2="{width}" y1="90" y2="90"/>'
    return f'<svg viewBox="0 0 {width} 108" width="{width}" height="108" role="img">{base}{bars}</svg>'
