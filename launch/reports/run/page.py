"""A run, or several, as one self-contained page: tiles, retention, curves, plan."""

from __future__ import annotations

from collections.abc import Sequence
from html import escape

from launch.reports.run.facts import RunFacts
from launch.reports.run.plan_words import stage_columns
from launch.reports.run.plots import compared_plots, loss_plots, machine_plots
from launch.reports.run.retention import Column, Matrix, Row
from launch.reports.run.terminal import aligned, figure_rows
from launch.shell.formatting import clock, percent, short
from launch.views.page import page, table

ABOUT = {
    "accuracy": "Held-out accuracy at the end of each stage. Green: above always giving the most frequent class (the "
    "deeper, the nearer to 1); orange: not above it. Tasks without classes are shaded by their accuracy itself.",
    "loss": "Held-out loss at the end of each stage; the deeper, the nearer to the best value of the task.",
}
FORGOT = "Forgot: the best value at the end of any stage against the last one; · not learned yet or not measured."


def run_page(facts: RunFacts) -> str:
    """The page of one run."""
    sections = [
        ("retention", "What it knows, stage by stage", retention(facts)),
        ("curves", "Losses and accuracies", loss_plots(facts)),
        ("machine", "Learning rate, speed and gradients", machine_plots(facts)),
        ("plan", "The plan, and what was done", plan(facts)),
    ]
    shown = [section for section in sections if section[2]]
    links = "".join(f'<a href="#{name}">{title}</a>' for name, title, _ in shown)
    body = "".join(f'<h2 id="{name}">{title}</h2>{content}' for name, title, content in shown)
    heading = f'<h1>{escape(facts.label)}</h1><div class="quiet">training run · {escape(str(facts.folder))}</div>'
    ending = (
        f"<p class=state><b>{escape(facts.ending())}</b>{' · ' + escape(facts.events()) if facts.events() else ''}</p>"
    )
    warnings = "".join(f'<p class="warning">{escape(text)}</p>' for text in facts.warnings())
    commands = "".join(f"<pre>{escape(command)}</pre>" for command in facts.next_commands())
    top = f"{heading}<nav>{links}</nav>{tiles(facts)}{ending}{warnings}"
    return page(f"{facts.label} · training run", f"{top}{body}<h2>What next</h2>{commands}")


def tiles(facts: RunFacts) -> str:
    """The few numbers everyone asks for."""
    speed = facts.history.train.get("tokens_per_second")
    found = [
        (f"{facts.history.step:,}", f"of {facts.total:,} steps" if facts.total else "steps"),
        (short(facts.tokens), "tokens"),
        (clock(facts.seconds), "hours of training"),
    ]
    if speed:
        found.append((short(speed.middle), f"tokens/s, median (last {short(speed.last)})"))
    accuracy = facts.matrices["accuracy"]
    if accuracy.mean_last is not None:
        found.append((f"{accuracy.mean_last:.3f}", "mean held-out accuracy"))
    if accuracy.mean_forgotten is not None:
        found.append((f"{accuracy.mean_forgotten:.3f}", "of accuracy forgotten, mean"))
    drawn = "".join(f'<div class="tile"><b>{number}</b><span>{escape(name)}</span></div>' for number, name in found)
    return f'<div class="tiles">{drawn}</div>'


def retention(facts: RunFacts) -> str:
    """The matrices of tasks, and of the kinds of units."""
    parts = []
    for figure in ("accuracy", "loss"):
        if facts.matrices[figure].rows:
            parts.append(f"<h3>{figure.capitalize()}</h3><p class=quiet>{ABOUT[figure]} {FORGOT}</p>")
            parts.append(matrix_table([(facts.label, facts.matrices[figure])]))
    for figure in ("accuracy", "loss"):
        if (found := facts.group_matrix(figure)).rows:
            inner = matrix_table([(facts.label, found)])
            parts.append(f"<details><summary>{figure.capitalize()} by kind of unit</summary>{inner}</details>")
    return "".join(parts)


def matrix_table(matrices: Sequence[tuple[str, Matrix]]) -> str:
    """Matrices with equal rows side by side; their names stand above them where there are several."""
    rows = matrices[0][1].rows
    several = len(matrices) > 1
    above = heads = mean = ""
    cells = [f'<td class="name">{escape(row.name)}</td>' for row in rows]
    for number, (name, found) in enumerate(matrices):
        majority = not number and found.figure == "accuracy" and any(row.majority is not None for row in found.rows)
        names = [*(["majority"] if majority else []), *(column.title for column in found.columns), "best", "forgot"]
        above += f'<th class="over" colspan="{len(names)}">{escape(name)}</th>'
        heads += "".join(
            f'<th class="n{" first" if several and not place else ""}">{escape(head)}</th>'
            for place, head in enumerate(names)
        )
        for place, row in enumerate(found.rows):
            cells[place] += row_cells(row, found, majority)
        last = "" if found.mean_forgotten is None else f"{found.mean_forgotten:.3f}"
        mean += f'<td colspan="{len(names) - 1}"></td><td class="n">{last}</td>'
    top = f"<tr><th></th>{above}</tr>" if several else ""
    body = "".join(f"<tr>{line}</tr>" for line in cells)
    foot = f'<tr><td class="name quiet">mean</td>{mean}</tr>'
    return f'<div class="scroll"><table class="matrix">{top}<tr><th></th>{heads}</tr>{body}{foot}</table></div>'


