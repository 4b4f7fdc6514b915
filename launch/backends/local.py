"""All processes on this machine: one DeepSpeed rank per GPU, or two on a machine without.

Rank 0 owns the terminal; the others write to files. When one rank fails, the others are stopped and its last
lines are shown. Signals are passed on to all ranks at once, and no rank survives this process.
"""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from launch.backends import Backend, Command
from launch.shell.exit_codes import DONE, FAILED, STOPPED

GRACE_SECONDS = 60
CPU_PROCESSES = 2
STOPS = (signal.SIGTERM, signal.SIGINT, signal.SIGUSR1, signal.SIGHUP)
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
        if self.processes < 0:
            raise ValueError(f"processes: {self.processes} must be 0 (automatic) or more")

    def count(self) -> int:
        """Number of ranks."""
        return self.processes or gpus() or CPU_PROCESSES

    def commands(self, arguments: Sequence[str], rank_logs: str) -> list[Command]:
        count, port = self.count(), self.port or _free_port()
        cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
        shared = {
            "WORLD_SIZE": str(count),
            "LOCAL_WORLD_SIZE": str(count),
            "MASTER_ADDR": "127.0.0.1",
            "MASTER_PORT": str(port),
            "OMP_NUM_THREADS": os.environ.get("OMP_NUM_THREADS") or str(max(1, cores // count)),
            "TOKENIZERS_PARALLELISM": "false",
        }
        if not gpus():
            shared["DS_ACCELERATOR"] = "cpu"
        argv = [sys.executable, "-m", "launch.cli", *arguments]
        return [Command(argv, {**shared, "RANK": str(rank), "LOCAL_RANK": str(rank)}) for rank in range(count)]

    def run(self, arguments: Sequence[str], rank_logs: str) -> int:
        from pretrain.processes.stopping import asked, shielded

        commands = self.commands(arguments, rank_logs)
        ranks: list[subprocess.Popen[bytes]] = []
        logs = [Path(rank_logs) / f"rank-{rank}.log" for rank in range(len(commands))]
        stop = Stopper(ranks)
        previous = {
            number: signal.signal(number, stop) for number in STOPS if signal.getsignal(number) is not signal.SIG_IGN
        }
        try:
            if asked():
                print("stopped on request before training began", file=sys.stderr)
                return STOPPED
            for rank, command in enumerate(commands):
                environment = {**os.environ, **command.environment, "KMASK_PARENT": str(os.getpid())}
                # Ranks inherit the signals as blocked and hear them once their handlers stand:
                # none dies from one while it starts.
                with shielded():
                    ranks.append(start_rank(command.argv, environment, logs[rank] if rank else None))
            return wait(ranks, logs, stop)
        finally:
            for process in ranks:
                if process.poll() is None:
                    process.kill()
            for number, handler in previous.items():
                signal.signal(number, handler)


def start_rank(argv: list[str], environment: dict[str, str], log: Path | None) -> subprocess.Popen[bytes]:
    """A rank on this terminal, or one that writes to ``log``."""
    if log is None:
        return subprocess.Popen(argv, env=environment)
    log.parent.mkdir(parents=True, exist_ok=True)
    with log.open("wb") as output:
        return subprocess.Popen(argv, env=environment, stdout=output, stderr=output, start_new_session=True)


class Stopper:
    """Passes a request to stop on to every rank, and remembers it."""

    def __init__(self, ranks: list[subprocess.Popen[bytes]]) -> None:
        self.ranks = ranks
        self.asked = False

    def __call__(self, number: int, frame: object) -> None:
        self.asked = True
        for process in self.ranks:
            if process.poll() is None:
                process.send_signal(signal.SIGTERM)


def wait(ranks: list[subprocess.Popen[bytes]], logs: list[Path], stop: Stopper) -> int:
    """Wait for all ranks; when one fails, stop the others and tell which one it was."""
    told = False
    while True:
        if stop.asked and not told:
            stop(signal.SIGTERM, None)  # once more: a rank may have been started after the request
            told = True
        codes = [process.poll() for process in ranks]
        failed = first_failed(codes)
        if failed is not None:
            break
        if all(code == DONE for code in codes):
            return DONE
        time.sleep(0.2)
    deadline = time.monotonic() + (GRACE_SECONDS if codes[failed] == STOPPED else 5)
    while any(process.poll() is None for process in ranks) and time.monotonic() < deadline:
        time.sleep(0.1)
    for process in ranks:
        if process.poll() is None:
            process.kill()
    code = codes[failed] or FAILED
    if code == STOPPED or ranks[0].returncode == code > 0:
        return code  # rank 0 has told the user itself
    how = f"was killed by signal {signal.Signals(-code).name}" if code < 0 else f"ended with code {code}"
    advice = ADVICE.get(-code, "run the same command again to continue from the last checkpoint")
    print(f"error: rank {failed} {how}. Training stopped; {advice}.", file=sys.stderr)
    if failed and logs[failed].is_file():
        tail = logs[failed].read_text(errors="replace").splitlines()[-12:]
        print("\n".join([f"last lines of {logs[failed]}:", *(f"  {line}" for line in tail)]), file=sys.stderr)
    return FAILED if code < 0 else code


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


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])
