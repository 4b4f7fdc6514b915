"""The Slurm that launching is proven on is Slurm: nodes, srun, sbatch, scancel, requeue, time limits."""

from __future__ import annotations

import time
from pathlib import Path

from hosts import Hosts
from slurm import Slurm

TRAP = """#!/bin/sh
trap 'echo heard; exit 3' {signal}
echo ready $SLURM_RESTART_COUNT
sleep 300 & wait
"""


def wait_for(file: Path, text: str) -> None:
    """Until a file contains a text."""
    deadline = time.monotonic() + 60
    while not (file.is_file() and text in file.read_text()):
        assert time.monotonic() < deadline, file.read_text() if file.is_file() else f"no {file}"
        time.sleep(0.1)


def test_srun_and_a_batch_job_run_on_both_nodes(slurm: Slurm, hosts: Hosts, tmp_path: Path) -> None:
    assert sorted(hosts["b"].run(["srun", "--nodes=2", "hostname"]).stdout.split()) == ["a", "b"]
    output = tmp_path / "output"
    job = slurm.submit("#!/bin/sh\nsrun hostname\n", "--nodes=2", f"--output={output}")
    slurm.wait(job, "COMPLETED")
    assert sorted(output.read_text().split()) == ["a", "b"] and slurm.show(job)["NodeList"] == "a,b"


def test_the_exit_code_of_a_task_is_that_of_srun_and_of_the_job(slurm: Slurm, hosts: Hosts) -> None:
    assert hosts["a"].run(["srun", "--nodes=2", "sh", "-c", "exit $((SLURM_PROCID * 7))"]).returncode == 7
    job = slurm.submit("#!/bin/sh\nsrun sh -c 'exit 9'\n", "--output=/dev/null")
    slurm.wait(job, "FAILED")
    assert slurm.show(job)["ExitCode"] == "9:0"


def test_scancel_ends_a_job_and_sends_signals(slurm: Slurm, tmp_path: Path) -> None:
    output = tmp_path / "output"
    job = slurm.submit(TRAP.format(signal="USR1"), f"--output={output}")
    wait_for(output, "ready")
    slurm.cancel(job, "--batch", "--signal=USR1")
    slurm.wait(job, "FAILED")
    assert "heard" in output.read_text()
    job = slurm.submit("#!/bin/sh\nsrun sleep 1234\n", "--nodes=2", "--output=/dev/null")
    while not all(host.processes("^[^ ]*sleep 1234$") for host in slurm.hosts):
        time.sleep(0.1)
    slurm.cancel(job)
    slurm.wait(job, "CANCELLED")
    deadline = time.monotonic() + 30
    while any(host.processes("sleep 1234") for host in slurm.hosts):
        assert time.monotonic() < deadline
        time.sleep(0.1)


def test_a_requeued_job_runs_again(slurm: Slurm, tmp_path: Path) -> None:
    output = tmp_path / "output"
    job = slurm.submit(TRAP.format(signal="TERM"), "--requeue", f"--output={output}", "--open-mode=append")
    wait_for(output, "ready")
    slurm.requeue(job)
    wait_for(output, "ready 1")
    assert slurm.show(job)["Restarts"] == "1"
    slurm.cancel(job, "--full")
    slurm.wait(job, "CANCELLED", "FAILED")


def test_the_signal_before_the_time_limit_comes_and_the_limit_ends_the_job(slurm: Slurm, tmp_path: Path) -> None:
    script = "#!/bin/sh\ntrap 'echo heard' USR1\nsleep 300 & wait\necho goes on\nsleep 300\n"
    output = tmp_path / "output"
    job = slurm.submit(script, "--time=1", "--signal=B:USR1@30", f"--output={output}")
    slurm.wait(job, "TIMEOUT", seconds=200)
    assert output.read_text().startswith("heard\ngoes on\n") and "DUE TO TIME LIMIT" in output.read_text()


def test_a_node_that_dies_comes_back(slurm: Slurm, hosts: Hosts) -> None:
    hosts["b"].die()
    hosts["b"].start()
    slurm.start_node(hosts["b"])
    slurm.wait_for_nodes()
    assert sorted(hosts["a"].run(["srun", "--nodes=2", "hostname"]).stdout.split()) == ["a", "b"]
