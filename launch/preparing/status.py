"""`kmask prepare status`: how far a preparation is, as a person reads it."""

from __future__ import annotations

from typing import Any

from launch.shell.formatting import clock


def status_lines(found: dict[str, Any]) -> list[str]:
    """A status as a person reads it."""
    if "parts" not in found:
        state = (
            "running, the files are being surveyed"
            if found["state"] == "running"
            else "never begun (no plan.json there)"
        )
        return [f"{found['folder']}: {state}", *worker_lines(found)]
    done, total = found["bytes"]["done"], found["bytes"]["total"]
    stage = f", stage `{found['stage']}`" if found["state"] != "finished" else ""
    share = f"{done / 1e6:,.1f} of {total / 1e6:,.1f} MB ({done / max(total, 1):.0%})"
    lines = [
        f"{found['folder']}: {found['state']}{stage}",
        f"  {found['parts']['done']:,} of {found['parts']['total']:,} parts, {share}, {found['documents']:,} documents",
    ]
    if found["megabytes_per_second"] and found["state"] != "finished":
        lines.append(f"  {found['megabytes_per_second']:.2f} MB/s, about {clock(found['seconds_left'])} left")
    for name, step in found["steps"].items():
        lines.append(
            f"  step {name}: " + ("finished" if step["finished"] else f"{step['parts']:,} of {step['of']:,} parts")
        )
    if found["set_aside"]:
        lines.append(
            "  set aside: " + "; ".join(f"{reason}: {count:,}" for reason, count in found["set_aside"].items())
        )
    if found["state"] == "stopped":
        lines.append("  nothing works on it now; `kmask prepare CONFIG` continues")
    return [*lines, *worker_lines(found)]


def worker_lines(found: dict[str, Any]) -> list[str]:
    """Who is at what."""
    lines = [f"  launched by process {launch['process']} on {launch['host']}" for launch in found["launches"]]
    for worker in found["workers"]:
        where = f", line {worker['line']:,}" if worker["line"] else ""
        lines.append(f"  process {worker['process']} on {worker['host']}: {worker['stage']} {worker['part']}{where}")
    return lines
