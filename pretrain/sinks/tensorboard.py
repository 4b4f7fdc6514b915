"""TensorBoard: event files in RUN/tensorboard, for `tensorboard --logdir RUN/tensorboard`.

After a restart, and after going back to a checkpoint, a new event file says from which step on the older ones no longer
count (``purge_step``). A replay writes the folder anew.
"""

from __future__ import annotations

import shutil
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar

from data_prep.files import staged_folder
from pretrain.sinks import Place, Record, Sink, numbers

FOLDER = "tensorboard"


@dataclass(frozen=True, kw_only=True)
class Tensorboard(Sink):
    """TensorBoard."""

    PACKAGE: ClassVar[str] = "tensorboard"
    REWRITTEN: ClassVar[bool] = True

    def open(self, place: Place, kept: Sequence[Record]) -> TensorboardWriter:
        return TensorboardWriter(place.folder / FOLDER, kept)

    def replay(self, place: Place, records: Sequence[Record]) -> None:
        target = place.folder / FOLDER
        with staged_folder(target) as staging:
            writer = TensorboardWriter(staging, [])
            for record in records:
                writer.write(record)
            writer.close()
            shutil.rmtree(target, ignore_errors=True)


class TensorboardWriter:
    """Event files in a folder."""

    def __init__(self, folder: Path, kept: Sequence[Record]) -> None:
        self.folder = folder
        self.events = self._begin(kept)

    def _begin(self, kept: Sequence[Record]) -> Any:
        from torch.utils.tensorboard import SummaryWriter

        done = max((int(record.get("step", 0)) for record in kept), default=-1)
        older = self.folder.is_dir() and any(self.folder.iterdir())
        return SummaryWriter(log_dir=str(self.folder), purge_step=done + 1 if older else None)  # type: ignore[no-untyped-call]

    def write(self, record: Record) -> None:
        """One scalar for each figure, at the step and the time of the line."""
        for name, value in numbers(record).items():
            self.events.add_scalar(name, value, record["step"], walltime=record.get("time"))
        self.events.flush()

    def back_to(self, kept: Sequence[Record]) -> None:
        """Another event file, before which later steps no longer count."""
        self.events.close()
        self.events = self._begin(kept)

    def close(self) -> None:
        """Close the event file."""
        self.events.close()
