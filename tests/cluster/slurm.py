"""Slurm on `Hosts`: a controller on the first, a node on each, munge between them. Nothing of it outlives the hosts.

    with Hosts(2) as hosts, Slurm(hosts) as slurm:
        job = slurm.submit("#!/bin/sh\\nsrun hostname\\n", "--nodes=2")
        slurm.wait(job, "COMPLETED")
        hosts["a"].run(["srun", "--nodes=2", "hostname"])

Configuration, state and logs lie in the hosts' folder; each host sees the configuration as its /etc/slurm.
"""

from __future__ import annotations

import os
import re
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from types import TracebackType

from host import Host
from hosts import Hosts
from machine import tool

CONFIGURATION = """\
ClusterName=kmask
SlurmctldHost={controller}({address})
SlurmUser=root
SlurmdUser=root
AuthType=auth/munge
AuthInfo=cred_expire=5
StateSaveLocation={folder}/state
SlurmdSpoolDir={folder}/spool-%n
SlurmctldPidFile=/run/slurmctld.pid
SlurmdPidFile=/run/slurmd.pid
SlurmctldLogFile={folder}/slurmctld.log
SlurmdLogFile={folder}/slurmd-%n.log
ProctrackType=proctrack/linuxproc
TaskPlugin=task/none
JobAcctGatherType=jobacct_gather/none
AccountingStorageType=accounting_storage/none
MailProg=/bin/true
MpiDefault=none
SlurmdParameters=config_overrides
SchedulerParameters=batch_sched_delay=0,sched_min_interval=100000,sched_interval=2
SelectType=select/cons_tres
SelectTypeParameters=CR_CPU
ReturnToService=2
SlurmdTimeout={timeout}
InactiveLimit=0
KillWait={kill_wait}
MinJobAge=600
{nodes}
PartitionName=main Nodes=ALL Default=YES MaxTime=INFINITE State=UP
"""
CGROUPS = "CgroupPlugin=cgroup/v1\nCgroupAutomount=no\n"
NODE = "NodeName={name} NodeAddr={address} CPUs={processors} State=UNKNOWN"
END = """
pkill -KILL 'slurm|munged'
for file in $(grep --files-with-matches --null-data --text '^SLURM_JOB_ID=' /proc/[0-9]*/environ); do
    pid=${file#/proc/}; kill -KILL "${pid%/environ}"
done
exit 0
"""


class Slurm:
    """A cluster of all ``hosts``; a context that starts and stops it."""

    def __init__(self, hosts: Hosts, processors: int = 2, kill_wait: int = 10, node_timeout: int = 30) -> None:
        """``processors`` that each node claims; seconds between SIGTERM and SIGKILL at a job's end; seconds after which
        a silent node counts as down."""
        self.hosts = hosts
        self.controller = hosts[hosts.names[0]]
        self.folder: Path = hosts.folder / "slurm"
        nodes = [
            NODE.format(name=name, address=address, processors=processors) for name, address in hosts.addresses.items()
        ]
        self.configuration = CONFIGURATION.format(
            controller=self.controller.name,
            address=self.controller.address,
            folder=self.folder,
            timeout=node_timeout,
            kill_wait=kill_wait,
            nodes="\n".join(nodes),
        )

    def __enter__(self) -> Slurm:
        settings = self.folder / "etc"
        for folder in (settings, self.folder / "state"):
            folder.mkdir(parents=True)
        (settings / "slurm.conf").write_text(self.configuration)
        (settings / "cgroup.conf").write_text(CGROUPS)
        (self.folder / "munge.key").touch(mode=0o600)
        (self.folder / "munge.key").write_bytes(os.urandom(128))
        for host in self.hosts:
            host.bind(settings, "/etc/slurm")
        self.start_controller()
        for host in self.hosts:
            self.start_node(host)
        self.wait_for_nodes()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """End all jobs and daemons; the hosts live on."""
        for host in self.hosts:
            if host.init:
                host.run(["sh", "-c", END])
                host.unmount("/etc/slurm")

    def start_controller(self) -> None:
        """Start slurmctld on the first host; again after it died and was started."""
        self.start_munge(self.controller)
        self.controller.run([tool("slurmctld")], check=True)

    def start_node(self, host: Host) -> None:
        """Start slurmd on a host; again after it died and was started."""
        self.start_munge(host)
        host.run([tool("slurmd"), "-N", host.name], check=True)

    def start_munge(self, host: Host) -> None:
        """Start munged on a host where it does not run."""
        if host.processes("^[^ ]*munged "):
            return
        own = [f"--{kind}-file={host.disk}/munge.{kind}" for kind in ("log", "seed")]
        host.run(["mkdir", "-p", "/run/munge"], check=True)
        host.run([tool("munged"), "--force", f"--key-file={self.folder}/munge.key", *own], check=True)

    def wait_for_nodes(self, seconds: float = 60) -> None:
        """Until every node is idle."""
        deadline = time.monotonic() + seconds
        while time.monotonic() < deadline:
            states = self.controller.run(["sinfo", "--noheader", "--Node", "--format=%T"]).stdout.split()
            if states == ["idle"] * len(self.hosts.names):
                return
            time.sleep(0.2)
        raise AssertionError(f"nodes are {states}\n{self.words()}")

    def submit(
        self,
        script: str | Path,
        *options: str,
        arguments: Sequence[str] = (),
        env: Mapping[str, str] | None = None,
        cwd: str | os.PathLike[str] = "/",
    ) -> int:
        """Give a batch script (its text, or its file) to sbatch on the first host; returns the number of the job."""
        if isinstance(script, str):
            text, script = script, self.folder / f"script-{time.monotonic_ns()}.sh"
            script.write_text(text)
        argv = ["sbatch", "--parsable", *options, str(script), *arguments]
        return int(self.controller.run(argv, env=env, cwd=cwd, check=True).stdout.split(";")[0])

    def show(self, job: int) -> dict[str, str]:
        """What `scontrol show job` says: `JobState`, `Reason`, `ExitCode`, `Restarts`, `NodeList`, ..."""
        text = self.controller.run(["scontrol", "show", "job", str(job)], check=True).stdout
        return dict(re.findall(r"(?:^|\s)([A-Za-z/:]+)=(\S*)", text))

    def wait(self, job: int, *states: str, seconds: float = 120) -> str:
        """Wait until a job is in one of some states (`RUNNING`, `COMPLETED`, `FAILED`, `CANCELLED`, `TIMEOUT`, ...)."""
        deadline = time.monotonic() + seconds
        while (state := self.show(job)["JobState"]) not in states:
            ended = state in ("COMPLETED", "FAILED", "CANCELLED", "TIMEOUT", "NODE_FAIL")
            assert not ended and time.monotonic() < deadline, f"job {job} is {state}\n{self.show(job)}\n{self.words()}"
            time.sleep(0.2)
        return state

    def cancel(self, job: int, *options: str) -> None:
        """scancel, with options as `--signal=USR1`."""
        self.controller.run(["scancel", *options, str(job)], check=True)

    def requeue(self, job: int) -> None:
        """Stop a job and put it into the queue again."""
        self.controller.run(["scontrol", "requeue", str(job)], check=True)

    def words(self, lines: int = 15) -> str:
        """The ends of all logs."""
        tails = [(log.name, log.read_text().splitlines()[-lines:]) for log in sorted(self.folder.glob("*.log"))]
        return "\n".join(f"--- {name}\n" + "\n".join(tail) for name, tail in tails)
