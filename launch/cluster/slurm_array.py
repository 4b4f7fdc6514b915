"""A Slurm array that prepares a corpus on many machines: each task runs the same `kmask prepare`.

    kmask prepare data.yaml --slurm 16 > prepare.sbatch;  sbatch prepare.sbatch

Tasks that share the prepared folder take parts that no other is at (data_prep/running/claims.py), so any number of them
may start, end, be killed and be queued again in any order; whichever is there last finishes the folder. The same
command by hand on machines that share a file system does the same.
"""

from __future__ import annotations

import shlex
import sys
from pathlib import Path

SCRIPT = """#!/bin/bash
# Prepares {file} with {tasks} tasks that divide the work among themselves. Add your partition, account and time limit.
#SBATCH --job-name=kmask-prepare
#SBATCH --array=0-{last}
#SBATCH --nodes=1
#SBATCH --ntasks=1
#SBATCH --cpus-per-task=16
#SBATCH --mem-per-cpu=1500M
#SBATCH --requeue
#SBATCH --output=kmask-prepare-%A_%a.log

cd {folder} || exit 2
exec {command}
"""


def slurm_script(file: Path, overrides: list[str], tasks: int) -> str:
    """The script for ``sbatch``. Raises ValueError for a number of tasks that is none."""
    if not str(file).isprintable():
        raise ValueError(f"{str(file)!r} holds characters that a script cannot hold")
    if tasks < 1:
        raise ValueError(f"--slurm: {tasks} tasks; give at least 1")
    command = [sys.executable, "-m", "launch.cli", "prepare", str(file), *overrides]
    return SCRIPT.format(
        file=file, tasks=tasks, last=tasks - 1, folder=shlex.quote(str(Path.cwd())), command=shlex.join(command)
    )
