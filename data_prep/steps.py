"""Corpus-wide steps: what must be known about the whole corpus before its parts can be made (duplicates, frequencies, mined phrases).

    map      each part's documents  ->  steps/NAME/parts/NNNNNN/   published by one rename
    reduce   all those folders      ->  steps/NAME/result/         published by one rename

Both are pure functions of (plan, step), so a step may be killed, repeated, and run by any engine, like the parts themselves.
"""

from __future__ import annotations

import shutil
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from data_prep.documents import Document, Rejected
from data_prep.engines import Engine
from data_prep.files import read_json, remove_staging, sha256_json, staged_folder, write_json

STEP = "step.json"


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

    @abstractmethod
    def reduce(self, folders: Sequence[Path], folder: Path) -> None:
        """Join the contributions of all parts, in their order, into ``folder``."""


@dataclass(frozen=True, kw_only=True)
class StepWorker:
    """Maps one part; sent to worker processes."""

    step: Step
    documents: Callable[[int], Iterator[Document | Rejected]]
    """The documents of a part, in order; its bound object travels along."""
    folder: Path
    fingerprint: str

    def __call__(self, part: int) -> int:
        """Publish the contribution of ``part`` unless it is there."""
        target = self.folder / "parts" / f"{part:06d}"
        if not _is_made(target, self.fingerprint):
            shutil.rmtree(target, ignore_errors=True)
            with staged_folder(target) as staging:
                found = ((number, item) for number, item in enumerate(self.documents(part)) if isinstance(item, Document))
                self.step.map(found, staging)
                write_json(staging / STEP, {"fingerprint": self.fingerprint})
        return part


def run_step(
    step: Step,
    documents: Callable[[int], Iterator[Document | Rejected]],
    parts: int,
    engine: Engine,
    root: Path,
    plan_fingerprint: str,
    listen: Callable[[int], None] = lambda done: None,
) -> Path:
    """Do a step unless it is done, and return the folder of its result. ``listen`` hears how many parts are mapped.

    Raises:
        ValueError, OSError: something the user can put right; what is finished stays.
    """
    folder = root / "steps" / step.name
    fingerprint = sha256_json([plan_fingerprint, step.fingerprint()])
    result = folder / "result"
    if _is_made(result, fingerprint):
        return result
    (folder / "parts").mkdir(parents=True, exist_ok=True)
    for place in (folder, folder / "parts"):
        remove_staging(place)
    worker = StepWorker(step=step, documents=documents, folder=folder, fingerprint=fingerprint)
    for done, _ in enumerate(engine.run(worker, range(parts)), 1):
        listen(done)
    shutil.rmtree(result, ignore_errors=True)
    with staged_folder(result) as staging:
        step.reduce([folder / "parts" / f"{part:06d}" for part in range(parts)], staging)
        write_json(staging / STEP, {"fingerprint": fingerprint, **step.fingerprint()})
    return result


def _is_made(folder: Path, fingerprint: str) -> bool:
    if not (folder / STEP).is_file():
        return False
    try:
        return bool(read_json(folder / STEP)["fingerprint"] == fingerprint)
    except (ValueError, KeyError):
        return False
