"""Weights & Biases: files under the run folder, to be synced later with `wandb sync`, or online.

One wandb run for the life of the run's folder. wandb takes a step once: after a restart, and after going back to a
checkpoint, it ignores steps that it has seen; metrics.jsonl holds what counts, and a replay is a wandb run of its own.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

from pretrain.processes.stopping import shielded
from pretrain.sinks import Place, Record, Sink, numbers

MODES = ("offline", "online")


@dataclass(frozen=True, kw_only=True)
class Wandb(Sink):
    """Weights & Biases."""

    PACKAGE: ClassVar[str] = "wandb"

    mode: str = "offline"
    """`offline` (files in RUN/wandb, to be synced later) or `online`."""
    project: str = "kmask"
    """Project that the run is shown in."""

    def __post_init__(self) -> None:
        if self.mode not in MODES:
            raise ValueError(f"mode: {self.mode!r} is not one of {', '.join(MODES)}")

    def open(self, place: Place, kept: Sequence[Record]) -> WandbWriter:
        os.environ.setdefault("WANDB_SILENT", "true")
        import wandb

        with shielded():
            run = wandb.init(
                mode=self.mode,  # type: ignore[arg-type]
                dir=str(place.folder),
                project=self.project,
                group=place.folder.name,
                id=place.id,
                resume="allow" if self.mode == "online" else None,
                config=dict(place.config),
                settings=wandb.Settings(silent=True, console="off"),
            )
        return WandbWriter(run)


class WandbWriter:
    """A wandb run."""

    def __init__(self, run: Any) -> None:
        self.run = run

    def write(self, record: Record) -> None:
        """One row of figures, at the step of the line."""
        self.run.log(numbers(record), step=record["step"])

    def back_to(self, kept: Sequence[Record]) -> None:
        """Nothing: wandb forgets no step."""

    def close(self) -> None:
        """Finish the run."""
        self.run.finish()
