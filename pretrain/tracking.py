"""Metrics: one line of metrics.jsonl per event is the source of truth; wandb and the terminal are sinks that may fail.

{"event": "train", "step": 20, "loss/knowledge_masking": 6.1, "accuracy/entity": 0.02, "tokens_per_second": 9100, ...}
"""

from __future__ import annotations

import contextlib
import json
import math
import os
import time
import uuid
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch

from data_prep.files import write_atomic
from masking.spans import KINDS
from pretrain.stopping import shielded


@dataclass(frozen=True, kw_only=True)
class Tracking:
    """What is logged and where to."""

    every: int = 20
    """Steps between lines of metrics."""
    wandb: str = "offline"
    """`offline` (files under the run folder, to be synced later), `online` or `disabled`."""
    project: str = "kmask"
    """wandb project."""

    def __post_init__(self) -> None:
        if self.every < 1:
            raise ValueError(f"every: {self.every} must be at least 1")
        if self.wandb not in ("offline", "online", "disabled"):
            raise ValueError(f"wandb: {self.wandb!r} is not one of offline, online, disabled")


def readable(stats: torch.Tensor, tasks: list[str]) -> dict[str, float]:
    """Summed stats (tasks, 1 + kinds, 3) as named means: loss and accuracy per task, and per kind of unit for knowledge masking."""
    result: dict[str, float] = {}
    for row, task in zip(stats.tolist(), tasks, strict=True):
        total, *kinds = row
        if total[2]:
            result[f"loss/{task}"] = total[0] / total[2]
            result[f"accuracy/{task}"] = total[1] / total[2]
        result[f"targets/{task}"] = total[2]
        if task == "knowledge_masking":
            for kind, (loss, hits, count) in zip(KINDS, kinds, strict=True):
                if count:
                    result[f"loss/{kind}"] = loss / count
                    result[f"accuracy/{kind}"] = hits / count
                result[f"targets/{kind}"] = count
    return result


class Sums:
    """What is added up between two lines of metrics, over all ranks. Part of a checkpoint, so that lines are equal after a resume."""

    COUNTS = ("seconds", "real", "masked", "maskable", "slots", "given_up", "skipped")

    def __init__(self, tasks: list[str], kept: Mapping[str, Any]) -> None:
        self.tasks = tasks
        self.clear()
        for task, row in zip(kept.get("tasks", []), kept.get("stats", []), strict=True):
            if task in tasks:
                self.stats[tasks.index(task)] = torch.tensor(row, dtype=torch.float64)
        self.counts |= {name: float(kept[name]) for name in self.COUNTS if name in kept}

    def clear(self) -> None:
        """Begin anew."""
        self.stats = torch.zeros(len(self.tasks), 1 + len(KINDS), 3, dtype=torch.float64)
        self.counts = dict.fromkeys(self.COUNTS, 0.0)

    def count(self, **more: float) -> None:
        """Add to the counts of tokens, seconds, units or steps."""
        for name, value in more.items():
            self.counts[name] += value

    def kept(self) -> dict[str, Any]:
        """As a checkpoint keeps it."""
        return {"tasks": self.tasks, "stats": self.stats.tolist(), **self.counts}

    def values(self) -> dict[str, float]:
        """Means and shares."""
        counts = self.counts
        values = readable(self.stats, self.tasks)
        values |= {"tokens_per_second": counts["real"] / max(counts["seconds"], 1e-9), "real_share": counts["real"] / max(counts["slots"], 1.0)}
        values |= {"masked_share": counts["masked"] / max(counts["maskable"], 1.0), "skipped": counts["skipped"]}
        return values


def finite(value: Any) -> Any:
    """``value`` as JSON can write it: a number that is none becomes null."""
    if isinstance(value, float) and not math.isfinite(value):
        return None
    if isinstance(value, Mapping):
        return {key: finite(item) for key, item in value.items()}
    return [finite(item) for item in value] if isinstance(value, list | tuple) else value


