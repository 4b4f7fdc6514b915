"""`kmask status`: how a training run is doing now, from any machine that sees its folder.

    RUN/metrics.jsonl, RUN/ranks, RUN/checkpoints  ->  status(RUN), plain values  ->  lines for a person

State is `training` while a process's file changes, `finished`, `stopped`, `failed` as the processes said themselves,
`silent` when they said nothing and write nothing any more.
"""

from __future__ import annotations

import contextlib
import json
import time
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from launch.cluster.ranks import Rank, code_of, diagnosis, first_failure, read_ranks
from launch.cluster.starts import newest
from launch.shell.exit_codes import DONE, STOPPED
from launch.shell.formatting import clock, percent

SILENT_SECONDS = 30.0
TAIL_BYTES = 1 << 20
WAITS = ("gradients", "sum over processes")
NOTICEABLE = 0.05
"""Part of the time from which on a process counts as slower than others, by how long they wait for it."""
LONGER = 2.0
"""So many times the others' part of a step goes into the forward pass of a process that counts as slower."""
SHOWN = 16
"""Processes that are listed one by one; of more, those that differ."""


def status(folder: Path) -> dict[str, Any]:
    """What there is to know, as plain values.

    Raises:
        ValueError: nothing has been trained there.
    """
    from pretrain.processes.heartbeat import FOLDER

    ranks, lines = read_ranks(newest_start(folder / FOLDER)), train_lines(folder / "metrics.jsonl")
    if not ranks and not lines:
        raise ValueError(f"{folder}: nothing has begun to train here (there is neither metrics.jsonl nor {FOLDER}/)")
    state, why = state_of(ranks)
    line = lines[-1] if lines else {}
    total = max((rank.total for rank in ranks), default=0)
    step = max([rank.step for rank in ranks] + [int(line.get("step", 0))])
    rate = float(line.get("tokens_per_second", 0.0))
    seconds = time_left(lines, total)
    saved = newest(folder)
    return {
        "run": str(folder),
        "state": state,
        "why": why,
        "step": step,
        "total": total,
        "stage": line.get("stage"),
        "tokens_per_second": rate,
        "loader_wait": line.get("loader_wait"),
        "seconds_left": seconds if state == "training" else None,
        "losses": {name: value for name, value in line.items() if name.startswith("loss/") and name.count("/") == 1},
        "checkpoint": saved if saved >= 0 else None,
        "attempt": ranks[0].attempt if ranks else None,
        "slowest": slowest(ranks),
        "ranks": [rank_values(rank) for rank in ranks],
    }


def newest_start(folder: Path) -> Path:
    """Where the processes of the newest start write."""
    starts = [path for path in folder.iterdir() if path.is_dir()] if folder.is_dir() else []
    return max(starts, key=lambda path: (path.stat().st_mtime_ns, path.name), default=folder)


def age(rank: Rank) -> float:
    """Seconds since its file was written; the clocks of machines are taken to agree."""
    return max(0.0, time.time() - rank.changed / 1e9)


def state_of(ranks: list[Rank]) -> tuple[str, str]:
    """State, and why."""
    living = [rank for rank in ranks if rank.code is None]
    failed = first_failure(ranks) if any(rank.failed() for rank in ranks) else None
    if failed:
        return "failed", diagnosis(failed)
    if not living:
        return {DONE: "finished", STOPPED: "stopped"}.get(code_of(ranks, 1), "unknown"), ""
    quiet = [rank for rank in living if age(rank) > SILENT_SECONDS]
    if len(quiet) == len(living):
        return "silent", f"no process has written for {age(quiet[0]):.0f} s; it may have been killed"
    if quiet:
        return "training", f"{quiet[0].name} has not written for {age(quiet[0]):.0f} s"
    return "training", ""


def train_lines(file: Path) -> list[dict[str, Any]]:
    """The last lines of training, read from the end of the file."""
    try:
        with file.open("rb") as handle:
            handle.seek(max(0, handle.seek(0, 2) - TAIL_BYTES))
            lines = handle.read().split(b"\n")
    except OSError:
        return []
    found = []
    for line in lines:
        with contextlib.suppress(ValueError):  # the first may be cut by the seek, the last is being written
            found.append(json.loads(line))
    return [value for value in found if isinstance(value, dict) and value.get("event") == "train"]


