"""`kmask compare`: stdout holds the table, or with --json the figures alone; --html writes a page."""

from __future__ import annotations

import contextlib
import dataclasses
import json
import shutil
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from launch.reports.compared.differences import Comparison, compared
from launch.reports.compared.page import comparison_page
from launch.reports.compared.reading import Results, folders_of, read_results
from launch.reports.compared.table import compared_lines, values_of
from launch.views.page import write_page
from launch.views.terminal import print_lines

NARROWEST, WIDEST = 60, 160


def report(targets: Sequence[Path], baseline: str | None, html: Path | None, as_json: bool) -> None:
    """Read the results, compare them and show them.

    Raises:
        ValueError: a target holds no results, or there are no two models.
    """
    results = read_results(folders_of(targets))
    comparison = compared(results, baseline)
    if as_json:
        print(json.dumps(plain(results, comparison), ensure_ascii=False, allow_nan=False))
    else:
        width = max(NARROWEST, min(shutil.get_terminal_size((80, 24)).columns, WIDEST))
        print_lines(compared_lines(results, comparison, width))
    if html:
        with contextlib.redirect_stdout(sys.stderr if as_json else sys.stdout):
            write_page(html, comparison_page(results, comparison))


def plain(results: Results, comparison: Comparison) -> dict[str, Any]:
    """Everything as plain values."""
    figures: dict[str, Any] = values_of(results)
    for measure, models in comparison.differences.items():
        for model, differences in models.items():
            for figure, one in differences.items():
                figures[measure][figure][model]["difference"] = dataclasses.asdict(one)
    return {
        "baseline": comparison.baseline,
        "models": {
            name: {"results": str(folder), "model": results.paths[name]} for name, folder in results.folders.items()
        },
        "figures": figures,
        "left_out": list(comparison.left_out),
    }
