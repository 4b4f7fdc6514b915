"""`kmask doctor`: what this machine has, or what the machines of a cluster have."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from launch.machine.doctor import examine

CLUSTER_HELP = "Look at all machines of this cluster file, and let them add up numbers together."
RUN_HELP = "With --cluster: the YAML of a run, to see that every machine has its configuration and data."


def doctor(
    run: Annotated[Path | None, typer.Argument(metavar="[RUN.yaml]", help=RUN_HELP, show_default=False)] = None,
    cluster: Annotated[Path | None, typer.Option(metavar="CLUSTER.yaml", help=CLUSTER_HELP)] = None,
    all_reduce: Annotated[bool, typer.Option("--all-reduce", hidden=True)] = False,
) -> None:
    """Look at this machine: versions, GPUs, memory, disk, compilers, and what is missing; or at those of a cluster."""
    if all_reduce:
        from launch.machine.all_reduce import all_reduce as take_part
        from launch.machine.cluster_doctor import MINUTES

        raise typer.Exit(take_part(MINUTES))
    if cluster is not None:
        from launch.machine.cluster_doctor import examine_cluster

        raise typer.Exit(examine_cluster(cluster, run))
    raise typer.Exit(examine())
