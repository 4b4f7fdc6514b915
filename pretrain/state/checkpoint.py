"""Checkpoints that are either complete or absent, and fit any ZeRO stage and world size.

    RUN/checkpoints/step-00000100/
      model.safetensors        fp32 weights by parameter name, heads of paused tasks included
      optimizer.safetensors    Adam moments and Adam's own step count by parameter name
      state.json               step, cursors, fingerprints, configuration; sha256 and size of the two files above and
                               its own sha256

Store.save      staging folder -> fsync -> a target that is there already is set aside -> rename -> older valid ones are
                deleted
Store.latest    the newest valid one as a Checkpoint; says which ones it passed over and why
Snapshot        the same in memory: what a stage hands to the next, and what a checkpoint is when it has been read

Only folders named ``step-`` and eight digits are checkpoints; whatever else lies beside them is neither counted nor
deleted.
"""

from __future__ import annotations

import re
import shutil
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import torch

from data_prep.files import STAGING_PREFIX, read_json, sha256_file, sha256_json, staged_folder, staging_name
from pretrain.feed.sampling import Cursor
from pretrain.state.checkpoint_files import STATE_VERSION, free_name, signature, write_files

NAME = re.compile(r"step-\d{8}")
Note = Callable[[str], None]


@dataclass(frozen=True, kw_only=True)
class State:
    """Where training stands: plain data, seen at an optimiser step only."""

    step: int
    """Steps done, skipped ones included: what the order of rows and the learning rate count in."""
    stage: int
    """Stage of the last step."""
    cursors: Mapping[str, Cursor]
    """The next row of every stream."""
    shares: Mapping[str, float]
    """Share of every stream of the stage: what ``served`` of the cursors was counted under."""
    done: Sequence[Mapping[str, Any]]
    """What was really trained: name, steps and tasks (with their shares or counts) of every stage so far."""
    learned: Sequence[str]
    """Tasks whose heads are in the file, in order of introduction; some may pause."""
    fingerprints: Mapping[str, str]
    """What the cursors count in: the prepared folders, also those that left the run."""
    config: Mapping[str, Any]
    """The resolved configuration."""
    encoder: Mapping[str, Any]
    """The encoder's shape as transformers' ErnieConfig writes it: neither data nor start checkpoint is needed any
    more."""
    seen: Mapping[str, float]
    """Totals since the beginning: tokens, seconds, skipped steps, targets of tasks that train the pooler
    (`pooled`, those of the run that this one began from included)."""
    source: Mapping[str, Any] = field(default_factory=dict)
    """What it began from (model.path): `path`, the `config` of the Hugging Face folder at the very beginning, had it a
    `pooler`, the `parts` that were read (forgetting.py); of a run or an export of kmask also its `kind`, `step`,
    `fingerprint`, `learned` tasks, stages (`done`) and its own `source`. Empty when it began from scratch."""
    task_ids: Mapping[str, int] = field(default_factory=dict)
    """Rows of the task table by task, of all tasks of the run."""
    old: Sequence[str] = field(default_factory=list)
    """Parts of the model that existed before the present stage began (forgetting.py)."""
    ends: Mapping[str, int] = field(default_factory=dict)
    """Ends of stages that each part's weights are the mean of; absent: of one (optimization.average_stages)."""
    window: Mapping[str, Any] = field(default_factory=dict)
    """Sums since the last line of metrics (metrics/sums.py)."""
    guard: Mapping[str, Any] = field(default_factory=dict)
    """What the watch over bad numbers remembers (stability.Guard)."""
    loss_scale: Mapping[str, Any] = field(default_factory=dict)
    """fp16's dynamic loss scale; empty otherwise."""
    lines: Mapping[str, int] = field(default_factory=dict)
    """Lines that metrics.jsonl and skipped.jsonl had: those behind them are written again after a resume."""
    machine: Mapping[str, Any] = field(default_factory=dict)
    """Processes, precision and versions that made it: bitwise promises hold for equal ones."""


@dataclass(frozen=True, kw_only=True)
class Snapshot:
    """A moment of training in memory, equal on every rank."""

    state: State
    tensors: Mapping[str, torch.Tensor]
    """fp32 on the CPU: ``NAME``, ``NAME#exp_avg``, ``NAME#exp_avg_sq`` and ``NAME#step``; where the ends of stages are
    averaged also ``NAME#begin``, the weights with which the stage began."""


@dataclass(frozen=True, kw_only=True)
class Checkpoint:
    """A complete checkpoint on disk."""

    folder: Path
    state: State

    def tensors(self, optimizer: bool = True) -> dict[str, torch.Tensor]:
        """Weights, and what Adam knows under ``NAME#exp_avg``, ``NAME#exp_avg_sq`` and ``NAME#step``."""
        from safetensors.torch import load_file

        found: dict[str, torch.Tensor] = load_file(self.folder / "model.safetensors")
        if optimizer:
            found.update(load_file(self.folder / "optimizer.safetensors"))
        return found

    def snapshot(self) -> Snapshot:
        """Everything in memory."""
        return Snapshot(state=self.state, tensors=self.tensors())


