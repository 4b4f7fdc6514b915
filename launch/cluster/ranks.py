"""What the processes of a start say in ``RUN/ranks`` (pretrain/processes/heartbeat.py), read from outside.

read_ranks(RUN/ranks/ATTEMPT)  ->  [Rank(rank=0, host="a", doing="step", step=412, ...), ...]
first_failure(ranks)            ->  the one to name: its own error, else a process that vanished
code_of(ranks)                  ->  how the run ended
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import NamedTuple

from launch.shell.exit_codes import DONE, FAILED, STOPPED, USER_ERROR

WORDS = {
    "step": "in step {step}",
    "batches": "waiting for batches after step {step}",
    "gradients": "waiting for the gradients of the others in step {step}",
    "sum over processes": "waiting for the others at the end of step {step}",
    "evaluation": "measuring after step {step}",
    "checkpoint": "saving after step {step}",
}


class Rank(NamedTuple):
    """What one process said last."""

    rank: int
    host: str
    process: int
    started: int
    attempt: str
    pulse: int
    doing: str
    step: int
    seconds: float
    longest: float
    long: bool
    code: int | None
    text: str
    lost: bool
    world: int
    total: int
    spent: dict[str, float]
    forward: float = 0.0
    """Seconds of its steps that it computed and waited for nobody, where that is known."""
    changed: int = 0
    """When its file was written or touched last, by the file system's clock."""

    @property
    def name(self) -> str:
        """For a person."""
        return f"rank {self.rank} on {self.host}"

    def activity(self) -> str:
        """What it was at, for a person."""
        return WORDS.get(self.doing, f"at: {self.doing}").format(step=self.step)

    def failed(self) -> bool:
        """Did it end in another way than it should?"""
        return self.code not in (None, DONE, STOPPED)


def read_ranks(folder: Path) -> list[Rank]:
    """What the processes of one start said last, by number; those of a larger world than the newest one's are over
    (torchrun starts again with fewer). Files that cannot be read are left out."""
    found = []
    for file in folder.glob("rank-*.json"):
        try:
            value = json.loads(file.read_text(encoding="utf-8"))
            value = {**Rank._field_defaults, **value, "changed": file.stat().st_mtime_ns}
            found.append(Rank._make(value[name] for name in Rank._fields))
        except (OSError, ValueError, KeyError, TypeError):
            continue
    world = max(found, key=lambda rank: rank.changed).world if found else 0
    return sorted((rank for rank in found if rank.rank < world), key=lambda rank: rank.rank)


def first_failure(ranks: Iterable[Rank]) -> Rank | None:
    """Whose end to tell: one that failed by itself, else one that vanished without a word, else any that failed."""
    ranks = list(ranks)
    own = [rank for rank in ranks if rank.failed() and not rank.lost]
    gone = [rank for rank in ranks if rank.code is None]
    return next(iter([*own, *gone, *(rank for rank in ranks if rank.failed())]), None)


def code_of(ranks: Sequence[Rank], told: int) -> int:
    """How a run ended whose starter has ended with ``told``: DeepSpeed, torchrun and ssh pass on no code of ours."""
    codes = {rank.code for rank in ranks if not rank.lost}
    if not ranks:
        return told and FAILED
    if USER_ERROR in codes:
        return USER_ERROR
    if codes == {DONE}:
        return DONE
    return STOPPED if codes and codes <= {DONE, STOPPED} else FAILED


def diagnosis(rank: Rank) -> str:
    """How a process failed, in one line."""
    if rank.code is None:
        return f"{rank.name} (process {rank.process}) vanished {rank.activity()}: killed, or its machine is gone"
    return f"{rank.name} ended with code {rank.code} {rank.activity()}: {rank.text}"
