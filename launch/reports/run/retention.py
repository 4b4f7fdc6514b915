"""What a run still knows: held-out figures of every task at the end of every stage, and what was forgotten since.

    tasks x (start, end of each stage)  ->  Matrix

    accuracy .52 after stage 1, .61 after stage 2, .55 after stage 3   ->   best .61, forgotten .06

Forgotten is the best value at the end of any stage less the last value (for a loss: the last less the best), as in
Chaudhry et al. 2018; the mean is over tasks that had learned before the last column, since a task that has just been
learned had no time to forget.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

from launch.reports.run.curves import is_number
from launch.reports.run.history import CONTROL, OWN_MASKS, History, StageSpan
from launch.reports.run.plan import Plan

FIGURES = ("accuracy", "loss")
START, NOW = "start", "now"


class Column(NamedTuple):
    """An evaluation that is shown."""

    title: str
    step: int
    ended: bool
    """Has the stage ended? The last evaluation of one that has not is shown as well."""
    stage: int
    """Number of the stage, from 0; -1: before the first."""


@dataclass(frozen=True, kw_only=True)
class Row:
    """A task."""

    name: str
    cells: Sequence[float | None]
    """By column; None: not learned yet, or not measured."""
    before: float | None
    """At the start."""
    majority: float | None
    """Share of the most frequent class, of the newest evaluation that tells it."""
    best: float | None
    last: float | None
    forgotten: float | None
    """None: it was learned last, or was never measured at the end of a stage."""


@dataclass(frozen=True, kw_only=True)
class Matrix:
    """One figure of all tasks over all stages."""

    figure: str
    """`accuracy` or `loss`."""
    columns: Sequence[Column]
    rows: Sequence[Row]

    @property
    def mean_forgotten(self) -> float | None:
        """Over the tasks that had time to forget."""
        values = [row.forgotten for row in self.rows if row.forgotten is not None]
        return sum(values) / len(values) if values else None

    @property
    def mean_last(self) -> float | None:
        """Mean of the last values of all tasks."""
        values = [row.last for row in self.rows if row.last is not None]
        return sum(values) / len(values) if values else None


def matrix(history: History, plan: Plan, figure: str, names: Sequence[str] | None = None) -> Matrix:
    """The matrix of one figure.

    Args:
        names: whose figures, as in `TASK` or `TASK/GROUP`; all tasks by default.
    """
    shown = _evaluations(history, plan)
    wanted = list(names) if names is not None else joined(history, plan)
    rows = []
    for name in wanted:
        row = _row(history, plan, figure, name, shown)
        if any(cell is not None for cell in row.cells):
            rows.append(row)
    return Matrix(figure=figure, columns=[column for column, _ in shown], rows=rows)


def joined(history: History, plan: Plan) -> list[str]:
    """All tasks in order of joining, each followed by the same under the run's own masks and of the control set, where
    that was measured."""
    names = dict.fromkeys([*(task for task in plan.learned if task in history.tasks), *history.tasks])
    own = {name.partition("/")[2] for name in history.heldout if name.endswith(OWN_MASKS)}
    own |= {name.partition("/")[2] for name in history.heldout if name.partition("/")[2].startswith(CONTROL)}
    forms = (("", OWN_MASKS), (CONTROL, ""), (CONTROL, OWN_MASKS))
    return [
        one
        for name in names
        for one in (name, *(begin + name + end for begin, end in forms))
        if one == name or one in own
    ]


def _evaluations(history: History, plan: Plan) -> list[tuple[Column, Mapping[str, Any]]]:
    """The evaluations that are columns. The last stage, when it has not ended, gives what it measured last."""
    found: list[tuple[Column, Mapping[str, Any]]] = []
    for index, stage in enumerate(history.stages):
        if index == 0 and stage.at_begin is not None:
            found.append((Column(START, stage.begin, False, -1), stage.at_begin))
        if stage.newest is None or stage.newest is stage.at_begin:
            continue
        ended = index + 1 < len(history.stages) or has_ended(history, plan)
        where = "" if stage.at_end is not None else f" (step {stage.newest['step']:,})"
        title = stage.name + (where if ended else f" ({NOW})")
        found.append((Column(title, stage.newest["step"], ended, index), stage.newest))
    return found


def has_ended(history: History, plan: Plan) -> bool:
    """Has the last stage in the lines reached its planned end? Where no plan is known, its last line counts as such."""
    if not plan.total:
        return plan.trained_by is None
    ends, end = set(), 0
    for stage in plan.stages:
        end += stage.steps
        ends.add(end)
    return history.step in ends


def learned_in(history: History, plan: Plan, task: str) -> int:
    """The first stage that trained a task; -1: it was learned before this run."""
    for index, stage in enumerate(() if task in plan.before else history.stages):
        if task in stage.trained or task in _planned(plan, stage):
            return index
    return -1


def _planned(plan: Plan, stage: StageSpan) -> Mapping[str, Any]:
    return next((one.tasks for one in plan.stages if one.name == stage.name), {})


def _row(
    history: History, plan: Plan, figure: str, name: str, shown: Sequence[tuple[Column, Mapping[str, Any]]]
) -> Row:
    first = learned_in(history, plan, name.removeprefix(CONTROL).partition("/")[0])
    cells: list[float | None] = []
    ends: list[float] = []
    last_seen, majority, before = -1, None, None
    for index, (column, record) in enumerate(shown):
        value = record.get(f"{figure}/{name}")
        value = float(value) if is_number(value) else None
        if is_number(share := record.get(f"majority/{name}")):
            majority = float(share)
        if column.stage < first and (column.stage >= 0 or first > 0):
            value = None
        if column.stage < 0:
            before = value
        cells.append(value)
        if value is not None and (column.stage >= 0 or first < 0):
            ends.append(value)
            last_seen = index
    best = (max(ends) if figure == "accuracy" else min(ends)) if ends else None
    last = ends[-1] if ends else None
    forgotten = None
    if best is not None and last is not None and len(ends) > 1 and last_seen == len(shown) - 1:
        forgotten = best - last if figure == "accuracy" else last - best
    return Row(name=name, cells=cells, before=before, majority=majority, best=best, last=last, forgotten=forgotten)


def says_little(row: Row) -> bool:
    """Is an accuracy nothing wherever it was measured (as of a task that counts no hits)? Its loss tells more then."""
    values = {cell for cell in row.cells if cell is not None}
    return row.majority is None and not values - {0.0}
