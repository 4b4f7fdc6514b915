"""A training launch as a family of processes that can be watched, hit one by one, and cleared away.

    Launch(...)                 kmask train in a session of its own, its words in a log file
    launch.members()            launcher, rank-0, rank-1, workers: found in /proc by a mark in their environment
    launch.finish(limit)        Outcome(code, text, seconds, survivors): afterwards none of them lives

The mark is inherited by everything that a launch starts, so that orphans are found as well.
"""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
import time
import uuid
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

TAG = "KMASK_FAULT_TAG"
RANK_VARIABLES = ("RANK", "WORLD_SIZE", "LOCAL_RANK", "LOCAL_WORLD_SIZE", "MASTER_ADDR", "MASTER_PORT", "KMASK_DEBUG")
SURVIVAL_SECONDS = 30.0
"""How long a rank or a data worker may outlive its launcher."""


@dataclass(frozen=True, kw_only=True)
class Member:
    """One process of a launch."""

    pid: int
    role: str
    """`launcher`, `rank-N`, `worker-N` (a data worker of rank N) or `other`."""


@dataclass(frozen=True, kw_only=True)
class Outcome:
    """How a launch ended."""

    code: int
    """Exit code, negative for a signal; 999 when it had to be killed because it ran out of time."""
    text: str
    """Everything that launcher and rank 0 printed."""
    seconds: float
    """From the call of ``finish`` to the end of the launcher."""
    survivors: int
    """Processes that lived on for `survival` seconds after the launcher."""

    @property
    def last_words(self) -> str:
        """The last lines that say something, for a person."""
        lines = [line.strip() for line in self.text.splitlines() if line.strip()]
        errors = [line for line in lines if "error" in line.lower()]
        return (errors or lines or ["(silent)"])[-1][:200]


OUT_OF_TIME = 999


class Launch:
    """`kmask train` as processes of their own."""

    def __init__(
        self,
        arguments: Sequence[str],
        folder: Path,
        log: Path,
        environment: Mapping[str, str],
        nice: int = 0,
        survival: float = SURVIVAL_SECONDS,
        popen: type[subprocess.Popen[Any]] = subprocess.Popen,
    ) -> None:
        self.tag, self.log, self.survival = uuid.uuid4().hex, log, survival
        self.started = time.time()
        self.ended = 0.0
        inherited = {name: value for name, value in os.environ.items() if name not in RANK_VARIABLES}
        defaults = {"DS_ACCELERATOR": "cpu", "HF_HUB_OFFLINE": "1", "TOKENIZERS_PARALLELISM": "false"}
        log.parent.mkdir(parents=True, exist_ok=True)
        with log.open("wb") as words:
            self.process = popen(
                [*(["nice", "-n", str(nice)] if nice else []), sys.executable, "-m", "launch.cli", *arguments],
                cwd=folder,
                env={**inherited, **defaults, **environment, TAG: self.tag},
                stdin=subprocess.DEVNULL,
                stdout=words,
                stderr=words,
                start_new_session=True,
            )

    @property
    def running(self) -> bool:
        """Does the launcher live?"""
        return self.process.poll() is None

    @property
    def text(self) -> str:
        """Its words so far."""
        return self.log.read_text(errors="replace")

    def members(self) -> list[Member]:
        """All its processes that live now."""
        mark = f"{TAG}={self.tag}".encode()
        return [
            Member(pid=pid, role="launcher" if pid == self.process.pid else role(pid))
            for pid in processes()
            if mark in read(f"/proc/{pid}/environ").split(b"\0")
        ]

    def find(self, wanted: str) -> list[int]:
        """Process ids whose role begins with ``wanted``."""
        if wanted == "launcher":
            return [self.process.pid] if self.running else []
        return [member.pid for member in self.members() if member.role.startswith(wanted)]

    def send(self, wanted: str, number: signal.Signals) -> bool:
        """Send a signal to the first process of a role, or to the `group` of the launcher. False when there is none."""
        with contextlib.suppress(ProcessLookupError):
            if wanted == "group":
                os.killpg(self.process.pid, number)
                return True
            for pid in self.find(wanted)[:1]:
                os.kill(pid, number)
                return True
        return False

    def finish(self, limit: float) -> Outcome:
        """Wait for the launcher, count who outlives it, and clear away what is left."""
        begun = time.monotonic()
        try:
            code = self.process.wait(timeout=limit)
        except subprocess.TimeoutExpired:
            code = OUT_OF_TIME
        seconds = time.monotonic() - begun
        self.ended = time.time()
        deadline = time.monotonic() + (self.survival if code != OUT_OF_TIME else 0.0)
        while (left := self.trainers()) and time.monotonic() < deadline:
            time.sleep(0.05)
        self.clear()
        return Outcome(code=code, text=self.text, seconds=seconds, survivors=len(left))

    def trainers(self) -> list[Member]:
        """Ranks and data workers that live."""
        return [member for member in self.members() if member.role.startswith(("rank", "worker"))]

    def clear(self) -> None:
        """Kill whatever of it still lives."""
        for _ in range(20):
            members = self.members()
            for member in members:
                with contextlib.suppress(ProcessLookupError):
                    os.kill(member.pid, signal.SIGKILL)
            if not members:
                break
            time.sleep(0.05)
        self.process.wait(timeout=30)


def processes() -> list[int]:
    """Ids of all processes of this machine."""
    return [int(name) for name in os.listdir("/proc") if name.isdigit()]  # noqa: PTH208


def read(file: str) -> bytes:
    """A file of /proc; empty when its process has gone, or belongs to somebody else."""
    try:
        return Path(file).read_bytes()
    except OSError:
        return b""


def role(pid: int) -> str:
    """What a process of a launch does, by its command line and environment."""
    command = read(f"/proc/{pid}/cmdline")
    variables = dict(item.split(b"=", 1) for item in read(f"/proc/{pid}/environ").split(b"\0") if b"=" in item)
    rank = variables.get(b"RANK", b"").decode()
    if not rank:
        return "other"
    if b"launch.cli" in command:
        return f"rank-{rank}"
    return f"worker-{rank}" if b"spawn_main" in command or b"forkserver" in command else "other"