def row_cells(row: Row, found: Matrix, majority: bool) -> str:
    """The cells of a task."""
    first = f'<td class="n quiet">{figure_text(row.majority, "")}</td>' if majority else ""
    cells = "".join(
        matrix_cell(row, value, found.figure, column) for value, column in zip(row.cells, found.columns, strict=True)
    )
    return f'{first}{cells}<td class="n">{figure_text(row.best)}</td><td class="n">{figure_text(row.forgotten)}</td>'


def figure_text(value: float | None, none: str = "·") -> str:
    """A figure with three digits."""
    return none if value is None else f"{value:.3f}"


def matrix_cell(row: Row, value: float | None, figure: str, column: Column) -> str:
    """A cell in its colour."""
    if value is None:
        return '<td class="n quiet">·</td>'
    depth, name = shade(row, value, figure)
    title = f"{row.name}, {column.title}: {value:.4f} at step {column.step:,}"
    ground = f"background:color-mix(in srgb,var(--{name}) {depth:.0f}%,transparent)"
    return f'<td class="n" style="{ground}" title="{escape(title)}">{value:.3f}</td>'


def shade(row: Row, value: float, figure: str) -> tuple[float, str]:
    """(percent of the colour, colour) of a cell."""
    if figure == "accuracy":
        if row.majority is not None and value <= row.majority:
            return 14 + 30 * (row.majority - value) / max(row.majority, 1e-9), "warn"
        least = row.majority or 0.0
        return 6 + 54 * (value - least) / max(1 - least, 1e-9), "phrase"
    known = [cell for cell in row.cells if cell is not None]
    lowest, highest = min(known), max(known)
    return 6 + 40 * (highest - value) / max(highest - lowest, 1e-9), "phrase"


def plan(facts: RunFacts) -> str:
    """Stages, steps and rows, and how often the data were read."""
    names, columns = stage_columns(facts)
    rows = [
        [
            f'<span class="inner">{escape(name.strip())}</span>' if name.startswith(" ") else f"<b>{escape(name)}</b>",
            *(escape(column.cells[number].text) for column in columns),
        ]
        for number, name in enumerate(names)
    ]
    found = table(["stage", *(column.head for column in columns)], rows, ["s", *["n"] * len(columns)])
    if facts.history.repeats:
        lines = [[escape(name), f"{passes:,.0f}"] for name, passes in facts.history.repeats.items()]
        heads = table(["stream", "whole passes so far"], lines, "sn")
        found += f"<h3>Passes over the data</h3><p class=quiet>0: the first pass has not ended.</p>{heads}"
    if facts.total and facts.history.step < facts.total:
        found += f"<p class=quiet>{percent(facts.history.step, facts.total)} of the planned steps are done.</p>"
    return found


def comparison_page(runs: Sequence[RunFacts]) -> str:
    """Several runs side by side."""
    names, columns = figure_rows(runs)
    rows = [
        [escape(name), *(escape(column.cells[number].text) for column in columns)] for number, name in enumerate(names)
    ]
    figures = table(["", *(column.head for column in columns)], rows, ["s", *["n"] * len(columns)])
    found = f"<h2>Last figures on held-out documents</h2><div class=narrow>{figures}</div>"
    for figure in ("accuracy", "loss"):
        matrices = aligned(runs, figure)
        if matrices[0].rows:
            pairs = [(facts.label, matrix) for facts, matrix in zip(runs, matrices, strict=True)]
            found += f"<h2>{figure.capitalize()}, stage by stage</h2><p class=quiet>{ABOUT[figure]} {FORGOT}</p>"
            found += matrix_table(pairs)
    title = " · ".join(facts.label for facts in runs)
    lines = "".join(
        f"<p><b>{escape(facts.label)}</b>: {escape(facts.ending())} <span class=quiet>{escape(str(facts.folder))}"
        f"</span>{''.join(f'<br><span class=warning>{escape(text)}</span>' for text in facts.warnings())}</p>"
        for facts in runs
    )
    heading = f'<h1>{escape(title)}</h1><div class="quiet">{len(runs)} training runs</div>{lines}'
    return page(title, f"{heading}{found}<h2>Held-out losses</h2>{compared_plots(runs)}", wide=True)
