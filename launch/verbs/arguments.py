"""Arguments that several verbs have, with the help they show."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

ConfigFile = Annotated[Path, typer.Argument(help="YAML file; see configs/ or `kmask init`.")]
DataFile = Annotated[Path, typer.Argument(help="Data YAML; see configs/data or `kmask init`.")]
Overrides = Annotated[list[str] | None, typer.Argument(help="Changes to it: dotted.key=value ...")]
DryRun = Annotated[bool, typer.Option("--dry-run", help="Say what would be done and do nothing.")]

TrainedRun = Annotated[Path, typer.Argument(help="The folder of a training run, or its YAML.")]
YamlChanges = Annotated[list[str] | None, typer.Argument(help="Changes to a YAML: dotted.key=value ...")]
Best = Annotated[bool, typer.Option("--best", help="The best checkpoint (checkpoints.best) instead of the newest.")]
Step = Annotated[int | None, typer.Option(help="The checkpoint of this step instead of the newest.")]
