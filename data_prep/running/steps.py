"""Corpus-wide steps: what must be known about the whole corpus before its parts can be made (duplicates, vocabulary, mined phrases).

    map      each part's documents  ->  steps/NAME/parts/NNNNNN/   published by one rename, deleted when the result is there
    rounds   what came before       ->  steps/NAME/ROUND/NNNNNN/   the same, for a step too large for one process; most have none
    reduce   all those folders      ->  steps/NAME/result/         published by one rename

All are pure functions of (plan, step), so a step may be killed, repeated, shared by several launches and run by any engine, like
the parts themselves. A round is a number of tasks that need nothing of each other; it begins when the one before has ended.
"""

from __future__ import annotations

import shutil
import time
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

from data_prep.documents import Document, Rejected
from data_prep.engines import Engine
from data_prep.files import read_json, remove_staging, sha256_json, staged_folder, staging_name, write_json
from data_prep.running.claims import claim
from data_prep.running.supervision import NOWHERE, POLL_SECONDS, Moment, Task, Watch, run_all

STEP = "step.json"


class Made(NamedTuple):
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
    tasks: Callable[[Made], int]
    """How many there are; what was made before tells."""
    make: Callable[[Made, int, Path], None]
    """Write what one task makes into a folder."""


class Step(ABC):
    """One corpus-wide step. Objects are sent to worker processes."""

    name: str
    """Name of its folder."""

    @abstractmethod
    def fingerprint(self) -> dict[str, Any]:
        """What decides its result, apart from the documents."""

    @abstractmethod
    def map(self, documents: Iterable[tuple[int, Document]], folder: Path) -> None:
        """Write what one part contributes into ``folder``. Each document comes with its number among the part's records."""

    def rounds(self) -> Sequence[Round]:
        """What is to be done between map and reduce, in order."""
        return ()

    @abstractmethod
    def reduce(self, folders: Sequence[Path], folder: Path) -> None:
        """Join the contributions of all parts, in their order, into ``folder``."""

    def finish(self, made: Made, folder: Path) -> None:
        """Make the result in ``folder`` after the rounds: ``reduce``, unless the step reads what rounds have made."""
        self.reduce(made.parts, folder)


@dataclass(frozen=True, kw_only=True)
class StepWorker(Task):
    """Maps one part; sent to worker processes."""

    step: Step
    documents: Callable[[int], Iterator[Document | Rejected]]
    """The documents of a part, in order; its bound object travels along."""
    folder: Path
    fingerprint: str
    stage: str
    watch: Watch
    where: Callable[[int, Moment | None], str]
    """Names the file a worker was reading."""

    def finished(self, part: int) -> int | None:
        made = is_made(self.folder / "result", self.fingerprint) or is_made(self.target(part), self.fingerprint)
        return part if made else None

    def target(self, part: int) -> Path:
        """What the step found in a part."""
        return self.folder / "parts" / f"{part:06d}"

    def make(self, part: int) -> int:
        take_away(self.target(part), lambda: self.finished(part) is not None)
        with staged_folder(self.target(part)) as staging:
            found = ((number, item) for number, item in enumerate(self.documents(part)) if isinstance(item, Document))
            self.step.map(found, staging)
            write_json(staging / STEP, {"fingerprint": self.fingerprint})
        return part

    def path_of(self, part: int, moment: Moment | None) -> str:
        return self.where(part, moment)


@dataclass(frozen=True, kw_only=True)
class RoundWorker(Task):
    """Does one task of a round; sent to worker processes."""

    step: Step
    index: int
    """Of the round."""
    made: Made
    fingerprint: str
    stage: str
    watch: Watch

    def finished(self, part: int) -> int | None:
        made = is_made(self.made.folder / "result", self.fingerprint) or is_made(self.target(part), self.fingerprint)
        return part if made else None

    def target(self, part: int) -> Path:
        """What the task makes."""
        return self.made.task(self.step.rounds()[self.index].name, part)

    def make(self, part: int) -> int:
        take_away(self.target(part), lambda: self.finished(part) is not None)
        with staged_folder(self.target(part)) as staging:
            self.step.rounds()[self.index].make(self.made, part, staging)
            write_json(staging / STEP, {"fingerprint": self.fingerprint})
        return part

    def path_of(self, part: int, moment: Moment | None) -> str:
        return f"task {part}"


