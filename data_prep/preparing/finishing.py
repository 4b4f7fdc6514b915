"""The last step: manifest, list of documents set aside, and statistics of a prepared folder, from the reports of its
parts.

parts/*/part.json, rejected.jsonl, tally.json, poison/  ->  rejected.jsonl, tally.json, manifest.json
                                                            (it says that all is there)
all of that with its sizes                              ->  inventory.arrow, by which the next launch sees at a glance
                                                            that nothing is to do

One launch does it; those that come meanwhile wait and take its result.
"""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import time
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np

from data_prep.arrow_arrays import numbers, texts
from data_prep.arrow_files import read_table, write_table
from data_prep.counting.merging import merge
from data_prep.counting.tallies import TALLY
from data_prep.files import fsync_file, read_json, remove_staging, staging_name, write_json
from data_prep.planned import PLAN, Plan
from data_prep.preparing.parts import PartWorker
from data_prep.preparing.reading import REJECTED
from data_prep.preparing.surveying import UNPACKED
from data_prep.running.claims import claim, tidy
from data_prep.running.supervision import POLL_SECONDS
from data_prep.shards import MANIFEST, SCHEMA_VERSION

INVENTORY = "inventory.arrow"


def finish_once(worker: PartWorker) -> dict[str, Any]:
    """Finish the folder, or wait for the launch that does, and return the manifest."""
    folder = worker.folder
    while True:
        with claim(folder / "claims" / "finish") as mine:
            manifest = (finished(folder, worker.plan) or finish(worker)) if mine else None
        if manifest is not None:
            tidy(folder / "claims")
            remove_unpacked(folder)
            return manifest
        time.sleep(POLL_SECONDS)


def remove_unpacked(folder: Path) -> None:
    """Remove what compressed files were unpacked to: a finished folder needs it no more.

    Every launch unpacks while it surveys, one that finds everything done included.
    """
    shutil.rmtree(folder / UNPACKED, ignore_errors=True)


def finished(folder: Path, plan: Plan) -> dict[str, Any] | None:
    """The manifest of a folder in which every file is there and as long as it was made; None when something is to
    do."""
    try:
        table = read_table(folder / INVENTORY)
        if (table.schema.metadata or {}).get(b"fingerprint") != plan.fingerprint.encode():
            return None
        for path, size in zip(table.column("path").to_pylist(), table.column("size").to_pylist(), strict=True):
            if os.stat(f"{folder}/{path}").st_size != size:  # noqa: PTH116 (a Path for each of a million files takes twice the time)
                return None
        manifest: dict[str, Any] = read_json(folder / MANIFEST)
        if read_json(folder / PLAN).get("left_out", []) != list(plan.left_out):
            return None
    except (OSError, ValueError, KeyError):
        return None
    return manifest if manifest.get("fingerprint") == plan.fingerprint else None


def take_inventory(folder: Path, plan: Plan) -> None:
    """Write down every file that belongs to the finished folder, with its size."""
    import pyarrow as pa

    found: list[tuple[str, int]] = []
    places = [
        ".",
        "tokenizer",
        *(f"steps/{step.name}/result" for step in folder.glob("steps/*")),
        *(f"parts/{part:06d}" for part in range(plan.parts)),
    ]
    for place in places:
        with contextlib.suppress(FileNotFoundError), os.scandir(folder / place) as entries:
            names = [
                (entry.name, entry.stat().st_size)
                for entry in entries
                if entry.is_file() and not entry.name.startswith(".")
            ]
            found += [(name if place == "." else f"{place}/{name}", size) for name, size in names if name != INVENTORY]
    paths, sizes = zip(*sorted(found), strict=True)
    table = pa.Table.from_arrays([texts(paths, large=True), numbers(np.array(sizes, np.int64))], ["path", "size"])
    staging = folder / staging_name(INVENTORY)
    write_table(table.replace_schema_metadata({"fingerprint": plan.fingerprint}), staging)
    fsync_file(staging)
    staging.replace(folder / INVENTORY)


