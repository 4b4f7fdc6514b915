"""`kmask doctor`: what this machine has, and what to do about what it lacks."""

from __future__ import annotations

import importlib.metadata
import os
import shutil
import sys
from pathlib import Path

from launch.backends.local import gpus
from launch.shell.exit_codes import DONE, USER_ERROR

PACKAGES = (
    "torch",
    "transformers",
    "tokenizers",
    "deepspeed",
    "datasets",
    "pyarrow",
    "numba",
    "rjieba",
    "jieba",
    "spacy",
    "ahocorasick-rs",
    "wandb",
)


def examine() -> int:
    """Print the report; returns 2 when something that is needed is missing."""
    problems: list[str] = []
    print(f"python        {sys.version.split()[0]} at {sys.executable}")
    for name in PACKAGES:
        try:
            print(f"{name:13s} {importlib.metadata.version(name)}")
        except importlib.metadata.PackageNotFoundError:
            print(f"{name:13s} missing")
            problems.append(f"package {name} is not installed: pip install {name}")
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    print(f"cores         {cores}")
    print(f"memory        {_memory()}")
    usage = shutil.disk_usage(Path.cwd())
    print(f"disk here     {usage.free / 2**30:.0f} GiB free")
    if usage.free < 2**30:
        problems.append("less than 1 GiB free on this disk")
    print(f"C++ compiler  {shutil.which('g++') or 'none (not needed: kmask uses torch optimisers)'}")
    problems += _accelerators()
    for problem in problems:
        print(f"problem: {problem}")
    print("ready" if not problems else f"{len(problems)} problem(s)")
    return USER_ERROR if problems else DONE


def _memory() -> str:
    try:
        lines = dict(line.split(":", 1) for line in Path("/proc/meminfo").read_text().splitlines())
        total, free = (int(lines[name].split()[0]) / 2**20 for name in ("MemTotal", "MemAvailable"))
        return f"{total:.0f} GiB, {free:.0f} GiB available"
    except (OSError, KeyError, ValueError):
        return "unknown"


def _accelerators() -> list[str]:
    """GPUs, and what ``engine.precision: auto`` means with them; torch is imported only when there is one."""
    from pretrain.precision import automatic

    count, problems, usable = gpus(), [], False
    if not count:
        print("GPUs          none: training runs on the CPU, 2 processes by default")
    else:
        try:
            import torch

            usable = torch.cuda.is_available()
        except ImportError:
            return []  # told above: torch is missing
        if not usable:
            print(f"GPUs          {count}, but this torch cannot use them")
            problems.append("GPUs are present, but torch is a CPU build: install the CUDA build of the same version")
        for index in range(torch.cuda.device_count() if usable else 0):
            values, units = (
                torch.cuda.get_device_properties(index),
                torch.cuda.is_bf16_supported(including_emulation=False),
            )
            size = f"{values.total_memory / 2**30:.0f} GiB"
            print(f"GPU {index}         {values.name}, {size}, bf16 {'yes' if units else 'no'}")
    choice = automatic(usable)
    print(f"precision     auto means {choice.precision} here: {choice.why}")
    return problems
