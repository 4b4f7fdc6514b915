"""What metrics.jsonl tells of a run, read once: stages, evaluations, curves, and what went wrong on the way.

    read_history(RUN/metrics.jsonl)  ->  History

Events and figures that are not known are passed over; a figure that is no number is treated as absent.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from launch.reports.run.curves import Curve, Curves, is_number
from launch.reports.run.metric_lines import MetricLines
from launch.reports.run.pauses import Pauses

OWN_MASKS = "/own_masks"
"""Ends the names of held-out figures under the run's own masks."""
CONTROL = "control/"
"""Begins the names of the figures of the control set."""
SAVING = ("checkpoint", "not_saved")
"""Events that tell of a step which may lie behind: saves end while training goes on."""
MARKS = ("skipped", "spike", "rollback", "not_saved", "resume")
"""What is marked along the steps, in this order."""
COUNTS = {"planned_rows": "planned", "rows": "realised"}
"""Names of figures `NAME/TASK` of a line at the end of a stage, and what they are called here."""
PLACES = 600
"""Different places of marks of one kind that are kept."""


@dataclass(kw_only=True)
class StageSpan:
    """A stage as the lines show it."""

    name: str
    begin: int
    """Step of the run at which it began."""
    end: int
    """The last step of it that was logged."""
    trained: dict[str, None] = field(default_factory=dict)
    """Tasks with a loss in its lines of training, in order of appearance."""
    at_begin: Mapping[str, Any] | None = None
    """Its first evaluation, if that was at its begin."""
    newest: Mapping[str, Any] | None = None
    """Its last evaluation."""
    counts: dict[str, dict[str, float]] = field(default_factory=dict)
    """Of the line at its end: `planned` and `realised` rows of each task, and what else it tells by task."""

    @property
    def at_end(self) -> Mapping[str, Any] | None:
        """The evaluation at its last step, if there was one."""
        return self.newest if self.newest is not None and self.newest["step"] == self.end else None


@dataclass(kw_only=True)
class Mark:
    """Something that happened at a step, or near it several times."""

    kind: str
    step: int
    count: int = 1
    text: str = ""


@dataclass(kw_only=True)
class History:
    """All that is drawn of the lines."""

    lines: MetricLines
    stages: list[StageSpan]
    train: dict[str, Curve]
    heldout: dict[str, Curve]
    marks: dict[str, list[Mark]]
    counts: dict[str, int]
    """How often each kind of mark came, all of them."""
    newest: Mapping[str, Any]
    """The last line of training."""
    last_event: Mapping[str, Any]
    tasks: list[str]
    """In order of joining."""
    repeats: dict[str, float]
    """Passes over each stream, of the last line."""

    @property
    def step(self) -> int:
        """Steps done, as far as they are logged."""
        return self.lines.last_step

    @property
    def groups(self) -> dict[str, list[str]]:
        """By task, the groups (kinds of units) that its figures are split by."""
        found: dict[str, list[str]] = {}
        for name in [*self.train, *self.heldout]:
            parts = name.removesuffix(OWN_MASKS).split("/")
            if parts[0] in ("loss", "accuracy") and len(parts) == 3:
                known = found.setdefault(parts[1], [])
                if parts[2] not in known:
                    known.append(parts[2])
        return found


def read_history(file: Path) -> History:
    """Read all of it.

    Raises:
        OSError: it cannot be read.
    """
    lines = MetricLines(file=file)
    reader = _Reader(lines)
    for record in lines.records():
        reader.take(record)
    return reader.history()


class _Reader:
    """What is known after so many lines."""

    def __init__(self, lines: MetricLines) -> None:
        self.lines = lines
        self.curves: dict[str, Curves] = {}
        self.stages: list[StageSpan] = []
        self.marks: dict[str, dict[int, Mark]] = {}
        self.counts: dict[str, int] = {}
        self.newest: Mapping[str, Any] = {}
        self.last_event: Mapping[str, Any] = {}
        self.pauses = Pauses()
        self.tasks: dict[str, None] = {}
        self._signature: tuple[str, ...] = ()

    def take(self, record: Mapping[str, Any]) -> None:
        event = record["event"]
        if event not in SAVING:
            self.last_event = record
        if event == "train":
            self.pauses.train(record)
            self._train(record)
        elif event == "evaluation":
            self.pauses.measured(record)
            self._evaluation(record)
        elif event in MARKS:
            self.mark(event, record["step"], str(record.get("reason") or ""))
        elif event == "stage_end" and record.get("stage"):
            self._planned(record)

    def _curves(self, event: str) -> Curves:
        if event not in self.curves:
            self.curves[event] = Curves(self.lines.last_step)
        return self.curves[event]

    def _stage(self, record: Mapping[str, Any]) -> StageSpan:
        """The stage of a line; one that comes up for the first time begins where the last one ended."""
        name = str(record.get("stage") or "run")
        if not self.stages or self.stages[-1].name != name:
            begin = self.stages[-1].end if self.stages else 0
            if not self.stages and record["event"] == "evaluation":
                begin = record["step"]
            self.stages.append(StageSpan(name=name, begin=begin, end=begin))
        return self.stages[-1]

    def _train(self, record: Mapping[str, Any]) -> None:
        step, stage = record["step"], self._stage(record)
        stage.end = max(stage.end, step)
        self._curves("train").add(record)
        signature = tuple(record)
        if signature != self._signature:
            self._signature = signature
            for name in signature:
                if name.startswith("loss/") and name.count("/") == 1:
                    task = name.removeprefix("loss/")
                    stage.trained.setdefault(task)
                    self.tasks.setdefault(task)
        self.newest = record

    def _evaluation(self, record: Mapping[str, Any]) -> None:
        stage = self._stage(record)
        if record["step"] == stage.begin and stage.at_begin is None:
            stage.at_begin = record
        stage.newest = record
        self._curves("evaluation").add(record)

    def _planned(self, record: Mapping[str, Any]) -> None:
        counts = self._stage(record).counts
        for name, value in record.items():
            prefix, slash, task = name.partition("/")
            if slash and is_number(value):
                counts.setdefault(COUNTS.get(prefix, prefix), {})[task] = float(value)

    def mark(self, kind: str, step: int, text: str) -> None:
        self.counts[kind] = self.counts.get(kind, 0) + 1
        places = self.marks.setdefault(kind, {})
        place = step * PLACES // (self.lines.last_step + 1)
        if place in places:
            places[place].count += 1
        else:
            places[place] = Mark(kind=kind, step=step, text=text)

    def history(self) -> History:
        if not self.counts.get("resume"):
            for step, text in self.pauses.found():
                self.mark("resume", step, text)
        for stage in self.stages:  # tasks that are only ever measured: learned before this run
            for record in (stage.at_begin, stage.newest):
                for name in record or ():
                    if name.startswith("loss/") and name.count("/") == 1:
                        self.tasks.setdefault(name.removeprefix("loss/"))
        kept = {event: curves.close() for event, curves in self.curves.items()}
        passes = {
            name.removeprefix("epoch/"): float(value)
            for name, value in self.newest.items()
            if name.startswith("epoch/") and is_number(value)
        }
        return History(
            lines=self.lines,
            stages=self.stages,
            train=kept.get("train", {}),
            heldout=kept.get("evaluation", {}),
            marks={kind: list(self.marks[kind].values()) for kind in MARKS if kind in self.marks},
            counts=self.counts,
            newest=self.newest,
            last_event=self.last_event,
            tasks=list(self.tasks),
            repeats=passes,
        )
