"""Several machines through DeepSpeed's own launcher and a hostfile (``name slots=N`` a line), over pdsh or ssh."""

from __future__ import annotations

import re
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from launch.backends import Backend, Command

LINE = re.compile(r"^(?P<host>[\w.\-:]+)\s+slots=(?P<slots>\d+)$")


@dataclass(frozen=True, kw_only=True)
class Hostfile(Backend):
    """Machines listed in a hostfile. Code, data and environment lie under the same paths on all of them."""

    path: str
    """The hostfile."""
    master_address: str = ""
    """Address of the first machine as the others see it; the first line's name by default."""
    port: int = 29500
    """TCP port of rank 0."""
    launcher: str = "pdsh"
    """How DeepSpeed reaches the machines: `pdsh`, `openmpi`, `mpich`, `impi`, `mvapich` or `slurm`."""

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
            found[match["host"]] = int(match["slots"])
        if not found:
            raise ValueError(f"{self.path}: no host in it")
        return list(found.items())

    def commands(self, arguments: Sequence[str], rank_logs: str) -> list[Command]:
        hosts = self.hosts()
        argv = [sys.executable, "-m", "deepspeed.launcher.runner", "--hostfile", self.path, "--launcher", self.launcher]
        argv += [
            "--master_addr",
            self.master_address or hosts[0][0],
            "--master_port",
            str(self.port),
            "--no_local_rank",
            "--module",
            "launch.cli",
        ]
        return [Command([*argv, *arguments], {"TOKENIZERS_PARALLELISM": "false"})]

    def run(self, arguments: Sequence[str], rank_logs: str) -> int:
        import os

        (command,) = self.commands(arguments, rank_logs)
        return subprocess.run(command.argv, env={**os.environ, **command.environment}, check=False).returncode
