"""Metrics: one line of metrics.jsonl per event is the source of truth; wandb and the terminal are sinks that may fail.

{"event": "train", "step": 20, "loss/knowledge_masking": 6.1, "accuracy/entity": 0.02, "tokens_per_second": 9100, ...}
"""

from __future__ import annotations

import json
import os
import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch

from masking.spans import KINDS


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


class Window:
    """Sums between two lines of metrics."""

    def __init__(self, tasks: list[str]) -> None:
        self.tasks = tasks
        self.clear()

    def clear(self) -> None:
        """Begin anew."""
        self.stats: torch.Tensor | None = None
        self.seconds = self.real = self.masked = self.maskable = self.slots = self.given_up = 0.0

    def count(self, real: float, masked: float, maskable: float, slots: float, given_up: float) -> None:
        """Add one step's global token counts."""
        self.real, self.masked, self.maskable = self.real + real, self.masked + masked, self.maskable + maskable
        self.slots, self.given_up = self.slots + slots, self.given_up + given_up

    def add(self, stats: torch.Tensor, seconds: float) -> None:
        """Add one step's stats of this rank."""
        self.stats = stats if self.stats is None else self.stats + stats
        self.seconds += seconds


class Tracker:
    """Writes events of rank 0."""

    def __init__(self, settings: Tracking, folder: Path, step: int, config: Mapping[str, Any]) -> None:
        self.file = folder / "metrics.jsonl"
        self._drop_after(step)
        self._wandb = self._start_wandb(settings, folder, config) if settings.wandb != "disabled" else None

    def _drop_after(self, step: int) -> None:
        """Forget lines of steps that a resumed run will do again (the last line may also be half written)."""
        if not self.file.exists():
            return
        kept = []
        for line in self.file.read_text(encoding="utf-8", errors="replace").splitlines():
            try:
                if json.loads(line).get("step", 0) <= step:
                    kept.append(line)
            except ValueError:
                continue
        temporary = self.file.with_suffix(".tmp")
        temporary.write_text("".join(line + "\n" for line in kept), encoding="utf-8")
        temporary.replace(self.file)

    def _start_wandb(self, settings: Tracking, folder: Path, config: Mapping[str, Any]) -> Any:
        try:
            os.environ.setdefault("WANDB_SILENT", "true")
            import wandb

            return wandb.init(
                mode=settings.wandb,  # type: ignore[arg-type]
                dir=str(folder),
                project=settings.project,
                group=folder.name,
                config=dict(config),
                settings=wandb.Settings(silent=True, console="off"),
            )
        except Exception as error:  # a tracker must never end a run
            print(f"wandb is off for this run: {type(error).__name__}: {error}", flush=True)
            return None

    def log(self, event: str, step: int, values: Mapping[str, Any]) -> None:
        """Append one event."""
        record = {"event": event, "step": step, "time": round(time.time(), 3), **values}
        with self.file.open("a", encoding="utf-8") as handle:
            handle.write(json.dumps(record, ensure_ascii=False) + "\n")
        if self._wandb is not None:
            try:
                self._wandb.log({f"{event}/{name}": value for name, value in values.items() if isinstance(value, int | float)}, step=step)
            except Exception as error:
                print(f"wandb stopped: {type(error).__name__}: {error}", flush=True)
                self._wandb = None

    def close(self) -> None:
        """Finish the sinks."""
        if self._wandb is not None:
            try:
                self._wandb.finish()
            except Exception as error:
                print(f"wandb did not finish: {type(error).__name__}: {error}", flush=True)
