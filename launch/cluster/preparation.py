"""`kmask launch CLUSTER.yaml DATA.yaml`: prepare on the machines of a cluster, which divide the parts among themselves.

    hostfile   `kmask prepare DATA.yaml` on every machine over ssh; it ends there when its connection does
    slurm      an array job of one task a node
    local      `kmask prepare` here

Any of them may be killed and started again: parts are published once, and whichever task is last finishes the folder.
"""

from __future__ import annotations

import shlex
import subprocess
import sys
import threading
from collections.abc import Sequence
from pathlib import Path

from launch.backends import Backend
from launch.backends.hostfile import Hostfile
from launch.backends.slurm import Slurm
from launch.cluster.slurm_array import slurm_script
from launch.shell.exit_codes import DONE, SET_ASIDE, STOPPED, USER_ERROR
from launch.shell.remote import ssh, within


def commands(backend: Backend, file: Path, overrides: Sequence[str]) -> list[list[str]]:
    """What runs on each machine of a hostfile.

    Raises:
        ValueError: this kind of cluster does not prepare.
    """
    if not isinstance(backend, Hostfile) or backend.launcher == "none":
        raise ValueError(
            "this cluster file starts training alone; prepare with a hostfile (launcher: ssh or pdsh), with slurm, or "
            "with the Ray engine (`engine: {kind: ray}` in the data YAML)"
        )
    argv = [backend.interpreter(), "-m", "launch.cli", "prepare", str(file), *overrides]
    there = within(backend.workplace(), argv)
    return [ssh(host, there, ["-tt", *backend.ssh]) for host, _ in backend.hosts()]


def script(backend: Slurm, file: Path, overrides: Sequence[str]) -> str:
    """The array job: the one of `kmask prepare --slurm`, with this cluster's options."""
    first, _, rest = slurm_script(file, list(overrides), backend.nodes).partition("\n")
    given = {"partition": backend.partition, "account": backend.account, "time": backend.time}
    lines = [f"#SBATCH --{name}={value}" for name, value in given.items() if value]
    return "\n".join([first, *lines, *(f"#SBATCH {option}" for option in backend.options), rest])


def prepare_on(backend: Backend, file: Path, overrides: Sequence[str], dry_run: bool) -> int:
    """Prepare on all machines, or show how. Returns the exit code: the worst of all."""
    if isinstance(backend, Slurm):
        text = script(backend, file, overrides)
        if dry_run:
            print(text, end="")
            return DONE
        done = subprocess.run(["sbatch"], input=text, text=True, check=False)
        return DONE if done.returncode == 0 else USER_ERROR
    argvs = commands(backend, file, overrides)
    if dry_run:
        print("\n".join(shlex.join(argv) for argv in argvs))
        return DONE
    assert isinstance(backend, Hostfile)
    started = []
    for (host, _), argv in zip(backend.hosts(), argvs, strict=True):
        process = subprocess.Popen(
            argv, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
        )
        reader = threading.Thread(target=pass_on, args=(host, process), daemon=True)
        reader.start()
        started.append((host, process, reader))
    try:
        codes = [process.wait() for _, process, _ in started]
    except KeyboardInterrupt:
        for _, process, _ in started:
            process.terminate()  # the connection goes, and what runs over it
        print("stopped; run the same command again to go on", file=sys.stderr)
        return STOPPED
    for _, _, reader in started:
        reader.join(5)
    for (host, _, _), code in zip(started, codes, strict=True):
        if code not in (DONE, SET_ASIDE):
            print(f"error: {host} ended with code {code}; run the same command again to go on", file=sys.stderr)
    return max((code for code in codes if code != SET_ASIDE and code), default=max(codes))


def pass_on(host: str, process: subprocess.Popen[str]) -> None:
    """Every line with its host before it."""
    assert process.stdout is not None
    for line in process.stdout:
        print(f"{host}: {line.rstrip()}", flush=True)
