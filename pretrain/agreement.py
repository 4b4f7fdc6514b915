"""Do all processes of a run work with the same code, configuration and data? Compared at the start and at every change
of stage.

configuration    the resolved settings            code        sources of the packages that train, and of plug-ins
data             fingerprints of the folders      versions    of the libraries that decide what numbers come out
"""

from __future__ import annotations

import functools
import hashlib
import importlib.metadata
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from data_prep.files import sha256_json
from pretrain.config import Run
from pretrain.processes.world import World

PACKAGES = ("masking", "data_prep", "pretrain")
LIBRARIES = ("torch", "deepspeed", "transformers", "tokenizers", "numpy", "numba", "pyarrow")


def check_agreement(run: Run, resolved: Mapping[str, Any], fingerprints: Mapping[str, str], world: World) -> None:
    """Raise ValueError on every process unless all bring the same."""
    brought = {
        "configuration": sha256_json(dict(resolved)),
        "code": code_digest(run),
        "data": sha256_json(dict(fingerprints)),
        "versions": sha256_json(versions()),
    }
    different = world.different([int(digest[:15], 16) for digest in brought.values()])
    names = [name for name, differs in zip(brought, different, strict=True) if differs]
    if names:
        mine = ", ".join(f"{name} {brought[name][:12]}" for name in names)
        raise ValueError(
            f"the processes of this run do not have the same {' and '.join(names)}: this one (rank {world.rank}) has "
            f"{mine}. Bring all machines to the same state and start again."
        )


def versions() -> dict[str, str]:
    """Versions of the libraries whose change may change numbers."""
    return dict(_versions())


@functools.cache
def _versions() -> dict[str, str]:
    """Read once: a process keeps the libraries that it has imported."""
    return {name: importlib.metadata.version(name) for name in LIBRARIES}


def code_digest(run: Run) -> str:
    """sha256 over the sources of our packages and of the run's own plug-ins."""
    import pretrain

    root = Path(str(pretrain.__file__)).parent.parent
    digest = hashlib.sha256()
    for package in PACKAGES:
        for file in sorted((root / package).rglob("*.py")):
            digest.update(file.relative_to(root).as_posix().encode() + b"\0" + file.read_bytes() + b"\0")
    modules = {type(part).__module__ for part in (*run.tasks.values(), run.masking.strategy)}
    for name in sorted(name for name in modules if name.partition(".")[0] not in PACKAGES):
        if file_name := getattr(sys.modules.get(name), "__file__", None):
            digest.update(name.encode() + b"\0" + Path(file_name).read_bytes())
    return digest.hexdigest()
