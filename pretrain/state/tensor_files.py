"""safetensors files, read and written one tensor at a time: a model goes from file to file without being in memory.

    stored(file)                    ->  Weights      names, shapes, and each tensor when it is asked for; the file may
                                                     be deleted meanwhile
    weights.renamed({"a": "b"})     ->  Weights      what an export calls `a` is `b` here
    write(file, weights, "fp16")                     the same bytes as safetensors' own writer

A file is: the length of a JSON header in 8 bytes, the header (kind, shape and place of every tensor), the numbers.
"""

from __future__ import annotations

import json
import math
import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import torch

KINDS = {"F32": torch.float32, "BF16": torch.bfloat16, "F16": torch.float16, "I64": torch.int64}
"""Kinds of numbers that are read, as safetensors calls them."""
DTYPES = {"fp32": torch.float32, "bf16": torch.bfloat16, "fp16": torch.float16}
"""Kinds of numbers that weights can be written in."""
READ_BYTES = 16 << 20


class Weights(Mapping[str, torch.Tensor]):
    """Tensors by name; each is made when it is asked for and kept by nobody.

    Args:
        shapes: of every tensor.
        make: each tensor's maker.
    """

    def __init__(self, shapes: Mapping[str, Sequence[int]], make: Mapping[str, Callable[[], torch.Tensor]]) -> None:
        self.shapes = {name: tuple(shape) for name, shape in shapes.items()}
        self._make = dict(make)

    @staticmethod
    def of(tensors: Mapping[str, torch.Tensor]) -> Weights:
        """Tensors that are in memory; a Weights stays itself."""
        if isinstance(tensors, Weights):
            return tensors
        makers = {name: (lambda tensor=tensor: tensor) for name, tensor in tensors.items()}
        return Weights({name: tensor.shape for name, tensor in tensors.items()}, makers)

    def __getitem__(self, name: str) -> torch.Tensor:
        return self._make[name]()

    def __iter__(self) -> Iterator[str]:
        return iter(self.shapes)

    def __len__(self) -> int:
        return len(self.shapes)

    def renamed(self, names: Mapping[str, str]) -> Weights:
        """Those that ``names`` lists: new name -> name here."""
        return Weights(
            {new: self.shapes[old] for new, old in names.items()}, {new: self._make[old] for new, old in names.items()}
        )

    def replaced(self, name: str, make: Callable[[], torch.Tensor]) -> Weights:
        """The same with another tensor of the same shape under ``name``."""
        return Weights(self.shapes, {**self._make, name: make})


class _Opened:
    """A file that stays readable until nobody needs it, deleted or not."""

    def __init__(self, file: Path) -> None:
        self.file, self.descriptor = file, os.open(file, os.O_RDONLY)

    def __del__(self) -> None:
        if descriptor := getattr(self, "descriptor", 0):
            os.close(descriptor)

    def read(self, begin: int, size: int) -> torch.Tensor:
        """``size`` bytes from ``begin`` on: uint8 (size,)."""
        tensor = torch.empty(size, dtype=torch.uint8)
        view, done = memoryview(tensor.numpy().data), 0
        while done < size:
            count = os.preadv(self.descriptor, [view[done : done + READ_BYTES]], begin + done)
            if not count:
                raise ValueError(f"{self.file} is cut short: {begin + size:,} bytes were expected")
            done += count
        return tensor


def stored(file: Path) -> Weights:
    """The tensors of a safetensors file.

    Raises:
        ValueError: it is no such file, or holds another kind of numbers than KINDS.
    """
    opened = _Opened(file)
    length = int.from_bytes(opened.read(0, 8).numpy().tobytes(), "little")
    try:
        header = json.loads(opened.read(8, min(length, file.stat().st_size - 8)).numpy().tobytes())
        header.pop("__metadata__", None)
        kinds = {name: KINDS[entry["dtype"]] for name, entry in header.items()}
    except (ValueError, KeyError, AttributeError, TypeError) as error:
        raise ValueError(f"{file}: no safetensors file of {', '.join(KINDS)} ({error})") from None

    def maker(name: str) -> Callable[[], torch.Tensor]:
        first, last = header[name]["data_offsets"]
        return lambda: opened.read(8 + length + first, last - first).view(kinds[name]).view(header[name]["shape"])

    return Weights({name: entry["shape"] for name, entry in header.items()}, {name: maker(name) for name in header})


def write(file: Path, tensors: Mapping[str, torch.Tensor], dtype: str) -> None:
    """Write all tensors as ``dtype`` (a name of DTYPES), in the order and with the header of safetensors' own writer.

    Raises:
        ValueError: a number is finite and would not be in this dtype.
    """
    weights, kind = Weights.of(tensors), DTYPES[dtype]
    stored_as = next(name for name, value in KINDS.items() if value == kind)
    header: dict[str, Any] = {"__metadata__": {"format": "pt"}}
    end = 0
    for name in sorted(weights):
        begin, end = end, end + math.prod(weights.shapes[name]) * kind.itemsize
        header[name] = {"dtype": stored_as, "shape": weights.shapes[name], "data_offsets": [begin, end]}
    text = json.dumps(header, separators=(",", ":"), ensure_ascii=False).encode()
    text += b" " * (-len(text) % 8)
    with file.open("wb") as handle:
        handle.write(len(text).to_bytes(8, "little") + text)
        for name in sorted(weights):
            tensor = weights[name].detach().to("cpu", kind).contiguous()
            if not bool(torch.isfinite(tensor).all()) and bool(torch.isfinite(weights[name]).all()):
                raise ValueError(f"dtype: {dtype} cannot hold a number of {name}; export as bf16 or fp32")
            handle.write(memoryview(tensor.view(-1).view(torch.uint8).numpy().data))
