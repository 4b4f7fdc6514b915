"""`kmask launch`: pretrain on the machines of a cluster file."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from launch.processes import starting
from launch.processes.cost_plan import Asked
from launch.settings.yaml_files import ConfigError
from launch.verbs.arguments import ConfigFile, DryRun, Overrides

PLAN_HELP = "Say what it would cost there, and how its steps scale with the machines, and do nothing."
RATE_HELP = "For --plan: of one process alone; otherwise 40 % of what the cluster file's `device` can do at most."
MEMORY_HELP = "For --plan: of a device; otherwise that of this machine's GPU."
CLUSTER_HELP = "YAML that says how processes are started (`kind: local`, `hostfile`, ...); see configs/cluster/."


def launch(
    cluster: Annotated[Path, typer.Argument(help=CLUSTER_HELP)],
    config: ConfigFile,
    overrides: Overrides = None,
    dry_run: DryRun = False,
    plan: Annotated[bool, typer.Option("--plan", help=PLAN_HELP)] = False,
    rate: Annotated[float, typer.Option(help=RATE_HELP, metavar="TOKENS_PER_S")] = 0.0,
    memory: Annotated[float, typer.Option(help=MEMORY_HELP, metavar="GIB")] = 0.0,
) -> None:
    """Pretrain, or prepare where the YAML is one of data, on the machines that a cluster file describes."""
    if plan:
        raise typer.Exit(starting.plan(cluster, config, overrides or [], Asked(rate, memory)))
    if rate or memory:
        raise ConfigError("--rate and --memory belong to --plan")
    raise typer.Exit(starting.launch(cluster, config, overrides or [], dry_run))
