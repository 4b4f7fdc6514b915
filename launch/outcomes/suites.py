"""`kmask eval SUITE.yaml`: every measure of every model, piece by piece; what is there already is not measured again.

Suite  ->  (model, measure, piece) with the fingerprint of what would be measured
       ->  OUTPUT/MODEL/MEASURE/PIECE.json and .npz where it is missing or of something else
       ->  a table: models down, figures across
"""

from __future__ import annotations

import contextlib
import json
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

from launch.outcomes.saved_runs import tell
from launch.settings.components import plain, read_config
from launch.settings.yaml_files import load
from launch.shell.exit_codes import DONE
from launch.shell.formatting import counted

VERSION = 1
"""Of what a measurement means: a higher one measures everything again."""


class Job(NamedTuple):
    """One piece of one measurement."""

    model: str
    measure: str
    piece: str
    folder: Path
    fingerprint: str

    @property
    def name(self) -> str:
        """MODEL MEASURE PIECE."""
        return f"{self.model} {self.measure}{'' if self.piece == 'all' else ' ' + self.piece}"


def is_suite(file: Path) -> bool:
    """Is it the YAML of a suite, and not that of a run?"""
    value = load(file, []).value
    return isinstance(value, dict) and "models" in value and "measures" in value


def run_suite(file: Path, overrides: Sequence[str], as_json: bool, dry_run: bool) -> int:
    """Measure what is missing, then print the table."""
    from launch.reports.compared.table import table_lines, values_of
    from pretrain.suite import Suite

    suite: Suite = read_config(Suite, file, list(overrides))
    with contextlib.redirect_stdout(sys.stderr):
        jobs = plan(suite)
        missing = [job for job in jobs if not _is_done(job)]
        print(f"{len(jobs)} pieces, {len(jobs) - len(missing)} of them done")
        if not dry_run:
            _measure(suite, missing)
    if dry_run:
        print("\n".join(f"would measure {job.name}" for job in missing) or "everything is measured")
        return DONE
    folders = {model: Path(suite.output) / model for model in suite.models}
    print(json.dumps(values_of(folders)) if as_json else "\n".join(table_lines(folders)))
    return DONE


def plan(suite: Any) -> list[Job]:
    """Every piece, with what would be measured; all files are looked at before anything is computed.

    Raises:
        ValueError: a model or a file is missing; every fault on a line.
    """
    from data_prep.files import sha256_file, sha256_json
    from pretrain.evaluation.subjects import identity

    faults: list[str] = []
    models, contents = {}, {}
    for name, path in suite.models.items():
        try:
            models[name] = identity(Path(path))
        except (ValueError, OSError) as error:
            faults.append(f"models.{name}: {error}")
    for name, measure in suite.measures.items():
        try:
            contents[name] = [sha256_file(path) for path in measure.files()]
        except (ValueError, OSError) as error:
            faults.append(f"measures.{name}: {error}")
    if faults:
        raise ValueError("\n".join(faults))
    return [
        Job(
            model,
            name,
            piece,
            Path(suite.output) / model / name,
            sha256_json(
                {"version": VERSION, "model": models[model], "measure": plain(measure), "files": contents[name]}
            ),
        )
        for model in suite.models
        for name, measure in suite.measures.items()
        for piece in measure.pieces()
    ]


def _is_done(job: Job) -> bool:
    from pretrain.evaluation.results import fingerprint_of, load

    if fingerprint_of(job.folder, job.piece) != job.fingerprint:
        return False
    try:
        load(job.folder, job.piece)
    except ValueError:
        return False
    return True


def _measure(suite: Any, jobs: Sequence[Job]) -> None:
    import torch

    from pretrain.evaluation.results import save

    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    for model in dict.fromkeys(job.model for job in jobs):
        subject = _opened(suite, model)
        subject.encoder.to(device)
        if subject.head is not None:
            subject.head.to(device)
        mine = [job for job in jobs if job.model == model]
        for name in dict.fromkeys(job.measure for job in mine):
            suite.measures[name].check(subject)
        for job in mine:
            began = time.monotonic()
            found = suite.measures[job.measure].measure(subject, job.piece, device, tell)
            seconds = time.monotonic() - began
            save(job.folder, job.piece, found, job.fingerprint, seconds)
            figures = ", ".join(f"{name} {outcome.value:.4f}" for name, outcome in list(found.outcomes.items())[:3])
            print(f"{job.name}: {figures} ({seconds:.0f} s)", flush=True)
    _sweep(suite)


def _sweep(suite: Any) -> None:
    """Tell about results of pieces that the suite no longer has: tables leave them out."""
    for model in suite.models:
        for name, measure in suite.measures.items():
            folder = Path(suite.output) / model / name
            extra = {file.stem for file in folder.glob("*.json")} - set(measure.pieces())
            if extra:
                tell(f"{folder}: {counted(len(extra), 'piece')} of older settings ({', '.join(sorted(extra)[:3])})")


def _opened(suite: Any, model: str) -> Any:
    """The subject; a folder that has no more than a ``vocab.txt`` is given a tokenizer.json beside the results."""
    from data_prep.encoding import Tokenizer
    from data_prep.vocabularies.vocabulary import adopt
    from pretrain.evaluation.subjects import open_subject

    path, tokenizer = Path(suite.models[model]), None
    if (path / "config.json").is_file() and not (path / "tokenizer.json").is_file():
        made = Path(suite.output) / model / "tokenizer"
        adopt(path, made)
        tokenizer = Tokenizer(folder=made)
    try:
        return open_subject(model, path, tokenizer)
    except ValueError as error:
        raise ValueError(f"models.{model}: {error}") from None
