"""`kmask push`: a verified export to the Hugging Face hub."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from launch.outcomes.pushing import run_push
from launch.verbs.arguments import DryRun

FOLDER_HELP = "A folder that `kmask export` wrote."
REPO_HELP = "OWNER/NAME; it is made if it does not exist."
ENDPOINT_HELP = "Of a mirror or of a hub of your own; HF_ENDPOINT, else huggingface.co."
PRIVATE_HELP = "Make a new repository private."
JSON_HELP = "What was done as JSON, and nothing else on stdout."


def push(
    folder: Annotated[Path, typer.Argument(help=FOLDER_HELP)],
    repo: Annotated[str, typer.Argument(help=REPO_HELP)],
    endpoint: Annotated[str, typer.Option("--endpoint", help=ENDPOINT_HELP)] = "",
    private: Annotated[bool, typer.Option("--private", help=PRIVATE_HELP)] = False,
    as_json: Annotated[bool, typer.Option("--json", help=JSON_HELP)] = False,
    dry_run: DryRun = False,
) -> None:
    """Upload an export; run it again when it broke off, only what is missing or differs is sent."""
    raise typer.Exit(run_push(folder, repo, endpoint.rstrip("/"), private, as_json, dry_run))
