"""`kmask bench train` measures real steps of a run or of a folder."""

from __future__ import annotations

import re
import subprocess
from collections.abc import Callable
from pathlib import Path

Kmask = Callable[..., subprocess.CompletedProcess[str]]


def test_a_runs_steps_are_measured_and_it_is_left_alone(kmask: Kmask, tiny_run: Path, tmp_path: Path) -> None:
    before = sorted(tmp_path.rglob("*"))
    done = kmask("bench", "train", tiny_run, "--seconds", "0.2")
    assert done.returncode == 0, done.stderr
    steps = re.search(r"^(\d+) steps of one, one process, \d+ threads$", done.stdout, re.MULTILINE)
    rate = re.search(
        r"^real tokens a second +([\d,]+) +\(real share of positions (\d\.\d+)\)$", done.stdout, re.MULTILINE
    )
    assert steps and int(steps[1]) > 0
    assert rate and int(rate[1].replace(",", "")) > 0 and 0 < float(rate[2]) <= 1
    assert "MFLOP a real token" in done.stdout and "of large multiplications" in done.stdout
    assert sorted(tmp_path.rglob("*")) == before


def test_what_is_no_run_is_one_clear_line(kmask: Kmask, tmp_path: Path) -> None:
    done = kmask("bench", "train", tmp_path / "nowhere")
    assert done.returncode == 2 and done.stderr.startswith("error: ") and "nowhere" in done.stderr
