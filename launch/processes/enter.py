"""How a process of a run begins on another machine: it finds what it needs in the run's folder.

    python -m launch.processes.enter RUN/attempts/0002-9f3c          (by DeepSpeed, torchrun, srun, on every machine)

Its arguments, variables and folder stand in ``start.json``: nothing of them passes through a shell, and keys of
services stay in a file of the machine. Ranks other than 0 write to ``RUN/logs/rank-N.log``. The process then becomes
`kmask` itself, so its number stays.
"""

from __future__ import annotations

import json
import os
import stat
import sys
from collections.abc import Mapping
from pathlib import Path


def enter(folder: Path, environment: Mapping[str, str]) -> tuple[list[str], dict[str, str], str]:
    """What to become: argv, variables, folder to work in.

    Raises:
        ValueError: the file of variables cannot be used.
        FileNotFoundError: the run's folder is not shared with this machine.
    """
    try:
        told = json.loads((folder / "start.json").read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise FileNotFoundError(
            f"{folder}: not to be seen on {os.uname().nodename}; the run's folder must be on a disk that all machines "
            "share"
        ) from None
    variables = {
        **environment,
        **told["environment"],
        "KMASK_ATTEMPT": folder.name,
        "KMASK_RUN": str(folder.parent.parent),
    }
    if told["environment_file"]:
        variables |= read_variables(Path(told["environment_file"]).expanduser())
    return [told["python"], "-m", "launch.cli", *told["arguments"]], variables, told["folder"]


def read_variables(file: Path) -> dict[str, str]:
    """``NAME=value`` lines of a file that only its owner may read."""
    if not file.is_file():
        raise ValueError(f"environment_file {file}: no such file on {os.uname().nodename}")
    if file.stat().st_mode & (stat.S_IRWXG | stat.S_IRWXO):
        raise ValueError(f"environment_file {file}: others than its owner can read it; `chmod 600` it")
    found = {}
    for number, line in enumerate(file.read_text(encoding="utf-8").splitlines(), 1):
        if not line.strip() or line.startswith("#"):
            continue
        name, sign, value = line.partition("=")
        if not sign or not name.strip():
            raise ValueError(f"environment_file {file}, line {number}: write NAME=value")
        found[name.strip()] = value.strip()
    return found


def main() -> None:
    """Become `kmask train`."""
    from pretrain.processes.heartbeat import FOLDER, Heartbeat

    folder = Path(sys.argv[1])
    rank = os.environ.get("RANK") or os.environ.get("SLURM_PROCID", "0")
    try:
        argv, variables, place = enter(folder, os.environ)
        os.chdir(place)
    except (ValueError, OSError) as error:
        print(f"rank {rank} on {os.uname().nodename}: {error}", file=sys.stderr)
        sys.exit(2)
    Heartbeat(folder.parent.parent / FOLDER, int(rank), folder.name, int(os.environ.get("WORLD_SIZE", "1"))).write()
    if rank != "0":
        log = folder.parent.parent / "logs" / f"rank-{rank}.log"
        log.parent.mkdir(parents=True, exist_ok=True)
        descriptor = os.open(log, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o666)
        os.dup2(descriptor, 1)
        os.dup2(descriptor, 2)
    sys.stdout.flush()
    os.execve(argv[0], argv, variables)


if __name__ == "__main__":
    main()
