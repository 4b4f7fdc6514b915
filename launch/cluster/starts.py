"""A run from its first start to its end: started, watched, stopped on request, started again when it failed.

    start -> watch -> all done                                            0
                   -> asked to stop: every process hears it and saves     5
                   -> the user must put something right                   2
                   -> failed, or silent: ended on all machines -> again from the newest checkpoint, `max_restarts` times
                                                              -> no more                                      1

Two starts in a row that save nothing new are enough: a third would do the same.
"""

from __future__ import annotations

import json
import os
import signal
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from launch.backends import Backend, Session, Start
from launch.cluster.attempts import new_start, record
from launch.cluster.ranks import code_of, diagnosis, first_failure
from launch.cluster.watch import Watch
from launch.shell.console import last_lines
from launch.shell.exit_codes import FAILED, INTERRUPTED, STOPPED, USER_ERROR

STOPS = (signal.SIGTERM, signal.SIGINT, signal.SIGUSR1, signal.SIGHUP)
POLL_SECONDS = 0.2
BEAT_SECONDS = 1.0
BACK_SECONDS = 60.0
"""How long a machine that does not answer is waited for before a restart leaves it out."""
IDLE_STARTS = 2


class Stop:
    """A request to stop, as signals bring it; a second Ctrl-C ends at once."""

    def __init__(self) -> None:
        self.asked = self.at_once = False

    def __call__(self, number: int, frame: object) -> None:
        self.at_once = self.at_once or (self.asked and number == signal.SIGINT)
        self.asked = True

    @contextmanager
    def heard(self) -> Iterator[Stop]:
        """Signals come here in the block; what is ignored already stays ignored (nohup)."""
        before = {number: signal.signal(number, self) for number in STOPS if signal.getsignal(number) != signal.SIG_IGN}
        try:
            yield self
        finally:
            for number, handler in before.items():
                signal.signal(number, handler)


def run(backend: Backend, arguments: Sequence[str], output: Path, settings: Any, patience: float) -> int:
    """Start a run, and see it through. Returns its exit code.

    Args:
        settings: of the run, as plain values, for the record.
        patience: seconds that starting, measuring or saving may take (engine.timeout_minutes).
    """
    from pretrain.processes.stopping import asked

    with Stop().heard() as stop:
        if asked():
            print("stopped on request before training began", file=sys.stderr)
            return STOPPED
        idle, left_out = 0, list[str]()
        for restarts in range(backend.max_restarts + 1):
            before = newest(output)
            start = new_start(backend, arguments, output, left_out)
            record(start, backend.commands(start), settings)
            code, why = one_start(backend, start, stop, patience)
            if code != FAILED or stop.asked or not backend.max_restarts:
                return code
            saved = newest(output)
            idle = idle + 1 if saved == before else 0
            if restarts == backend.max_restarts:
                say(f"error: failed {restarts + 1} times (max_restarts: {backend.max_restarts}); {again(saved)}")
            elif idle >= IDLE_STARTS:
                say(f"error: {idle} starts in a row saved nothing new ({why or 'see above'}); {again(saved)}")
            elif (missing := away(backend, stop)) is None:
                return STOPPED
            elif not backend.enough(missing):
                say(f"error: {', '.join(missing)} does not answer, and min_hosts allows no fewer; {again(saved)}")
            else:
                left_out = missing
                told = f", without {', '.join(missing)}" if missing else ""
                say(f"note: starting again ({restarts + 1} of {backend.max_restarts}{told}), {again(saved)}")
                continue
            break
    return FAILED


def one_start(backend: Backend, start: Start, stop: Stop, patience: float) -> tuple[int, str]:
    """One start to its end: the code, and why it failed in one line."""
    from pretrain.processes.heartbeat import FOLDER, LAUNCHER

    folder = start.output / FOLDER / start.name
    folder.mkdir(parents=True, exist_ok=True)
    watch = Watch(folder, backend.watched(start), backend.quiet_seconds, patience)
    session = backend.begin(start)
    try:
        told, why = follow(session, watch, stop, Beat(folder / LAUNCHER))
        if why:
            say(f"error: {why}. Ending the run on all machines")
    finally:
        session.end()
    watch.look()
    if stop.at_once and told is None:
        return INTERRUPTED, "interrupted"
    said = code_of(watch.ranks, FAILED if told is None else told)
    code = told if session.told() and told is not None and said != USER_ERROR else said
    failed = first_failure(watch.ranks) if code not in (0, STOPPED) else None
    if failed and not why:
        why = diagnosis(failed)
        if not session.told():
            say(f"error: {why}")
            tell_log(start.output / "logs" / f"rank-{failed.rank}.log", failed.rank)
            if not backend.max_restarts:
                say("run the same command again to continue from the last checkpoint")
    return (FAILED, why) if told is None and code != USER_ERROR else (code, why)


def follow(session: Session, watch: Watch, stop: Stop, beat: Callable[[], None]) -> tuple[int | None, str]:
    """Until it ends by itself, or has to be ended: its code (None: to be ended) and why."""
    from pretrain.processes.heartbeat import STOP

    asked, looked = False, 0.0
    while True:
        if stop.asked and not asked:
            session.ask()
            with suppress(OSError):  # a full disk: those on this machine have heard of it
                (watch.folder / STOP).touch()
                asked = True
        if stop.at_once and not session.hears_terminal():
            return None, ""
        if (code := session.poll()) is not None:
            return code, ""
        beat()
        if time.monotonic() - looked >= BEAT_SECONDS:
            why, looked = watch.look(), time.monotonic()
            if why:
                return None, why
            if watch.over():
                return code_of(watch.ranks, FAILED), ""
        time.sleep(POLL_SECONDS)


class Beat:
    """Tells the processes that their launcher is there, about once a second."""

    def __init__(self, file: Path) -> None:
        self.file, self.pulse, self.last = file, 0, 0.0

    def __call__(self) -> None:
        now = time.monotonic()
        if now - self.last < BEAT_SECONDS:
            return
        self.last, self.pulse = now, self.pulse + 1
        part = self.file.with_suffix(".part")
        try:
            part.write_text(json.dumps({"pulse": self.pulse}), encoding="utf-8")
            part.replace(self.file)
        except OSError:
            with suppress(OSError):  # a full disk still takes the time
                os.utime(self.file)


def away(backend: Backend, stop: Stop) -> list[str] | None:
    """Machines that do not answer, after some patience with them; None when asked to stop meanwhile."""
    deadline = time.monotonic() + BACK_SECONDS
    while (missing := backend.unreachable()) and time.monotonic() < deadline:
        if stop.asked:
            return None
        time.sleep(1.0)
    return missing


def newest(output: Path) -> int:
    """Step of the newest checkpoint, -1 without any."""
    from pretrain.state.names import candidates, step_of

    return max(map(step_of, candidates(output / "checkpoints")), default=-1)


def again(step: int) -> str:
    """From where the next start goes on."""
    return f"the newest checkpoint is step {step}" if step >= 0 else "there is no checkpoint yet"


def tell_log(log: Path, rank: int) -> None:
    """Where the rest stands, and its last lines when they have not been on the terminal."""
    if not rank or not log.is_file():
        return
    say(last_lines(log))


def say(text: str) -> None:
    """To the user."""
    print(text, file=sys.stderr, flush=True)
