"""Checkpoints that are either complete or absent, and fit any ZeRO stage and world size.

    RUN/checkpoints/step-00000100/
      model.safetensors        fp32 weights by parameter name, heads of paused tasks included
      optimizer.safetensors    Adam moments and Adam's own step count by parameter name
      state.json               step, cursors, fingerprints, configuration; sha256 and size of the two files above and
                               its own sha256

load, latest    a valid one on disk, the newest: a Checkpoint; what is passed over is named
read            the same with its tensors in one pass: a Snapshot
Snapshot        in memory: what a stage hands to the next, and what a checkpoint is when it has been read
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeVar

import torch

from data_prep.files import read_json, sha256_file, sha256_json
from pretrain.feed.sampling import Cursor
from pretrain.state.checkpoint_files import STATE_VERSION, TENSOR_FILES, check_hash, check_size, read_file
from pretrain.state.names import candidates
from pretrain.state.tensor_files import Weights, stored

Note = Callable[[str], None]
T = TypeVar("T")


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
    best: Mapping[str, Any] = field(default_factory=dict)
    """The best checkpoint so far and what it is judged by (pretrain/best.py); empty: none is kept."""
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

    @property
    def state_file(self) -> Path:
        """The file that holds the hashes of all others."""
        return self.folder / "state.json"

    def weights(self) -> Weights:
        """Weights alone, each read when it is asked for."""
        return stored(self.folder / TENSOR_FILES[0])


def latest(folder: Path, warn: Note) -> Checkpoint | None:
    """The newest valid checkpoint, or None when there is none at all.

    Raises:
        ValueError: there are checkpoints, but none of them is valid.
    """
    return newest(folder, warn, load)


def newest(folder: Path, warn: Note, opened: Callable[[Path], T]) -> T | None:
    """What ``opened`` makes of the newest checkpoint that it can open (``load``, ``read``); see ``latest``."""
    problems = []
    for candidate in reversed(candidates(folder)):
        try:
            return opened(candidate)
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
    state, files = _state(folder)
    for name, (size, digest) in files.items():
        check_size(folder / name, size)
        check_hash(folder / name, sha256_file(folder / name), digest)
    return Checkpoint(folder=folder, state=state)


def read(folder: Path) -> Snapshot:
    """The same in memory, every file read once.

    Raises:
        ValueError: as ``load``.
    """
    state, files = _state(folder)
    tensors: dict[str, torch.Tensor] = {}
    for name, (size, digest) in files.items():
        tensors |= read_file(folder / name, size, digest)
    return Snapshot(state=state, tensors=tensors)


def _state(folder: Path) -> tuple[State, Mapping[str, tuple[int, str]]]:
    """What state.json says: the state, and size and sha256 of the other files."""
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
    del value["version"]
    files = value.pop("files")
    cursors = {name: Cursor(**cursor) for name, cursor in value.pop("cursors").items()}
    return State(**value, cursors=cursors), files
