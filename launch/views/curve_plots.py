"""Curves over the steps of a run as SVG: mean lines over bands from the lowest to the highest value, stages as stripes.

    curve_plot([Series("train", "c0", steps, means, lows, highs)], Frame(0, 4000, stripes, marks))  ->  <svg>

No script and nothing fetched; colours come from the page's stylesheet (classes c0, c1, ...), in light and dark.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from html import escape
from math import floor, log10
from typing import NamedTuple

from launch.shell.formatting import short

WIDTH, HEIGHT = 520, 190
LEFT, RIGHT, TOP, FOOT = 50, 6, 20, 20
COLOURS = 8
"""Classes c0 to c7."""
FEW = 60
"""Up to so many points each is drawn as a dot."""


class Series(NamedTuple):
    """A curve; B points."""

    name: str
    colour: str
    """Class of the stylesheet: c0 to c7."""
    step_B: Sequence[float]
    mean_B: Sequence[float]
    low_B: Sequence[float] = ()
    high_B: Sequence[float] = ()
    dots: bool = False


class Stripe(NamedTuple):
    """A stage."""

    name: str
    begin: float
    end: float


class Sign(NamedTuple):
    """Something that happened at a step."""

    kind: str
    """Class m-KIND of the stylesheet."""
    step: float
    title: str


@dataclass(frozen=True)
class Frame:
    """What all plots of a run share."""

    first: float
    last: float
    stripes: Sequence[Stripe] = ()
    signs: Sequence[Sign] = ()

    def x(self, step: float) -> float:
        """Place of a step."""
        share = (step - self.first) / max(self.last - self.first, 1e-9)
        return LEFT + min(max(share, 0.0), 1.0) * (WIDTH - LEFT - RIGHT)


class Scale(NamedTuple):
    """Values on the height of a plot."""

    low: float
    high: float

    def y(self, value: float) -> float:
        """Place of a value; what lies outside is drawn at the edge."""
        share = (value - self.low) / (self.high - self.low)
        return TOP + (1 - min(max(share, 0.0), 1.0)) * (HEIGHT - TOP - FOOT)


def curve_plot(series: Sequence[Series], frame: Frame, line: tuple[str, float] | None = None) -> str:
    """The picture; ``line`` is a level with a name, as of the majority share."""
    if not any(one.mean_B for one in series):
        return ""
    scale = scale_of(series, line[1] if line else None)
    parts = [stripes(frame), axes(scale, frame)]
    if line:
        y = scale.y(line[1])
        parts.append(f'<line class="level" x1="{LEFT}" x2="{WIDTH - RIGHT}" y1="{y:.1f}" y2="{y:.1f}"/>')
    parts += [band(one, frame, scale) for one in series]
    parts.append(signs(frame))
    parts += [path(one, frame, scale) for one in series]
    size = f'viewBox="0 0 {WIDTH} {HEIGHT}"'
    return f'<svg class="plot" {size} role="img">{"".join(parts)}</svg>{legend(series, line)}'


def scale_of(series: Sequence[Series], level: float | None) -> Scale:
    """From the lowest to the highest mean; a few values far above all others run out of the picture."""
    values = sorted(value for one in series for value in one.mean_B)
    low, high = values[0], values[-1]
    usual = values[int(0.98 * (len(values) - 1))]
    if usual > 0 and high > 2 * usual:
        high = 1.2 * usual
    if level is not None:
        low, high = min(low, level), max(high, level)
    if low > 0 and low < 0.5 * high:
        low = 0.0
    room = (high - low) * 0.05 or abs(high) * 0.1 or 1.0
    return Scale(low if low == 0 else low - room, high + room)


def ticks(low: float, high: float, count: int = 4) -> list[float]:
    """Round values between two: (0, 9.3) -> 0, 2.5, 5, 7.5."""
    rough = (high - low) / count
    power = 10.0 ** floor(log10(rough))
    step = next(size * power for size in (1, 2, 2.5, 5, 10) if size * power >= rough * 0.999)
    number = -floor(-low / step)
    found = []
    while number * step <= high + 1e-9 * step:
        found.append(number * step)
        number += 1
    return found


def tick_text(value: float, widest: float) -> str:
    """A value at an axis."""
    if not value:
        return "0"
    if widest < 0.01:
        return f"{value:.1e}"
    return short(value).replace(".00 ", " ").replace(".0 ", " ") if widest >= 1000 else f"{value:.3g}"


def axes(scale: Scale, frame: Frame) -> str:
    """Lines and numbers at both axes."""
    parts = []
    for value in ticks(*scale):
        y = scale.y(value)
        parts.append(f'<line class="axis" x1="{LEFT}" x2="{WIDTH - RIGHT}" y1="{y:.1f}" y2="{y:.1f}"/>')
        text = tick_text(value, max(abs(scale.low), abs(scale.high)))
        parts.append(f'<text x="{LEFT - 5}" y="{y + 4:.1f}" text-anchor="end">{text}</text>')
    for step in ticks(frame.first, max(frame.last, frame.first + 1), 5):
        x = frame.x(step)
        anchor = "end" if x > WIDTH - 24 else "middle"
        if step == int(step):
            text = short(step).replace(".00 ", " ").replace(".0 ", " ")
            parts.append(f'<text x="{x:.1f}" y="{HEIGHT - 5}" text-anchor="{anchor}">{text}</text>')
    return "".join(parts)


def stripes(frame: Frame) -> str:
    """A stripe and the name of every stage."""
    parts = []
    for number, stripe in enumerate(frame.stripes):
        left, right = frame.x(stripe.begin), frame.x(stripe.end)
        place = f'x="{left:.1f}" y="{TOP - 16}" width="{max(right - left, 0):.1f}" height="{HEIGHT - TOP - FOOT + 16}"'
        parts.append(f'<rect class="stripe{number % 2}" {place}><title>{escape(stripe.name)}</title></rect>')
        if number:
            parts.append(f'<line class="end" x1="{left:.1f}" x2="{left:.1f}" y1="{TOP - 16}" y2="{HEIGHT - FOOT}"/>')
        room = int((right - left - 6) / 6.2)
        if room >= 2 or len(stripe.name) <= room:
            name = stripe.name if len(stripe.name) <= room else stripe.name[: room - 1] + "…"
            parts.append(f'<text x="{left + 4:.1f}" y="{TOP - 5}">{escape(name)}</text>')
    return "".join(parts)


def band(one: Series, frame: Frame, scale: Scale) -> str:
    """From the lowest to the highest value of each bucket."""
    if not len(one.low_B) or list(one.low_B) == list(one.high_B):
        return ""
    upper = [f"{frame.x(step):.1f},{scale.y(value):.1f}" for step, value in zip(one.step_B, one.high_B, strict=True)]
    lower = [f"{frame.x(step):.1f},{scale.y(value):.1f}" for step, value in zip(one.step_B, one.low_B, strict=True)]
    return f'<polygon class="band {one.colour}" points="{" ".join([*upper, *lower[::-1]])}"/>'


def path(one: Series, frame: Frame, scale: Scale) -> str:
    """The line of means, and dots with their values."""
    places = [(frame.x(step), scale.y(value)) for step, value in zip(one.step_B, one.mean_B, strict=True)]
    drawn = f'<polyline class="{one.colour}" points="{" ".join(f"{x:.1f},{y:.1f}" for x, y in places)}"/>'
    if (one.dots or len(places) == 1) and len(places) <= FEW:
        for (x, y), step, value in zip(places, one.step_B, one.mean_B, strict=True):
            title = f"<title>{escape(one.name)} {value:.4g} at step {step:,.0f}</title>"
            drawn += f'<circle class="{one.colour}" cx="{x:.1f}" cy="{y:.1f}" r="2.6">{title}</circle>'
    return drawn


def signs(frame: Frame) -> str:
    """A tick at the foot for everything that happened."""
    parts = []
    for sign in frame.signs:
        x = frame.x(sign.step)
        line = f'<line class="m-{sign.kind}" x1="{x:.1f}" x2="{x:.1f}" y1="{TOP}" y2="{HEIGHT - FOOT}"/>'
        parts.append(f"<g>{line}<title>{escape(sign.title)}</title></g>")
    return "".join(parts)


def legend(series: Sequence[Series], line: tuple[str, float] | None) -> str:
    """Names of the curves in their colours."""
    names = [f'<span class="{one.colour}">{escape(one.name)}</span>' for one in series]
    if line:
        names.append(f'<span class="level">{escape(line[0])}</span>')
    return f'<div class="curves">{"".join(names)}</div>'
