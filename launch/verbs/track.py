"""`kmask track`: the metrics of a run, sent to a sink.

kmask track runs/my/run --to tensorboard
kmask track runs/my/run --to wandb --project mine mode=online
"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from launch.outcomes.replaying import run_track

RUN_HELP = "The folder of a training run, or its YAML."
TO_HELP = "`csv`, `tensorboard`, `wandb` or `swanlab`: a file of pretrain/sinks."
ITEMS_HELP = "Settings of the sink, as in mode=online; otherwise those of the run."


def track(
    run: Annotated[Path, typer.Argument(help=RUN_HELP)],
    to: Annotated[str, typer.Option(help=TO_HELP, metavar="SINK")],
    settings: Annotated[list[str] | None, typer.Argument(metavar="[KEY=VALUE]...", help=ITEMS_HELP)] = None,
    project: Annotated[str, typer.Option(help="Short for project=...")] = "",
) -> None:
    """Replay `metrics.jsonl` to a sink, which may be new to the run; again: only what is new, and nothing twice."""
    run_track(run, to, project, settings or [])
