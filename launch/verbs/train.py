"""`kmask train`: pretrain on this machine, or as one rank of several."""

from __future__ import annotations

from typing import Annotated

import typer

from launch.processes import starting
from launch.verbs.arguments import ConfigFile, DryRun, Overrides

PROCESSES_HELP = "Processes on this machine; 0: one per GPU, or 2 without."


def train(
    config: ConfigFile,
    overrides: Overrides = None,
    processes: Annotated[int, typer.Option(help=PROCESSES_HELP)] = 0,
    dry_run: DryRun = False,
) -> None:
    """Pretrain; run again to continue where it stopped. Under torchrun, srun or deepspeed each process is one rank."""
    raise typer.Exit(starting.train(config, overrides or [], processes, dry_run))
