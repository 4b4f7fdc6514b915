"""The folder of a soak: what is kept in it while it runs, and what it tells afterwards.

keep_milestones(folder)    hard links to checkpoints of round steps
summary(folder)            launches, kills, memory
compare(one, two)          are two soaked folders equal, as far as both go?
"""

from __future__ import annotations

import json
import os
import shutil
import signal
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import memory
from compare import checkpoints_differ, done, place, selected, step_folders, timeless
from processes import processes, read

MARK = "KMASK_SOAK"
"""Variable in the environment of every process of a soak; its value is the folder."""
MILESTONE = 1000


def newest_line(run: Path) -> int:
    """The step of the last line of metrics, without reading them all."""
    try:
        with (run / "metrics.jsonl").open("rb") as file:
            file.seek(max(0, file.seek(0, os.SEEK_END) - 16384))
            lines = file.read().splitlines()
        whole = [line for line in lines if line.startswith(b"{") and line.endswith(b"}")]
        return int(json.loads(whole[-1])["step"]) if whole else 0
    except (OSError, ValueError, KeyError):
        return 0


def keep_milestones(folder: Path) -> None:
    """Hard links to checkpoints of round steps, which training deletes in time."""
    for checkpoint in step_folders(folder / "run"):
        target = folder / "milestones" / checkpoint.name
        if int(checkpoint.name[-8:]) % MILESTONE == 0 and not target.is_dir():
            shutil.rmtree(target.with_suffix(".part"), ignore_errors=True)
            try:
                shutil.copytree(checkpoint, target.with_suffix(".part"), copy_function=os.link)
                target.with_suffix(".part").rename(target)
            except (OSError, shutil.Error):
                continue  # deleted meanwhile


def kill_left_overs(folder: Path) -> None:
    """End what a killed call of this script left running."""
    mark = f"{MARK}={folder}".encode()
    for pid in processes():
        if mark in read(f"/proc/{pid}/environ").split(b"\0"):
            print(f"ending process {pid} of an earlier call", flush=True)
            os.kill(pid, signal.SIGKILL)


def tell(record: dict[str, Any]) -> str:
    """A launch in one line."""
    hit = record["hit"] or "nobody"
    repeated = max(0, record["before"] - record["first"] + 1) if record["first"] else 0
    steps = f"steps {record['first']}-{record['last']} ({repeated} again)"
    clock = time.strftime("%H:%M:%S", time.localtime(record["begun"] + record["seconds"]))
    verdict = "" if record["as_expected"] else f"  UNEXPECTED: {record['words']}"
    head = f"{clock} launch {record['launch']}: {record['seconds'] / 60:.1f} min, {steps}"
    return f"{head}, hit: {hit}, exit {record['code']}{verdict}"


def summary(folder: Path) -> str:
    """Launches and memory of a folder."""
    records = [json.loads(line) for line in (folder / "launches.jsonl").read_text().splitlines()]
    hours = sum(record["seconds"] for record in records) / 3600
    kills = sum(record["hit"] not in ("", "stop") for record in records)
    wrong = sum(not record["as_expected"] for record in records)
    again = sum(max(0, record["before"] - record["first"] + 1) for record in records if record["first"])
    head = f"{folder}: step {done(folder / 'run')}, {hours:.2f} h, {len(records)} launches, {kills} kills"
    tail = f"{again} steps again, {wrong} unexpected ends"
    return f"{head}, {tail}\n{memory.report(memory.slopes(folder / 'memory.csv'))}"


def compare(one: Path, two: Path) -> Iterator[str]:
    """What differs between two folders, at every step that both have kept and in every line that both have reached."""
    kept = [{item.name: item for item in checkpoints(folder)} for folder in (one, two)]
    common = sorted(kept[0].keys() & kept[1].keys())
    print(f"common checkpoints: {', '.join(str(int(name[-8:])) for name in common) or 'none'}")
    if not common:
        yield "no step was kept in both"
        return
    yield from (f"{name}: {found}" for name in common if (found := checkpoints_differ(kept[0][name], kept[1][name])))
    last = int(common[-1][-8:])
    lists = [[timeless(line) for line in selected(folder / "run", last)] for folder in (one, two)]
    print(f"lines of metrics up to step {last}: {len(lists[0])} and {len(lists[1])}")
    tables = [{place(line): line for line in lines} for lines in lists]
    for folder, lines, table in zip((one, two), lists, tables, strict=True):
        if len(lines) > len(table):
            yield f"{folder}: {len(lines) - len(table)} line(s) of metrics stand twice"
    for name in sorted(tables[0].keys() | tables[1].keys()):
        both = name in tables[0] and name in tables[1]
        if tables[0].get(name) != tables[1].get(name) and (both or not name.endswith(f" {last}")):
            yield f"metrics: `{name}` {'differs' if both else 'is in one only'}"  # one may have ended at the last step


def checkpoints(folder: Path) -> Iterator[Path]:
    """Milestones and the checkpoints of now."""
    yield from sorted((folder / "milestones").glob("step-????????")) if (folder / "milestones").is_dir() else []
    yield from step_folders(folder / "run")
