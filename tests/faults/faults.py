"""Every fault that is no kill: one entry of FAULTS each, injected between launches or into a running one.

    Fault(name, step, inject, codes, says, ...)    what is done to the run as it lay on the disk after ``step``,
                                                   and what has to follow
    inject(scene)                                  does the damage; returns what takes it back
    during(scene, launch)                          the same while a launch runs

The flow: cut the undisturbed run at ``step``; damage; launch; was it told? take back; launch to the end; compare.
"""

from __future__ import annotations

import contextlib
import re
import shutil
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from random import Random
from typing import Any

import intrusions
from compare import digest, runs_differ, step_folders
from kills import steps_of
from plan import MODES, Bench
from processes import Launch, Outcome
from table import Row

Undo = Callable[[], Any]


@dataclass(kw_only=True)
class Scene:
    """Where a fault is put."""

    bench: Bench
    mode: str
    run: Path
    draw: Random
    stack: contextlib.ExitStack
    """Cleared when the fault is over."""
    overrides: list[str] = field(default_factory=list)
    """Added to the launch that meets the fault, not to the one after it."""
    text: str = ""
    """Words of other processes that count as detection."""
    where: str = ""
    """What was damaged, for the table."""
    problem: str = ""
    """Something that went wrong beside what the flow looks at."""

    def newest(self) -> Path:
        """The newest checkpoint."""
        return step_folders(self.run)[-1]

    def data(self) -> Path:
        """A copy of the prepared folder that may be damaged; training is told to read it."""
        copy = self.run.parent / "data"
        if not copy.is_dir():
            shutil.copytree(self.bench.data, copy)
        self.overrides.append(f"data.0.path={copy}")
        return copy


@dataclass(frozen=True, kw_only=True)
class Fault:
    """One fault and what has to follow."""

    name: str
    step: int = 12
    """The run is as it was right after this checkpoint: 9 ends a stage, 12 lies inside one."""
    inject: Callable[[Scene], Undo | None] = lambda scene: None
    """Does the damage before the launch; may return what takes it back."""
    during: Callable[[Scene, Launch], None] | None = None
    """Does the damage while the launch runs."""
    codes: tuple[int, ...] = (0,)
    says: tuple[str, ...] = ()
    """Patterns that must all be found in its words; none: there is nothing to detect."""
    resumes: int | None = None
    """The step at which training goes on; None: at ``step``."""
    unchanged: bool = False
    """Must the refused launch leave the run's folder as it was?"""
    check: Callable[[Scene], str] = lambda scene: ""
    """Looks at the finished run; returns what is wrong."""
    modes: tuple[str, ...] = ("zero1",)
    play: Callable[[Fault, Bench, str, Random], Row] | None = None
    """Another flow."""


def play_fault(fault: Fault, bench: Bench, mode: str, draw: Random) -> Row:
    """Inject a fault and see what follows."""
    if fault.play:
        return fault.play(fault, bench, mode, draw)
    row = Row(fault=fault.name, mode=mode, injected="")
    with contextlib.ExitStack() as stack:
        scene = Scene(bench=bench, mode=mode, run=bench.fresh(fault.name), draw=draw, stack=stack)
        bench.cut(mode, fault.step, scene.run)
        try:
            flow(fault, scene, row)
        except intrusions.NotHereError as error:
            row.remark = str(error)
    return row


def flow(fault: Fault, scene: Scene, row: Row) -> None:
    """Damage, launch, take back, launch, compare."""
    bench = scene.bench
    undo = fault.inject(scene)
    before = digest(scene.run, volatile) if fault.unchanged else {}
    launch = bench.launch(scene.run, [*MODES[scene.mode], *scene.overrides])
    if fault.during:
        fault.during(scene, launch)
    outcome = launch.finish(bench.limit)
    row.injected = scene.where or f"after step {fault.step}"
    row.remark = untold(fault, scene, outcome)
    row.detected = not row.remark if fault.says or fault.codes != (0,) else None
    if fault.unchanged and (changed := sorted(dict(before.items() ^ digest(scene.run, volatile).items()))):
        row.detected, row.remark = False, f"the refused launch changed {changed[:3]}; {row.remark}"
    trained = steps_of(scene.run, launch)
    if outcome.code != 0:
        if undo:
            undo()
        again = bench.launch(scene.run, MODES[scene.mode])
        outcome = again.finish(bench.limit)
        trained = trained or steps_of(scene.run, again)
    recover(fault, scene, row, outcome, trained)


def recover(fault: Fault, scene: Scene, row: Row, outcome: Outcome, trained: tuple[int, int] | None) -> None:
    """Did the last launch end, beginning where it should, with an equal run?"""
    row.recovered = outcome.code == 0
    if outcome.code != 0:
        row.remark += f" the last launch ended with {outcome.code}: {outcome.last_words}"
        return
    expected = fault.step if fault.resumes is None else fault.resumes
    resumed = trained[0] - 1 if trained else 24
    row.repeated = fault.step - resumed
    if resumed != expected:
        row.recovered = False
        row.remark += f" it went on at step {resumed}, expected {expected}"
    if problem := scene.problem or fault.check(scene):
        row.recovered = False
        row.remark += f" {problem}"
    row.difference = runs_differ(scene.run, scene.bench.reference(scene.mode).run)


def untold(fault: Fault, scene: Scene, outcome: Outcome) -> str:
    """Why the fault does not count as detected; "" when it was told as it has to be."""
    text = outcome.text + scene.text
    if outcome.survivors:
        return f"{outcome.survivors} process(es) outlived the launcher"
    if outcome.code not in fault.codes:
        return f"exit {outcome.code}, expected {' or '.join(map(str, fault.codes))}: {outcome.last_words}"
    missing = [pattern for pattern in fault.says if not re.search(pattern, text)]
    if missing:
        return f"exit {outcome.code}, but nothing says {missing[0]!r}: {outcome.last_words}"
    return f"a traceback: {outcome.last_words}" if "Traceback" in text else ""


def volatile(path: Path) -> bool:
    """Files of a run that a refused launch may touch."""
    return path.parts[0] == "logs" or "lock" in path.name
