"""A run on the terminal: summary, retention, curves, plan. Every part is lines of words that fit into ``width``."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence

from launch.reports.run.curves import Curve
from launch.reports.run.facts import RunFacts
from launch.reports.run.history import OWN_MASKS
from launch.reports.run.plan_words import stage_columns
from launch.reports.run.retention import Matrix, Row, joined
from launch.shell.formatting import clock, short
from launch.views.grid import Column, cut, grid, padded, wrapped
from launch.views.sparklines import Axis, sparkline
from launch.views.words import Line, Word

TITLES = {"accuracy": "held-out accuracy at the end of each stage", "loss": "held-out loss at the end of each stage"}
ABSENT = Word("·", "dim")
NAME, KIND, FIGURE = 21, 9, 8
"""Columns of the name of a curve, of `train` or `held-out`, and of each of the three figures behind it."""
SIGNS = {"skipped": "s", "spike": "^", "rollback": "R", "not_saved": "!", "resume": ">"}
WORDS = {
    "skipped": "skipped step",
    "spike": "spike",
    "rollback": "rollback",
    "not_saved": "checkpoint not saved",
    "resume": "resume",
}
"""What the marks stand for."""


def run_lines(facts: RunFacts, width: int) -> Iterator[Line]:
    """The whole report."""
    yield from summary_lines(facts, width)
    for figure in ("accuracy", "loss"):
        if facts.matrices[figure].rows:
            yield []
            yield from matrix_lines(facts.matrices[figure], width)
    yield []
    yield from curve_lines(facts, width)
    yield []
    yield [Word("stages: steps, and rows of every task", "title")]
    yield from grid(*stage_columns(facts), width)
    yield []
    yield [Word("next: ", "title"), Word(facts.next_commands()[0])]
    yield from ([Word("      " + command)] for command in facts.next_commands()[1:])


def summary_lines(facts: RunFacts, width: int) -> Iterator[Line]:
    """What everyone asks for first."""
    yield [Word(cut(facts.label, width), "title")]
    yield from ([Word(line)] for line in wrapped(facts.ending(), width, 2))
    yield [Word("  " + cut("   ".join(summary_words(facts)), width - 2))]
    if events := facts.events():
        yield [Word("  on the way: " + events)]
    yield from ([Word(line)] for text in facts.best() for line in wrapped(text, width, 2))
    for text in facts.warnings():
        yield from ([Word(line, "bad")] for line in wrapped(f"! {text}", width, 2))


def summary_words(facts: RunFacts) -> list[str]:
    """Steps, tokens, time and speed."""
    speed = facts.history.train.get("tokens_per_second")
    words = [f"{facts.history.step:,}" + (f" of {facts.total:,}" if facts.total else "") + " steps"]
    words += [f"{short(facts.tokens)} tokens", clock(facts.seconds)]
    return words + ([f"{short(speed.middle)} tokens/s (last {short(speed.last)})"] if speed else [])


def matrix_lines(matrix: Matrix, width: int) -> Iterator[Line]:
    """Tasks by stages, and what was forgotten."""
    yield [Word(TITLES[matrix.figure], "title")]
    yield from grid([*(row.name for row in matrix.rows), "mean"], matrix_columns(matrix), width)
    told = "· not learned yet or not measured; forgot: best value at a stage's end against the last one"
    if matrix.figure == "accuracy" and any(row.majority is not None for row in matrix.rows):
        told += "; ! not above always giving the most frequent class (majority)"
    yield from ([Word(line, "dim")] for line in wrapped(told, width, 2))


def matrix_columns(matrix: Matrix, above: str = "", majority: bool = True) -> list[Column]:
    """The columns of a retention matrix; the last row holds means."""
    rows = matrix.rows
    columns = []
    if majority and matrix.figure == "accuracy" and any(row.majority is not None for row in rows):
        columns.append(Column("majority", [*(number(row.majority) for row in rows), Word("")], above))
    for index, column in enumerate(matrix.columns):
        cells = [cell_word(row, row.cells[index], matrix.figure) for row in rows]
        columns.append(Column(column.title, [*cells, Word("")], above))
    forgot = [number(row.forgotten) for row in rows]
    return [*columns, Column("forgot", [*forgot, number(matrix.mean_forgotten)], above)]


def number(value: float | None, digits: int = 3) -> Word:
    """A figure, or a dot for none."""
    return ABSENT if value is None else Word(f"{value:.{digits}f}")


def cell_word(row: Row, value: float | None, figure: str) -> Word:
    """A cell in the colour of its height over the majority share; at or below it, marked too."""
    if value is None:
        return ABSENT
    if figure == "loss" or row.majority is None:
        return Word(f"{value:.3f}")
    return Word(f"{value:.3f}", "good") if value > row.majority else Word(f"!{value:.3f}", "bad")


def curve_lines(facts: RunFacts, width: int) -> Iterator[Line]:
    """A line of blocks for each curve."""
    history = facts.history
    ends = [stage.end for stage in history.stages[:-1]]
    room = max(width - 2 - NAME - KIND - 3 * FIGURE - len(ends), 8)
    axis = Axis(history.lines.first_step, history.step, room, ends)
    names = ", ".join(f"{stage.name} ({stage.end:,})" for stage in history.stages)
    yield [Word("curves", "title"), Word(cut(f"   stages end at: {names}", width - 6), "dim")]
    head = "".join(f"{name:>{FIGURE}s}" for name in ("first", "last", "best"))
    yield [Word(" " * (2 + NAME + KIND + axis.width) + head, "dim")]
    for task in joined(history, facts.plan):
        yield from loss_lines(facts, task, task, axis)
        for group in history.groups.get(task.removesuffix(OWN_MASKS), []):
            suffix = OWN_MASKS if task.endswith(OWN_MASKS) else ""
            yield from loss_lines(facts, f"{task.removesuffix(OWN_MASKS)}/{group}{suffix}", f"  {group}", axis)
    single = {"lr": "learning rate", "grad_norm": "gradient norm"}
    single |= {"tokens_per_second": "tokens/s", "tflops": "TFLOP/s a process", "mfu": "share of the peak"}
    single |= {"loader_wait": "wait for batches"}
    for name, title in single.items():
        if curve := history.train.get(name):
            yield curve_line(title, "", curve, axis, (0.0, robust_top(curve)), best=False)
    yield from mark_lines(facts, axis)


def loss_lines(facts: RunFacts, name: str, title: str, axis: Axis) -> Iterator[Line]:
    """Train and held-out loss on one scale."""
    pair = {"train": facts.history.train, "held-out": facts.history.heldout}
    curves = {kind: found[f"loss/{name}"] for kind, found in pair.items() if f"loss/{name}" in found}
    if not curves:
        return
    low = min(float(curve.mean_B.min()) for curve in curves.values())
    high = max(robust_top(curve) for curve in curves.values())
    for kind, curve in curves.items():
        yield curve_line(title, kind, curve, axis, (low, high))
        title = ""


def robust_top(curve: Curve) -> float:
    """The top of a scale: the highest mean, unless a few stand far above all others."""
    import numpy as np

    highest, usual = float(curve.mean_B.max()), float(np.quantile(curve.mean_B, 0.98))
    return usual if highest > 3 * abs(usual) and usual > 0 else highest


def curve_line(title: str, kind: str, curve: Curve, axis: Axis, scale: tuple[float, float], best: bool = True) -> Line:
    """A name, blocks, and first, last and lowest value."""
    drawn = sparkline(curve.step_B.tolist(), curve.mean_B.tolist(), axis, *scale)
    values = [float(curve.mean_B[0]), curve.last, *([curve.lowest] if best else [])]
    figures = "".join(f"{brief(value):>{FIGURE}s}" for value in values)
    name = padded(cut(title, NAME - 1), NAME)
    return [Word(f"  {name}{kind:{KIND}s}"), Word(drawn, "word" if kind != "held-out" else "entity"), Word(figures)]


def brief(value: float) -> str:
    """A figure of any size in eight columns: 3.21, 12.3 k, 1.0e-04."""
    if value and abs(value) < 0.01:
        return f"{value:.1e}"
    return short(value) if abs(value) >= 1000 else f"{value:.3f}"


def mark_lines(facts: RunFacts, axis: Axis) -> Iterable[Line]:
    """What happened, below the curves."""
    found: list[Line] = []
    for kind, marks in facts.history.marks.items():
        columns = [" "] * axis.columns
        for mark in marks:
            columns[axis.column(mark.step)] = SIGNS[kind]
        title = f"{SIGNS[kind]} {WORDS[kind]}"
        line = [Word("  " + padded(cut(title, NAME + KIND - 1), NAME + KIND)), Word(axis.with_ends(columns), "bad")]
        found.append([*line, Word(f"{facts.history.counts[kind]:>{FIGURE},}")])
    return found


def figure_rows(runs: Sequence[RunFacts]) -> tuple[list[str], list[Column]]:
    """The last figures of several runs, a column for each."""
    rows: dict[str, list[str]] = {}
    tasks = list(dict.fromkeys(task for facts in runs for task in joined(facts.history, facts.plan)))
    for name in ("steps", "tokens", "hours", "tokens/s", "mean accuracy", "mean forgotten"):
        rows[name] = [_figure(facts, name) for facts in runs]
    for figure in ("loss", "accuracy"):
        for task in tasks:
            values = [facts.history.heldout.get(f"{figure}/{task}") for facts in runs]
            if any(values):
                rows[f"{figure} {task}"] = [f"{value.last:.3f}" if value else "·" for value in values]
    columns = [
        Column(facts.label, [Word(values[index]) for values in rows.values()]) for index, facts in enumerate(runs)
    ]
    return list(rows), columns


def _figure(facts: RunFacts, name: str) -> str:
    speed, accuracy = facts.history.train.get("tokens_per_second"), facts.matrices["accuracy"]
    means = {"mean accuracy": accuracy.mean_last, "mean forgotten": accuracy.mean_forgotten}
    if name in means:
        return "·" if means[name] is None else f"{means[name]:.3f}"
    return {
        "steps": f"{facts.history.step:,}" + ("" if facts.finished else "…"),
        "tokens": short(facts.tokens),
        "hours": clock(facts.seconds),
        "tokens/s": short(speed.middle) if speed else "·",
    }[name]


def comparison_lines(runs: Sequence[RunFacts], width: int) -> Iterator[Line]:
    """Several runs: last figures, then the matrices side by side, a block of columns for each run."""
    yield [Word("last figures on held-out documents", "title")]
    names, columns = figure_rows(runs)
    yield from grid(names, columns, width)
    if any(not facts.finished for facts in runs):
        yield [Word("  …: not finished", "dim")]
    for figure in ("accuracy", "loss"):
        matrices = aligned(runs, figure)
        if not matrices[0].rows:
            continue
        yield []
        yield [Word(TITLES[figure], "title")]
        blocks = [
            column
            for facts, found in zip(runs, matrices, strict=True)
            for column in matrix_columns(found, facts.label, majority=facts is runs[0])
        ]
        yield from grid([*(row.name for row in matrices[0].rows), "mean"], blocks, width)


def aligned(runs: Sequence[RunFacts], figure: str) -> list[Matrix]:
    """The matrices of all runs with the same rows: a task that a run does not have is empty there."""
    names = list(dict.fromkeys(row.name for facts in runs for row in facts.matrices[figure].rows))
    found = []
    for facts in runs:
        matrix = facts.matrices[figure]
        rows = {row.name: row for row in facts.every_matrix[figure].rows}
        empty = [None] * len(matrix.columns)
        found.append(
            Matrix(
                figure=figure,
                columns=matrix.columns,
                rows=[
                    rows.get(name)
                    or Row(name=name, cells=empty, before=None, majority=None, best=None, last=None, forgotten=None)
                    for name in names
                ],
            )
        )
    return found
