"""Several machines from a hostfile (``name slots=N`` a line), through DeepSpeed's launcher: over pdsh, over ssh, or
without either, where every machine starts its own part (containers).
"""

from __future__ import annotations

import base64
import json
import os
import re
import socket
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

from launch.backends import PORT, Backend, Command, Session, Start
from launch.backends._starter import Starter, ended_elsewhere, place_of
from launch.backends._variables import SECRET
from launch.shell.remote import QUICK, on_all, ssh, within

LINE = re.compile(r"^(?P<host>[A-Za-z0-9_.:][\w.\-:]*)\s+slots=(?P<slots>\d+)$")
PLAIN = re.compile(r"[\w@%+=:,./-]+")
"""What a shell takes as it is."""
OVER_DEEPSPEED = ("pdsh", "openmpi", "mpich", "impi", "mvapich")
LAUNCHERS = (*OVER_DEEPSPEED, "ssh", "none")
HEXADECIMAL = re.compile(r"[0-9a-f]+")
EXPORTED = ("PYTHON", "NCCL", "MLFLOW", "MV2", "UCX")
"""Variables that DeepSpeed writes into the remote command line, and into its log, by itself."""


@dataclass(frozen=True, kw_only=True)
class Hostfile(Backend):
    """Machines listed in a hostfile. Code, data and the run's folder lie under the same paths on all of them."""

    path: str
    """The hostfile."""
    master_address: str = ""
    """Address of the first machine as the others see it; the first line's name by default."""
    port: int = 0
    """TCP port of rank 0; 0 takes another one for each start (29500 with `launcher: none`), so that several runs on the
    same machines do not meet."""
    launcher: str = "pdsh"
    """How the machines are reached: `pdsh` or `ssh`; `none` starts only this machine's part, so that `kmask launch` is
    run on each of them (containers without ssh); `openmpi`, `mpich`, `impi` or `mvapich`."""
    node_rank: int = -1
    """Which line of the hostfile this machine is, for `launcher: none`; -1: KMASK_NODE_RANK, NODE_RANK or
    JOB_COMPLETION_INDEX says so, or the machine's own name."""
    processes_per_host: int = 0
    """In place of the hostfile's slots, the same number on every machine; 0 leaves them."""
    min_hosts: int = 0
    """A restart may leave out machines that do not answer while so many are left; 0: it needs all. The batch stays the
    same, so its rows must divide among fewer processes too."""
    python: str = ""
    """Interpreter on the machines; this one by default."""
    folder: str = ""
    """Folder to work in on the machines; this one by default."""
    ssh: list[str] = field(default_factory=list)
    """Options for ssh, as `["-p", "2222", "-i", "/home/me/.ssh/cluster"]`."""

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.launcher not in LAUNCHERS:
            raise ValueError(
                f"launcher: {self.launcher!r} is not one of {', '.join(LAUNCHERS)} (for Slurm: kind: slurm)"
            )
        if self.master_address and not PLAIN.fullmatch(self.master_address):
            raise ValueError(f"master_address: {self.master_address!r} is no address")
        for name in ("processes_per_host", "min_hosts"):
            if getattr(self, name) < 0:
                raise ValueError(f"{name}: {getattr(self, name)} must not be negative")
        if odd := [option for option in self.ssh if not PLAIN.fullmatch(option)]:
            raise ValueError(f"ssh: {odd[0]!r} holds characters that a shell reads in its own way")

    def hosts(self) -> list[tuple[str, int]]:
        """(name, slots) of every line.

        Raises:
            ValueError: a line is malformed, a host stands twice, or there is none.
        """
        file = Path(self.path)
        if not file.is_file():
            raise FileNotFoundError(f"hostfile {self.path}: no such file (looked from {Path.cwd()})")
        found: dict[str, int] = {}
        for number, raw in enumerate(file.read_text().splitlines(), 1):
            line = raw.split("#")[0].strip()
            if not line:
                continue
            match = LINE.match(line)
            if match is None:
                raise ValueError(f"{self.path}:{number}: {raw.strip()!r}; write `name slots=N`")
            if match["host"] in found:
                raise ValueError(f"{self.path}:{number}: {match['host']} stands twice")
            found[match["host"]] = self.processes_per_host or int(match["slots"])
        if not found:
            raise ValueError(f"{self.path}: no host in it")
        return list(found.items())

    def world(self) -> tuple[int, int]:
        return sum(slots for _, slots in self.hosts()), 0

    def watched(self, start: Start) -> int:
        if self.launcher == "none":
            return self.hosts()[self.place()][1]
        return sum(slots for host, slots in self.hosts() if host not in start.left_out)

    def machine_count(self) -> int:
        return len(self.hosts())

    def where(self) -> str:
        count = self.machine_count()
        return f"on {count} machine{'s' if count > 1 else ''}"

    def machines(self) -> list[str]:
        return [] if self.launcher == "none" else [host for host, _ in self.hosts()]

    def unreachable(self) -> list[str]:
        if self.launcher == "none":
            return []
        found = on_all({host: ssh(host, ["true"], self.ssh) for host, _ in self.hosts()}, 15)
        return [host for host, done in found.items() if done.returncode]

    def enough(self, left_out: Sequence[str]) -> bool:
        left = len(self.hosts()) - len(left_out)
        return not left_out or (self.min_hosts > 0 and left >= self.min_hosts)

    def commands(self, start: Start) -> list[Command]:
        hosts = [(host, slots) for host, slots in self.hosts() if host not in start.left_out]
        python, folder = self.interpreter(), self.workplace()
        inner = ["--no_local_rank", "--module", "launch.processes.enter", str(start.folder)]
        meeting = ["--master_addr", self.master_address or hosts[0][0], "--master_port", str(self.port_of(start))]
        if self.launcher in ("ssh", "none"):
            world = json.dumps({host: list(range(slots)) for host, slots in hosts})
            told = f"--world_info={base64.urlsafe_b64encode(world.encode()).decode()}"
            argv = [python, "-m", "deepspeed.launcher.launch", told, *meeting, "--quiet"]
            if self.launcher == "none":
                return [Command([*argv, "--node_rank", str(self.place()), *inner], {})]
            return [
                Command(ssh(host, within(folder, [*argv, "--node_rank", str(number), *inner]), self.ssh), {})
                for number, (host, _) in enumerate(hosts)
            ]
        for name, value in (("python", python), ("folder", folder), ("output", str(start.folder))):
            if not PLAIN.fullmatch(value):
                raise ValueError(
                    f"{name}: {value!r} holds characters that DeepSpeed's launcher gives to a shell as they are; "
                    "use `launcher: ssh`"
                )
        argv = [python, "-m", "deepspeed.launcher.runner", "--hostfile", str(start.folder / "hosts.txt")]
        argv += ["--launcher", self.launcher, "--no_ssh_check", "--force_multi", *meeting]
        variables = {"PDSH_SSH_ARGS_APPEND": " ".join([*QUICK, *self.ssh])}
        return [Command([*argv, *inner], variables)]

    def port_of(self, start: Start) -> int:
        """Where the processes of a start meet: below the ports that systems give away by themselves."""
        name = start.name.rpartition("-")[2]
        if self.port or self.launcher == "none" or not HEXADECIMAL.fullmatch(name):
            return self.port or PORT
        return 20000 + int(name, 16) % 10000

    def place(self) -> int:
        """Line of the hostfile that this machine is.

        Raises:
            ValueError: nothing says so.
        """
        hosts = [host for host, _ in self.hosts()]
        name = socket.gethostname()
        near = [number for number, host in enumerate(hosts) if host in (name, name.split(".")[0])]
        return place_of(self.node_rank, len(hosts), near[0] if near else -1)

    def begin(self, start: Start) -> Session:
        hosts = [(host, slots) for host, slots in self.hosts() if host not in start.left_out]
        (start.folder / "hosts.txt").write_text("".join(f"{host} slots={slots}\n" for host, slots in hosts))
        names = [] if self.launcher == "none" else [host for host, _ in hosts]
        python, folder = self.interpreter(), self.workplace()
        return Starter(
            self.commands(start),
            start,
            lambda: ended_elsewhere(names, [python, "-m", "launch.cluster.end_ranks"], start, folder, self.ssh),
            hosts=[host for host, _ in hosts] if self.launcher == "pdsh" else [],
            folder="" if self.launcher in ("ssh", "none") else folder,
            without={name for name, value in os.environ.items() if unsafe(name, value)},
        )


def unsafe(name: str, value: str) -> bool:
    """Would DeepSpeed write this variable into a command line where a shell reads it in its own way, or all can?"""
    return name.startswith(EXPORTED) and (not PLAIN.fullmatch(value) or SECRET.search(name) is not None)
