"""`kmask report`: what came of a training run, or of several side by side."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from launch.reports.run.report import report as write_report

RUNS_HELP = "Folders of training runs, or their YAMLs. One is reported in full, several side by side."
JSON_HELP = "The figures as JSON, and nothing else on stdout."


def report(
    runs: Annotated[list[Path], typer.Argument(metavar="RUN...", help=RUNS_HELP)],
    html: Annotated[Path | None, typer.Option(help="Also write a self-contained page.")] = None,
    as_json: Annotated[bool, typer.Option("--json", help=JSON_HELP)] = False,
) -> None:
    """What came of a run, from its `metrics.jsonl`: what each task still knows at every stage's end, curves, plan."""
    write_report(runs, html, as_json)
