"""A trained run as eval and export see it: a folder, or a YAML whose `output` is one, and one whole checkpoint of it.

choose_run(target, overrides, step)      ->  ChosenRun
open_checkpoint(chosen, read)            ->  what ``read`` makes of the newest whole checkpoint, or of that of --step;
                                             and what was passed over
"""

from __future__ import annotations

import dataclasses
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

from launch.settings.components import decode, plain, read_config
from launch.settings.yaml_files import Source

T = TypeVar("T")


@dataclass(frozen=True, kw_only=True)
class ChosenRun:
    """Which checkpoint of which run."""

    folder: Path
    """The run, wherever it lies now."""
    run: Any = None
    """The configuration of a YAML; None: the one that the checkpoint recorded."""
    step: int | None = None
    """None: the newest."""
    export: bool = False
    """Is the folder an export?"""

    def config(self, state: Any) -> Any:
        """The configuration to work with."""
        from pretrain.config import Run

        return as_learned(self.run, state) if self.run else decode(Run, Source(as_now(state.config), {}))

    def check(self, state: Any, run: Any, fingerprints: Mapping[str, str]) -> None:
        """Tell what a YAML changes since the checkpoint.

        Args:
            fingerprints: of the prepared folders that will be read; they must be those that were trained on.

        Raises:
            ValueError: the YAML or a folder does not belong to the checkpoint.
        """
        from pretrain.continuing import check_continues

        changed = check_continues(state, run, plain(run) if self.run else state.config, fingerprints)
        if changed:
            tell(f"changed since the checkpoint: {'; '.join(changed)}")


def as_now(config: Mapping[str, Any]) -> dict[str, Any]:
    """A recorded configuration with its settings as they are called now: `tracking.wandb` became one of its sinks."""
    tracking = dict(config.get("tracking", {}))
    mode, project = tracking.pop("wandb", None), tracking.pop("project", "kmask")
    if mode is not None:
        tracking["sinks"] = [] if mode == "disabled" else [{"kind": "wandb", "mode": mode, "project": project}]
    return {**config, "tracking": tracking} if "tracking" in config else dict(config)


def as_learned(run: Any, state: Any) -> Any:
    """A configuration whose tasks know what they learned from their folders: what a YAML leaves empty, as the names of
    classes, the checkpoint says."""
    tasks = {}
    for name, task in run.tasks.items():
        before = state.config["tasks"].get(name, {})
        empty = (item.name for item in dataclasses.fields(task) if item.name != "folders")
        known = {key: before[key] for key in empty if getattr(task, key) == [] and before.get(key)}
        tasks[name] = dataclasses.replace(task, **known)
    return dataclasses.replace(run, tasks=tasks)


def tell(text: str) -> None:
    """A note for the user."""
    print(f"note: {text}", file=sys.stderr)


def choose_run(target: Path, overrides: Sequence[str], step: int | None, exports: bool = False) -> ChosenRun:
    """What the arguments name.

    Args:
        exports: may it be an exported folder?

    Raises:
        ValueError: there is no such run, or overrides were given for a run folder.
    """
    from pretrain.config import Run
    from pretrain.state.exported import is_export
    from pretrain.state.names import NAME

    if target.is_file():
        run: Any = read_config(Run, target, list(overrides))
        if not Path(run.output).is_dir():
            raise ValueError(
                f"{target}: its output {run.output} is not there (looked from {Path.cwd()}); "
                "train first, or give the run folder itself"
            )
        return ChosenRun(folder=Path(run.output), run=run, step=step)
    if not target.is_dir():
        raise ValueError(f"{target}: no such run folder or YAML file (looked from {Path.cwd()})")
    if overrides:
        raise ValueError(
            f"{overrides[0]}: a run folder brings its own configuration; "
            f"give the training YAML instead of {target} to change something"
        )
    if NAME.fullmatch(target.name):
        raise ValueError(f"{target} is a single checkpoint; give its run folder and --step {int(target.name[-8:])}")
    if export := is_export(target):
        if not exports:
            raise ValueError(f"{target} is an exported model; give the run folder that it came from")
        if step is not None:
            raise ValueError(f"--step: {target} is an exported model, which has one step")
    return ChosenRun(folder=target, step=step, export=export)


def chosen_step(target: Path, overrides: Sequence[str], step: int | None, best: bool) -> int | None:
    """The step that was asked for, by number or as the best.

    Raises:
        ValueError: both were given, or the run has no best checkpoint.
    """
    from pretrain.best import best_step

    if not best:
        return step
    if step is not None:
        raise ValueError(f"--best and --step {step}: give one of them")
    return best_step(choose_run(target, overrides, None).folder, tell)


def steps_of(folder: Path) -> list[int]:
    """Steps of the checkpoints of a run, damaged ones included, oldest first."""
    from pretrain.state.names import candidates, step_of

    return [step_of(path) for path in candidates(folder / "checkpoints")]


def open_checkpoint(chosen: ChosenRun, read: Callable[[Any], T]) -> tuple[T, list[dict[str, Any]]]:
    """What ``read`` makes of the checkpoint, and which newer ones were passed over because they are damaged.

    A training that goes on deletes old checkpoints under the reader's hands: when a newer one has appeared meanwhile,
    that is read.

    Raises:
        ValueError: there is no such checkpoint, or none is whole.
    """
    if chosen.export:
        from pretrain.state.exported import exported

        return read(exported(chosen.folder)), []
    there = steps_of(chosen.folder)
    if not there:
        raise ValueError(
            f"{chosen.folder} holds no checkpoint yet; "
            "train first (a checkpoint is written every checkpoints.every steps)"
        )
    if chosen.step is not None:
        return _read_step(chosen.folder, chosen.step, there, read), []
    try:
        return _read_newest(chosen.folder, there, read)
    except (ValueError, OSError):
        now = steps_of(chosen.folder)
        if now[-1:] <= there[-1:]:
            raise
        return _read_newest(chosen.folder, now, read)


def _read_step(folder: Path, step: int, there: Sequence[int], read: Callable[[Any], T]) -> T:
    from pretrain.state.checkpoint import load

    path, listed = folder / "checkpoints" / f"step-{step:08d}", ", ".join(map(str, there))
    if step not in there:
        raise ValueError(f"{folder} holds no checkpoint of step {step}; there are those of {listed}")
    try:
        found = load(path)
    except (ValueError, OSError) as error:
        raise ValueError(f"checkpoint {path} is not usable ({error}); there are those of {listed}") from None
    try:
        return read(found)
    except OSError:
        if path.is_dir():
            raise
        raise ValueError(
            f"checkpoint {path} was deleted while it was read; "
            f"there are those of {', '.join(map(str, steps_of(folder)))}"
        ) from None


def _read_newest(folder: Path, there: Sequence[int], read: Callable[[Any], T]) -> tuple[T, list[dict[str, Any]]]:
    from pretrain.state.checkpoint import load

    passed_over: list[dict[str, Any]] = []
    for step in reversed(there):
        try:
            found = load(folder / "checkpoints" / f"step-{step:08d}")
        except (ValueError, OSError) as error:
            passed_over.append({"step": step, "reason": str(error)})
            continue
        result = read(found)
        for item in passed_over:
            tell(f"the checkpoint of step {item['step']} is not usable ({item['reason']}); that of step {step} is used")
        return result, passed_over
    lines = "\n  ".join(f"step {item['step']}: {item['reason']}" for item in passed_over)
    raise ValueError(f"no usable checkpoint in {folder / 'checkpoints'}:\n  {lines}\nRestore one of them.")
