"""`kmask bench`: how fast this machine is on your own data."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from launch.machine.batch_speed import bench_batches
from launch.machine.masking_speed import bench_masking
from launch.machine.preparation_speed import bench_prepare
from launch.machine.train_speed import bench_train
from launch.settings.yaml_files import ConfigError

MEASURED = {"masking": bench_masking, "batches": bench_batches, "train": bench_train, "prepare": bench_prepare}


def bench(
    what: Annotated[
        str,
        typer.Argument(
            help="`masking`, `batches` or `train` on a prepared folder, `batches` or `train` on a run's YAML, "
            "`prepare` on a data YAML."
        ),
    ],
    target: Annotated[Path, typer.Argument(help="The folder or file to measure on.")],
    seconds: Annotated[float, typer.Option(help="How long to measure each figure.")] = 3.0,
) -> None:
    """Measure this machine on your own data."""
    if what not in MEASURED:
        raise ConfigError(f"bench {what}: one of {', '.join(MEASURED)}")
    MEASURED[what](target, seconds)
