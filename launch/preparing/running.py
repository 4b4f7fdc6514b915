"""`kmask prepare CONFIG`: a data configuration is prepared, with bars while it goes on and a summary at the end."""

from __future__ import annotations

import time
from pathlib import Path
from typing import TYPE_CHECKING

from launch.cluster.slurm_array import slurm_script
from launch.reports.prepared.summary import summarise
from launch.reports.prepared.warning_lines import input_lines
from launch.settings.components import read_config
from launch.shell.console import Bar, Stages
from launch.shell.exit_codes import DONE

if TYPE_CHECKING:
    from data_prep.preparing.plan import StageProgress


def run_prepare(file: Path, overrides: list[str], slurm: int | None = None) -> int:
    """Prepare; with ``slurm``, print a script that does it in so many tasks. Returns the exit code."""
    from data_prep.preparing.pipeline import prepare
    from data_prep.preparing.plan import Preparation, find_all

    preparation = read_config(Preparation, file, overrides)
    if slurm is not None:
        print(slurm_script(file, overrides, slurm), end="")
        return DONE
    bars = PreparationBars()
    found = find_all(preparation)
    for line in input_lines(preparation, found):
        bars.parts.say(line)
    begun = time.monotonic()
    try:
        manifest = prepare(preparation, bars, found)
    finally:
        bars.close()
    return summarise(manifest, Path(preparation.output), time.monotonic() - begun)


class PreparationBars:
    """Hears how far a preparation is: a bar for each corpus-wide step, then one over the parts."""

    def __init__(self) -> None:
        self.parts, self.steps = Bar("prepare", "bytes"), Stages()

    def __call__(self, progress: StageProgress) -> None:
        if progress.stage == "parts":
            self.steps.bar.close()
            found = f"{progress.documents:,} documents,"
            self.parts.update(progress.done, progress.total, found, f"{progress.rejected:,} set aside")
            return
        self.steps.update(progress.stage, progress.done, progress.total)
        if progress.done == progress.total:
            self.steps.bar.close()
            self.parts.say(finished(progress))

    def close(self) -> None:
        """Leave the bars as they are."""
        self.parts.close()
        self.steps.bar.close()


def finished(progress: StageProgress) -> str:
    """What is told at the end of a step; one of several rounds has a comma in its name."""
    if "," in progress.stage:
        return f"{progress.stage}: {progress.total:,} task(s) done"
    if progress.stage == "survey":
        return f"surveyed {progress.total / 1e6:,.1f} MB of files"
    return f"{progress.stage}: corpus read"
