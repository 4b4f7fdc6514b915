"""`kmask status`: how a training run is doing now.

kmask status runs/my/run --follow
"""

from __future__ import annotations

import json
import time
from pathlib import Path
from typing import Annotated

import typer

from launch.cluster.status import status as status_of
from launch.cluster.status import status_lines

RUN_HELP = "The folder of a training run, or its YAML."
FOLLOW_HELP = "Again every few seconds, until the run has ended."
JSON_HELP = "As one line of JSON, and nothing else on stdout."
FOLLOW_SECONDS = 5.0


def status(
    run: Annotated[Path, typer.Argument(help=RUN_HELP)],
    follow: Annotated[bool, typer.Option("--follow", "-f", help=FOLLOW_HELP)] = False,
    as_json: Annotated[bool, typer.Option("--json", help=JSON_HELP)] = False,
) -> None:
    """Step, speed, losses, time left, newest checkpoint, and what every process is at; from any machine."""
    from launch.reports.run.run_folders import folder_of

    folder = folder_of(run)
    while True:
        found = status_of(folder)
        print(json.dumps(found, ensure_ascii=False) if as_json else "\n".join(status_lines(found)), flush=True)
        if not follow or found["state"] != "training":
            return
        time.sleep(FOLLOW_SECONDS)
