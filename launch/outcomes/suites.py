"""`kmask eval SUITE.yaml`: every measure of every model, piece by piece; what is there already is not measured again.

Suite  ->  (model, measure, piece) with what would be measured (Source)
       ->  OUTPUT/MODEL/MEASURE/PIECE.json and .npz where it is missing or of something else
       ->  OUTPUT/suite.json: models and measures in the order of the suite, and a table of the figures

A model is measured by one process at a time; several may measure different models of one suite.
"""

from __future__ import annotations

import contextlib
import json
import shutil
import sys
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from launch.outcomes.saved_runs import tell
from launch.settings.components import plain, read_config
from launch.settings.yaml_files import load
from launch.shell.exit_codes import DONE
from launch.shell.formatting import counted

VERSION = 1
"""Of what a measurement means: a higher one measures everything again."""
WAIT_SECONDS = 3.0
"""For the end of another process that measures the same model."""
TOKENIZER = ".tokenizer"
"""Beside the results of a model whose folder has only a `vocab.txt`."""


class Job(NamedTuple):
    """One piece of one measurement."""

    model: str
    measure: str
    piece: str
    folder: Path
    source: Any
    """results.Source"""

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
    from launch.reports.compared.reading import read_results
    from launch.reports.compared.table import figures_lines, values_of
    from launch.views.terminal import print_lines
    from pretrain.suite import Suite

    suite: Suite = read_config(Suite, file, list(overrides))
    with contextlib.redirect_stdout(sys.stderr):
        models, files = looked_at(suite)
        jobs = plan(suite, models, files)
        missing = [job for job in jobs if not _is_done(job)]
        print(f"{counted(len(jobs), 'piece')}, {len(jobs) - len(missing)} of them done")
        if not dry_run:
            _keep_order(suite)
            _measure(suite, missing, models)
            _sweep(jobs)
    if dry_run:
        print("\n".join(f"would measure {job.name}" for job in missing) or "everything is measured")
        return DONE
    wanted: dict[str, dict[str, list[str]]] = {}
    for job in jobs:
        wanted.setdefault(job.model, {}).setdefault(job.measure, []).append(job.piece)
    results = read_results({model: Path(suite.output) / model for model in suite.models}, wanted)
    if as_json:
        print(json.dumps(values_of(results), ensure_ascii=False, allow_nan=False))
    else:
        print_lines(figures_lines(results, shutil.get_terminal_size((80, 24)).columns))
    return DONE


def looked_at(suite: Any) -> tuple[dict[str, str], dict[str, dict[str, str]]]:
    """What every model is recognised by, and the hash of every file of every measure; nothing is computed before.

    Raises:
        ValueError: a model or a file is missing, or not what it should be; every fault on a line.
    """
    from data_prep.files import sha256_file
    from pretrain.evaluation.subjects import identity

    faults: list[str] = []
    models, files = {}, {}
    for name, path in suite.models.items():
        try:
            models[name] = identity(Path(path))
        except (ValueError, OSError) as error:
            faults.append(f"models.{name}: {error}")
    for name, measure in suite.measures.items():
        try:
            files[name] = {str(path): sha256_file(path) for path in measure.files()}
        except ValueError as error:
            faults.append(f"measures.{name}: {error}")
        except OSError as error:
            faults.append(f"measures.{name}: {error.filename}: {error.strerror} (looked from {Path.cwd()})")
    if faults:
        raise ValueError("\n".join(faults))
    return models, files


def plan(suite: Any, models: Mapping[str, str], files: Mapping[str, dict[str, str]]) -> list[Job]:
    """Every piece, with what would be measured."""
    from data_prep.files import sha256_json
    from pretrain.evaluation.results import Source

    jobs = []
    for model in suite.models:
        for name, measure in suite.measures.items():
            settings = {key: value for key, value in plain(measure).items() if key != measure.PIECES}
            what = {"version": VERSION, "model": models[model], "measure": settings, "files": files[name]}
            source = Source(fingerprint=sha256_json(what), settings=settings, files=files[name])
            jobs += [Job(model, name, piece, Path(suite.output) / model / name, source) for piece in measure.pieces()]
    return jobs


