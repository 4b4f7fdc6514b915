"""Metrics: one line of metrics.jsonl per event is the source of truth; wandb and the terminal are sinks that may fail.

{"event": "train", "step": 20, "loss/knowledge_masking": 6.1, "accuracy/knowledge_masking/entity": 0.02,
"tokens_per_second": 9100, ...}
"""

from __future__ import annotations

import os
import time
import uuid
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from data_prep.files import write_atomic
from pretrain.metrics.lines import Lines
from pretrain.processes.stopping import shielded


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


class Tracker:
    """Writes events of rank 0: metrics.jsonl, skipped.jsonl, wandb."""

    def __init__(
        self,
        settings: Tracking,
        folder: Path,
        lines: Mapping[str, int],
        config: Mapping[str, Any],
        say: Callable[[str], None],
    ) -> None:
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
                self._wandb.log(
                    {f"{event}/{name}": value for name, value in values.items() if isinstance(value, int | float)},
                    step=step,
                )
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
