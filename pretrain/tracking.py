"""Metrics: one line of metrics.jsonl per event is the source of truth; sinks and the terminal may fail.

{"event": "train", "step": 20, "loss/knowledge_masking": 6.1, "accuracy/knowledge_masking/entity": 0.02,
"tokens_per_second": 9100, ...}

Tracker.log(...)  ->  metrics.jsonl  ->  every sink that still works (sinks/)
"""

from __future__ import annotations

import time
import uuid
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from data_prep.files import write_atomic
from pretrain.metrics.lines import Lines, finite
from pretrain.sinks import Place, Sink, Writer, name_of
from pretrain.sinks.wandb import Wandb


@dataclass(frozen=True, kw_only=True)
class Tracking:
    """What is logged and where to."""

    every: int = 20
    """Steps between lines of metrics."""
    sinks: list[Sink] = field(default_factory=lambda: [Wandb()])
    """Where metrics are shown beside metrics.jsonl, by name (`[csv, tensorboard]`) or with settings (`[{kind: wandb,
    mode: online}]`); `[]`: nowhere. One that fails is left out with a note; `kmask track` replays metrics.jsonl."""
    peak_tflops: float = 0.0
    """TFLOP/s that a device of this run can do at most, for `mfu`, the share of it that training makes use of; 0: as
    the maker says of known GPUs, and no `mfu` elsewhere."""

    def __post_init__(self) -> None:
        if self.every < 1:
            raise ValueError(f"every: {self.every} must be at least 1")
        if self.peak_tflops < 0:
            raise ValueError(f"peak_tflops: {self.peak_tflops} must be 0 (not given) or positive")
        names = [name_of(sink) for sink in self.sinks]
        if twice := [name for name in names if names.count(name) > 1]:
            raise ValueError(f"sinks: {twice[0]} is named twice; one of each kind is enough")


class Tracker:
    """Writes events of rank 0: metrics.jsonl, skipped.jsonl, sinks."""

    def __init__(
        self,
        settings: Tracking,
        folder: Path,
        lines: Mapping[str, int],
        config: Mapping[str, Any],
        say: Callable[[str], None],
    ) -> None:
        self.folder, self.say = folder, say
        self.metrics, self.rows = Lines(folder / "metrics.jsonl", say), Lines(folder / "skipped.jsonl", say)
        self._known: set[tuple[str, int, str]] = set()
        self._writers: dict[str, Writer] = {}
        kept = self.keep(lines)
        for sink in settings.sinks:
            self._open(sink, config, kept)

    def _open(self, sink: Sink, config: Mapping[str, Any], kept: Sequence[Mapping[str, Any]]) -> None:
        """Begin to write to a sink; a service knows the run by an id that is kept in the run's folder."""
        name = name_of(sink)
        try:
            file = self.folder / f"{name}.id"
            if not (sink.REWRITTEN or file.exists()):
                write_atomic(file, uuid.uuid4().hex[:12] + "\n")
            known = "" if sink.REWRITTEN else file.read_text(encoding="utf-8").strip()
            self._writers[name] = sink.open(Place(self.folder, config, known), kept)
        except Exception as error:  # a sink must never end a run
            self._lost(name, "is off for this run", error)

    def _lost(self, name: str, what: str, error: Exception) -> None:
        """Tell that a sink is gone, and how it gets what it misses."""
        self._writers.pop(name, None)
        self.say(
            f"{name} {what}: {type(error).__name__}: {error}. Training goes on; metrics.jsonl holds everything, and "
            f"`kmask track {self.folder} --to {name}` replays it"
        )

    def _each(self, what: str, call: Callable[[Writer], None]) -> None:
        """Do the same with every sink that still works."""
        for name, writer in list(self._writers.items()):
            try:
                call(writer)
            except Exception as error:
                self._lost(name, what, error)

    def keep(self, lines: Mapping[str, int]) -> list[dict[str, Any]]:
        """Forget what was written after a checkpoint that had these ``lines``: it will be done, and written, again.
        Returns the lines of metrics that stay."""
        self.rows.keep(lines.get("skipped", 0))
        kept = self.metrics.keep(lines.get("metrics", 0))
        self._known = {(str(item.get("event")), int(item.get("step", 0)), str(item.get("stage"))) for item in kept}
        self._each("stopped", lambda writer: writer.back_to(kept))
        return kept

    def lines(self) -> dict[str, int]:
        """How many lines there are now."""
        return {"metrics": self.metrics.count, "skipped": self.rows.count}

    def has(self, event: str, step: int, stage: str) -> bool:
        """Was this written already, in this process or before a resume?"""
        return (event, step, stage) in self._known

    def log(self, event: str, step: int, values: Mapping[str, Any]) -> None:
        """Append one event."""
        record = finite({"event": event, "step": step, "time": round(time.time(), 3), **values})
        self.metrics.append(record)
        self._known.add((event, step, str(values.get("stage"))))
        self._each("stopped", lambda writer: writer.write(record))

    def close(self) -> None:
        """Finish the sinks."""
        self._each("did not finish", lambda writer: writer.close())