def run_step(
    step: Step,
    documents: Callable[[int], Iterator[Document | Rejected]],
    parts: int | Sequence[int],
    engine: Engine,
    root: Path,
    plan_fingerprint: str,
    listen: Callable[[int], None] = lambda done: None,
    watch: Watch = NOWHERE,
    where: Callable[[int, Moment | None], str] | None = None,
    heard: Callable[[str, int, int], None] = lambda name, done, tasks: None,
) -> Path:
    """Do a step unless it is done, and return the folder of its result. ``listen`` hears how many parts are mapped, ``heard`` how many
    tasks of a round are done.

    ``parts`` is how many the plan has, or the numbers of those to be read. ``watch`` and ``where`` tell where workers note what
    they are at, and how to name a file; without them a worker's death is not traced to a document.

    Raises:
        ValueError, OSError: something the user can put right; what is finished stays.
    """
    numbers = range(parts) if isinstance(parts, int) else parts
    folder = root / "steps" / step.name
    fingerprint = sha256_json([plan_fingerprint, step.fingerprint(), list(numbers)])
    result = folder / "result"
    if is_made(result, fingerprint):
        clear(folder, step)
        return result
    (folder / "parts").mkdir(parents=True, exist_ok=True)
    for place in (folder, folder / "parts"):
        remove_staging(place)
    watch = watch if watch.launch else Watch(folder=root, launch="")
    worker = StepWorker(step=step, documents=documents, folder=folder, fingerprint=fingerprint, stage=step.name, watch=watch, where=where or _unknown)
    for done, _ in enumerate(run_all(engine, worker, numbers), 1):
        listen(done)
    made = Made([worker.target(part) for part in numbers], folder)
    run_rounds(step, made, fingerprint, engine, watch, heard)
    publish(step, made, fingerprint, root)
    clear(folder, step)
    return result


def publish(step: Step, made: Made, fingerprint: str, root: Path) -> None:
    """Make the result, or wait for the launch that is at it."""
    result = made.folder / "result"
    while not is_made(result, fingerprint):
        with claim(root / "claims" / f"{step.name}-result") as mine:
            if mine and not is_made(result, fingerprint):
                take_away(result, lambda: is_made(result, fingerprint))
                with staged_folder(result) as staging:
                    step.finish(made, staging)
                    write_json(staging / STEP, {"fingerprint": fingerprint, **step.fingerprint()})
        if not mine:
            time.sleep(POLL_SECONDS)


def run_rounds(step: Step, made: Made, fingerprint: str, engine: Engine, watch: Watch, heard: Callable[[str, int, int], None]) -> None:
    """Do what is not done of the rounds, unless the result is there."""
    for index, each in enumerate(step.rounds()):
        if is_made(made.folder / "result", fingerprint):
            return
        worker = RoundWorker(step=step, index=index, made=made, fingerprint=fingerprint, stage=f"{step.name}-{each.name}", watch=watch)
        try:
            (made.folder / each.name).mkdir(exist_ok=True)
            remove_staging(made.folder / each.name)
            tasks = each.tasks(made)
            for done, _ in enumerate(run_all(engine, worker, range(tasks)), 1):
                heard(each.name, done, tasks)
        except FileNotFoundError:  # another launch has finished, and cleared away what this one was reading
            if not is_made(made.folder / "result", fingerprint):
                raise


def clear(folder: Path, step: Step) -> None:
    """Remove what only helped to make the result."""
    for name in ("parts", *(each.name for each in step.rounds())):
        shutil.rmtree(folder / name, ignore_errors=True)


def is_made(folder: Path, fingerprint: str) -> bool:
    """Does ``folder`` hold what was made under this fingerprint?"""
    if not (folder / STEP).is_file():
        return False
    try:
        return bool(read_json(folder / STEP)["fingerprint"] == fingerprint)
    except (OSError, ValueError, KeyError):
        return False


def take_away(folder: Path, is_good: Callable[[], bool]) -> None:
    """Remove a folder that is damaged or of another run, unless another process has just put a good one in its place."""
    if not folder.exists() or is_good():
        return
    aside = folder.with_name(staging_name(folder.name))
    try:
        folder.rename(aside)
    except FileNotFoundError:
        return
    shutil.rmtree(aside, ignore_errors=True)


def _unknown(part: int, moment: Moment | None) -> str:
    return f"part {part}"
