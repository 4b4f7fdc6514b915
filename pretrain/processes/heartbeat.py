"""What each process of a run is doing, written into the run's folder for those who watch over it.

    begin(RUN, rank, attempt)    from here on a thread writes RUN/ranks/ATTEMPT/rank-N.json about every second
    doing("step", 412)           what the main thread begins; costs two assignments
    end(1, "out of memory")      how the process ends

    {"rank": 1, "host": "b", "process": 4711, "started": 99120, "attempt": "0002-9f3c", "pulse": 88, "doing": "step",
     "step": 412, "seconds": 0.8, "longest": 1.9, "long": false, "code": null, "text": "", "lost": false, "world": 4,
     "total": 1000, "spent": {"step": 40.1, "batches": 0.2, "sum over processes": 3.0}, "forward": 12.7}

No clock is compared with another machine's: a reader sees ``pulse`` change, or not, by its own clock, and ``seconds``
is how long the main thread has been at it by the writer's. Where nothing can be written (a full disk), the file is
touched instead: that is a sign of life too. A file ``stop`` beside them means what SIGTERM means, wherever this process
runs. A start has a folder of its own, so that one that is refused disturbs none that is under way.
"""

from __future__ import annotations

import contextlib
import json
import os
import socket
import threading
import time
from pathlib import Path

from pretrain.processes import stopping

FOLDER = "ranks"
ALONE = "alone"
"""In place of an attempt's name, for processes that no launcher of ours has started."""
STOP = "stop"
LAUNCHER = "launcher.json"
MOST_SECONDS = 5.0
"""Between two writes at most."""
PAUSE_SECONDS = 5.0
"""A thread that slept so much longer than it meant to was stopped with its process."""
WINDOW_SECONDS = 120.0
"""How much of its last steps ``spent`` tells about: beyond it, what was before counts half."""
LAUNCHER_SECONDS = 120.0
"""A launcher whose own file has not changed for so long is gone: its processes stop, with everything saved."""


def pulse_of(folder: Path, host: str, process: int) -> object:
    """What changes in the files of a process while it lives; None where it has left none in this run's folder."""
    found = []
    for file in (folder / FOLDER).glob("*/rank-*.json"):
        with contextlib.suppress(OSError, ValueError, TypeError, KeyError):
            value = json.loads(file.read_text(encoding="utf-8"))
            if (value["host"], value["process"]) == (host, process):
                found.append((file.name, value["pulse"], file.stat().st_mtime_ns))
    return found or None


