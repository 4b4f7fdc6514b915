"""Memory of a family of processes over time: samples into a CSV, and what each process gains per hour.

sample(launch, number, step, file)    one line per process: age, RSS and PSS in MiB
slopes(file)                          a linear fit per life, its first two minutes left out
"""

from __future__ import annotations

import csv
import os
import re
from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from processes import Launch, read

FIELDS = ("time", "launch", "role", "pid", "age", "step", "rss", "pss")
WARM_UP_SECONDS = 120.0
FEWEST = 6
"""Samples that a fit needs."""


def mebibytes(pid: int) -> tuple[float, float]:
    """RSS and PSS of a process; PSS is NaN where it may not be read."""
    found = []
    for file, key in (("status", b"VmRSS"), ("smaps_rollup", b"Pss")):
        match = re.search(rb"^" + key + rb":\s+(\d+) kB", read(f"/proc/{pid}/{file}"), re.MULTILINE)
        found.append(int(match[1]) / 1024 if match else float("nan"))
    return found[0], found[1]


def age(pid: int) -> float:
    """Seconds since a process was started."""
    fields = read(f"/proc/{pid}/stat").rpartition(b")")[2].split()
    uptime = float(read("/proc/uptime").split()[0])
    return uptime - int(fields[19]) / os.sysconf("SC_CLK_TCK") if len(fields) > 19 else float("nan")


def sample(launch: Launch, number: int, now: float, step: int, file: Path) -> None:
    """Append a line for every process of a launch."""
    new = not file.is_file()
    with file.open("a", newline="") as handle:
        writer = csv.writer(handle)
        if new:
            writer.writerow(FIELDS)
        for member in launch.members():
            rss, pss = mebibytes(member.pid)
            if rss == rss:  # it may have gone meanwhile
                values = (f"{age(member.pid):.0f}", step, f"{rss:.2f}", f"{pss:.2f}")
                writer.writerow((f"{now:.0f}", number, member.role, member.pid, *values))


@dataclass(frozen=True, kw_only=True)
class Life:
    """Memory of one process, from its third minute on."""

    launch: int
    role: str
    minutes: float
    first: float
    """RSS in MiB."""
    last: float
    rss: float
    """MiB per hour."""
    pss: float


def slopes(file: Path) -> list[Life]:
    """Every life that was long enough, by role."""
    points: dict[tuple[str, int, int], list[tuple[float, float, float]]] = defaultdict(list)
    with file.open(newline="") as handle:
        for line in csv.DictReader(handle):
            if float(line["age"]) >= WARM_UP_SECONDS:
                key = (line["role"], int(line["launch"]), int(line["pid"]))
                points[key].append((float(line["age"]), float(line["rss"]), float(line["pss"])))
    lives = []
    for (role, launch, _), values in sorted(points.items()):
        if len(values) < FEWEST:
            continue
        age_N, rss_N, pss_N = np.array(values).T
        rss, pss = (float(np.polyfit(age_N / 3600, column_N, 1)[0]) for column_N in (rss_N, pss_N))
        minutes = float(age_N[-1] - age_N[0]) / 60
        ends = {"first": float(rss_N[0]), "last": float(rss_N[-1])}
        lives.append(Life(launch=launch, role=role, minutes=minutes, rss=rss, pss=pss, **ends))
    return lives


def report(lives: Iterable[Life]) -> str:
    """A line per role: the mean slope, lives weighed by their length, and the longest life."""
    by_role: dict[str, list[Life]] = defaultdict(list)
    for life in lives:
        by_role[life.role].append(life)
    head = f"{'role':10} {'lives':>5} {'minutes':>7}  {'RSS MiB/h':>9} {'PSS MiB/h':>9}"
    lines = [f"{head}   longest life: minutes, RSS MiB, MiB/h"]
    for role, found in by_role.items():
        weight_N = np.array([life.minutes for life in found])
        rates_N2 = np.array([(life.rss, life.pss) for life in found])
        rss, pss = np.average(rates_N2, axis=0, weights=weight_N).tolist()
        longest = max(found, key=lambda life: life.minutes)
        figures = f"{role:10} {len(found):5d} {weight_N.sum():7.1f}  {rss:9.2f} {pss:9.2f}"
        lines.append(f"{figures}   {longest.minutes:.1f}, {longest.first:.1f} -> {longest.last:.1f}, {longest.rss:.2f}")
    return "\n".join(lines if by_role else ["no process lived long enough for a slope (2 minutes and 6 samples)"])
