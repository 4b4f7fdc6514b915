"""Everything that a start of training would check, and what the run would be, without starting: for `kmask train
--dry-run`.

    preflight(run, resolved, place)  ->  Preflight      in the order of a real start, through its own functions

    precision, processes -> prepared folders -> output free -> newest checkpoint, may it continue -> masking tables,
    models, rows (plans.py) -> room on the disk

Nothing is written and no model is allocated: parameters are counted on torch's meta device (sizes.py).
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, NamedTuple

import torch

from pretrain.agreement import versions
from pretrain.beginning import begin_from, check_elsewhere
from pretrain.config import Run
from pretrain.continuing import check_continues
from pretrain.corpus import Corpus
from pretrain.plans import FolderPlan, StagePlan, folder_plans, heldout_documents, stage_plans
from pretrain.precision import automatic, check_possible
from pretrain.processes.lock import holder, refusal
from pretrain.processes.world import World
from pretrain.settled import settled
from pretrain.sinks import check_sinks
from pretrain.sizes import Memory, Sizes, training_memory
from pretrain.stages.schedule import total_steps
from pretrain.state import checkpoint
from pretrain.state.checkpoint import State


class Place(NamedTuple):
    """Where a run would be started."""

    processes: int
    local: int
    """Processes on this machine, whose GPUs and units decide then; 0 when all are on others, which may have what this
    one lacks."""


@dataclass(frozen=True, kw_only=True)
class Preflight:
    """What a start would do."""

    run: Run
    """With ``precision: auto`` decided."""
    why: str
    """The reason for its precision; empty when the configuration names one."""
    notes: Sequence[str]
    changes: Sequence[str]
    """Allowed differences from the newest checkpoint."""
    newest: Path | None
    """The checkpoint that it would continue from."""
    step: int
    """Where it would start."""
    stages: Sequence[StagePlan]
    folders: Sequence[FolderPlan]
    processes: int
    free: int
    """Bytes for checkpoints on the output's disk; those that are there already will be replaced and count as free."""

    @property
    def total(self) -> int:
        """Steps of all stages."""
        return total_steps(self.run.stages)

    @property
    def dearest(self) -> StagePlan:
        """The stage whose micro-batches need most memory; the last one, where none is left."""
        return max(reversed(self.stages), key=lambda stage: stage.activations)

    @property
    def sizes(self) -> Sizes:
        """Of the largest model of the stages that are left."""
        return max((stage.sizes for stage in self.stages if stage.sizes), key=lambda sizes: sizes.checkpoint)

    @property
    def memory(self) -> Memory:
        """Weights, gradients and Adam of a process in the stage that needs most."""
        found = [training_memory(stage.sizes, self.run.engine, self.processes) for stage in self.stages if stage.sizes]
        return max(found, key=sum)


def preflight(run: Run, resolved: Mapping[str, Any], place: Place) -> Preflight:
    """Check what a start of ``run`` checks, and say what it would do.

    Args:
        resolved: the configuration as plain values, as checkpoints keep it.

    Raises:
        ValueError: it would not start, or not continue; the message that the start would give.
    """
    run, why, notes = decided(run, place)
    if place.local:
        check_sinks(run.tracking.sinks)
    corpus, folder = Corpus(run=run), Path(run.output)
    run, resolved = corpus.bound, corpus.resolved(resolved)
    corpus.try_out()
    fingerprints = corpus.fingerprints
    check_elsewhere(run)
    check_output(folder)
    newest = checkpoint.latest(folder / "checkpoints", notes.append)
    run.check_processes(place.processes, newest.state.step if newest else 0)
    changes: list[str] = []
    if newest:
        changes = [
            *check_continues(newest.state, run, resolved, fingerprints),
            *_machine_changes(newest.state, run, place),
        ]
    begun = None if newest else begin_from(run, resolved, corpus.tokenizer)
    stages = stage_plans(run, corpus, newest, bool(place.local) and torch.cuda.is_available(), notes, begun)
    found = Preflight(
        run=run,
        why=why,
        notes=[*notes, *_advice(run, corpus)],
        changes=changes,
        newest=newest.folder if newest else None,
        step=newest.state.step if newest else 0,
        stages=stages,
        folders=folder_plans(run, corpus),
        processes=place.processes,
        free=_room(folder),
    )
    check_room(found)
    return found


