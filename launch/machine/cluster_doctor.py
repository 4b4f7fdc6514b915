"""`kmask doctor --cluster`: every machine of a cluster file, and an all-reduce over all of them."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

from launch.backends import Backend
from launch.cluster.before import look
from launch.cluster.checks import table
from launch.cluster.measured import measured_file
from launch.cluster.starts import run
from launch.machine.all_reduce import MEASURED
from launch.settings.components import read_config
from launch.settings.yaml_files import load
from launch.shell.exit_codes import DONE, INTERRUPTED, STOPPED, USER_ERROR

MINUTES = 2.0


def keep_measured(found: Path, cluster: Path, backend: Backend) -> None:
    """Put what the all-reduce measured beside the cluster file, where `kmask launch --plan` reads it."""
    if not found.is_file():
        return
    value = {**json.loads(found.read_text(encoding="utf-8")), "machines": backend.machine_count()}
    try:
        measured_file(cluster).write_text(json.dumps(value) + "\n", encoding="utf-8")
    except OSError as error:
        print(f"note: not kept for `kmask launch --plan`: {error}")
        return
    print(f"kept for `kmask launch --plan` in {measured_file(cluster)}")


def examine_cluster(cluster: Path, file: Path | None) -> int:
    """Print one line a machine, every trouble, and how an all-reduce went; returns 2 when something must be mended."""
    backend: Backend = read_config(Backend, cluster, [])  # type: ignore[type-abstract]
    if backend.submits():
        raise ValueError(
            f"{cluster}: its machines belong to a job that is not there yet; run `kmask doctor` on one of them, within "
            "a job, or give a hostfile"
        )
    settings: Any = load(file, []).value if file else {}
    machines, told = look(backend, file, settings)
    if machines:
        print("\n".join(table(machines)))
    for line in told:
        print(f"problem: {line}")
    if told:
        return USER_ERROR
    place = Path(f".kmask-doctor-{cluster.stem}").absolute()
    try:
        code = run(backend, ["doctor", "--all-reduce"], place, settings, 60 * MINUTES)
        if code == DONE:
            keep_measured(place / MEASURED, cluster, backend)
    finally:
        shutil.rmtree(place, ignore_errors=True)
    if code == DONE:
        print("ready")
    return code if code in (DONE, STOPPED, INTERRUPTED) else USER_ERROR
