"""Bad numbers: steps without a finite loss or gradient, and losses that jump.

    Guard.look(losses of a step, applied)  ->  Verdict     the same on every rank, because all see the same global sums

A step whose loss or gradient is not finite on any rank is left out by all of them (engine.py): weights and Adam's state
stay as they were. Guard counts such steps; too many in a row end the run. A spike is a finite loss far above what it
lately was: it is reported, or the run goes back to its newest checkpoint and on with the rows behind the spike (PaLM,
Chowdhery et al. 2022, section 5.1).
"""

from __future__ import annotations

import math
import statistics
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

SPIKES = ("report", "rollback")
FEWEST = 20
"""Losses that must be known before one can be called a spike."""
NORMAL = 1.4826
"""Standard deviation of a normal law in units of its median absolute deviation."""
LEAST_SPREAD = 0.01
"""The spread is taken to be at least this share of the median, so that a loss that stands still has no spikes."""


@dataclass(frozen=True, kw_only=True)
class Stability:
    """What is done about bad numbers."""

    bad_steps: int = 10
    """Steps in a row without finite loss and gradient that end the run; each is left out by all processes and noted in
    skipped.jsonl. In fp16 an overflow of the loss scale is no such step."""
    spike: float = 0.0
    """A task's loss this many times its usual spread above its median over the last `window` steps is a spike; 0: none
    is looked for. Usual: 10."""
    window: int = 200
    """Steps that a spike is compared with; at least 20."""
    on_spike: str = "report"
    """`report`: a line of metrics and a note; `rollback`: also go back to the newest checkpoint and go on with the rows
    behind the spike."""
    rollbacks: int = 3
    """Times that a run may go back; after that it ends."""

    def __post_init__(self) -> None:
        if self.bad_steps < 1:
            raise ValueError(f"bad_steps: {self.bad_steps} must be at least 1")
        if self.spike < 0:
            raise ValueError(f"spike: {self.spike} must be 0 (off) or positive")
        if self.window < FEWEST:
            raise ValueError(f"window: {self.window} must be at least {FEWEST}")
        if self.on_spike not in SPIKES:
            raise ValueError(f"on_spike: {self.on_spike!r} is not one of {', '.join(SPIKES)}")
        if self.rollbacks < 0:
            raise ValueError(f"rollbacks: {self.rollbacks} must not be negative")


@dataclass(frozen=True, kw_only=True)
class Verdict:
    """What a step's numbers say."""

    applied: bool
    """Were the weights changed?"""
    reason: str = ""
    """Why not, or which loss is a spike; empty for a good step."""
    spike: bool = False
    stop: bool = False
    """Too many bad steps in a row, or too many rollbacks."""


class Guard:
    """Looks at every step. Its memory is part of a checkpoint: a resumed run judges as an undisturbed one."""

    def __init__(self, settings: Stability, memory: Mapping[str, Any]) -> None:
        self.settings = settings
        self.in_a_row = int(memory.get("in_a_row", 0))
        self.rolled_back = int(memory.get("rolled_back", 0))
        self.losses: dict[str, list[float]] = {task: list(values) for task, values in memory.get("losses", {}).items()}

    def memory(self) -> dict[str, Any]:
        """What a checkpoint keeps."""
        return {"in_a_row": self.in_a_row, "rolled_back": self.rolled_back, "losses": self.losses}

    def look(self, losses: Mapping[str, float], norm: float, applied: bool, scaled: bool) -> Verdict:
        """Judge a step.

        Args:
            losses: mean loss over the global targets, of every task that had targets.
            norm: global gradient norm.
            applied: did the optimiser take the step?
            scaled: is fp16's loss scale at work? Then an infinite gradient of finite losses is its search for a scale.
        """
        bad = [f"loss of {task} is {value}" for task, value in losses.items() if not math.isfinite(value)]
        if not applied:
            if bad or not scaled:
                self.in_a_row += 1
            reason = ", ".join(bad) or f"gradient norm is {norm}"
            return Verdict(applied=False, reason=reason, stop=self.in_a_row >= self.settings.bad_steps)
        self.in_a_row = 0
        if not self.settings.spike:
            return Verdict(applied=True)
        jumps = [jump for task, value in losses.items() if (jump := self._jump(task, value))]
        return Verdict(applied=True, reason=", ".join(jumps), spike=bool(jumps))

    def _jump(self, task: str, loss: float) -> str:
        known = self.losses.setdefault(task, [])
        text = ""
        if len(known) >= FEWEST:
            middle = statistics.median(known)
            spread = max(NORMAL * statistics.median(abs(value - middle) for value in known), LEAST_SPREAD * abs(middle))
            if loss > middle + self.settings.spike * spread:
                text = (
                    f"loss of {task} jumps to {loss:.4f} (median of the last {len(known)} steps {middle:.4f}, spread "
                    f"{spread:.4f})"
                )
        known.append(loss)
        del known[: -self.settings.window]
        return text

    def may_roll_back(self) -> bool:
        """Take one rollback from those that are left."""
        self.rolled_back += 1
        return self.rolled_back <= self.settings.rollbacks
