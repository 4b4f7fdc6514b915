"""Corpus-wide steps: what must be known about the whole corpus before its parts can be made (duplicates, vocabulary,
mined phrases).

    map      each part's documents  ->  steps/NAME/parts/NNNNNN/   published by one rename, deleted when the result is
             there
    rounds   what came before       ->  steps/NAME/ROUND/NNNNNN/   the same, for a step too large for one process
             (rounds.py)
    reduce   all those folders      ->  steps/NAME/result/         published by one rename

All are pure functions of (plan, step), so a step may be killed, repeated, shared by several launches and run by any
engine, like the parts themselves.
"""

from __future__ import annotations

import shutil
import time
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from data_prep.documents import Document, Rejected
from data_prep.engines import Engine
from data_prep.files import remove_staging, sha256_json, staged_folder, write_json
from data_prep.running.claims import claim
from data_prep.running.notes import Moment
from data_prep.running.rounds import STEP, FolderTask, Round, StepOutputs, is_made, remove_stale, run_rounds
from data_prep.running.supervision import NOWHERE, POLL_SECONDS, Watch, run_all


class Step(ABC):
    """One corpus-wide step. Objects are sent to worker processes."""

    name: str
    """Name of its folder."""

    @abstractmethod
    def fingerprint(self) -> dict[str, Any]:
        """What decides its result, apart from the documents."""

    @abstractmethod
    def map(self, documents: Iterable[tuple[int, Document]], folder: Path) -> None:
        """Write what one part contributes into ``folder``. Each document comes with its number among the part's
        records."""

    def rounds(self) -> Sequence[Round]:
        """What is to be done between map and reduce, in order."""
        return ()

    @abstractmethod
    def reduce(self, folders: Sequence[Path], folder: Path) -> None:
        """Join the contributions of all parts, in their order, into ``folder``."""

    def finish(self, made: StepOutputs, folder: Path) -> None:
        """Make the result in ``folder`` after the rounds: ``reduce``, unless the step reads what rounds have made."""
        self.reduce(made.parts, folder)


@dataclass(frozen=True, kw_only=True)
class StepWorker(FolderTask):
    """Maps one part; sent to worker processes."""

    step: Step
    documents: Callable[[int], Iterator[Document | Rejected]]
    """The documents of a part, in order; its bound object travels along."""
    where: Callable[[int, Moment | None], str]
    """Names the file a worker was reading."""

    def target(self, part: int) -> Path:
        return self.folder / "parts" / f"{part:06d}"

    def fill(self, part: int, staging: Path) -> None:
        self.step.map(
            ((number, item) for number, item in enumerate(self.documents(part)) if isinstance(item, Document)), staging
        )

    def path_of(self, part: int, moment: Moment | None) -> str:
        return self.where(part, moment)


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
    listen_round: Callable[[str, int, int], None] = lambda name, done, tasks: None,
) -> Path:
    """Do a step unless it is done, and return the folder of its result.

    ``listen`` hears how many parts are mapped, ``listen_round`` the name of a round, how many of its tasks are done,
    and of how many. ``parts`` is how many the plan has, or the numbers of those to be read. ``watch`` and ``where``
    tell where workers note what they are at, and how to name a file; without them a worker's death is not traced to a
    document.

    Raises:
        ValueError, OSError: something the user can put right; what is finished stays.
    """
    numbers = range(parts) if isinstance(parts, int) else parts
    folder = root / "steps" / step.name
    fingerprint = sha256_json([plan_fingerprint, step.fingerprint(), list(numbers)])
    result = folder / "result"
    if not is_made(result, fingerprint):
        open_parts(folder)
        watch = watch if watch.launch else Watch(folder=root, launch="")
        worker = StepWorker(
            step=step,
            documents=documents,
            folder=folder,
            fingerprint=fingerprint,
            stage=step.name,
            watch=watch,
            where=where or _unknown,
        )
        for done, _ in enumerate(run_all(engine, worker, numbers), 1):
            listen(done)
        made = StepOutputs([worker.target(part) for part in numbers], folder)
        run_rounds(step.rounds(), made, step.name, fingerprint, engine, watch, listen_round)
        publish(step, made, fingerprint, root)
    clear(folder, step)
    return result


def open_parts(folder: Path) -> None:
    """Make the folder of a step's parts, without what an interrupted launch has left there."""
    (folder / "parts").mkdir(parents=True, exist_ok=True)
    for place in (folder, folder / "parts"):
        remove_staging(place)


def publish(step: Step, made: StepOutputs, fingerprint: str, root: Path) -> None:
    """Make the result, or wait for the launch that is at it."""
    result = made.folder / "result"
    while not is_made(result, fingerprint):
        with claim(root / "claims" / f"{step.name}-result") as mine:
            if mine and not is_made(result, fingerprint):
                remove_stale(result, lambda: is_made(result, fingerprint))
                with staged_folder(result) as staging:
                    step.finish(made, staging)
                    write_json(staging / STEP, {"fingerprint": fingerprint, **step.fingerprint()})
        if not mine:
            time.sleep(POLL_SECONDS)


def clear(folder: Path, step: Step) -> None:
    """Remove what only helped to make the result."""
    for name in ("parts", *(each.name for each in step.rounds())):
        shutil.rmtree(folder / name, ignore_errors=True)


def _unknown(part: int, moment: Moment | None) -> str:
    return f"part {part}"
