"""How far preparation is, seen from outside: read from the folder alone, while it runs, after it was killed, or when it
is done.

    status(PREPARED)  ->  {"state": "running", "stage": "parts", "parts": {"done": 12, "total": 64}, "workers": [...],
                          ...}

Finished parts tell what is done and how fast; the claims of living processes (claims.py) tell who is at what, their
notes (supervision.py) at which line.
"""

from __future__ import annotations

import json
import struct
from collections import Counter
from collections.abc import Sequence
from itertools import pairwise
from pathlib import Path
from statistics import median
from typing import Any

from data_prep.files import STAGING_PREFIX, maker_of, read_json
from data_prep.planned import Plan
from data_prep.running.claims import is_claimed
from data_prep.running.notes import NOTE, Moment
from data_prep.running.supervision import NOTES
from data_prep.shards import MANIFEST

NOTES_FOLDERS = f"{STAGING_PREFIX}{NOTES}@*"
"""The folders of notes that launches keep while they run."""
PAUSE = 10
"""An interval between two finished parts this many times longer than the middle one was a pause and tells nothing about
speed."""


def status(folder: Path) -> dict[str, Any]:
    """Plain facts about a folder that may be in any state, a missing one included."""
    working, launched = workers(folder), launches(folder)
    running = bool(working or launched)
    if not (folder / "plan.json").is_file():
        return {
            "folder": str(folder),
            "state": "running" if running else "never begun",
            "stage": working[0]["stage"] if working else "survey" if running else "none",
            "launches": launched,
            "workers": working,
        }
    plan = Plan.read(folder)
    reports, times = finished_parts(folder, plan.parts)
    total = plan.slice_bytes
    done = sum(report["bytes"] for report in reports)
    finished = (folder / MANIFEST).is_file() and len(reports) == plan.parts
    speed = bytes_per_second(times, [report["bytes"] for report in reports])
    reasons: Counter[str] = Counter()
    for report in reports:
        reasons.update(
            {
                name.removeprefix("rejected."): count
                for name, count in report["counts"].items()
                if name.startswith("rejected.")
            }
        )
    return {
        "folder": str(folder),
        "state": "running" if running else "finished" if finished else "stopped",
        "stage": working[0]["stage"]
        if working
        else "finished"
        if finished and not running
        else stage(folder, bool(reports)),
        "parts": {"done": len(reports), "total": plan.parts},
        "bytes": {"done": done, "total": total},
        "documents": sum(shard["documents"] for report in reports for shard in report["shards"]),
        "set_aside": dict(reasons.most_common()),
        "megabytes_per_second": round(speed / 1e6, 3),
        "seconds_left": 0 if finished else round((total - done) / speed) if speed else None,
        "steps": steps(folder, plan.parts),
        "launches": launched,
        "workers": working,
    }


def stage(folder: Path, parts_begun: bool) -> str:
    """What comes next or is going on: a corpus-wide step by name, `vocabulary`, `parts`."""
    open_steps = [name for name, step in steps(folder, 0).items() if not step["finished"]]
    if not parts_begun and open_steps:
        return open_steps[0]
    return "parts" if (folder / "tokenizer").is_dir() else "vocabulary"


def steps(folder: Path, parts: int) -> dict[str, Any]:
    """The corpus-wide steps that were begun, with their finished parts."""
    return {
        step.name: {
            "finished": (step / "result").is_dir(),
            "parts": len(list((step / "parts").glob("[0-9]*"))),
            "of": parts,
        }
        for step in sorted((folder / "steps").glob("*"))
        if step.is_dir() and not step.name.startswith(STAGING_PREFIX)
    }


def finished_parts(folder: Path, parts: int) -> tuple[list[dict[str, Any]], list[float]]:
    """Reports of the finished parts and when each was finished; a damaged one counts as not finished."""
    reports, times = [], []
    for part in range(parts):
        file = folder / "parts" / f"{part:06d}" / "part.json"
        try:
            reports.append(read_json(file))
            times.append(file.stat().st_mtime)
        except (OSError, ValueError):
            del reports[len(times) :]
    return reports, times


def bytes_per_second(times: Sequence[float], sizes: Sequence[int]) -> float:
    """Speed from the moments at which parts were finished, pauses left out; 0 when fewer than two parts tell
    nothing."""
    order = sorted(range(len(times)), key=lambda part: times[part])
    intervals = [times[later] - times[earlier] for earlier, later in pairwise(order)]
    if not intervals:
        return 0.0
    longest = PAUSE * median(intervals) or max(intervals)
    counted = [(seconds, sizes[part]) for seconds, part in zip(intervals, order[1:], strict=True) if seconds <= longest]
    seconds = sum(item[0] for item in counted)
    return sum(item[1] for item in counted) / seconds if seconds else 0.0


def workers(folder: Path) -> list[dict[str, Any]]:
    """What living processes are at: stage, part, machine, process, and the line of the record where a note tells."""
    found = []
    for file in sorted((folder / "claims").glob("[!.]*-[0-9]*")):
        stage, _, part = file.name.rpartition("-")
        if not part.isdigit() or not is_claimed(file):
            continue
        try:
            host, process, _ = json.loads(file.read_bytes())
        except (OSError, ValueError):
            host, process = "", ""
        found.append(
            {"stage": stage, "part": int(part), "host": host, "process": process, "line": line_of(folder, file.name)}
        )
    return found


def launches(folder: Path) -> list[dict[str, str]]:
    """Launches of this machine that live: machine and process. They stay, whatever their workers are at, until the run
    ends."""
    found = []
    for notes in sorted(folder.glob(NOTES_FOLDERS)):
        maker = maker_of(notes.name)
        if maker and maker.is_here and maker.lives:
            found.append({"host": maker.host, "process": str(maker.process)})
    return found


def line_of(folder: Path, name: str) -> int | None:
    """The line at which the newest note of a piece of work stands."""
    notes = sorted(folder.glob(f"{NOTES_FOLDERS}/{name}"), key=lambda note: note.stat().st_mtime)
    for note in reversed([note for note in notes if note.stat().st_size == NOTE.size]):
        try:
            return Moment(*NOTE.unpack(note.read_bytes())).line
        except (OSError, struct.error):
            continue
    return None
