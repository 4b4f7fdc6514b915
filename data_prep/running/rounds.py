"""Rounds: what a corpus-wide step that is too large for one process does between map and reduce.

    steps/NAME/parts/NNNNNN/   ->  steps/NAME/ROUND/NNNNNN/ ...   one folder a task, each published by one rename
        ->  steps/NAME/result/

The tasks of a round need nothing of each other and are run by the engine like parts; a round begins when the one before
has ended. A task is a pure function of what was made before, so it may be killed and repeated, and a task whose folder
is there is not done again.
"""

from __future__ import annotations

import shutil
from abc import abstractmethod
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

from data_prep.engines import Engine
from data_prep.files import read_json, remove_staging, staged_folder, staging_name, write_json
from data_prep.running.notes import Moment
from data_prep.running.supervision import Task, Watch, run_all

STEP = "step.json"


class StepOutputs(NamedTuple):
    """What the step has made so far."""

    parts: Sequence[Path]
    """The contributions of the parts, in their order."""
    folder: Path
    """Holds the folders of the rounds."""

    def task(self, name: str, number: int) -> Path:
        """What a task of an earlier round has made."""
        return self.folder / name / f"{number:06d}"


class Round(NamedTuple):
    """Independent tasks between map and reduce. Functions are sent to worker processes."""

    name: str
    """Name of its folder, unlike `parts` and `result`."""
    tasks: Callable[[StepOutputs], int]
    """How many there are; what was made before tells."""
    make: Callable[[StepOutputs, int, Path], None]
    """Write what one task makes into a folder."""


class Here(Engine):
    """This process: for a round of one task, which is not worth the start of another one."""

    def run(self, work: Callable[[int], Any], parts: Sequence[int]) -> Iterator[Any]:
        return map(work, parts)


@dataclass(frozen=True, kw_only=True)
class FolderTask(Task):
    """Work of which each part makes one folder of a step, published with the step's fingerprint; nothing is left to do
    once the result is there."""

    folder: Path
    """The step's."""
    fingerprint: str
    stage: str
    watch: Watch

    @abstractmethod
    def target(self, part: int) -> Path:
        """The folder of a part."""

    @abstractmethod
    def fill(self, part: int, staging: Path) -> None:
        """Write what belongs into it."""

    def finished(self, part: int) -> int | None:
        made = is_made(self.folder / "result", self.fingerprint) or is_made(self.target(part), self.fingerprint)
        return part if made else None

    def make(self, part: int) -> int:
        remove_stale(self.target(part), lambda: self.finished(part) is not None)
        with staged_folder(self.target(part)) as staging:
            self.fill(part, staging)
            write_json(staging / STEP, {"fingerprint": self.fingerprint})
        return part


@dataclass(frozen=True, kw_only=True)
class RoundWorker(FolderTask):
    """Does one task; sent to worker processes."""

    round: Round
    made: StepOutputs

    def target(self, part: int) -> Path:
        return self.made.task(self.round.name, part)

    def fill(self, part: int, staging: Path) -> None:
        self.round.make(self.made, part, staging)

    def path_of(self, part: int, moment: Moment | None) -> str:
        return f"task {part}"


def run_rounds(
    rounds: Sequence[Round],
    made: StepOutputs,
    stage: str,
    fingerprint: str,
    engine: Engine,
    watch: Watch,
    listen_round: Callable[[str, int, int], None],
) -> None:
    """Do what is not done of the rounds of the step ``stage``, unless its result is there."""
    for each in rounds:
        if is_made(made.folder / "result", fingerprint):
            return
        worker = RoundWorker(
            round=each,
            made=made,
            folder=made.folder,
            fingerprint=fingerprint,
            stage=f"{stage}-{each.name}",
            watch=watch,
        )
        try:
            (made.folder / each.name).mkdir(exist_ok=True)
            remove_staging(made.folder / each.name)
            tasks = each.tasks(made)
            for done, _ in enumerate(run_all(engine if tasks > 1 else Here(), worker, range(tasks)), 1):
                listen_round(each.name, done, tasks)
        except FileNotFoundError:  # another launch has finished, and cleared away what this one was reading
            if not is_made(made.folder / "result", fingerprint):
                raise


def is_made(folder: Path, fingerprint: str) -> bool:
    """Does ``folder`` hold what was made under this fingerprint?"""
    if not (folder / STEP).is_file():
        return False
    try:
        return bool(read_json(folder / STEP)["fingerprint"] == fingerprint)
    except (OSError, ValueError, KeyError):
        return False


def remove_stale(folder: Path, is_good: Callable[[], bool]) -> None:
    """Remove a folder that is damaged or of another run, unless another process has just put a good one in its
    place."""
    if not folder.exists() or is_good():
        return
    aside = folder.with_name(staging_name(folder.name))
    try:
        folder.rename(aside)
    except FileNotFoundError:
        return
    shutil.rmtree(aside, ignore_errors=True)
