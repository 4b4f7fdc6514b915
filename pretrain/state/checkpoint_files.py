"""The files of a checkpoint: how they are written, and what tells that they have changed."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch

from data_prep.files import fsync_file, sha256_file, sha256_json, write_json

STATE_VERSION = 2
TENSOR_FILES = ("model.safetensors", "optimizer.safetensors")


def write_files(staging: Path, tensors: Mapping[str, torch.Tensor], state: Mapping[str, Any]) -> None:
    """Write weights, what Adam knows (names with ``#``), and the state with the sizes and hashes of both.

    Raises:
        OSError: a file could not be written.
    """
    from safetensors import SafetensorError
    from safetensors.torch import save_file

    try:
        save_file({name: tensor for name, tensor in tensors.items() if "#" not in name}, staging / TENSOR_FILES[0])
        save_file({name: tensor for name, tensor in tensors.items() if "#" in name}, staging / TENSOR_FILES[1])
    except SafetensorError as error:
        raise OSError(f"{staging.parent}: {error}") from None
    files = {name: [(staging / name).stat().st_size, sha256_file(staging / name)] for name in TENSOR_FILES}
    value = {"version": STATE_VERSION, **state, "files": files}
    write_json(staging / "state.json", {**value, "sha256": sha256_json(value)})
    mode = (staging / "state.json").stat().st_mode
    for name in TENSOR_FILES:
        (staging / name).chmod(mode)  # safetensors creates private files
        fsync_file(staging / name)


def free_name(path: Path, why: str) -> Path:
    """A name beside ``path`` that nothing has: ``step-00000100.damaged``, ``step-00000100.damaged1`` ..."""
    names = (path.with_name(f"{path.name}.{why}{number or ''}") for number in range(10**6))
    return next(name for name in names if not name.exists())


def signature(path: Path) -> tuple[tuple[int, int], ...]:
    """Size and time of change (ns) of each file of a checkpoint."""
    found = [(path / name).stat() for name in (*TENSOR_FILES, "state.json")]
    return tuple((item.st_size, item.st_mtime_ns) for item in found)
