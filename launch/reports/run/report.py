"""`kmask report`: one run in full, several side by side; stdout holds the report, or with --json the figures alone."""

from __future__ import annotations

import contextlib
import json
import shutil
import sys
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from launch.reports.run.facts import read_run
from launch.reports.run.page import comparison_page, run_page
from launch.reports.run.run_folders import labels
from launch.reports.run.terminal import comparison_lines, run_lines
from launch.views.page import write_page
from launch.views.terminal import print_lines

NARROWEST, WIDEST = 60, 160


def report(targets: Sequence[Path], html: Path | None, as_json: bool) -> None:
    """Read the runs and show them.

    Raises:
        ValueError: one of them is no run, or has written no metrics yet.
    """
    runs = [read_run(target) for target in targets]
    names = labels([facts.folder for facts in runs])
    runs = [replace(facts, label=name) for facts, name in zip(runs, names, strict=True)]
    if as_json:
        print(json.dumps({"runs": [facts.plain() for facts in runs]}, ensure_ascii=False, allow_nan=False))
    else:
        width = max(NARROWEST, min(shutil.get_terminal_size((80, 24)).columns, WIDEST))
        print_lines(run_lines(runs[0], width) if len(runs) == 1 else comparison_lines(runs, width))
    if html:
        text = run_page(runs[0]) if len(runs) == 1 else comparison_page(runs)
        with contextlib.redirect_stdout(sys.stderr if as_json else sys.stdout):
            write_page(html, text)
