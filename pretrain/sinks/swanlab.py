"""SwanLab: files under the run folder, to be synced later with `swanlab sync`, a local board, or its cloud.

One experiment for the life of the run's folder. SwanLab takes a step of a figure once, as wandb does.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

from pretrain.processes.stopping import shielded
from pretrain.sinks import Place, Record, Sink, numbers

MODES = ("offline", "local", "online")
ID_LENGTH = 21
"""Characters of an id, which SwanLab prescribes."""


@dataclass(frozen=True, kw_only=True)
class Swanlab(Sink):
    """SwanLab."""

    PACKAGE: ClassVar[str] = "swanlab"

    mode: str = "offline"
    """`offline` (files in RUN/swanlog, to be synced later), `local` (for `swanlab watch`) or `online` (its cloud)."""
    project: str = "kmask"
    """Project that the experiment is shown in."""

    def __post_init__(self) -> None:
        if self.mode not in MODES:
            raise ValueError(f"mode: {self.mode!r} is not one of {', '.join(MODES)}")

    def open(self, place: Place, kept: Sequence[Record]) -> SwanlabWriter:
        import swanlab

        again = {"id": place.id.ljust(ID_LENGTH, "0")[:ID_LENGTH], "resume": "allow"} if self.mode == "online" else {}
        with shielded():
            swanlab.init(
                project=self.project,
                name=place.folder.name,
                config=dict(place.config),
                log_dir=str(place.folder / "swanlog"),
                mode=self.mode,
                **again,
            )
        return SwanlabWriter(swanlab)


class SwanlabWriter:
    """A SwanLab experiment; there is one a process."""

    def __init__(self, swanlab: Any) -> None:
        self.swanlab = swanlab

    def write(self, record: Record) -> None:
        """Figures at the step of the line."""
        if values := numbers(record):
            self.swanlab.log(values, step=record["step"])

    def back_to(self, kept: Sequence[Record]) -> None:
        """Nothing: SwanLab forgets no step."""

    def close(self) -> None:
        """Finish the experiment."""
        self.swanlab.finish()
