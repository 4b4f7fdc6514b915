"""`kmask eval`: figures of a checkpoint on held-out documents, or of several models on whatever a suite measures."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from launch.outcomes.evaluating import run_eval
from launch.outcomes.saved_runs import chosen_step
from launch.outcomes.suites import is_suite, run_suite
from launch.verbs.arguments import Best, DryRun, Step, YamlChanges

WHAT_HELP = "The folder of a training run, or its YAML; or a suite: a YAML of models and measures."
JSON_HELP = "The figures as JSON, and nothing else on stdout."


def evaluate(
    what: Annotated[Path, typer.Argument(metavar="RUN|SUITE.yaml", help=WHAT_HELP)],
    overrides: YamlChanges = None,
    step: Step = None,
    best: Best = False,
    as_json: Annotated[bool, typer.Option("--json", help=JSON_HELP)] = False,
    dry_run: DryRun = False,
) -> None:
    """Loss and accuracy of a checkpoint on held-out documents, by task and kind of unit; or a suite of measures."""
    changes = overrides or []
    if what.is_file() and is_suite(what):
        if step is not None or best:
            raise ValueError(
                "--step, --best: a suite names checkpoints itself, as models: {ours: RUN/checkpoints/step-...}"
            )
        raise typer.Exit(run_suite(what, changes, as_json, dry_run))
    raise typer.Exit(run_eval(what, changes, chosen_step(what, changes, step, best), as_json, dry_run))
