"""Backends: one file is one way to start the processes of a run. ``kind: hostfile`` is ``backends/hostfile.py``.

    commands(start)   what would be started: argv and variables, shown by --dry-run
    begin(start)      starts it:  Session.poll() until it gives a code, Session.end() before that takes everything away

Starting itself is left to DeepSpeed, torchrun, Slurm and Kubernetes. Watching, stopping and starting again are the same
for all of them (cluster/watch.py, cluster/starts.py).
"""

from __future__ import annotations

import re
import sys
from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import NamedTuple

from launch.backends._variables import SECRET, VARIABLE

INTERFACE = re.compile(r"[\w.:@-]+")
PORT = 29500
"""Where processes meet when nobody says otherwise."""


class Command(NamedTuple):
    """One process to start."""

    argv: list[str]
    environment: dict[str, str]
    """Variables set on top of the caller's."""


class Start(NamedTuple):
    """One start of a run."""

    arguments: Sequence[str]
    """Of ``kmask``: train CONFIG.yaml and overrides."""
    output: Path
    """The run's folder."""
    folder: Path
    """Of this start: ``RUN/attempts/NAME``, where enter.py finds what the processes need."""
    left_out: Sequence[str] = ()
    """Hosts that do not answer."""

    @property
    def name(self) -> str:
        """Name of this start."""
        return self.folder.name


class Session(ABC):
    """What was started, from outside."""

    @abstractmethod
    def poll(self) -> int | None:
        """None while it runs; then the exit code of what was started, which need not be that of the run."""

    @abstractmethod
    def ask(self) -> None:
        """Ask the processes on this machine to stop; all others hear of it through the run's folder."""

    @abstractmethod
    def end(self) -> None:
        """End everything that is left, here and elsewhere, without another word."""

    def told(self) -> bool:
        """Has the user been told why it ended?"""
        return False

    def hears_terminal(self) -> bool:
        """Do its processes hear a Ctrl-C themselves, and end as soon as what they write is on the disk?"""
        return False


@dataclass(frozen=True, kw_only=True)
class Backend(ABC):
    """Starts `kmask train` on one or more machines."""

    environment: dict[str, str] = field(default_factory=dict)
    """Variables for every process on every machine. Not for secrets: those belong into `environment_file`."""
    environment_file: str = ""
    """File of `NAME=value` lines that every machine has under this path and its processes read: for keys of services.
    It is refused when others than its owner can read it."""
    interface: str = ""
    """Network interface over which processes meet (sets NCCL_SOCKET_IFNAME and GLOO_SOCKET_IFNAME); chosen by the
    libraries when empty."""
    timeout_minutes: float = 0.0
    """In place of the run's engine.timeout_minutes; 0 leaves it."""
    quiet_seconds: float = 60.0
    """How long a process may be silent, above the longest step so far, before the run is ended on all machines (and
    begun again, see `max_restarts`). What takes longer by nature (starting, measuring, saving) has timeout_minutes."""
    max_restarts: int = 0
    """How often a run that failed is started again from its newest checkpoint. Two starts in a row that save nothing
    new end it."""

    device: str = ""
    """The GPUs of the machines as `nvidia-smi` names them (`H200`), for --plan: kmask knows what many do at most."""
    bandwidth: float = 0.0
    """Gigabytes (10^9 bytes) a second from one machine to another over all its links together, for --plan; 0: as `kmask
    doctor --cluster` measured it."""
    latency: float = 0.0
    """Microseconds for a message from a process to its neighbour, for --plan; 0: as `kmask doctor --cluster` measured
    it."""

    def __post_init__(self) -> None:
        for name in self.environment:
            if not VARIABLE.fullmatch(name):
                raise ValueError(f"environment: {name!r} is no name of a variable")
            if SECRET.search(name):
                raise ValueError(
                    f"environment: {name} looks like a secret; put it into a file that only you can read, under the "
                    "same path on every machine, and name that in environment_file"
                )
        if self.interface and not INTERFACE.fullmatch(self.interface):
            raise ValueError(f"interface: {self.interface!r} is no name of a network interface")
        if self.max_restarts < 0:
            raise ValueError(f"max_restarts: {self.max_restarts} must not be negative")
        if not self.quiet_seconds > 0:
            raise ValueError(f"quiet_seconds: {self.quiet_seconds} must be positive")
        for name in ("bandwidth", "latency"):
            if getattr(self, name) < 0:
                raise ValueError(f"{name}: {getattr(self, name)} must be 0 (as measured) or positive")
        if self.timeout_minutes < 0:
            raise ValueError(f"timeout_minutes: {self.timeout_minutes} must be 0 (as the run says) or positive")

    @abstractmethod
    def commands(self, start: Start) -> list[Command]:
        """What would be started; shown by --dry-run."""

    @abstractmethod
    def begin(self, start: Start) -> Session:
        """Start it."""

    def interpreter(self) -> str:
        """Python on the machines: that of `python` where there is such a key, or this one."""
        return getattr(self, "python", "") or sys.executable

    def workplace(self) -> str:
        """Folder to work in on the machines: that of `folder` where there is such a key, or this one."""
        return getattr(self, "folder", "") or str(Path.cwd())

    def variables(self) -> dict[str, str]:
        """What every process gets."""
        sockets = ("NCCL_SOCKET_IFNAME", "GLOO_SOCKET_IFNAME") if self.interface else ()
        return {"TOKENIZERS_PARALLELISM": "false", **dict.fromkeys(sockets, self.interface), **self.environment}

    def world(self) -> tuple[int, int]:
        """(all processes, those on one machine) where that is known before a start, else (0, 0)."""
        return 0, 0

    def machine_count(self) -> int:
        """On how many machines its processes are."""
        return 1

    def where(self) -> str:
        """The machines, for a person."""
        return ""

    def watched(self, start: Start) -> int:
        """How many processes this start has; 0 where others watch over them (Slurm before a job begins, Kubernetes)."""
        return self.world()[0]

    def script(self, start: Start) -> str:
        """The script or manifest that is handed over, for those who hand one over."""
        return ""

    def submits(self) -> bool:
        """Is a run handed over to others, who start it later?"""
        return False

    def machines(self) -> list[str]:
        """Machines that can be asked over ssh before a start."""
        return []

    def unreachable(self) -> list[str]:
        """Machines that do not answer now, by name."""
        return []

    def enough(self, left_out: Sequence[str]) -> bool:
        """May a run go on without these machines?"""
        return not left_out