def time_left(lines: list[dict[str, Any]], total: int) -> float | None:
    """Seconds to the last step, as fast as the last lines were."""
    seen = [(int(line["step"]), float(line.get("seconds", 0.0))) for line in lines[-20:]]
    if len(seen) < 2 or not total:
        return None
    steps, seconds = seen[-1][0] - seen[0][0], seen[-1][1] - seen[0][1]
    return (total - seen[-1][0]) * seconds / steps if steps > 0 and seconds > 0 else None


def slowest(ranks: list[Rank]) -> dict[str, Any] | None:
    """The process that the others wait for: the one that waits least, when the others wait noticeably longer; or, where
    they wait within their steps (from ZeRO 1 on), the one whose forward pass takes the largest part of a step."""
    known = [rank for rank in ranks if sum(rank.spent.values()) > 0]
    if len(known) < 2:
        return None
    waits = {rank.rank: share(rank.spent, WAITS) for rank in known}
    forward = {rank.rank: rank.forward / sum(rank.spent.values()) for rank in known}
    slow = max(known, key=lambda rank: forward[rank.rank])
    if forward[slow.rank] > max(LONGER * mean_of_others(forward, slow.rank), NOTICEABLE):
        values = forward[slow.rank], mean_of_others(forward, slow.rank)
        names = "forward", "others_forward"
    else:
        slow = min(known, key=lambda rank: waits[rank.rank])
        values = waits[slow.rank], mean_of_others(waits, slow.rank)
        names = "waits", "others_wait"
        if values[1] - values[0] < NOTICEABLE:
            return None
    return {
        "rank": slow.rank,
        "host": slow.host,
        **{name: round(value, 3) for name, value in zip(names, values, strict=True)},
    }


def mean_of_others(shares: Mapping[int, float], number: int) -> float:
    """The mean over all other processes."""
    return (sum(shares.values()) - shares[number]) / (len(shares) - 1)


def share(spent: Mapping[str, float], names: tuple[str, ...]) -> float:
    """Part of the time of its steps that was spent on these."""
    whole = sum(spent.values())
    return sum(spent.get(name, 0.0) for name in names) / whole if whole else 0.0


def rank_values(rank: Rank) -> dict[str, Any]:
    """One process."""
    return {
        "rank": rank.rank,
        "host": rank.host,
        "process": rank.process,
        "doing": rank.doing,
        "step": rank.step,
        "heard_seconds": round(age(rank), 1),
        "data_wait": round(share(rank.spent, ("batches",)), 3),
        "waits_for_others": round(share(rank.spent, WAITS), 3),
        "code": rank.code,
    }


def status_lines(found: Mapping[str, Any]) -> Iterator[str]:
    """A status as a person reads it."""
    of = f" of {found['total']:,} ({percent(found['step'], found['total'])})" if found["total"] else ""
    stage = f", stage `{found['stage']}`" if found["stage"] else ""
    yield f"{found['run']}: {found['state']}, step {found['step']:,}{of}{stage}"
    if found["why"]:
        yield f"  {found['why']}"
    speed = [f"{found['tokens_per_second']:,.0f} tokens/s"] if found["tokens_per_second"] else []
    left = [f"about {clock(found['seconds_left'])} left"] if found["seconds_left"] is not None else []
    wait = [f"{percent(found['loader_wait'], 1)} waiting for batches"] if found["loader_wait"] is not None else []
    if parts := [*speed, *left, *wait]:
        yield "  " + ", ".join(parts)
    if found["losses"]:
        losses = [f"{name.removeprefix('loss/')} {value:.3f}" for name, value in found["losses"].items()]
        yield f"  loss {', '.join(losses)}"
    saved = found["checkpoint"]
    yield f"  newest checkpoint: step {saved:,}" if saved is not None else "  no checkpoint yet"
    if slow := found["slowest"]:
        verb = "waits" if "waits" in slow else "computes its forward pass"
        mine, others = (percent(slow[name], 1) for name in list(slow)[2:])
        yield f"  rank {slow['rank']} on {slow['host']} is the slowest: it {verb} {mine} of its time, others {others}"
    shown = found["ranks"][:SHOWN]
    for rank in shown:
        end = (
            f", ended with {rank['code']}" if rank["code"] is not None else f", heard {rank['heard_seconds']:.0f} s ago"
        )
        yield (
            f"  rank {rank['rank']:3d} {rank['host']:16} step {rank['step']:,}, {rank['doing']}{end}; "
            f"waits {percent(rank['data_wait'], 1)} for batches, {percent(rank['waits_for_others'], 1)} for others"
        )
    if len(found["ranks"]) > SHOWN:
        yield f"  and {len(found['ranks']) - SHOWN} more (--json lists all)"