def _is_done(job: Job) -> bool:
    from pretrain.evaluation.results import fingerprint_of

    return bool(fingerprint_of(job.folder, job.piece) == job.source.fingerprint)


def _keep_order(suite: Any) -> None:
    """Names of models and measures in their order; those of an earlier suite of the same folder stand behind."""
    from data_prep.files import write_json
    from launch.reports.compared.reading import ORDER, kept_order

    file = Path(suite.output) / ORDER
    order = {"models": dict(suite.models), "measures": plain(suite.measures)}
    for field, names in kept_order(Path(suite.output)).items():
        order[field] |= {name: value for name, value in names.items() if name not in order[field]}
    write_json(file, order)


def _measure(suite: Any, jobs: Sequence[Job], models: Mapping[str, str]) -> None:
    from pretrain.processes.lock import held

    for model in dict.fromkeys(job.model for job in jobs):
        with held(Path(suite.output) / model, WAIT_SECONDS, tell, "evaluation"):
            _measure_model(suite, model, [job for job in jobs if job.model == model and not _is_done(job)], models)


def _measure_model(suite: Any, model: str, jobs: Sequence[Job], models: Mapping[str, str]) -> None:
    import torch

    from pretrain.evaluation.results import save

    if not jobs:
        return
    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    subject = _opened(suite, model, models[model])
    subject.encoder.to(device)
    if subject.head is not None:
        subject.head.to(device)
    for name in dict.fromkeys(job.measure for job in jobs):
        try:
            suite.measures[name].check(subject)
        except ValueError as error:
            raise ValueError(f"measures.{name}, models.{model}: {error}") from None
    for job in jobs:
        began = time.monotonic()
        found = suite.measures[job.measure].measure(subject, job.piece, device, tell)
        seconds = time.monotonic() - began
        save(job.folder, job.piece, found, job.source, seconds)
        figures = ", ".join(f"{name} {outcome.value:.4f}" for name, outcome in list(found.outcomes.items())[:3])
        print(f"{job.name}: {figures} ({seconds:.0f} s)", flush=True)


def _sweep(jobs: Sequence[Job]) -> None:
    """Remove results that stand beside newer ones of other settings or of another model: nothing can be compared with
    them. Pieces of equal settings stay."""
    from pretrain.evaluation.results import fingerprint_of, pieces

    current = {job.folder: job.source.fingerprint for job in jobs}
    for folder, fingerprint in current.items():
        old = [piece for piece in pieces(folder) if fingerprint_of(folder, piece) != fingerprint]
        for piece in old:
            (folder / f"{piece}.json").unlink(missing_ok=True)
            (folder / f"{piece}.npz").unlink(missing_ok=True)
        if old:
            tell(f"{folder}: {counted(len(old), 'piece')} of older settings removed ({', '.join(old[:3])})")


def _opened(suite: Any, model: str, identity: str) -> Any:
    """The subject; a folder that has no more than a ``vocab.txt`` is given a tokenizer.json beside the results.

    Raises:
        ValueError: the model cannot be read, or is not the one that was planned.
    """
    from data_prep.encoding import Tokenizer
    from data_prep.vocabularies.vocabulary import adopt
    from pretrain.evaluation import subjects

    path, tokenizer = Path(suite.models[model]), None
    if (path / "config.json").is_file() and not (path / "tokenizer.json").is_file():
        made = Path(suite.output) / model / TOKENIZER
        adopt(path, made)
        tokenizer = Tokenizer(folder=made)
    try:
        subject = subjects.open_subject(model, path, tokenizer)
        if subjects.identity(path) != identity:
            raise ValueError(f"{path} has changed since the start; of a run that goes on, name one of its checkpoints")
    except ValueError as error:
        raise ValueError(f"models.{model}: {error}") from None
    return subject
