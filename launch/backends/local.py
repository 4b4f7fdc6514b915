"""All processes on this machine: one DeepSpeed rank per GPU, or two on a machine without.

Rank 0 owns the terminal; the others write to files. When one rank fails, the others are stopped and its last
lines are shown. No rank survives this process.
"""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from launch.backends import Backend, Command, Session, Start
from launch.backends._variables import read_variables
from launch.shell.console import last_lines
from launch.shell.exit_codes import DONE, FAILED, STOPPED

GRACE_SECONDS = 60
CPU_PROCESSES = 2
DAMAGED = "damaged shards do this: run `kmask prepare verify` on the prepared folders, then the same command again"
ADVICE: dict[int, str] = {
    signal.SIGSEGV: DAMAGED,
    signal.SIGBUS: DAMAGED,
    signal.SIGKILL: "was it out of memory? Run the same command again to continue from the last checkpoint",
}
"""What to do when a rank was ended by a signal."""


@dataclass(frozen=True, kw_only=True)
class Local(Backend):
    """This machine."""

    processes: int = 0
    """Number of ranks; 0 means one per GPU, or 2 without GPUs."""
    port: int = 0
    """TCP port of rank 0; 0 picks a free one."""

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.processes < 0:
            raise ValueError(f"processes: {self.processes} must be 0 (automatic) or more")

    def count(self) -> int:
        """Number of ranks."""
        return self.processes or gpus() or CPU_PROCESSES

    def world(self) -> tuple[int, int]:
        return self.count(), self.count()

    def where(self) -> str:
        return "on this machine"

    def commands(self, start: Start) -> list[Command]:
        count, port = self.count(), self.port or free_port()
        cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
        shared = {
            "WORLD_SIZE": str(count),
            "LOCAL_WORLD_SIZE": str(count),
            "MASTER_ADDR": "127.0.0.1",
            "MASTER_PORT": str(port),
            "OMP_NUM_THREADS": os.environ.get("OMP_NUM_THREADS") or str(max(1, cores // count)),
            **self.variables(),
        }
        if not gpus():
            shared["DS_ACCELERATOR"] = "cpu"
        argv = [sys.executable, "-m", "launch.cli", *start.arguments]
        return [Command(argv, {**shared, "RANK": str(rank), "LOCAL_RANK": str(rank)}) for rank in range(count)]

    def begin(self, start: Start) -> Session:
        told = read_variables(Path(self.environment_file).expanduser()) if self.environment_file else {}
        return LocalSession(self.commands(start), start, told)


class LocalSession(Session):
    """Ranks that are children of this process.

    Args:
        private: variables that stand nowhere else.
    """

    def __init__(self, commands: Sequence[Command], start: Start, private: Mapping[str, str]) -> None:
        from pretrain.processes.stopping import shielded

        self.ranks: list[subprocess.Popen[bytes]] = []
        self.logs = [start.output / "logs" / f"rank-{rank}.log" for rank in range(len(commands))]
        for rank, command in enumerate(commands):
            own = {"KMASK_PARENT": str(os.getpid()), "KMASK_ATTEMPT": start.name, "KMASK_RUN": str(start.output)}
            # Ranks inherit the signals as blocked and hear them once their handlers stand: none dies from one while it
            # starts.
            with shielded():
                self.ranks.append(
                    start_rank(
                        command.argv,
                        {**os.environ, **command.environment, **private, **own},
                        self.logs[rank],
                        rank == 0,
                    )
                )

    def ask(self) -> None:
        for process in self.ranks:
            if process.poll() is None:
                process.send_signal(signal.SIGTERM)

    def end(self) -> None:
        for process in self.ranks:
            if process.poll() is None:
                process.kill()
                process.wait()

    def told(self) -> bool:
        return True

    def hears_terminal(self) -> bool:
        return True

    def poll(self) -> int | None:
        """When one rank fails, the others are given time to end, and it is told which one it was."""
        codes = [process.poll() for process in self.ranks]
        failed = first_failed(codes)
        if failed is None:
            return DONE if all(code == DONE for code in codes) else None
        deadline = time.monotonic() + (GRACE_SECONDS if codes[failed] == STOPPED else 5)
        while any(process.poll() is None for process in self.ranks) and time.monotonic() < deadline:
            time.sleep(0.1)
        self.end()
        code = codes[failed] or FAILED
        if code == STOPPED or self.ranks[0].returncode == code > 0:
            return code  # rank 0 has told the user itself
        how = f"was killed by signal {signal.Signals(-code).name}" if code < 0 else f"ended with code {code}"
        advice = ADVICE.get(-code, "run the same command again to continue from the last checkpoint")
        print(f"error: rank {failed} {how}. Training stopped; {advice}.", file=sys.stderr)
        if failed and self.logs[failed].is_file():
            print(last_lines(self.logs[failed]), file=sys.stderr)
        return FAILED if code < 0 else code


def start_rank(argv: list[str], environment: dict[str, str], log: Path, first: bool) -> subprocess.Popen[bytes]:
    """The first rank on this terminal, the others write to ``log``.."""
    if first:
        return subprocess.Popen(argv, env=environment)
    log.parent.mkdir(parents=True, exist_ok=True)
    with log.open("ab") as output:
        return subprocess.Popen(argv, env=environment, stdout=output, stderr=output, start_new_session=True)


def first_failed(codes: Sequence[int | None]) -> int | None:
    """Which rank failed first, as far as codes tell: others end with an error of their own when one was killed."""
    failed = [(code > 0, rank) for rank, code in enumerate(codes) if code]
    return min(failed)[1] if failed else None


def gpus() -> int:
    """Number of visible NVIDIA GPUs, without importing torch."""
    if (visible := os.environ.get("CUDA_VISIBLE_DEVICES")) is not None:
        return len([item for item in visible.split(",") if item.strip() and item.strip() != "-1"])
    try:
        listed = subprocess.run(["nvidia-smi", "-L"], capture_output=True, text=True, timeout=20, check=False)
    except (OSError, subprocess.TimeoutExpired):
        return 0
    return sum(line.startswith("GPU ") for line in listed.stdout.splitlines()) if listed.returncode == 0 else 0


def free_port() -> int:
    """A TCP port nobody listens on here."""
    with socket.socket() as probe:
        probe.bind(("", 0))
        return int(probe.getsockname()[1])
