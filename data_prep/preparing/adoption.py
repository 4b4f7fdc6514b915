"""A prepared folder belongs to one plan: the first launch writes it, every later one must bring the same.

adopt_plan(folder, plan)     plan.json appears, or equals ours, or the difference is told and nothing is touched
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

from data_prep.files import fsync_folder, read_json, staging_name, write_json
from data_prep.planned import PLAN, Plan


def adopt_plan(folder: Path, plan: Plan, scratch: Path) -> Plan:
    """Write the plan, or check that the one there is ours; the same plan with its columns on disk: in the folder, or in
    ``scratch`` when the inputs lie elsewhere than those of its plan.json.

    Raises:
        ValueError: the folder was begun with other inputs or settings; lists what differs.
    """
    file = folder / PLAN
    if not file.exists():
        folder.mkdir(parents=True, exist_ok=True)
        plan = plan.write_columns(folder)
        _write_once(file, plan.plain())
    present = read_json(file)
    if present.get("fingerprint") == plan.fingerprint:
        return plan.write_columns(folder if present.get("columns") == plan.columns_name else scratch)
    differences = "\n  ".join(difference("", present.get("settings"), plan.settings)) or "the input files changed"
    before, now = file_hashes(Plan.read(folder)), file_hashes(plan)
    changed = sorted(name for name in before.keys() | now.keys() if before.get(name) != now.get(name))
    if changed:
        differences += (
            f"\n  changed, new or removed inputs: {', '.join(changed[:8])}{' ...' if len(changed) > 8 else ''}"
        )
    remedy = f"Nothing was touched. Choose another output folder (output=...), or delete {folder} to start over."
    raise ValueError(f"{folder} was begun with other settings:\n  {differences}\n{remedy}")


def file_hashes(plan: Plan) -> dict[str, str]:
    """Hashes of the files by their paths, without the folder that all have in common."""
    found = {file.path: file.sha256 for file in plan.all_files()}
    root = os.path.commonpath([str(Path(path).parent) for path in found]) if found else ""
    return {os.path.relpath(path, root or "."): sha256 for path, sha256 in found.items()}


def _write_once(file: Path, plan: dict[str, Any]) -> None:
    """Write the plan, unless another launch was first by a hair."""
    staging = file.with_name(staging_name(file.name))
    write_json(staging, plan)
    try:
        os.link(staging, file)
        fsync_folder(file.parent)
    except FileExistsError:
        pass
    except OSError:  # a file system without links
        staging.replace(file)
    finally:
        staging.unlink(missing_ok=True)


def difference(path: str, before: Any, now: Any) -> list[str]:
    """Lines `key: before -> now` for everything that differs between two plain values."""
    if isinstance(before, dict) and isinstance(now, dict):
        keys = sorted(before.keys() | now.keys())
        return [
            line for key in keys for line in difference(f"{path}.{key}" if path else key, before.get(key), now.get(key))
        ]
    if isinstance(before, list) and isinstance(now, list) and len(before) == len(now):
        return [
            line
            for index, pair in enumerate(zip(before, now, strict=True))
            for line in difference(f"{path}[{index}]", *pair)
        ]
    return [] if before == now else [f"{path}: {before} -> {now}"]
