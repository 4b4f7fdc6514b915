"""`kmask compare`: results of several models beside each other, with differences, intervals and significance."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from launch.reports.compared.report import report

RESULTS_HELP = "OUTPUT/MODEL folders of suites that `kmask eval` has measured, or an OUTPUT with all of its models."
BASELINE_HELP = "The model that the others are compared with: its name in the table. Otherwise the first one."
JSON_HELP = "The figures as JSON, and nothing else on stdout."


def compare(
    results: Annotated[list[Path], typer.Argument(metavar="RESULTS...", help=RESULTS_HELP)],
    baseline: Annotated[str | None, typer.Option(help=BASELINE_HELP)] = None,
    html: Annotated[Path | None, typer.Option(help="Also write a self-contained page with plots.")] = None,
    as_json: Annotated[bool, typer.Option("--json", help=JSON_HELP)] = False,
) -> None:
    """Evaluated models beside each other: every figure, its difference to a baseline, intervals and significance."""
    report(results, baseline, html, as_json)