class Lines:
    """A file of one JSON object a line. A full disk does not end the run: lines wait in memory and are written with a later one."""

    def __init__(self, file: Path, say: Callable[[str], None]) -> None:
        self.file, self.say = file, say
        self.waiting: list[str] = []
        self.count = 0
        """Lines in all, those that wait included."""

    def read(self) -> list[dict[str, Any]]:
        """All lines; a half-written last one is left out."""
        if not self.file.exists():
            return []
        found = []
        for line in self.file.read_text(encoding="utf-8", errors="replace").split("\n"):
            with contextlib.suppress(ValueError):
                found.append(json.loads(line))
        return [item for item in found if isinstance(item, dict)]

    def keep(self, count: int) -> list[dict[str, Any]]:
        """Forget all lines but the first so many; returns those."""
        self.waiting.clear()
        kept = self.read()[:count]
        if self.file.exists():
            write_atomic(self.file, "".join(json.dumps(item, ensure_ascii=False) + "\n" for item in kept))
        self.count = len(kept)
        return kept

    def append(self, record: Mapping[str, Any]) -> None:
        """Add a line, and those that wait."""
        self.count += 1
        self.waiting.append(json.dumps(finite(record), ensure_ascii=False, allow_nan=False) + "\n")
        before = self.file.stat().st_size if self.file.exists() else 0
        try:
            with self.file.open("a", encoding="utf-8") as handle:
                handle.write("".join(self.waiting))
        except OSError as error:
            with contextlib.suppress(OSError):
                os.truncate(self.file, before)
            if len(self.waiting) == 1:
                self.say(f"{self.file} could not be written ({error.strerror}); its lines wait in memory")
            return
        self.waiting.clear()


class Tracker:
    """Writes events of rank 0: metrics.jsonl, skipped.jsonl, wandb."""

    def __init__(self, settings: Tracking, folder: Path, lines: Mapping[str, int], config: Mapping[str, Any], say: Callable[[str], None]) -> None:
        self.say = say
        self.metrics, self.rows = Lines(folder / "metrics.jsonl", say), Lines(folder / "skipped.jsonl", say)
        self._known: set[tuple[str, int, str]] = set()
        self.keep(lines)
        self._wandb = self._start_wandb(settings, folder, config) if settings.wandb != "disabled" else None

    def keep(self, lines: Mapping[str, int]) -> None:
        """Forget what was written after a checkpoint that had these ``lines``: it will be done, and written, again."""
        self.rows.keep(lines.get("skipped", 0))
        kept = self.metrics.keep(lines.get("metrics", 0))
        self._known = {(str(item.get("event")), int(item.get("step", 0)), str(item.get("stage"))) for item in kept}

    def lines(self) -> dict[str, int]:
        """How many lines there are now."""
        return {"metrics": self.metrics.count, "skipped": self.rows.count}

    def has(self, event: str, step: int, stage: str) -> bool:
        """Was this written already, in this process or before a resume?"""
        return (event, step, stage) in self._known

    def _start_wandb(self, settings: Tracking, folder: Path, config: Mapping[str, Any]) -> Any:
        """One wandb run for the life of the run's folder: its id is kept there."""
        try:
            os.environ.setdefault("WANDB_SILENT", "true")
            import wandb

            name = folder / "wandb.id"
            if not name.exists():
                write_atomic(name, uuid.uuid4().hex[:12] + "\n")
            with shielded():
                return wandb.init(
                    mode=settings.wandb,  # type: ignore[arg-type]
                    dir=str(folder),
                    project=settings.project,
                    group=folder.name,
                    id=name.read_text(encoding="utf-8").strip(),
                    resume="allow" if settings.wandb == "online" else None,
                    config=dict(config),
                    settings=wandb.Settings(silent=True, console="off"),
                )
        except Exception as error:  # a tracker must never end a run
            self.say(f"wandb is off for this run: {type(error).__name__}: {error}")
            return None

    def log(self, event: str, step: int, values: Mapping[str, Any]) -> None:
        """Append one event."""
        self.metrics.append({"event": event, "step": step, "time": round(time.time(), 3), **values})
        self._known.add((event, step, str(values.get("stage"))))
        if self._wandb is not None:
            try:
                self._wandb.log({f"{event}/{name}": value for name, value in values.items() if isinstance(value, int | float)}, step=step)
            except Exception as error:
                self.say(f"wandb stopped: {type(error).__name__}: {error}")
                self._wandb = None

    def close(self) -> None:
        """Finish the sinks."""
        if self._wandb is not None:
            try:
                self._wandb.finish()
            except Exception as error:
                self.say(f"wandb did not finish: {type(error).__name__}: {error}")
