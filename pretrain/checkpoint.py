"""Checkpoints that are either complete or absent, and fit any ZeRO stage and world size.

    RUN/checkpoints/step-00000100/
      model.safetensors        fp32 weights by parameter name
      optimizer.safetensors    Adam moments by parameter name
      state.json               step, cursors, fingerprints, configuration; sha256 and size of the two files above

Written to a staging folder, fsynced, renamed; older ones are deleted only afterwards. Loading takes the newest valid one and
says which ones it skipped and why.
"""

from __future__ import annotations

import shutil
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch

from data_prep.files import read_json, remove_staging, sha256_file, staged_folder, write_json
from pretrain.sampling import Cursor

STATE_VERSION = 1


@dataclass(frozen=True, kw_only=True)
class State:
    """Where training stands: plain data, seen at an optimiser step only."""

    step: int
    """Optimiser steps done."""
    cursors: Mapping[str, Cursor]
    """The next row of every stream."""
    stage: int
    """Stage that the tensors belong to (its tasks' heads are in the file)."""
    fingerprints: Mapping[str, str]
    """What the cursors count in: the prepared folders."""
    config: Mapping[str, Any]
    """The resolved configuration."""
    encoder: Mapping[str, Any]
    """The encoder's shape as transformers' ErnieConfig writes it: an export needs neither data nor start checkpoint."""
    seen: Mapping[str, float]
    """Totals since the beginning: tokens, seconds."""


@dataclass(frozen=True, kw_only=True)
class Checkpoint:
    """A complete checkpoint on disk."""

    folder: Path
    state: State

    def tensors(self, optimizer: bool = True) -> dict[str, torch.Tensor]:
        """Weights, and moments under ``NAME#exp_avg`` and ``NAME#exp_avg_sq``."""
        from safetensors.torch import load_file

        found: dict[str, torch.Tensor] = load_file(self.folder / "model.safetensors")
        if optimizer:
            found.update(load_file(self.folder / "optimizer.safetensors"))
        return found


def save(folder: Path, tensors: Mapping[str, torch.Tensor], state: State, keep: int) -> Path:
    """Publish a checkpoint under ``folder`` and delete all but the newest ``keep``."""
    from safetensors.torch import save_file

    target = folder / f"step-{state.step:08d}"
    remove_staging(folder)
    with staged_folder(target) as staging:
        save_file({name: tensor for name, tensor in tensors.items() if "#" not in name}, staging / "model.safetensors")
        save_file({name: tensor for name, tensor in tensors.items() if "#" in name}, staging / "optimizer.safetensors")
        files = {name: [(staging / name).stat().st_size, sha256_file(staging / name)] for name in ("model.safetensors", "optimizer.safetensors")}
        value = {
            "version": STATE_VERSION,
            "step": state.step,
            "stage": state.stage,
            "cursors": {name: cursor._asdict() for name, cursor in state.cursors.items()},
            "fingerprints": dict(state.fingerprints),
            "config": dict(state.config),
            "encoder": dict(state.encoder),
            "seen": dict(state.seen),
            "files": files,
        }
        write_json(staging / "state.json", value)
    for old in sorted(folder.glob("step-*"))[:-keep]:
        shutil.rmtree(old, ignore_errors=True)
    return target


def latest(folder: Path, warn: Callable[[str], None]) -> Checkpoint | None:
    """The newest valid checkpoint, or None when there is none at all.

    Raises:
        ValueError: there are checkpoints, but none of them is valid.
    """
    found = sorted(folder.glob("step-*"), reverse=True)
    problems = []
    for candidate in found:
        try:
            return load(candidate)
        except (ValueError, OSError, KeyError, TypeError) as error:
            problems.append(f"{candidate.name}: {error}")
            warn(f"checkpoint {candidate} is not usable ({error}); trying the one before")
    if problems:
        raise ValueError(f"no usable checkpoint in {folder}:\n  " + "\n  ".join(problems) + "\nRestore one of them, or choose a new output folder.")
    return None


def load(folder: Path) -> Checkpoint:
    """A checkpoint whose files are whole.

    Raises:
        ValueError: a file is missing, cut short or altered.
    """
    if not (folder / "state.json").is_file():
        raise ValueError(f"{folder / 'state.json'} is missing")
    value = read_json(folder / "state.json")
    if value["version"] != STATE_VERSION:
        raise ValueError(f"{folder}: written by another version of kmask (format {value['version']}, this one reads {STATE_VERSION})")
    for name, (size, digest) in value["files"].items():
        file = folder / name
        if not file.is_file():
            raise ValueError(f"{name} is missing")
        if file.stat().st_size != size:
            raise ValueError(f"{name} is cut short: {file.stat().st_size:,} of {size:,} bytes")
        if sha256_file(file) != digest:
            raise ValueError(f"{name} was altered (its sha256 differs)")
    state = State(
        step=value["step"],
        stage=value["stage"],
        cursors={name: Cursor(**cursor) for name, cursor in value["cursors"].items()},
        fingerprints=value["fingerprints"],
        config=value["config"],
        encoder=value["encoder"],
        seen=value["seen"],
    )
    return Checkpoint(folder=folder, state=state)


def fitted(value: torch.Tensor | None, shape: torch.Size, default: torch.Tensor | None) -> torch.Tensor:
    """``value`` in ``shape``: a table with fewer rows is extended by zeros (or by ``default``), nothing else may differ."""
    if value is None:
        return torch.zeros(shape)
    if value.shape == shape:
        return value
    grown = torch.zeros(shape) if default is None or default.shape != shape else default.clone()
    grown[: value.shape[0]] = value
    return grown
