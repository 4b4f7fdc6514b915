"""Small plots and tables as HTML, drawn from numbers: no library, nothing fetched, colours from the page's stylesheet.

length_histogram([0, 3, 9, 4], edges)  ->  <svg> with a logarithmic axis and a mark at the median
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from html import escape

WIDTH, HEIGHT, FOOT = 300, 74, 16


def short(number: float) -> str:
    """1234567 -> 1.23 M; exact below ten thousand."""
    if abs(number) < 10_000:
        return f"{number:,.0f}"
    for size, suffix in ((1e12, "T"), (1e9, "G"), (1e6, "M"), (1e3, "k")):
        if abs(number) >= size:
            digits = 2 if abs(number) < 10 * size else 1 if abs(number) < 100 * size else 0
            return f"{number / size:.{digits}f} {suffix}"
    return str(number)


def percent(part: float, whole: float) -> str:
    """A share with as many digits as it deserves."""
    if not whole:
        return "–"
    share = 100 * part / whole
    return "0 %" if not part else f"{share:.0f} %" if share >= 10 else f"{share:.1f} %" if share >= 1 else f"{share:.2f} %" if share >= 0.01 else "< 0.01 %"


def bar(share: float, colour: str = "") -> str:
    """A horizontal bar that fills ``share`` of its cell."""
    if share <= 0:
        return ""
    style = f"width:{100 * min(max(share, 0.0), 1.0):.1f}%" + (f";background:{colour}" if colour else "")
    return f'<div class="bar" style="{style}"></div>'


def table(heads: Sequence[str], rows: Iterable[Sequence[str]], kinds: str) -> str:
    """A table of HTML cells. ``kinds`` has a letter for each column: s text, n number, w bar."""
    head = "".join(f'<th class="{kind}">{escape(name)}</th>' for kind, name in zip(kinds, heads, strict=True)) if any(heads) else ""
    lines = ["".join(f'<td class="{kind}">{cell}</td>' for kind, cell in zip(kinds, row, strict=True)) for row in rows]
    body = "".join(f"<tr>{line}</tr>" for line in lines)
    return f'<div class="scroll"><table>{f"<tr>{head}</tr>" if head else ""}{body}</table></div>'


def quantile(counts: Sequence[int], edges: Sequence[int], share: float) -> float:
    """The value below which ``share`` of what a histogram counted lies, between the ends of its bin."""
    wanted, passed = share * sum(counts), 0
    for number, count in enumerate(counts):
        if count and passed + count >= wanted:
            low, high = edges[number], edges[min(number + 1, len(edges) - 1)] - 1
            return low + (wanted - passed) / count * max(high - low, 0)
        passed += count
    return 0.0


def length_histogram(counts: Sequence[int], edges: Sequence[int], first: int, last: int, colour: str = "var(--bar)") -> str:
    """Bars over a logarithmic axis from bin ``first`` to the end of bin ``last``; heights are counts for each doubling of length."""
    from math import log

    if not sum(counts):
        return ""
    low, high = log(edges[first]), log(edges[last + 1])

    def place(value: float) -> float:
        return (log(max(value, 1)) - low) / (high - low) * WIDTH

    densities = [count / log(edges[number + 1] / edges[number]) for number, count in enumerate(counts)]
    highest = max(densities)
    drawn = []
    for number, density in enumerate(densities):
        if density:
            left, right, height = place(edges[number]), place(edges[number + 1]), max(1.0, density / highest * (HEIGHT - FOOT - 14))
            drawn.append(f'<rect x="{left:.1f}" y="{HEIGHT - FOOT - height:.1f}" width="{max(right - left - 0.6, 0.8):.1f}" height="{height:.1f}"/>')
    ticks = []
    steps = (1, 2, 5) if edges[last + 1] < 30 * edges[first] else (1, 3) if edges[last + 1] < 1000 * edges[first] else (1,)
    for value in (step * 10**power for power in range(11) for step in steps):
        if edges[first] <= value <= edges[last + 1]:
            at = place(value)
            anchor = "start" if at < 12 else "end" if at > WIDTH - 14 else "middle"
            ticks.append(f'<text x="{at:.1f}" y="{HEIGHT - 3}" text-anchor="{anchor}">{short(value).replace(".00", "").replace(".0", "")}</text>')
    middle = quantile(counts, edges, 0.5)
    at = place(middle)
    side, beside = ("end", -4) if at > WIDTH - 60 else ("start", 4)
    mark = f'<line class="mark" x1="{at:.1f}" x2="{at:.1f}" y1="2" y2="{HEIGHT - FOOT}"/>'
    mark += f'<text class="marked" x="{at + beside:.1f}" y="11" text-anchor="{side}">{short(round(middle))}</text>'
    base = f'<line class="axis" x1="0" x2="{WIDTH}" y1="{HEIGHT - FOOT}" y2="{HEIGHT - FOOT}"/>'
    title = f"<title>median {middle:,.0f}, nine of ten between {quantile(counts, edges, 0.05):,.0f} and {quantile(counts, edges, 0.95):,.0f}</title>"
    picture = f'{title}{base}<g fill="{colour}">{"".join(drawn)}</g>{"".join(ticks)}{mark}'
    return f'<svg viewBox="0 0 {WIDTH} {HEIGHT}" width="{WIDTH}" height="{HEIGHT}" role="img">{picture}</svg>'


def count_histogram(counts: Sequence[int], first: int, last: int, colour: str) -> str:
    """Bars for the values first, first + 1, ... last; everything beyond is joined into a bar of its own."""
    values = [*counts[first : last + 1], *[0] * (last + 1 - max(len(counts), first)), sum(counts[last + 1 :])]
    highest, whole = max(values), sum(values)
    if not highest:
        return ""
    step = 34
    drawn = []
    for number, value in enumerate(values):
        height = value / highest * 70
        name = str(first + number) if first + number <= last else f"> {last}"
        x, y = number * step, 90 - height
        drawn.append(f'<rect x="{x + 2}" y="{y:.1f}" width="{step - 6}" height="{height:.1f}" fill="{colour}"><title>{name}: {value:,}</title></rect>')
        drawn.append(f'<text x="{x + step / 2 - 1}" y="{y - 4:.1f}" text-anchor="middle">{percent(value, whole).replace(" %", "") if value else ""}</text>')
        drawn.append(f'<text class="name" x="{x + step / 2 - 1}" y="104" text-anchor="middle">{name}</text>')
    width = len(values) * step
    return (
        f'<svg viewBox="0 0 {width} 108" width="{width}" height="108" role="img"><line class="axis" x1="0" x2="{width}" y1="90" y2="90"/>{"".join(drawn)}</svg>'
    )