def finish(worker: PartWorker) -> dict[str, Any]:
    """Write what belongs to the folder as a whole and return the manifest. What only helped to make it is removed.

    Raises:
        OSError: a part has vanished meanwhile.
        ValueError: there is not one usable document.
    """
    folder, plan = worker.folder, worker.plan
    parts = range(plan.parts)
    counts: Counter[str] = Counter()
    shards: list[dict[str, Any]] = []
    for part in parts:
        report = worker.finished(part)
        if report is None:
            raise OSError(
                f"{worker.part_folder(part)} was removed or damaged while the run finished. Run the same command "
                "again: it is made anew."
            )
        counts.update(report["counts"])
        shards += report["shards"]
    others = [*left_out_files(plan), *empty_files(plan), *left_out_elsewhere(worker)]
    counts.update(f"rejected.{item['reason']}" for item in others)
    if not shards:
        raise ValueError(
            f"no usable document in the whole corpus ({_total(counts)} set aside).{first_reason(worker, others)}"
        )
    write_rejected(worker, others)
    write_json(folder / TALLY, merge(read_json(worker.part_folder(part) / TALLY) for part in parts))
    manifest = manifest_of(worker, shards, counts)
    write_json(folder / MANIFEST, manifest)
    for place in (
        folder,
        *(folder / name for name in ("parts", "survey", "steps")),
        *folder.glob("steps/*/"),
        *folder.glob("poison/*/"),
    ):
        remove_staging(place)
    take_inventory(folder, plan)
    return manifest


def manifest_of(worker: PartWorker, shards: list[dict[str, Any]], counts: Counter[str]) -> dict[str, Any]:
    """What manifest.json holds, from the shards and the counts of all parts."""
    plan, tokenizer = worker.plan, worker.tokenizer
    return {
        "schema": SCHEMA_VERSION,
        "fingerprint": plan.fingerprint,
        "tokenizer": {
            "vocabulary_sha256": tokenizer.vocabulary_sha256,
            "rules_sha256": tokenizer.rules_sha256,
            "size": len(tokenizer.tokens),
        },
        "settings": plan.settings,
        "levels": worker.preparation.levels,
        "labels": plan.labels,
        **({"classes": worker.preparation.classes} if worker.preparation.classes else {}),
        **({"roles": worker.preparation.roles} if worker.preparation.roles else {}),
        **(
            {"evaluation": {"texts": evaluation.texts, "too_short": evaluation.short}}
            if (evaluation := worker.reader.evaluation)
            else {}
        ),
        "shards": shards,
        "counts": dict(sorted(counts.items())),
    }


def _total(counts: Counter[str]) -> int:
    return sum(count for name, count in counts.items() if name.startswith("rejected."))


def empty_files(plan: Plan) -> list[dict[str, Any]]:
    """Inputs without a single byte, listed like documents that were set aside."""
    return [
        {"path": path, "line": 1, "offset": 0, "reason": "empty file", "detail": "no bytes in it"}
        for path in plan.empty_files()
    ]


def left_out_files(plan: Plan) -> list[dict[str, Any]]:
    """What the patterns name and nobody can read, listed like documents that were set aside."""
    return [
        {"path": item["path"], "line": 1, "offset": 0, "reason": item["reason"], "detail": item["detail"]}
        for item in plan.left_out
    ]


def left_out_elsewhere(worker: PartWorker) -> list[dict[str, Any]]:
    """Records quarantined for an earlier step. They are in the shards unless they were quarantined there, too."""
    files = sorted((worker.folder / "poison").glob("*/*.json"))
    return [read_json(file) for file in files if file.parent.name != worker.stage]


def rejected_lines(worker: PartWorker) -> Iterator[bytes]:
    """What the parts set aside, a JSON object a line."""
    for part in range(worker.plan.parts):
        with (worker.part_folder(part) / REJECTED).open("rb") as lines:
            yield from lines


def write_rejected(worker: PartWorker, others: list[dict[str, Any]]) -> None:
    """rejected.jsonl, written atomically without holding it in memory."""
    file = worker.folder / REJECTED
    staging = file.with_name(staging_name(file.name))
    try:
        with staging.open("wb") as target:
            target.writelines(rejected_lines(worker))
            target.writelines(json.dumps(item, ensure_ascii=False).encode() + b"\n" for item in others)
        fsync_file(staging)
        staging.replace(file)
    finally:
        staging.unlink(missing_ok=True)


def first_reason(worker: PartWorker, others: list[dict[str, Any]]) -> str:
    """Why the first document was set aside, as a sentence; empty when there is none."""
    first = next((json.loads(line) for line in rejected_lines(worker)), None) or next(iter(others), None)
    return f" First reason: {first['path']}:{first['line']}: {first['reason']} ({first['detail']})." if first else ""