class Store:
    """The checkpoints of a run, for the one process that writes them (it holds the run's lock)."""

    def __init__(self, folder: Path, keep: int, note: Note) -> None:
        self.folder, self.keep, self.note = folder, keep, note
        self._whole: dict[Path, tuple[tuple[int, int], ...]] = {}

    def latest(self) -> Checkpoint | None:
        """The newest valid checkpoint (see ``latest``). One that a kill caught between two names gets its own back."""
        for aside in self.folder.glob("step-*.replaced*"):
            if not (own := aside.with_name(aside.name.partition(".")[0])).exists():
                aside.rename(own)
        return latest(self.folder, self.note)

    def save(self, snapshot: Snapshot) -> Path:
        """Publish a checkpoint and delete all valid ones but the newest ``keep``.

        A folder of this step that is there already is replaced; if it is damaged it stays, under another name.

        Raises:
            OSError: it could not be written (a full disk); nothing that was there has changed.
        """
        state = snapshot.state
        target = self.folder / f"step-{state.step:08d}"
        for left_over in self.folder.glob(f"{STAGING_PREFIX}*"):
            shutil.rmtree(left_over, ignore_errors=True)  # the lock is ours: whoever wrote this has ended
        aside: Path | None = None
        try:
            with staged_folder(target) as staging:
                write_files(staging, snapshot.tensors, _plain(snapshot.state))
                if target.exists():
                    aside = self._set_aside(target)
        except OSError:
            if aside is not None and not target.exists():
                aside.rename(target)
            raise
        for replaced in self.folder.glob(f"{target.name}.replaced*"):
            shutil.rmtree(replaced, ignore_errors=True)
        self._whole[target] = signature(target)
        whole_ones = [path for path in _candidates(self.folder) if self._is_whole(path)]
        for old in [path for path in whole_ones[: -self.keep] if path != target]:
            doomed = old.rename(self.folder / staging_name(old.name))  # never half a checkpoint
            shutil.rmtree(doomed, ignore_errors=True)
        return target

    def _set_aside(self, target: Path) -> Path:
        whole = self._is_whole(target)
        aside = target.rename(free_name(target, "replaced" if whole else "damaged"))
        if not whole:
            self.note(f"checkpoint {target} was damaged: it is now {aside.name}, and a new one takes its place")
        return aside

    def _is_whole(self, path: Path) -> bool:
        """Is this a valid checkpoint? Hashed once; afterwards sizes and times of its files tell."""
        try:
            if self._whole.get(path) != signature(path):
                load(path)
                self._whole[path] = signature(path)
        except (ValueError, OSError):
            return False
        return True


def _plain(state: State) -> dict[str, Any]:
    return {**asdict(state), "cursors": {name: cursor._asdict() for name, cursor in state.cursors.items()}}


def _candidates(folder: Path) -> list[Path]:
    """Folders that are named like checkpoints, oldest first."""
    return sorted(path for path in folder.glob("step-*") if NAME.fullmatch(path.name) and path.is_dir())


def latest(folder: Path, warn: Note) -> Checkpoint | None:
    """The newest valid checkpoint, or None when there is none at all.

    Raises:
        ValueError: there are checkpoints, but none of them is valid.
    """
    problems = []
    for candidate in reversed(_candidates(folder)):
        try:
            return load(candidate)
        except (ValueError, OSError) as error:
            problems.append(f"{candidate.name}: {error}")
            warn(f"checkpoint {candidate} is not usable ({error}); trying the one before")
    if problems:
        listed = "\n  ".join(problems)
        raise ValueError(
            f"no usable checkpoint in {folder}:\n  {listed}\nRestore one of them, or choose a new output folder."
        )
    return None


def load(folder: Path) -> Checkpoint:
    """A checkpoint whose files are whole.

    Raises:
        ValueError: a file is missing, cut short or altered, or the folder has another step's name.
    """
    if not (folder / "state.json").is_file():
        raise ValueError(f"{folder / 'state.json'} is missing")
    value = read_json(folder / "state.json")
    if not isinstance(value, dict) or value.get("version") != STATE_VERSION:
        version = value.get("version") if isinstance(value, dict) else None
        raise ValueError(
            f"{folder}: written by another version of kmask (format {version}, this one reads {STATE_VERSION})"
        )
    if value.pop("sha256", None) != sha256_json(value):
        raise ValueError("state.json was altered (its sha256 differs)")
    if folder.name != f"step-{value['step']:08d}":
        raise ValueError(f"its state says step {value['step']}, its name {folder.name}")
    for name, (size, digest) in value.pop("files").items():
        file = folder / name
        if not file.is_file():
            raise ValueError(f"{name} is missing")
        if file.stat().st_size != size:
            raise ValueError(f"{name} is cut short: {file.stat().st_size:,} of {size:,} bytes")
        if sha256_file(file) != digest:
            raise ValueError(f"{name} was altered (its sha256 differs)")
    del value["version"]
    cursors = {name: Cursor(**cursor) for name, cursor in value.pop("cursors").items()}
    return Checkpoint(folder=folder, state=State(**value, cursors=cursors))
