"""Two processes train alike on one machine, on two hosts over ssh, under Slurm and under torchrun: every loss of every
step is the same number. The number of threads is fixed: ways of starting choose other ones, which changes sums."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from hosts import Hosts
from slurm import Slurm
from tiny import ROOT, TINY_RUN

pytestmark = pytest.mark.timeout(600)
ENVIRONMENT = {
    "OMP_NUM_THREADS": "1",
    "DS_ACCELERATOR": "cpu",
    "HF_HUB_OFFLINE": "1",
    "TOKENIZERS_PARALLELISM": "false",
}
KMASK = [sys.executable, "-m", "launch.cli"]
Losses = list[dict[str, Any]]


class Runs:
    """Runs of one configuration under a shared folder."""

    def __init__(self, folder: Path, prepared: Path, hosts: Hosts) -> None:
        self.folder = folder
        self.prepared = prepared
        self.hosts = hosts

    def file(self, name: str) -> str:
        """The configuration of the run of a name."""
        text = TINY_RUN.format(output=self.folder / name, data=self.prepared)
        (self.folder / f"{name}.yaml").write_text(text + "threads: 1\n")
        return str(self.folder / f"{name}.yaml")

    def cluster(self, name: str, names: list[str], slots: int) -> str:
        """A cluster file of some hosts."""
        (self.folder / f"{name}.hosts").write_text("".join(f"{host} slots={slots}\n" for host in names))
        (self.folder / f"{name}.cluster.yaml").write_text(f"kind: hostfile\npath: {self.folder / name}.hosts\n")
        return str(self.folder / f"{name}.cluster.yaml")

    def run(self, host: str, argv: list[str]) -> None:
        """A command on a host, to its good end."""
        self.hosts[host].run(argv, env=ENVIRONMENT, cwd=ROOT, timeout=300, check=True)

    def losses(self, name: str) -> Losses:
        """What training told of every step, less all that depends on speed."""
        lines = map(json.loads, (self.folder / name / "metrics.jsonl").read_text().splitlines())
        kept = ("step", "loss/", "targets/", "grad_norm", "tokens", "cursors")
        return [
            {key: value for key, value in line.items() if key.startswith(kept) and key != "tokens_per_second"}
            for line in lines
            if line["event"] == "train"
        ]


@pytest.fixture(scope="module")
def runs(hosts: Hosts, prepared: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Runs]:
    """Runs on the two hosts; what a failed test left running ends."""
    yield Runs(tmp_path_factory.mktemp("runs"), prepared, hosts)
    for host in hosts:
        for process in host.processes("launch.cli train"):
            host.signal(process.pid, 9)


@pytest.fixture(scope="module")
def expected(runs: Runs) -> Losses:
    """Losses of two processes on one machine, started by `kmask train`."""
    runs.run("a", [*KMASK, "train", runs.file("train"), "--processes", "2"])
    losses = runs.losses("train")
    assert [line["step"] for line in losses] == list(range(1, 9)) and losses[0]["loss/knowledge_masking"] > 1
    return losses


@pytest.mark.parametrize(("names", "slots"), [(["a"], 2), (["a", "b"], 1)])
def test_a_hostfile_of_one_or_two_hosts(runs: Runs, expected: Losses, names: list[str], slots: int) -> None:
    name = "-".join(["hostfile", *names])
    runs.run("a", [*KMASK, "launch", runs.cluster(name, names, slots), runs.file(name)])
    assert runs.losses(name) == expected


WAYS = {
    "over ssh": "kind: hostfile\npath: {hosts}\nlauncher: ssh\n",
    "over pdsh, with an interface": "kind: hostfile\npath: {hosts}\nlauncher: pdsh\ninterface: eth0\n",
}
APART = {
    "a hostfile without ssh": "kind: hostfile\npath: {hosts}\nlauncher: none\n",
    "torchrun, numbered": "kind: torchrun\naddress: a:29502\nhosts: '2'\nprocesses_per_host: 1\n",
    "torchrun, whoever comes": (
        "kind: torchrun\naddress: a:29503\nhosts: '1:2'\nrendezvous: c10d\nprocesses_per_host: 1\n"
    ),
}


def cluster_file(runs: Runs, name: str, text: str) -> Path:
    """A cluster file of both hosts, with their variables."""
    file = runs.folder / f"{name.replace(' ', '-')}.cluster.yaml"
    hosts = runs.hosts.hostfile(runs.folder / "both.hosts")
    file.write_text(text.format(hosts=hosts) + f"environment: {json.dumps(ENVIRONMENT)}\n")
    return file


@pytest.mark.parametrize("way", WAYS)
def test_one_launch_for_all_hosts(way: str, runs: Runs, expected: Losses) -> None:
    name = way.partition(",")[0].replace(" ", "-")
    file = runs.file(name)
    runs.hosts["a"].run(
        [*KMASK, "launch", str(cluster_file(runs, name, WAYS[way])), file], cwd=ROOT, timeout=300, check=True
    )
    assert runs.losses(name) == expected


@pytest.mark.parametrize("way", APART)
def test_a_launch_on_every_host(way: str, runs: Runs, expected: Losses) -> None:
    name = way.replace(",", "").replace(" ", "-")
    file, cluster = runs.file(name), str(cluster_file(runs, name, APART[way]))
    both = [
        host.popen([*KMASK, "launch", cluster, file], env={"KMASK_NODE_RANK": str(number)}, cwd=ROOT)
        for number, host in enumerate(runs.hosts)
    ]
    words = [process.communicate(timeout=300) for process in both]
    assert [process.returncode for process in both] == [0, 0], words
    assert runs.losses(name) == expected


def test_a_launch_that_slurm_runs(runs: Runs, expected: Losses, slurm: Slurm) -> None:
    """Submitted by `kmask launch`, which the job runs again inside."""
    text = "kind: slurm\nnodes: 2\nprocesses_per_host: 1\n"
    file, cluster = runs.file("launched-slurm"), cluster_file(runs, "slurm", text)
    done = runs.hosts["a"].run([*KMASK, "launch", str(cluster), file], cwd=ROOT, timeout=120, check=True)
    job = int(done.stdout.split("submitted: ")[1].split(";")[0])
    slurm.wait(job, "COMPLETED", seconds=300)
    assert runs.losses("launched-slurm") == expected
    status = runs.hosts["a"].run([*KMASK, "status", str(runs.folder / "launched-slurm")], cwd=ROOT, check=True).stdout
    assert "finished, step 8 of 8" in status and "rank   1 b " in status


def test_two_tasks_of_srun_on_two_nodes(runs: Runs, expected: Losses, slurm: Slurm) -> None:
    runs.run("a", ["srun", "--nodes=2", "--ntasks-per-node=1", *KMASK, "train", runs.file("slurm")])
    assert runs.losses("slurm") == expected


def test_torchrun_on_two_hosts(runs: Runs, expected: Losses) -> None:
    static = ["--nnodes=2", "--nproc-per-node=1", "--master-addr=a", "--master-port=29501"]
    torchrun = [sys.executable, "-m", "torch.distributed.run", *static]
    file = runs.file("torchrun")
    both = [
        host.popen([*torchrun, f"--node-rank={rank}", "-m", "launch.cli", "train", file], env=ENVIRONMENT, cwd=ROOT)
        for rank, host in enumerate(runs.hosts)
    ]
    words = [process.communicate(timeout=300) for process in both]
    assert [process.returncode for process in both] == [0, 0], words
    assert runs.losses("torchrun") == expected
