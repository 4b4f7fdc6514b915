"""The common start of train and launch: configuration -> backend -> processes, or what they would be."""

from __future__ import annotations

import contextlib
import shutil
from pathlib import Path
from typing import Any

from launch.backends import Backend
from launch.backends.local import Local
from launch.processes.dry_run import dry_run as tell_start
from launch.processes.rank import is_rank, run_rank
from launch.settings.components import plain, read_config
from launch.settings.config_classes import config_class
from launch.settings.yaml_files import load
from launch.shell.exit_codes import USER_ERROR


def train(file: Path, overrides: list[str], processes: int, dry_run: bool) -> int:
    """`kmask train`: one rank when started as one, otherwise all of them on this machine. Returns the exit code."""
    if is_rank() and not dry_run:

        def read() -> tuple[Any, Any]:
            run: Any = read_config(config_class("pretrain"), file, overrides)
            return run, plain(run)

        return run_rank(read)
    from pretrain.processes import stopping

    if not dry_run:
        stopping.listen()  # Local.run takes over; what arrives until then is not lost
    try:
        return start(Local(processes=processes), file, overrides, dry_run, remote=False)
    finally:
        stopping.forget()


def launch(cluster: Path, file: Path, overrides: list[str], dry_run: bool) -> int:
    """`kmask launch`: on the machines of a cluster file. Returns the exit code."""
    backend: Backend = read_config(Backend, cluster, [])  # type: ignore[type-abstract]
    return start(backend, file, overrides, dry_run, remote=True)


def start(backend: Backend, file: Path, overrides: list[str], dry_run: bool, remote: bool) -> int:
    """Start the processes of a run, or say what would be started. Rank 0 checks the configuration."""
    if dry_run:
        return tell_start(backend, file, overrides, remote)
    output = Path(str(load(file, overrides).value.get("output", ".")))
    new = not output.exists()
    code = int(backend.run(["train", str(file), *overrides], str(output / "logs")))
    if new and code == USER_ERROR:
        forget_start(output)
    return code


def forget_start(output: Path) -> None:
    """Remove what a start that was refused has left: a folder with logs and a lock, in which nothing was trained."""
    from pretrain.processes.lock import NAME, held

    if output.is_dir() and all(path.name in ("logs", NAME) for path in output.iterdir()):
        # not under another training that has just begun
        with contextlib.suppress(ValueError, OSError), held(output, 0, lambda note: None):
            shutil.rmtree(output)
