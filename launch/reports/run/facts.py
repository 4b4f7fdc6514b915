"""A run as its report shows it: metrics, plan, retention, how it ended and what to do next.

read_run(TARGET)  ->  RunFacts  ->  .plain()      the figures as JSON
"""

from __future__ import annotations

import time
from dataclasses import asdict, dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

from launch.reports.run.curves import is_number
from launch.reports.run.history import History, StageSpan, read_history
from launch.reports.run.plan import Plan, read_plan
from launch.reports.run.retention import FIGURES, Matrix, has_ended, joined, matrix, says_little
from launch.reports.run.run_folders import folder_of, why_none
from launch.shell.formatting import counted, percent

FORGOTTEN_MUCH = 0.05
"""Of an accuracy: worth a warning."""
WAITS_MUCH = 0.1
"""Of the time: worth a warning."""


@dataclass(frozen=True)
class RunFacts:
    """One run."""

    folder: Path
    label: str
    history: History
    plan: Plan

    @cached_property
    def every_matrix(self) -> dict[str, Matrix]:
        """By figure, the retention of all tasks."""
        return {figure: matrix(self.history, self.plan, figure) for figure in FIGURES}

    @cached_property
    def matrices(self) -> dict[str, Matrix]:
        """The same without tasks whose accuracy says nothing."""
        found = self.every_matrix
        told = [row for row in found["accuracy"].rows if not says_little(row)]
        return {**found, "accuracy": Matrix(figure="accuracy", columns=found["accuracy"].columns, rows=told)}

    def group_matrix(self, figure: str) -> Matrix:
        """The same of the groups (kinds of units) of each task."""
        tasks = joined(self.history, self.plan)
        names = [f"{task}/{group}" for task in tasks for group in self.history.groups.get(task, [])]
        return matrix(self.history, self.plan, figure, names)

    @property
    def total(self) -> int:
        """Planned steps; 0: not known."""
        return max(self.plan.total, self.history.step) if self.plan.total else 0

    @property
    def finished(self) -> bool:
        """Is every planned step done?"""
        return bool(self.total) and self.history.step >= self.total and has_ended(self.history, self.plan)

    @property
    def tokens(self) -> float:
        """Tokens read."""
        return float(value) if is_number(value := self.history.newest.get("tokens")) else 0.0

    @property
    def seconds(self) -> float:
        """Seconds of training."""
        return float(value) if is_number(value := self.history.newest.get("seconds")) else 0.0

    def last(self, name: str) -> float | None:
        """The last value of a figure: held-out, else of training."""
        curve = self.history.heldout.get(name) or self.history.train.get(name)
        return curve.last if curve else None

    def ending(self) -> str:
        """How the run ended, or that it has not."""
        if self.plan.trained_by:
            return f"running ({self.plan.trained_by})"
        if self.finished:
            return "finished"
        event, step = self.history.last_event, self.history.step
        last = event.get("time")
        ago = f", last line at {moment(last)}" if is_number(last) else ""
        if event.get("event") == "skipped":
            return (
                f"ended at step {event['step']:,}{ago}, after {event.get('in_a_row', 1)} steps in a row without finite "
                f"numbers ({event.get('reason', 'no reason given')})"
            )
        if not self.total:
            return f"at step {step:,}{ago}; the plan is not known ({self.plan.problem or 'no checkpoint yet'})"
        return f"stopped at step {step:,} of {self.total:,}{ago}"

    def next_commands(self) -> list[str]:
        """What to do next, as commands."""
        if self.plan.trained_by:
            return [f"kmask report {self.folder}"]
        if self.finished:
            return [f"kmask export {self.folder} {self.folder}-model"]
        again = ["kmask train PRETRAIN.yaml     (the same command again continues it)"]
        return again + ([f"kmask export {self.folder} {self.folder}-model"] if self.plan.checkpoints else [])

    def warnings(self) -> list[str]:
        """What deserves a second look."""
        found = []
        for row in self.matrices["accuracy"].rows:
            if row.majority is not None and row.last is not None and row.last <= row.majority:
                found.append(
                    f"{row.name}: accuracy {row.last:.3f} is not above always giving the most frequent class "
                    f"({row.majority:.3f})"
                )
            if row.forgotten is not None and row.forgotten > FORGOTTEN_MUCH:
                found.append(f"{row.name}: forgot {row.forgotten:.3f} of an accuracy of {row.best:.3f}")
        waited = self.history.train.get("loader_wait")
        if waited and waited.middle > WAITS_MUCH:
            found.append(f"training waits for batches {percent(waited.middle, 1)} of the time; raise data_workers")
        lines = self.history.lines
        if lines.bad:
            more = f" and {lines.bad - len(lines.told):,} more" if lines.bad > len(lines.told) else ""
            found.append(
                f"{counted(lines.bad, 'line')} of {lines.file} left out, as no events: {'; '.join(lines.told)}{more}"
            )
        if lines.repeated_lines:
            found.append(f"{counted(lines.repeated_lines, 'line')} of steps that were done again later are left out")
        if self.plan.problem:
            found.append(f"no state of a checkpoint could be read: {self.plan.problem}")
        return found

    def best(self) -> list[str]:
        """A line about the best checkpoint, where one is kept."""
        best = self.plan.best
        if not best or not is_number(best.get("value")):
            return ["best: no checkpoint that is good enough yet"] if best else []
        text = f"best: step {best['step']:,}, {best['figure']} {best['value']:.4f}"
        if is_number(best.get("control_value")) and is_number(best.get("begin")):
            text += f", {best['control']} {best['control_value']:.4f} (at first {best['begin']:.4f})"
        return [text]

    def events(self) -> str:
        """What happened on the way, counted: 3 skipped steps, 1 rollback."""
        words = {
            "skipped": ("skipped step", "s"),
            "spike": ("spike", "s"),
            "rollback": ("rollback", "s"),
            "not_saved": ("checkpoint not saved", ""),
            "resume": ("resume", "s"),
        }
        return ", ".join(
            counted(self.history.counts[kind], *word) for kind, word in words.items() if kind in self.history.counts
        )

    def stage_steps(self) -> list[tuple[str, int, int, StageSpan | None]]:
        """(name, steps done, planned steps or 0, what its lines tell) of every stage, those not begun included."""
        planned = {stage.name: stage.steps for stage in self.plan.stages}
        found: list[tuple[str, int, int, StageSpan | None]] = [
            (stage.name, stage.end - stage.begin, planned.get(stage.name, 0), stage) for stage in self.history.stages
        ]
        seen = {stage.name for stage in self.history.stages}
        return found + [(stage.name, 0, stage.steps, None) for stage in self.plan.stages if stage.name not in seen]

    def plain(self) -> dict[str, Any]:
        """The figures as JSON has them."""
        history = self.history
        speed = history.train.get("tokens_per_second")
        figures = {
            name: {"lowest": curve.lowest, "highest": curve.highest, "last": curve.last}
            for name, curve in history.heldout.items()
        }
        return {
            "run": str(self.folder),
            "step": history.step,
            "planned_steps": self.total or None,
            "finished": self.finished,
            "ending": self.ending(),
            "tokens": self.tokens,
            "seconds": self.seconds,
            "tokens_per_second": {"median": speed.middle, "last": speed.last} if speed else None,
            "events": dict(history.counts),
            "best": dict(self.plan.best) or None,
            "bad_lines": history.lines.bad,
            "repeated_lines": history.lines.repeated_lines,
            "tasks": joined(history, self.plan),
            "stages": [
                {"name": name, "steps": done, "planned_steps": planned or None, **(span.counts if span else {})}
                for name, done, planned, span in self.stage_steps()
            ],
            "passes": history.repeats,
            "retention": {
                name: {**asdict(found), "mean_forgotten": found.mean_forgotten}
                | {"columns": [column._asdict() for column in found.columns]}
                for name, found in self.matrices.items()
            },
            "heldout": figures,
            "train": {
                name: {"lowest": curve.lowest, "highest": curve.highest, "last": curve.last}
                for name, curve in history.train.items()
            },
            "warnings": self.warnings(),
        }


def moment(seconds: float) -> str:
    """A time of metrics as a date of this machine's zone."""
    try:
        return time.strftime("%Y-%m-%d %H:%M", time.localtime(seconds))
    except (ValueError, OverflowError, OSError):
        return "an unknown time"


def read_run(target: Path) -> RunFacts:
    """A run folder, or the YAML whose `output` it is.

    Raises:
        ValueError: there is no such run, or it has written no metrics yet; says what to do.
    """
    folder = folder_of(target)
    file = folder / "metrics.jsonl"
    if not file.is_file():
        raise ValueError(why_none(folder))
    history = read_history(file)
    if not history.stages:
        bad = history.lines
        told = f" ({counted(bad.bad, 'line')} that are no events: {'; '.join(bad.told)})" if bad.bad else ""
        raise ValueError(f"{file} holds no training or evaluation yet{told}; wait for the first line of metrics")
    return RunFacts(folder, folder.resolve().name, history, read_plan(folder))
