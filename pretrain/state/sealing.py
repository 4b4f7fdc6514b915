"""What an exported folder says of its own files: training_manifest.json lists size and sha256 of every other one.

seal(folder, manifest)     writes it, last
sealed_files(folder)       ->  {"config.json": sha256, ...} when every file is as it was verified, or an error; the
                               README.md may have been edited
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from data_prep.files import read_json, sha256_file, write_atomic
from pretrain.state.heads import MANIFEST

PROSE = "README.md"
"""People edit it; nothing was verified of it."""


def seal(folder: Path, manifest: Mapping[str, Any]) -> None:
    """Write training_manifest.json over all files of a folder, which everybody may read."""
    files = {}
    for file in sorted(path for path in folder.rglob("*") if path.is_file()):
        file.chmod(0o644)
        files[file.relative_to(folder).as_posix()] = [file.stat().st_size, sha256_file(file)]
    text = json.dumps({**manifest, "files": files}, indent=1, ensure_ascii=False, sort_keys=True)
    write_atomic(folder / MANIFEST, text + "\n")


def sealed_files(folder: Path) -> dict[str, str]:
    """Files of a verified export and their sha256, training_manifest.json included.

    Raises:
        ValueError: the folder is no verified export, or a file is missing or was altered since.
    """
    manifest = read_json(folder / MANIFEST) if (folder / MANIFEST).is_file() else None
    if not isinstance(manifest, dict) or not isinstance(manifest.get("files"), dict) or not manifest.get("verified"):
        raise ValueError(
            f"{folder} is no export that `kmask export` verified: its {MANIFEST} "
            f"{'does not list its files' if manifest is not None else 'is missing'}; export the run again"
        )
    found = {}
    for name, (size, digest) in manifest["files"].items():
        file = folder / name
        if not file.resolve().is_relative_to(folder.resolve()):
            raise ValueError(f"{folder}: {MANIFEST} lists {name!r}, which is not in the folder")
        if not file.is_file():
            raise ValueError(f"{folder}: {name} is missing; export the run again")
        found[name] = sha256_file(file)
        if name != PROSE and (file.stat().st_size, found[name]) != (size, digest):
            raise ValueError(f"{folder}: {name} was altered since it was verified; export the run again")
    return {**found, MANIFEST: sha256_file(folder / MANIFEST)}
