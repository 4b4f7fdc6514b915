"""A run that `kmask launch` starts on the hosts, as tests disturb it: 60 steps with a checkpoint every 10."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
import time
from collections.abc import Mapping
from pathlib import Path

from hosts import Hosts
from processes_inside import Command
from tiny import ROOT, TINY_RUN

CLUSTER = """kind: hostfile
path: {hostfile}
launcher: {launcher}
interface: eth0
quiet_seconds: {quiet}
max_restarts: {restarts}
environment: {{OMP_NUM_THREADS: "1", DS_ACCELERATOR: cpu, PYTHONHASHSEED: "0"}}
"""
STEPS = (
    "stages.0.steps=30",
    "stages.1.steps=30",
    "checkpoints.every=10",
    "checkpoints.keep=100",
    "threads=1",
    "evaluation.every=0",
)
QUIET = 12.0


class Launched:
    """A launch on host `a`, and its run's folder."""

    def __init__(self, hosts: Hosts, folder: Path, name: str, data: Path, *changes: str, **cluster: object) -> None:
        self.hosts, self.output = hosts, folder / name
        self.file = folder / f"{name}.yaml"
        self.file.write_text(TINY_RUN.format(output=self.output, data=data))
        self.cluster = folder / f"{name}-cluster.yaml"
        values = {"hostfile": hosts.hostfile(folder / f"{name}-hosts.txt"), "launcher": "ssh", "quiet": QUIET}
        text = CLUSTER.format(**{"restarts": 2, **values, **cluster})
        self.cluster.write_text(text + str(cluster.get("more", "")))
        self.changes = changes
        self.process: Command | None = None

    def start(self, environment: Mapping[str, str] | None = None, host: str = "a") -> Command:
        argv = [sys.executable, "-m", "launch.cli", "launch", self.cluster, self.file, *STEPS, *self.changes]
        self.process = self.hosts[host].popen(list(map(str, argv)), env=environment, cwd=ROOT)
        return self.process

    def wait(self, seconds: float = 300) -> tuple[int, str]:
        assert self.process is not None
        try:
            output, errors = self.process.communicate(timeout=seconds)
        except subprocess.TimeoutExpired as error:
            self.process.kill_group()
            output, errors = self.process.communicate(timeout=10)
            error.add_note(output + errors)
            raise
        return self.process.returncode, output + errors

    def step(self) -> int:
        lines = self.lines()
        return max((line["step"] for line in lines if line["event"] == "train"), default=0)

    def lines(self) -> list[dict[str, object]]:
        file = self.output / "metrics.jsonl"
        found = []
        for line in file.read_text().splitlines() if file.exists() else []:
            try:
                found.append(json.loads(line))
            except ValueError:
                continue
        return found

    def losses(self) -> dict[int, float]:
        name = "loss/knowledge_masking"
        return {int(line["step"]): float(line[name]) for line in self.lines() if line["event"] == "train"}  # type: ignore[call-overload,arg-type]

    def until(self, step: int, seconds: float = 180) -> None:
        deadline = time.monotonic() + seconds
        while self.step() < step:
            assert time.monotonic() < deadline, f"step {step} did not come"
            assert self.process is not None and self.process.poll() is None, self.wait()
            time.sleep(0.05)

    def rank(self, number: int) -> dict[str, object]:
        files = (self.output / "ranks").glob(f"*/rank-{number}.json")
        newest = max(
            files, key=lambda file: file.stat().st_mtime_ns
        )  # where each host starts its own, it has its own folder
        return json.loads(newest.read_text())  # type: ignore[no-any-return]

    def starts(self) -> int:
        return len(list((self.output / "attempts").iterdir()))


def left_over(hosts: Hosts) -> list[str]:
    """Processes of a training that still run somewhere."""
    deadline = time.monotonic() + 15
    while time.monotonic() < deadline:
        found = [
            f"{host.name}: {item}" for host in hosts for item in host.processes(r"launch\.cli|deepspeed\.launcher")
        ]
        if not found:
            return []
        time.sleep(0.2)
    return found


def kill(hosts: Hosts, launched: Launched, rank: int, number: int = signal.SIGKILL) -> None:
    told = launched.rank(rank)
    hosts[str(told["host"])].signal(int(told["process"]), number)  # type: ignore[call-overload]