class Heartbeat:
    """The file of one process, and the thread that writes it.

    Args:
        folder: the run's.
        attempt: name of the start that this process belongs to; empty when nobody watches.
        world: how many processes there are; many write less often.
    """

    def __init__(self, folder: Path, rank: int, attempt: str, world: int) -> None:
        self.folder = folder / FOLDER / (attempt or ALONE)
        self.rank, self.attempt, self.world = rank, attempt, world
        self.who = {"rank": rank, "host": socket.gethostname(), "process": os.getpid(), "started": start_of()}
        self.seconds = min(max(1.0, world / 64), MOST_SECONDS)
        self.what, self.step, self.since, self.long = "starting", 0, time.monotonic(), True
        self.longest, self.pulse, self.total = 0.0, 0, 0
        self.spent: dict[str, float] = {}
        self.forward = 0.0
        self.code: int | None = None
        self.text, self.lost = "", False
        self._ended = threading.Event()
        self._launcher: tuple[object, float] = ("", time.monotonic())
        self._writing = threading.Lock()
        self._thread = threading.Thread(target=self._beat, name="heartbeat", daemon=True)

    def start(self) -> None:
        """Write once, and from now on."""
        self.write()
        self._thread.start()

    def doing(self, what: str, step: int | None = None, long: bool = True) -> None:
        """The main thread begins something. ``long``: it may take minutes; otherwise as long as the steps so far."""
        now = time.monotonic()
        if self.what == "step" or not self.long:  # a first step, which may compile, is long: the next may be as slow
            self.longest = max(self.longest, now - self.since)
            self.spent[self.what] = self.spent.get(self.what, 0.0) + now - self.since
            if sum(self.spent.values()) > WINDOW_SECONDS:
                self.spent = {name: seconds / 2 for name, seconds in self.spent.items()}
                self.forward /= 2
        self.what, self.since, self.long = what, now, long
        if step is not None:
            self.step = step

    def end(self, code: int, text: str = "", lost: bool = False) -> None:
        """How it ends, and whether it does because another process has; the last thing that is written."""
        self._ended.set()
        self.code, self.text, self.lost = code, text, lost
        self.write()

    def write(self) -> None:
        """The file as it is now, or at least its time. A heartbeat never ends a run."""
        with self._writing:
            self.pulse += 1
            try:
                self._write()
            except OSError:
                with contextlib.suppress(OSError):
                    os.utime(self.folder / f"rank-{self.rank}.json")

    def _write(self) -> None:
        value = {
            **self.who,
            **{"attempt": self.attempt, "pulse": self.pulse, "doing": self.what, "step": self.step},
            **{"seconds": round(time.monotonic() - self.since, 2), "longest": round(self.longest, 3)},
            **{"long": self.long, "code": self.code, "text": self.text, "lost": self.lost, "world": self.world},
            "total": self.total,
            "spent": {name: round(seconds, 3) for name, seconds in self.spent.copy().items()},
            "forward": round(self.forward, 3),
        }
        self.folder.mkdir(parents=True, exist_ok=True)
        part = self.folder / f"rank-{self.rank}.part"
        part.write_text(json.dumps(value), encoding="utf-8")
        part.replace(self.folder / f"rank-{self.rank}.json")

    def _beat(self) -> None:
        last = time.monotonic()
        while not self._ended.wait(self.seconds):
            now = time.monotonic()
            if (gap := now - last - self.seconds) > PAUSE_SECONDS:  # the whole process was stopped, and goes on
                self.since += gap
                self._launcher = (self._launcher[0], now)
            last = now
            self.write()
            if self.attempt and (self._told_to_stop() or self._alone()):
                stopping.ask()

    def _told_to_stop(self) -> bool:
        return (self.folder / STOP).exists()

    def _alone(self) -> bool:
        """Has the launcher gone?"""
        sign: object = ""
        with contextlib.suppress(OSError):
            sign = (self.folder / LAUNCHER).stat().st_mtime_ns, (self.folder / LAUNCHER).read_bytes()
        seen, when = self._launcher
        if sign != seen:
            self._launcher = (sign, time.monotonic())
            return False
        return time.monotonic() - when > LAUNCHER_SECONDS


_own: Heartbeat | None = None


def begin(folder: Path, rank: int, attempt: str, world: int = 1) -> None:
    """Begin to tell what this process does."""
    global _own
    _own = Heartbeat(folder, rank, attempt, world)
    _own.start()


def doing(what: str, step: int | None = None, long: bool = True) -> None:
    """The main thread begins something (``Heartbeat.doing``); nothing where no heartbeat has begun."""
    if _own is not None:
        _own.doing(what, step, long)


def computed(seconds: float) -> None:
    """So long the main thread took for a forward pass, in which it waits for nobody: a part of its step."""
    if _own is not None:
        _own.forward += seconds


def plan(total: int) -> None:
    """How many steps the run has; nothing where no heartbeat has begun."""
    if _own is not None:
        _own.total = total


def end(code: int, text: str = "", lost: bool = False) -> None:
    """Tell how this process ends (``Heartbeat.end``); nothing where no heartbeat has begun."""
    global _own
    if _own is not None:
        _own.end(code, text, lost)
        _own = None


def start_of(process: int | str = "self") -> int:
    """When a process was started, in ticks since its machine was: tells a process from a later one of the same number.
    0: there is none."""
    try:
        return int(Path(f"/proc/{process}/stat").read_text(encoding="utf-8").rpartition(")")[2].split()[19])
    except (OSError, IndexError, ValueError):
        return 0
