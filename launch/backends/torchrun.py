"""torchrun on this machine, as one of several or alone: `kmask launch` is run on each of them (or by what starts
containers), and they meet at an address that all know.

    rendezvous: static    a fixed number of machines, each with its number
    rendezvous: c10d      whoever comes to `address`, between the two numbers of `hosts: 2:4`; torchrun itself starts
                          all processes again when one fails or a machine comes or goes (elastic)
"""

from __future__ import annotations

import re
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from launch.backends import PORT, Backend, Command, Session, Start
from launch.backends._starter import Starter, ended_elsewhere, place_of
from launch.backends.local import CPU_PROCESSES, gpus

HOSTS = re.compile(r"(?P<least>[1-9]\d*)(:(?P<most>[1-9]\d*))?")
ADDRESS = re.compile(r"(?P<host>[\w.\-]+|\[[0-9a-fA-F:]+\])(:(?P<port>\d+))?")


@dataclass(frozen=True, kw_only=True)
class Torchrun(Backend):
    """This machine's part of a run, through torchrun."""

    address: str = "127.0.0.1"
    """Where the machines meet: `host` or `host:port` of one of them (of number 0, where rendezvous is static)."""
    hosts: str = "1"
    """Number of machines, or `least:most` with rendezvous c10d."""
    processes_per_host: int = 0
    """Processes on each machine; 0 means one per GPU, or 2 without GPUs."""
    rendezvous: str = "static"
    """`static` or `c10d`."""
    node_rank: int = -1
    """This machine's number where rendezvous is static; -1: KMASK_NODE_RANK, NODE_RANK or JOB_COMPLETION_INDEX."""
    job: str = "kmask"
    """Name of the meeting, where several runs meet at one address."""

    def __post_init__(self) -> None:
        super().__post_init__()
        least, most = self._hosts()
        if self.rendezvous not in ("static", "c10d"):
            raise ValueError(f"rendezvous: {self.rendezvous!r} is neither static nor c10d")
        if least > most or (least != most and self.rendezvous == "static"):
            raise ValueError(
                f"hosts: {self.hosts!r} must be one number with rendezvous static, or least:most with c10d"
            )
        if ADDRESS.fullmatch(self.address) is None:
            raise ValueError(f"address: {self.address!r}; write host or host:port")
        if self.processes_per_host < 0:
            raise ValueError(f"processes_per_host: {self.processes_per_host} must not be negative")

    def _hosts(self) -> tuple[int, int]:
        found = HOSTS.fullmatch(self.hosts)
        if found is None:
            raise ValueError(f"hosts: {self.hosts!r}; write a number, or least:most")
        return int(found["least"]), int(found["most"] or found["least"])

    def _here(self) -> int:
        return self.processes_per_host or gpus() or CPU_PROCESSES

    def world(self) -> tuple[int, int]:
        return self._hosts()[1] * self._here(), self._here()

    def watched(self, start: Start) -> int:
        return self._here()

    def machine_count(self) -> int:
        return self._hosts()[1]

    def where(self) -> str:
        return f"of which {self._here()} on this machine"

    def commands(self, start: Start) -> list[Command]:
        found = ADDRESS.fullmatch(self.address)
        assert found is not None
        host, port = found["host"], found["port"] or str(PORT)
        least, most = self._hosts()
        argv = [sys.executable, "-m", "torch.distributed.run", "--nproc-per-node", str(self._here())]
        if self.rendezvous == "static":
            number = 0 if most == 1 else place_of(self.node_rank, most)
            argv += ["--nnodes", str(most), "--node-rank", str(number), "--master-addr", host, "--master-port", port]
        else:
            argv += ["--nnodes", f"{least}:{most}", "--rdzv-backend", "c10d", "--rdzv-endpoint", f"{host}:{port}"]
            argv += ["--rdzv-id", self.job, "--max-restarts", str(self.max_restarts)]
        return [Command([*argv, "-m", "launch.processes.enter", str(start.folder)], {})]

    def begin(self, start: Start) -> Session:
        argv: Sequence[str] = [sys.executable, "-m", "launch.cluster.end_ranks"]
        return Starter(self.commands(start), start, lambda: ended_elsewhere([], argv, start, str(Path.cwd()), []))
