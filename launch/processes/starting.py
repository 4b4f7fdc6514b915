"""The common start of train and launch: configuration -> backend -> processes, or what they would be."""

from __future__ import annotations

import contextlib
import shutil
from pathlib import Path
from typing import Any

from launch.backends import Backend
from launch.backends.local import Local
from launch.cluster import before, starts
from launch.cluster.preparation import prepare_on
from launch.preparing.planning import show_plan
from launch.preparing.running import run_prepare
from launch.processes.cost_plan import Asked, tell_plan
from launch.processes.dry_run import dry_run as tell_start
from launch.processes.rank import is_rank, run_rank
from launch.settings.components import plain, read_config
from launch.settings.config_classes import config_class, recognise
from launch.settings.yaml_files import ConfigError, load
from launch.shell.exit_codes import DONE, USER_ERROR

TIMEOUT_MINUTES = 10.0
LEFT = ("logs", "attempts", "ranks")


def train(file: Path, overrides: list[str], processes: int, dry_run: bool) -> int:
    """`kmask train`: one rank when started as one, otherwise all of them on this machine. Returns the exit code."""
    if is_rank() and not dry_run:

        def read() -> tuple[Any, Any]:
            run: Any = read_config(config_class("pretrain"), file, overrides)
            return run, plain(run)

        return run_rank(read)
    return start(Local(processes=processes), file, overrides, dry_run, remote=False)


def launch(cluster: Path, file: Path, overrides: list[str], dry_run: bool) -> int:
    """`kmask launch`: train, or prepare, on the machines of a cluster file. Returns the exit code."""
    backend: Backend = read_config(Backend, cluster, [])  # type: ignore[type-abstract]
    if recognise(load(file, overrides).value) == "data":
        if isinstance(backend, Local) and dry_run:
            show_plan(file, overrides)
            return DONE
        if isinstance(backend, Local):
            return run_prepare(file, overrides)
        return prepare_on(backend, file, overrides, dry_run)
    return start(backend, file, overrides, dry_run, remote=True)


def plan(cluster: Path, file: Path, overrides: list[str], asked: Asked) -> int:
    """`kmask launch --plan`: what a run would cost on the machines of a cluster file. Returns the exit code."""
    if recognise(load(file, overrides).value) == "data":
        raise ConfigError(f"--plan: {file} is prepared, not trained; give the YAML of a run")
    backend: Backend = read_config(Backend, cluster, [])  # type: ignore[type-abstract]
    return tell_plan(backend, file, overrides, asked, cluster)


def start(backend: Backend, file: Path, overrides: list[str], dry_run: bool, remote: bool) -> int:
    """Start the processes of a run, or say what would be started. Rank 0 checks the configuration."""
    if dry_run:
        return tell_start(backend, file, overrides, remote)
    from pretrain.processes import stopping

    stopping.listen()  # starts.run takes over; what arrives until then is not lost
    try:
        settings = load(file, overrides).value
        output = Path(str(settings.get("output", ".")))
        new = not output.exists()
        before.check(backend, file, settings)
        patience = 60 * (backend.timeout_minutes or timeout_of(settings))
        code = starts.run(backend, ["train", str(file), *overrides], output, settings, patience)
    finally:
        stopping.forget()
    if new and code == USER_ERROR:
        forget_start(output)
    return code


def timeout_of(settings: Any) -> float:
    """Minutes that the run's processes wait for each other; its own checks tell what is wrong with them."""
    engine = settings.get("engine")
    given = engine.get("timeout_minutes") if isinstance(engine, dict) else None
    return float(given) if isinstance(given, (int, float)) and given > 0 else TIMEOUT_MINUTES


def forget_start(output: Path) -> None:
    """Remove what a start that was refused has left: a folder with logs and a lock, in which nothing was trained."""
    from pretrain.processes.lock import NAME, held

    if output.is_dir() and all(path.name in (*LEFT, NAME) for path in output.iterdir()):
        # not under another training that has just begun
        with contextlib.suppress(ValueError, OSError), held(output, 0, lambda note: None):
            shutil.rmtree(output)
