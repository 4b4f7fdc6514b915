"""A run that `kmask launch` gives to Slurm on two nodes: cancelled, queued again, and at its time limit."""

from __future__ import annotations

import sys
import time
from pathlib import Path

import pytest
from faults_told import told
from hosts import Hosts
from launched import Launched, left_over
from slurm import Slurm
from tiny import ROOT

pytestmark = [pytest.mark.timeout(1200), pytest.mark.usefixtures("nothing_left")]
CLUSTER = """kind: slurm
nodes: 2
processes_per_host: 1
interface: eth0
time: "{minutes}"
signal_seconds: {signal}
environment: {{OMP_NUM_THREADS: "1", DS_ACCELERATOR: cpu, PYTHONHASHSEED: "0"}}
"""


class Submitted(Launched):
    """A run of Slurm."""

    job = 0

    def submit(self, minutes: int = 30, signal: int = 60) -> int:
        """Give it to Slurm; returns the number of the job."""
        self.cluster.write_text(CLUSTER.format(minutes=minutes, signal=signal))
        self.start()
        code, text = self.wait(120)
        assert code == 0, text
        self.process = None
        self.job = int(text.split("submitted: ")[1].split(";")[0])
        return self.job

    def reach(self, step: int, slurm: Slurm, seconds: float = 240) -> None:
        """Wait until a step is done."""
        deadline = time.monotonic() + seconds
        while self.step() < step:
            assert time.monotonic() < deadline, f"{self.step()} of {step}\n{slurm.show(self.job)}\n{self.words()}"
            time.sleep(0.1)

    def words(self) -> str:
        """What the job has said."""
        return "\n".join(file.read_text()[-3000:] for file in (self.output / "logs").glob("slurm-*.log"))

    def checkpoints(self) -> list[int]:
        """Their steps."""
        return sorted(int(path.name[5:]) for path in (self.output / "checkpoints").glob("step-*"))


@pytest.fixture
def submitted(hosts: Hosts, slurm: Slurm, prepared: Path, tmp_path: Path) -> Submitted:
    return Submitted(hosts, tmp_path, "run", prepared)


def test_scancel_saves_and_the_next_job_goes_on(
    submitted: Submitted, hosts: Hosts, slurm: Slurm, undisturbed: dict[int, float]
) -> None:
    job = submitted.submit()
    submitted.reach(14, slurm)
    begun = time.monotonic()
    slurm.cancel(job)
    slurm.wait(job, "CANCELLED")
    assert left_over(hosts) == []
    seconds, step = time.monotonic() - begun, submitted.step()
    assert submitted.checkpoints()[-1] == step, submitted.words()
    status = hosts["a"].run([sys.executable, "-m", "launch.cli", "status", submitted.output], cwd=ROOT, check=True)
    assert "stopped" in status.stdout
    slurm.wait(submitted.submit(), "COMPLETED", seconds=400)
    assert submitted.losses() == undisturbed
    told("scancel of a Slurm job", "kmask status: stopped; everything is saved", seconds, 0, "none (bitwise)")


def test_a_requeued_job_goes_on(
    submitted: Submitted, hosts: Hosts, slurm: Slurm, undisturbed: dict[int, float]
) -> None:
    job = submitted.submit()
    submitted.reach(14, slurm)
    begun, before = time.monotonic(), submitted.step()
    slurm.requeue(job)
    submitted.reach(before + 6, slurm, seconds=400)
    seconds, again = time.monotonic() - begun, slurm.show(job)["Restarts"]
    slurm.wait(job, "COMPLETED", seconds=400)
    assert again == "1" and submitted.losses() == undisturbed, submitted.words()
    lost = max(0, before - max(step for step in submitted.checkpoints() if step < before + 6))
    told("scontrol requeue of a Slurm job", "it goes on by itself", seconds, lost, "none (bitwise)")


def test_before_its_time_limit_a_job_saves_and_is_queued_again(
    submitted: Submitted, hosts: Hosts, slurm: Slurm
) -> None:
    submitted.changes = ("stages.0.steps=100000", "checkpoints.every=1000000", "tracking.every=1")
    job = submitted.submit(minutes=2, signal=60)
    deadline = time.monotonic() + 300
    while not (submitted.output / "checkpoints").is_dir() or slurm.show(job)["Restarts"] == "0":
        assert time.monotonic() < deadline, f"{slurm.show(job)}\n{submitted.words()}"
        time.sleep(0.5)
    submitted.reach(submitted.checkpoints()[-1] + 5, slurm, seconds=300)
    slurm.cancel(job)
    slurm.wait(job, "CANCELLED")
    steps = [int(line["step"]) for line in submitted.lines() if line["event"] == "train"]  # type: ignore[call-overload]
    assert steps == list(range(1, len(steps) + 1)) and left_over(hosts) == []
    told("the time limit of a Slurm job", "it saves a minute before and is queued again", 0.0, 0, "not compared")
