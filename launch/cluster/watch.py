"""Who of a start's processes has been silent for too long.

    watch = Watch(RUN/"ranks", attempt, expected=4, quiet=60, patience=600)
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

LAST_WORDS_SECONDS = 15.0
"""How long processes may live on beside one that has failed."""


class Watch:
    """Looks at the processes of one start, by this machine's clock alone.

    Args:
        expected: how many processes it has; 0 when that is not known.
        quiet: seconds that a process may be silent above its longest step so far.
        patience: seconds that anything else may take: starting, measuring, saving.
    """

    def __init__(
        self,
        folder: Path,
        attempt: str,
        expected: int,
        quiet: float,
        patience: float,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self.folder, self.attempt, self.expected = folder, attempt, expected
        self.quiet, self.patience, self.clock, self.begun = quiet, patience, clock, clock()
        self.heard: dict[tuple[str, int], tuple[int, float]] = {}
        self.failed_since: float | None = None
        self.ranks: list[Rank] = []

    def look(self) -> str | None:
        """Why the start must be ended, or None."""
        now = self.clock()
        everyone = read_ranks(self.folder)
        for rank in everyone:
            key = rank.attempt, rank.rank
            if self.heard.get(key, (-1, 0.0))[0] != rank.pulse:
                self.heard[key] = rank.pulse, now
        self.ranks = [rank for rank in everyone if rank.attempt == self.attempt]
        living = [rank for rank in self.ranks if rank.code is None]
        others = [rank for rank in everyone if rank.attempt != self.attempt and rank.code is None]
        near = [rank for rank in others if self._unheard(rank, now) <= self.quiet and now - self.begun > self.quiet]
        return self._missing(now) or self._beside_failed(now, living) or self._silent(now, living, near)

    def _unheard(self, rank: Rank, now: float) -> float:
        return now - self.heard[rank.attempt, rank.rank][1]

    def _missing(self, now: float) -> str | None:
        """A process that has not begun."""
        if len(self.ranks) >= self.expected or now - self.begun <= self.patience:
            return None
        begun = ", ".join(rank.name for rank in self.ranks) or "none"
        return (
            f"some of {self.expected} processes have not begun within {self.patience / 60:g} minutes (begun: {begun})"
        )

    def _beside_failed(self, now: float, living: list[Rank]) -> str | None:
        """A process that has failed, and others that do not notice."""
        failed = next((rank for rank in self.ranks if rank.failed()), None)
        if failed is None:
            self.failed_since = None
            return None
        self.failed_since = self.failed_since or now
        if not living or now - self.failed_since <= LAST_WORDS_SECONDS:
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
