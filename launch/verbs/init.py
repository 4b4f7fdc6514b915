"""`kmask init`: a commented recipe to start from."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from launch.settings.recipes import write_recipe
from launch.verbs.arguments import DryRun

RECIPE_HELP = "`zh` or `en`: from scratch; `continue`: from a Hugging Face checkpoint."


def init(
    recipe: Annotated[str, typer.Argument(help=RECIPE_HELP)],
    folder: Annotated[Path, typer.Argument(help="Where to write data.yaml and pretrain.yaml.")] = Path(),
    dry_run: DryRun = False,
) -> None:
    """Write a commented recipe to start from."""
    for line in write_recipe(recipe, folder, dry_run):
        print(line)
