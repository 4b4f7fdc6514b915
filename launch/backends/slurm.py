"""A Slurm job: `kmask launch` writes an sbatch script and submits it; within the job the same command starts one task a
process with srun, watches over them, and starts them again.

    login node:   kmask launch slurm.yaml run.yaml     ->  RUN/attempts/NAME/job.sbatch, sbatch
    in the job:   the script runs the same command     ->  srun ... python -m launch.processes.enter RUN/attempts/NAME
    time limit:   a signal before it                   ->  saved, then `scontrol requeue`; the job goes on by itself
"""

from __future__ import annotations

import os
import re
import shlex
import subprocess
import sys
from dataclasses import dataclass, field

from launch.backends import Backend, Command, Session, Start
from launch.backends._starter import Starter
from launch.shell.exit_codes import DONE
from launch.shell.remote import on_all

VALUE = re.compile(r"[\w@%+=:,./-]+")
SCRIPT = """#!/bin/bash
{directives}

cd {folder} || exit 2
asked=
trap 'asked=time; kill -TERM $launcher' USR1
trap 'asked=stop; kill -TERM $launcher' TERM INT
{command} &
launcher=$!
if [ -n "$asked" ]; then kill -TERM $launcher; fi
wait $launcher; code=$?
while [ $code -gt 128 ]; do  # a signal ended the waiting, not the launcher
  wait $launcher 2>/dev/null; next=$?
  if [ $next = 127 ]; then break; fi
  code=$next
done
if [ "$code" = 5 ] && [ "$asked" = time ]; then exec scontrol requeue "$SLURM_JOB_ID"; fi
exit $code
"""


@dataclass(frozen=True, kw_only=True)
class Slurm(Backend):
    """A cluster under Slurm. Code, data and the run's folder lie under the same paths on all nodes."""

    nodes: int = 1
    """Number of nodes."""
    processes_per_host: int
    """Tasks on each node: one per GPU, as a rule."""
    gpus_per_host: int = 0
    """GPUs to ask for on each node; 0 asks for none."""
    cpus_per_process: int = 0
    """CPUs for each task; 0 leaves it to Slurm."""
    time: str = ""
    """Time limit, as `2-00:00:00`; the partition's when empty. The run saves before it and is queued again."""
    partition: str = ""
    """Partition."""
    account: str = ""
    """Account."""
    job: str = "kmask"
    """Name of the job."""
    signal_seconds: int = 120
    """How long before the time limit the run is told to save."""
    options: list[str] = field(default_factory=list)
    """More options of sbatch, as `["--qos=long", "--exclusive"]`."""
    python: str = ""
    """Interpreter on the nodes; this one by default."""
    folder: str = ""
    """Folder to work in on the nodes; this one by default."""

    def __post_init__(self) -> None:
        super().__post_init__()
        for name in ("nodes", "processes_per_host", "signal_seconds"):
            if getattr(self, name) < 1:
                raise ValueError(f"{name}: {getattr(self, name)} must be at least 1")
        for name in ("time", "partition", "account", "job"):
            if (value := getattr(self, name)) and not VALUE.fullmatch(value):
                raise ValueError(f"{name}: {value!r} holds characters that have no place there")
        if odd := [option for option in self.options if not re.fullmatch(r"--?[\w-]+(=[^\n]*)?", option)]:
            raise ValueError(f"options: {odd[0]!r} is no option of sbatch, as --name=value")

    def world(self) -> tuple[int, int]:
        return self.nodes * self.processes_per_host, 0

    def watched(self, start: Start) -> int:
        return self.world()[0] if inside() else 0

    def submits(self) -> bool:
        return not inside()

    def machine_count(self) -> int:
        return self.nodes

    def where(self) -> str:
        return f"on {self.nodes} node{'s' if self.nodes > 1 else ''}"

    def directives(self, start: Start) -> list[str]:
        """Lines for sbatch.

        Raises:
            ValueError: the run's folder has a name that a script cannot hold.
        """
        if not str(start.output).isprintable():
            raise ValueError(f"output: {str(start.output)!r} holds characters that a script cannot hold")
        values = {
            "job-name": self.job,
            "nodes": str(self.nodes),
            "ntasks-per-node": str(self.processes_per_host),
            "cpus-per-task": str(self.cpus_per_process or ""),
            "gpus-per-node": str(self.gpus_per_host or ""),
            "time": self.time,
            "partition": self.partition,
            "account": self.account,
            "signal": f"B:USR1@{self.signal_seconds}",
            "open-mode": "append",
            "output": shlex.quote(str(start.output / "logs" / "slurm-%j.log")),
        }
        lines = [f"#SBATCH --{name}={value}" for name, value in values.items() if value]
        return [*lines, "#SBATCH --requeue", *(f"#SBATCH {option}" for option in self.options)]

    def script(self, start: Start) -> str:
        python, folder = self.interpreter(), self.workplace()
        given = sys.argv[1:] if sys.argv[1:2] == ["launch"] else ["launch", "CLUSTER.yaml", *start.arguments[1:]]
        command = shlex.join([python, "-m", "launch.cli", *(item for item in given if item != "--dry-run")])
        lines = "\n".join(self.directives(start))
        return SCRIPT.format(directives=lines, folder=shlex.quote(folder), command=command)

    def commands(self, start: Start) -> list[Command]:
        if not inside():
            return [Command(["sbatch", str(start.folder / "job.sbatch")], {})]
        argv = ["srun", f"--nodes={self.nodes}", f"--ntasks-per-node={self.processes_per_host}", "--kill-on-bad-exit=0"]
        argv += [f"--cpus-per-task={self.cpus_per_process}"] if self.cpus_per_process else []
        argv += ["--unbuffered", self.interpreter(), "-m", "launch.processes.enter", str(start.folder)]
        return [Command(argv, {})]

    def begin(self, start: Start) -> Session:
        if inside():
            return Starter(self.commands(start), start, lambda: self._end_all(start))
        (start.output / "logs").mkdir(parents=True, exist_ok=True)
        file = start.folder / "job.sbatch"
        file.write_text(self.script(start), encoding="utf-8")
        return Submitted(
            ["sbatch", "--parsable", str(file)], f"kmask status {start.output} follows it; scancel ends it"
        )

    def _end_all(self, start: Start) -> list[str]:
        """End what is left of a step on every node."""
        argv = ["srun", "--overlap", f"--nodes={self.nodes}", "--ntasks-per-node=1", self.interpreter()]
        done = on_all({"srun": [*argv, "-m", "launch.cluster.end_ranks", str(start.output), start.name]}, 120)["srun"]
        return [done.stderr.strip() or "processes of the step may be left"] if done.returncode else []


def inside() -> bool:
    """Does this run within a Slurm job?"""
    return "SLURM_JOB_ID" in os.environ


class Submitted(Session):
    """Handed over; others see it through."""

    def __init__(self, argv: list[str], advice: str) -> None:
        try:
            done = subprocess.run(argv, capture_output=True, text=True, check=False)
        except FileNotFoundError:
            raise ValueError(f"{argv[0]} is not on this machine; run `kmask launch` where jobs are submitted") from None
        if done.returncode:
            raise ValueError(f"{argv[0]} refused the job: {done.stderr.strip() or done.stdout.strip()}")
        print(f"submitted: {done.stdout.strip()}; {advice}")

    def poll(self) -> int | None:
        return DONE

    def ask(self) -> None:
        """Nothing to ask here."""

    def end(self) -> None:
        """Nothing was started here."""

    def told(self) -> bool:
        return True
