"""Where a run stands, as it changes from step to step, and as a checkpoint keeps it.

Progress.of(state)     from a checkpoint
Progress.state(...)    into a checkpoint
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from pretrain.feed.sampling import Cursor
from pretrain.stages.schedule import Stage, amount_of
from pretrain.state.checkpoint import State


@dataclass(kw_only=True)
class Progress:
    """What changes while training goes on; equal on every rank."""

    step: int = 0
    cursors: dict[str, Cursor] = field(default_factory=dict)
    shares: dict[str, float] = field(default_factory=dict)
    done: list[dict[str, Any]] = field(default_factory=list)
    """Of every stage that has begun: name, steps, tasks; where its streams began, and the rows they gave."""
    learned: list[str] = field(default_factory=list)
    fingerprints: dict[str, str] = field(default_factory=dict)
    """Of every folder that a cursor ever counted in, also of those that left the run."""
    source: Mapping[str, Any] = field(default_factory=dict)
    task_ids: Mapping[str, int] = field(default_factory=dict)
    old: Sequence[str] = field(default_factory=list)
    ends: Mapping[str, int] = field(default_factory=dict)
    best: Mapping[str, Any] = field(default_factory=dict)
    """The best checkpoint so far (best.py)."""
    best_before: Mapping[str, Any] = field(default_factory=dict)
    """The same before the newest was found: what counts again when that cannot be written."""
    window: Mapping[str, Any] = field(default_factory=dict)
    """Sums since the last line of metrics, as of the last checkpoint; a stage goes on with them."""
    guard: Mapping[str, Any] = field(default_factory=dict)
    tokens: float = 0.0
    seconds: float = 0.0
    skipped: int = 0
    pooled: float = 0.0
    """Targets so far of tasks that train the pooler."""
    saved: int = -1
    """Step of the newest checkpoint on disk; -1: none."""
    stopping: bool = False
    """Do all ranks stop after this step? The same on every rank."""
    going_back: bool = False
    """Does the run go back to its newest checkpoint after this step?"""

    @staticmethod
    def of(state: State) -> Progress:
        """As a checkpoint says."""
        return Progress(
            step=state.step,
            cursors=dict(state.cursors),
            shares=dict(state.shares),
            done=[dict(item) for item in state.done],
            learned=list(state.learned),
            fingerprints=dict(state.fingerprints),
            source=state.source,
            task_ids=state.task_ids,
            old=list(state.old),
            ends=dict(state.ends),
            best=dict(state.best),
            window=state.window,
            guard=state.guard,
            tokens=state.seen["tokens"],
            seconds=state.seen["seconds"],
            skipped=int(state.seen["skipped"]),
            pooled=state.seen["pooled"],
            saved=state.step,
        )

    def enter(
        self, index: int, stage: Stage, shares: Mapping[str, float], learned: Sequence[str], old: Sequence[str] = ()
    ) -> bool:
        """Begin a stage or go on with it. Returns whether shares are counted anew, because a folder, a task or a weight
        changed within it.

        Args:
            old: parts of the model that existed before the stage, if it begins here.

        Deficits are what a share should have got less what it got: under other shares, or with another stream among
        them, the old counts would give one stream every row until it has caught up.
        """
        going_on = len(self.done) > index
        changed = going_on and dict(shares) != self.shares
        if changed:
            self._keep_served(index)
        elif not going_on:
            if self.done:  # its end may have been brought forward while it stood still
                self.done[-1].setdefault("realised", self.rows_of(len(self.done) - 1))
            begun = {name: list(cursor[:3]) for name, cursor in self.cursors.items()}
            self.done.append({"name": stage.name, "steps": 0, "begun": begun})
            self.old = list(old)
        if changed or not going_on:
            self.cursors = {name: cursor._replace(served=0) for name, cursor in self.cursors.items()}
        self.done[index]["tasks"] = {task: amount_of(amount).recorded for task, amount in stage.tasks.items()}
        self.shares, self.learned = dict(shares), list(learned)
        return changed

    def _keep_served(self, index: int) -> None:
        """Rows of the stage so far, before they are counted anew."""
        self.done[index]["rows"] = self.rows_of(index)
        self.done[index].pop("left_out", None)

    def rows_of(self, index: int) -> dict[str, int]:
        """Rows that each stream has been trained on in the stage that is going on, without those that were left out by
        going back."""
        before, left_out = self.done[index].get("rows", {}), self.done[index].get("left_out", {})
        found = {
            name: before.get(name, 0) + cursor.served - left_out.get(name, 0) for name, cursor in self.cursors.items()
        }
        return {name: count for name, count in found.items() if count}

    def state(self, stage: int, **rest: Any) -> State:
        """For a checkpoint; ``rest`` is what progress does not know (configuration, encoder, ...)."""
        seen = {"tokens": self.tokens, "seconds": self.seconds, "skipped": float(self.skipped), "pooled": self.pooled}
        done = [dict(item) for item in self.done]
        return State(
            step=self.step,
            stage=stage,
            cursors=dict(self.cursors),
            shares=self.shares,
            done=done,
            learned=self.learned,
            fingerprints=dict(self.fingerprints),
            source=self.source,
            task_ids=self.task_ids,
            old=list(self.old),
            ends=dict(self.ends),
            best=dict(self.best),
            seen=seen,
            **rest,
        )

    def back_to(self, state: State, rolled_back: int) -> Progress:
        """At a checkpoint again, but with the rows that come next now."""
        before = Progress.of(state)
        if len(before.done) == len(self.done):  # else all rows of this stage are left out
            there = before.cursors
            left_out = {name: now.served - there.get(name, Cursor()).served for name, now in self.cursors.items()}
            known = before.done[-1].get("left_out", {})
            before.done[-1]["left_out"] = {name: known.get(name, 0) + count for name, count in left_out.items()}
        return replace(before, cursors=self.cursors, guard={**before.guard, "rolled_back": rolled_back})
