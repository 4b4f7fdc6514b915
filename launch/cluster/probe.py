"""What one machine of a cluster is like, as one line of JSON: run on every machine before a run begins (checks.py).

    python -m launch.cluster.probe '{"output": "runs/my", "token": "9f3c", "files": ["run.yaml"], "data": ["data/zh"]}'

Nothing heavy is imported: the answer comes within a second.
"""

from __future__ import annotations

import hashlib
import importlib.metadata
import json
import os
import platform
import shutil
import socket
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

PACKAGES = ("torch", "deepspeed", "transformers", "tokenizers", "numpy", "numba", "pyarrow")
TOKEN = ".token"


def probe(asked: dict[str, Any]) -> dict[str, Any]:
    """Everything at once; what cannot be found out is empty."""
    output = Path(asked["output"])
    return {
        "host": socket.gethostname(),
        "own_addresses": own_addresses(),
        "python": platform.python_version(),
        "packages": {name: version(name) for name in PACKAGES},
        "code": code(Path(__file__).resolve().parents[2]),
        "files": {name: digest(Path(name)) for name in asked["files"]},
        "data": {name: digest(Path(name) / "manifest.json") for name in asked["data"]},
        "cores": len(os.sched_getaffinity(0)),
        "gpus": gpus(),
        "free": free(output),
        "token": seen(output / TOKEN),
        "interface": interface(asked.get("interface", "")),
        "time": time.time(),
    }


def own_addresses() -> list[str]:
    """What the machine's own name means to itself: others must be able to reach it there."""
    try:
        return sorted({str(item[4][0]) for item in socket.getaddrinfo(socket.gethostname(), None)})
    except OSError:
        return []


def interface(name: str) -> bool:
    """Is there a network interface of this name? True when none was asked for."""
    return not name or name in {known for _, known in socket.if_nameindex()}


def version(name: str) -> str:
    """Of a package."""
    try:
        return importlib.metadata.version(name)
    except importlib.metadata.PackageNotFoundError:
        return "missing"


def code(folder: Path) -> str:
    """One digest of all Python files of the project's packages."""
    found = hashlib.sha256()
    for package in ("data_prep", "masking", "pretrain", "launch"):
        for file in sorted((folder / package).rglob("*.py")):
            found.update(str(file.relative_to(folder)).encode() + b"\0" + file.read_bytes())
    return found.hexdigest()[:12]


def digest(file: Path) -> str:
    """Of a file's bytes; empty where there is none."""
    try:
        return hashlib.sha256(file.read_bytes()).hexdigest()[:12]
    except OSError:
        return ""


def gpus() -> list[str]:
    """Names of NVIDIA GPUs."""
    try:
        argv = ["nvidia-smi", "--query-gpu=name", "--format=csv,noheader"]
        done = subprocess.run(argv, capture_output=True, text=True, timeout=15, check=False)
    except (OSError, subprocess.TimeoutExpired):
        return []
    return done.stdout.split("\n")[:-1] if done.returncode == 0 else []


def free(folder: Path) -> int:
    """Bytes free where the run will write."""
    while not folder.exists() and folder != folder.parent:
        folder = folder.parent
    try:
        return shutil.disk_usage(folder).free
    except OSError:
        return 0


def seen(file: Path) -> str:
    """What another machine wrote; empty where its file is not to be seen."""
    try:
        return file.read_text(encoding="utf-8").strip()
    except OSError:
        return ""


if __name__ == "__main__":
    print(json.dumps(probe(json.loads(sys.argv[1]))))
