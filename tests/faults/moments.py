"""Which kills there are and when they strike: signals, whom they go to, and how a launch has to end that got one.

Kill(name, role, signal, ...)    what
Moment(kind, step, fraction)     when: at start-up, in a step, while a checkpoint is staged, at a stage change,
                                 in an evaluation
strike(bench, run, launch, ...)  waits for the moment and sends the signal
"""

from __future__ import annotations

import itertools
import os
import random
import signal
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from compare import metrics
from plan import EVALUATED_EVERY, SAVED_EVERY, STAGE_ENDS, TOTAL, Bench
from processes import Launch

START, STEP, STAGING, STAGE, EVALUATION = "start-up", "step", "staging", "stage change", "evaluation"
SPANS = {STEP: 0.05, STAGING: 0.1, STAGE: 0.5, EVALUATION: 0.015}
"""Seconds after the sign of a moment within which the signal is sent."""


@dataclass(frozen=True, kw_only=True)
class Kill:
    """A signal, and how a launch has to end that got it."""

    name: str
    role: str
    """`launcher`, `rank-0`, `rank-1`, `worker`, or `group`: everything in the launcher's process group."""
    number: signal.Signals
    codes: tuple[int, ...]
    """Exit codes that are right; the signal itself as well when the launcher gets it before there is a rank."""
    says: str = ""
    """Pattern that must be in its words, unless nothing was trained yet."""
    saves: bool = False
    """Is the last step saved, so that none is repeated?"""
    quiet: bool = False
    """May the launch go on as if nothing had happened?"""
    seconds: float = 90.0
    """How long the launch may take to end."""
    overrides: tuple[str, ...] = ()
    moments: tuple[str, ...] = (START, STEP, STAGING, STAGE, EVALUATION)


STOPPED = {"codes": (5,), "says": "(?i)stopped on request", "saves": True}
WORKER = ("data_workers=1",)
WAIT_MINUTES = 0.2

KILLS = (
    Kill(name="kill -9 launcher", role="launcher", number=signal.SIGKILL, codes=(-signal.SIGKILL,)),
    Kill(name="kill -9 rank 0", role="rank-0", number=signal.SIGKILL, codes=(1, 2), says="(?i)rank 0.*(kill|signal)"),
    Kill(name="kill -9 rank 1", role="rank-1", number=signal.SIGKILL, codes=(1, 2), says="(?i)rank 1.*(kill|signal)"),
    Kill(
        name="kill -9 data worker",
        role="worker",
        number=signal.SIGKILL,
        codes=(1,),
        says="(?i)worker",
        quiet=True,
        overrides=WORKER,
    ),
    Kill(name="SIGTERM launcher", role="launcher", number=signal.SIGTERM, **STOPPED),
    Kill(name="SIGTERM group", role="group", number=signal.SIGTERM, overrides=WORKER, **STOPPED),
    Kill(name="SIGUSR1 launcher", role="launcher", number=signal.SIGUSR1, **STOPPED),
    Kill(name="SIGHUP launcher", role="launcher", number=signal.SIGHUP, **STOPPED),
    *(
        Kill(
            name=f"SIGSTOP rank {rank}",
            role=f"rank-{rank}",
            number=signal.SIGSTOP,
            codes=(1, 2),
            says=r"(?i)(rank|process)\D{0,20}\d.*(answer|respond|hang|hung|stop|stuck|heard|wait)|timed? ?out",
            seconds=60 * WAIT_MINUTES + 40,
            overrides=(f"engine.timeout_minutes={WAIT_MINUTES}",),
            moments=(STEP, EVALUATION),
        )
        for rank in (0, 1)
    ),
)


@dataclass(frozen=True, kw_only=True)
class Moment:
    """When a signal is sent."""

    kind: str
    step: int = 0
    """The sign is not waited for before this step."""
    fraction: float = 0.0
    """How far into its span."""

    def __str__(self) -> str:
        step = "" if self.kind == START else f" {self.step}"
        return f"{self.kind}{step} +{self.fraction:.2f}"


@dataclass(frozen=True, kw_only=True)
class Event:
    """One kill at one moment."""

    kill: Kill
    moment: Moment


def draw_events(draw: random.Random, count: int, kills: Sequence[Kill] = KILLS) -> list[Event]:
    """Kills in random order, each as often as any other, at moments of every kind.

    Steps ascend, so that one run takes them all.
    """
    bag = draw.sample(kills, len(kills))
    chosen = [bag[number % len(bag)] for number in range(count)]
    kinds = {kill.name: itertools.cycle(draw.sample(kill.moments, len(kill.moments))) for kill in kills}
    steps = sorted(draw.randint(1, TOTAL - 4) for _ in chosen)
    pairs = zip(chosen, steps, strict=True)
    return [Event(kill=kill, moment=moment(draw, next(kinds[kill.name]), step)) for kill, step in pairs]


def moment(draw: random.Random, kind: str, step: int) -> Moment:
    """A moment of a kind at the next step that has one."""
    saved = [number for number in range(1, TOTAL) if number % SAVED_EVERY == 0 or number in STAGE_ENDS]
    evaluated = [number for number in range(1, TOTAL) if number % EVALUATED_EVERY == 0 or number in STAGE_ENDS]
    possible = {STAGING: saved, EVALUATION: evaluated, STAGE: list(STAGE_ENDS[:-1])}.get(kind, [step])
    later = [number for number in possible if number >= step] or possible[-1:]
    return Moment(kind=kind, step=0 if kind == START else later[0], fraction=draw.random())


class Watch:
    """The newest step of a launch, told by its metrics; lines of earlier launches do not count."""

    def __init__(self, run: Path, launch: Launch) -> None:
        self.run, self.launch = run, launch
        self.seen = (0, 0)
        self.step = -1
        self.old = staged(run)

    def look(self) -> int:
        """The newest step, -1 before the first."""
        try:
            stat = (self.run / "metrics.jsonl").stat()
        except OSError:
            return self.step
        if (stat.st_ino, stat.st_size) != self.seen:
            self.seen = (stat.st_ino, stat.st_size)
            mine = [line for line in metrics(self.run)[-3:] if line.get("time", 0) >= self.launch.started]
            self.step = max([self.step, *(line["step"] for line in mine if line["event"] == "train")])
        return self.step

    def sign(self, moment: Moment) -> bool:
        """Has the moment come?"""
        if self.look() < moment.step:
            return False
        if moment.kind == STAGING:
            return bool(staged(self.run) - self.old)
        if moment.kind == STAGE:
            return (self.run / "checkpoints" / f"step-{moment.step:08d}").is_dir() or self.step > moment.step
        return True


def staged(run: Path) -> set[str]:
    """Staging folders of checkpoints."""
    try:
        return {name for name in os.listdir(run / "checkpoints") if name.startswith(".staging-")}  # noqa: PTH208
    except OSError:
        return set()


def strike(bench: Bench, run: Path, launch: Launch, event: Event, startup: float) -> int | None:
    """Wait for the moment and send the signal. The newest step of then (-1: none), or None when the launch ended
    before."""
    watch, deadline = Watch(run, launch), time.monotonic() + bench.limit
    if event.moment.kind == START:
        time.sleep(max(0.0, launch.started + event.moment.fraction * startup - time.time()))
    else:
        while launch.running and not watch.sign(event.moment) and time.monotonic() < deadline:
            time.sleep(0.001)
        time.sleep(event.moment.fraction * SPANS[event.moment.kind])
    while launch.running and time.monotonic() < deadline:
        step = watch.look()
        if launch.send(event.kill.role, event.kill.number):
            return step
        time.sleep(0.01)  # the process is not there yet
    return None
