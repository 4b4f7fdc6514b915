"""`kmask eval`: figures of a checkpoint on held-out documents."""

from __future__ import annotations

from typing import Annotated

import typer

from launch.outcomes.evaluating import run_eval
from launch.outcomes.saved_runs import step_of
from launch.verbs.arguments import Best, DryRun, Step, TrainedRun, YamlChanges

JSON_HELP = "The figures as JSON, and nothing else on stdout."


def evaluate(
    run: TrainedRun,
    overrides: YamlChanges = None,
    step: Step = None,
    best: Best = False,
    as_json: Annotated[bool, typer.Option("--json", help=JSON_HELP)] = False,
    dry_run: DryRun = False,
) -> None:
    """Loss and accuracy of a checkpoint on held-out documents, by task and kind of unit."""
    raise typer.Exit(run_eval(run, overrides or [], step_of(run, overrides or [], step, best), as_json, dry_run))
