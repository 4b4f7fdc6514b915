"""`kmask train`: pretrain on this machine, or as one rank of several."""

from __future__ import annotations

import json
from typing import Annotated

import typer

from launch.processes import starting
from launch.verbs.arguments import ConfigFile, DryRun, Overrides

FROM_HELP = (
    "Begin a new run from this one: a run folder (its newest checkpoint), a checkpoint in it, an export, or a BERT or "
    "ERNIE folder; short for model.path=PATH. Read once."
)
OPTIMIZER_HELP = "Adam's memory of a run that is continued from: keep or reset; short for model.optimizer=..."
PROCESSES_HELP = "Processes on this machine; 0: one per GPU, or 2 without."


def train(
    config: ConfigFile,
    overrides: Overrides = None,
    continue_from: Annotated[str, typer.Option(help=FROM_HELP, metavar="PATH")] = "",
    optimizer: Annotated[str, typer.Option(help=OPTIMIZER_HELP, metavar="keep|reset")] = "",
    processes: Annotated[int, typer.Option(help=PROCESSES_HELP)] = 0,
    dry_run: DryRun = False,
) -> None:
    """Pretrain; run again to continue where it stopped. Under torchrun, srun or deepspeed each process is one rank."""
    given = [*(overrides or []), *beginning(continue_from, optimizer)]
    raise typer.Exit(starting.train(config, given, processes, dry_run))


def beginning(continue_from: str, optimizer: str) -> list[str]:
    """The options as overrides; every process of the run reads these."""
    named = {"model.path": continue_from, "model.optimizer": optimizer}
    return [f"{key}={json.dumps(value, ensure_ascii=False)}" for key, value in named.items() if value]