def decided(run: Run, place: Place) -> tuple[Run, str, list[str]]:
    """The run with its precision, the reason for it, and what the user should know about it.

    Raises:
        ValueError: fp16 without a GPU, or more processes than GPUs.
    """
    gpu, asked = torch.cuda.is_available(), run.engine.precision
    if not place.local:
        choice = automatic(gpu)
        if asked == "auto":
            engine = replace(run.engine, precision=choice.precision)
            return (
                replace(run, engine=engine),
                f"auto: the machines that train decide; this one would take it, {choice.why}",
                [],
            )
        return run, "", ["precision fp16: every machine needs a GPU"] if asked == "fp16" else []
    check_possible(asked, gpu)
    if gpu and place.local > torch.cuda.device_count():
        raise ValueError(
            f"{place.local} processes need a GPU each, and this machine has {torch.cuda.device_count()}; start fewer"
        )
    engine, notes = settled(run, World(0, 1, torch.device("cuda" if gpu else "cpu")))
    if asked == "auto":
        return replace(run, engine=engine), f"auto: {automatic(gpu).why}", []
    return run, "", notes


def _existing(folder: Path) -> Path:
    """The folder, or the nearest one above it that is there."""
    return next(path for path in (folder.absolute(), *folder.absolute().parents) if path.exists())


def check_output(folder: Path) -> None:
    """Raise ValueError unless this process may train into the folder."""
    there = _existing(folder)
    if not there.is_dir():
        raise ValueError(f"output: {there} is a file; choose another output")
    if not os.access(there, os.W_OK | os.X_OK):
        raise ValueError(f"output: no permission to write in {there}; choose another output")
    if who := holder(folder):
        raise refusal(folder, who)


def _machine_changes(state: State, run: Run, place: Place) -> list[str]:
    """What is new about processes, device, precision and versions since the checkpoint."""
    now: dict[str, Any] = {"processes": place.processes, **versions()}
    if place.local:
        now |= {"device": "cuda" if torch.cuda.is_available() else "cpu", "precision": run.engine.precision}
    return [f"{key}: {value} -> {now[key]}" for key, value in state.machine.items() if now.get(key, value) != value]


def _advice(run: Run, corpus: Corpus) -> list[str]:
    """What is allowed and yet hardly meant."""
    found = []
    settings = run.optimization
    lengths = (
        {f"stage {stage.name}": stage.steps for stage in run.stages}
        if settings.restart_per_stage
        else {"the run": total_steps(run.stages)}
    )
    for name, steps in lengths.items():
        if settings.warmup >= steps:
            found.append(
                f"{name}: all of its {steps:,} steps are warm-up (optimization.warmup: {settings.warmup:,}), so the "
                "rate only rises"
            )
    if run.evaluation.every and not any(heldout_documents(folder) for folder in corpus.prepared.values()):
        found.append("no held-out documents: evaluation is skipped (raise `heldout` in the data configuration)")
    return found


def _room(folder: Path) -> int:
    """Bytes that checkpoints may take on the folder's disk."""
    there = sum(file.stat().st_size for file in (folder / "checkpoints").glob("step-*/*"))
    return shutil.disk_usage(_existing(folder)).free + there


def check_room(found: Preflight) -> None:
    """Raise ValueError when the disk does not hold the checkpoints that are kept and the one that is being written."""
    settings, size = found.run.checkpoints, found.sizes.checkpoint
    count = settings.most([stage.steps for stage in found.run.stages])
    if found.step < found.total and count * size > found.free:
        kept = f"keep: {settings.keep:,}" + (f", keep_every: {settings.keep_every:,}" if settings.keep_every else "")
        raise ValueError(
            f"output: {count:,} checkpoints (checkpoints.{kept}, and the one being written) take "
            f"{count * size / 1e9:,.2f} GB, the disk of {_existing(Path(found.run.output))} has room for "
            f"{found.free / 1e9:,.2f} GB. Make room, keep fewer, or choose another output."
        )
