"""The files of a checkpoint: how they are written and read, and what tells that they have changed."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch

from data_prep.files import fsync_file, sha256_file, sha256_json, write_json

STATE_VERSION = 2
TENSOR_FILES = ("model.safetensors", "optimizer.safetensors")
BLOCK_BYTES = 4 << 20
KINDS = {"F32": torch.float32, "I64": torch.int64}
"""Kinds of numbers in a checkpoint, as safetensors calls them."""


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


def check_size(file: Path, size: int) -> None:
    """Raise ValueError unless a file is there with so many bytes."""
    if not file.is_file():
        raise ValueError(f"{file.name} is missing")
    if (found := file.stat().st_size) != size:
        raise ValueError(f"{file.name} is cut short: {found:,} of {size:,} bytes")


def check_hash(file: Path, found: str, expected: str) -> None:
    """Raise ValueError unless both sha256 are equal."""
    if found != expected:
        raise ValueError(f"{file.name} was altered (its sha256 differs)")


def read_file(file: Path, size: int, digest: str) -> dict[str, torch.Tensor]:
    """The tensors of a file, read and hashed in one pass; all are views of one buffer, which lives as long
    as one of them.

    Raises:
        ValueError: it is not the file that was written.
    """
    check_size(file, size)
    buffer, seen = torch.empty(size, dtype=torch.uint8), hashlib.sha256()
    view, end = memoryview(buffer.numpy().data), 0
    with file.open("rb", buffering=0) as handle:
        while count := handle.readinto(view[end : end + BLOCK_BYTES]):
            seen.update(view[end : end + count])
            end += count
    check_hash(file, seen.hexdigest(), digest)
    begin = 8 + int.from_bytes(view[:8], "little")
    header = json.loads(bytes(view[8:begin]))
    header.pop("__metadata__", None)
    found = {}
    for name, entry in header.items():
        first, last = entry["data_offsets"]
        found[name] = buffer[begin + first : begin + last].view(KINDS[entry["dtype"]]).view(entry["shape"])
    return found


def free_name(path: Path, why: str) -> Path:
    """A name beside ``path`` that nothing has: ``step-00000100.damaged``, ``step-00000100.damaged1`` ..."""
    names = (path.with_name(f"{path.name}.{why}{number or ''}") for number in range(10**6))
    return next(name for name in names if not name.exists())


def signature(path: Path) -> tuple[tuple[int, int], ...]:
    """Size and time of change (ns) of each file of a checkpoint."""
    found = [(path / name).stat() for name in (*TENSOR_FILES, "state.json")]
    return tuple((item.st_size, item.st_mtime_ns) for item in found)
