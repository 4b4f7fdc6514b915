"""`kmask doctor`: what this machine has, what the machines of a cluster have, or what a checkpoint is."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from launch.machine.doctor import examine
from launch.settings.yaml_files import ConfigError

CLUSTER_HELP = "Look at all machines of this cluster file, and let them add up numbers together."
MODEL_HELP = "Look at this checkpoint: a Hugging Face folder, a run or an export of kmask; what a run would do with it."
JSON_HELP = "With --model: print JSON."
RUN_HELP = "With --cluster: the YAML of a run, to see that every machine has its configuration and data."


def doctor(
    run: Annotated[Path | None, typer.Argument(metavar="[RUN.yaml]", help=RUN_HELP, show_default=False)] = None,
    cluster: Annotated[Path | None, typer.Option(metavar="CLUSTER.yaml", help=CLUSTER_HELP)] = None,
    model: Annotated[Path | None, typer.Option(metavar="DIR", help=MODEL_HELP)] = None,
    as_json: Annotated[bool, typer.Option("--json", help=JSON_HELP)] = False,
    all_reduce: Annotated[bool, typer.Option("--all-reduce", hidden=True)] = False,
) -> None:
    """Look at this machine: versions, GPUs, memory, disk, compilers, and what is missing; at those of a cluster;
    or at a checkpoint."""
    if all_reduce:
        from launch.machine.all_reduce import all_reduce as take_part
        from launch.machine.cluster_doctor import MINUTES

        raise typer.Exit(take_part(MINUTES))
    if as_json and model is None:
        raise ConfigError("doctor --json: it is about --model DIR")
    if model is not None:
        from launch.machine.model_doctor import examine_model

        raise typer.Exit(examine_model(model, as_json))
    if cluster is not None:
        from launch.machine.cluster_doctor import examine_cluster

        raise typer.Exit(examine_cluster(cluster, run))
    raise typer.Exit(examine())
