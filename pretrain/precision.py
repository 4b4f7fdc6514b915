"""Which arithmetic this machine is good at: what ``precision: auto`` means here.

GPU with bf16 units          bf16       GPU without (V100, T4)              fp32 (fp16 is the user's choice)
processor with bf16 units    bf16       processor without (AVX2, plain AVX-512)
    fp32: bf16 would be emulated, 6 to 11 times slower
"""

from __future__ import annotations

import functools
from pathlib import Path
from typing import NamedTuple

UNITS = ("amx_bf16", "avx512_bf16", "bf16")
"""Flags of /proc/cpuinfo: Intel AMX, Intel and AMD AVX-512 BF16, Arm."""


class Choice(NamedTuple):
    """A precision and the reason for it."""

    precision: str
    why: str


@functools.cache
def processor_units() -> str:
    """The bf16 unit of this processor as /proc/cpuinfo calls it; empty when it has none or nothing can be read."""
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8", errors="replace").splitlines()
    except OSError:
        return ""
    flags = next(
        (line.partition(":")[2].split() for line in lines if line.lower().startswith(("flags", "features"))), []
    )
    return next((unit for unit in UNITS if unit in flags), "")


def automatic(gpu: bool) -> Choice:
    """What ``auto`` means on this machine; ``gpu``: does torch see a GPU?"""
    if gpu:
        import torch

        name = torch.cuda.get_device_name()
        if torch.cuda.is_bf16_supported(including_emulation=False):
            return Choice("bf16", f"{name} has bf16 units")
        return Choice("fp32", f"{name} has no bf16 units; fp16 is faster there, if you choose it")
    if unit := processor_units():
        return Choice("bf16", f"the processor has bf16 units ({unit})")
    return Choice("fp32", "the processor has no bf16 units")


def emulated(precision: str, gpu: bool) -> bool:
    """Would this precision be emulated here, many times slower than fp32?"""
    return precision in ("bf16", "bf16_parameters") and automatic(gpu).precision == "fp32"


def check_possible(precision: str, gpu: bool) -> None:
    """Raise ValueError when this machine cannot compute in ``precision`` at all."""
    if precision == "fp16" and not gpu:
        raise ValueError("engine.precision: fp16 needs a GPU; use auto or fp32 on this machine")
