"""`kmask launch`: pretrain on the machines of a cluster file."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from launch.processes import starting
from launch.verbs.arguments import ConfigFile, DryRun, Overrides

CLUSTER_HELP = "YAML that says how processes are started (`kind: local`, `hostfile`, ...); see configs/cluster/."


def launch(
    cluster: Annotated[Path, typer.Argument(help=CLUSTER_HELP)],
    config: ConfigFile,
    overrides: Overrides = None,
    dry_run: DryRun = False,
) -> None:
    """Pretrain, or prepare where the YAML is one of data, on the machines that a cluster file describes."""
    raise typer.Exit(starting.launch(cluster, config, overrides or [], dry_run))
