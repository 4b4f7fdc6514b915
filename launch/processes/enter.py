"""How a process of a run begins on another machine: it finds what it needs in the run's folder.

    python -m launch.processes.enter RUN/attempts/0002-9f3c          (by DeepSpeed, torchrun, srun, on every machine)

Its arguments, variables and folder stand in ``start.json``: nothing of them passes through a shell, and keys of
services stay in a file of the machine. Ranks other than 0 write to ``RUN/logs/rank-N.log``. The process then becomes
`kmask` itself, so its number stays.
"""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Mapping
from pathlib import Path

from launch.backends._variables import read_variables
from launch.shell.exit_codes import USER_ERROR


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


def main() -> None:
    """Become `kmask train`."""
    from pretrain.processes.heartbeat import Heartbeat

    folder = Path(sys.argv[1])
    rank = os.environ.get("RANK") or os.environ.get("SLURM_PROCID", "0")
    world = int(os.environ.get("WORLD_SIZE") or os.environ.get("SLURM_NTASKS", "1"))
    beat = Heartbeat(folder.parent.parent, int(rank), folder.name, world)
    try:
        argv, variables, place = enter(folder, os.environ)
        os.chdir(place)
        beat.write()
        if rank != "0":
            redirect(folder.parent.parent / "logs" / f"rank-{rank}.log")
        sys.stdout.flush()
        os.execvpe(argv[0], argv, variables)
    except (ValueError, OSError) as error:
        print(f"rank {rank} on {os.uname().nodename}: {error}", file=sys.stderr)
        if folder.is_dir():
            beat.end(USER_ERROR, str(error))
        sys.exit(USER_ERROR)


def redirect(log: Path) -> None:
    """What this process says from here on goes behind what an earlier start said."""
    log.parent.mkdir(parents=True, exist_ok=True)
    descriptor = os.open(log, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o666)
    os.dup2(descriptor, 1)
    os.dup2(descriptor, 2)


if __name__ == "__main__":
    main()
