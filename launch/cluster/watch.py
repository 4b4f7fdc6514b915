"""Who of a start's processes has been silent for too long.

    watch = Watch(RUN/"ranks"/ATTEMPT, expected=4, quiet=60, patience=600)
    watch.look()  ->  "rank 3 on b has not been heard of for 61 s; it was in step 412", or None

A process is silent when its file stops changing (stopped, dead, its machine gone), or when its main thread, and that of
every other process, has been at the same thing for longer than that may take: one that works keeps all that wait for
it alive.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path

from launch.cluster.ranks import Rank, diagnosis, read_ranks

PAUSE_SECONDS = 10.0
"""Between two looks lies about a second: after more, this process was stopped itself."""
LAST_WORDS_SECONDS = 15.0
"""How long processes may live on beside one that has failed."""


class Watch:
    """Looks at the processes of one start, by this machine's clock alone.

    Args:
        folder: ``RUN/ranks/ATTEMPT``.
        expected: how many processes it has; 0 when that is not known.
        quiet: seconds that a process may be silent above its longest step so far.
        patience: seconds that anything else may take: starting, measuring, saving.
    """

    def __init__(
        self,
        folder: Path,
        expected: int,
        quiet: float,
        patience: float,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self.folder, self.expected = folder, expected
        self.quiet, self.patience, self.clock, self.begun = quiet, patience, clock, clock()
        self.looked = self.begun
        self.heard: dict[tuple[str, int], tuple[tuple[int, int], float]] = {}
        self.seen: set[int] = set()
        self.failed_since: float | None = None
        self.ended_since: float | None = None
        self.ranks: list[Rank] = []

    def look(self) -> str | None:
        """Why the start must be ended, or None."""
        now = self.clock()
        if now - self.looked > PAUSE_SECONDS:  # this process was stopped, and they perhaps with it
            self.begun += now - self.looked
            self.heard = {key: (sign, now) for key, (sign, _) in self.heard.items()}
            self.failed_since = self.ended_since = None
        self.looked = now
        self.ranks = read_ranks(self.folder)
        elsewhere = self._elsewhere()
        for rank in [*self.ranks, *elsewhere]:
            key, sign = (rank.attempt, rank.rank), (rank.pulse, rank.changed)
            if self.heard.get(key, ((), 0.0))[0] != sign:
                self.heard[key] = sign, now
        self.seen |= {rank.rank for rank in self.ranks}
        living = [rank for rank in self.ranks if rank.code is None]
        over = bool(self.expected) and len(self.ranks) >= self.expected and not living
        self.ended_since = (self.ended_since or now) if over else None
        near = [rank for rank in elsewhere if self._unheard(rank, now) <= self.quiet and now - self.begun > self.quiet]
        return self._missing(now) or self._beside_failed(now, living) or self._silent(now, living, near)

    def over(self) -> bool:
        """Have all processes ended a while ago? What started them may not notice."""
        return self.ended_since is not None and self.looked - self.ended_since > LAST_WORDS_SECONDS

    def _elsewhere(self) -> list[Rank]:
        """Living processes of other starts of the run, where each machine starts its own."""
        if not self.expected or max((rank.world for rank in self.ranks), default=0) <= self.expected:
            return []
        others = [path for path in self.folder.parent.iterdir() if path.is_dir() and path != self.folder]
        return [rank for path in others for rank in read_ranks(path) if rank.code is None]

    def _unheard(self, rank: Rank, now: float) -> float:
        return now - self.heard[rank.attempt, rank.rank][1]

    def _missing(self, now: float) -> str | None:
        """A process that has not begun."""
        if len(self.seen) >= self.expected or now - self.begun <= self.patience:
            return None
        begun = ", ".join(rank.name for rank in self.ranks) or "none"
        return (
            f"some of {self.expected} processes have not begun within {self.patience / 60:g} minutes (begun: {begun})"
        )

    def _beside_failed(self, now: float, living: list[Rank]) -> str | None:
        """A process that has failed, and others that do not notice."""
        failed = next((rank for rank in self.ranks if rank.failed()), None)
        if failed is None or not living:
            self.failed_since = None
            return None
        self.failed_since = self.failed_since or now
        if now - self.failed_since <= LAST_WORDS_SECONDS:
            return None
        return f"{diagnosis(failed)}; others go on waiting for it"

    def _silent(self, now: float, living: list[Rank], near: list[Rank]) -> str | None:
        """A process that is not heard of, or all at one thing for too long.

        Args:
            near: living processes of other starts of the run, where each machine starts its own.
        """
        for rank in living:
            limit = self.quiet if rank.pulse > 1 else self.patience  # its first word comes before all imports
            if (silent := self._unheard(rank, now)) > limit:
                return f"{rank.name} has not been heard of for {silent:.0f} s; it was {rank.activity()}"
        everyone = [*living, *near]
        over = [rank for rank in everyone if rank.seconds > self._limit(rank)]
        if not living or len(over) < len(everyone):
            return None
        worst = min(over, key=lambda rank: (rank.step, -rank.seconds))
        rest = "" if len(over) == 1 else f" (all {len(over)} processes wait: is the network between them up?)"
        return f"{worst.name} has been {worst.activity()} for {worst.seconds:.0f} s{rest}"

    def _limit(self, rank: Rank) -> float:
        return self.patience if rank.long else self.quiet + rank.longest
