"""Commands on other machines, over ssh: many at once, quoted once, with an end to every wait."""

from __future__ import annotations

import shlex
import subprocess
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor

QUICK = ("-o", "BatchMode=yes", "-o", "ConnectTimeout=8", "-o", "ServerAliveInterval=15", "-o", "ServerAliveCountMax=8")
"""ssh asks nothing and gives up soon: a machine that wants a password is one that cannot be used. A connection over
which nothing is said is kept open."""


def ssh(host: str, argv: Sequence[str], options: Sequence[str] = ()) -> list[str]:
    """The command that runs ``argv`` on ``host``; the remote shell sees every argument as it is."""
    return ["ssh", *QUICK, *options, "--", host, shlex.join(argv)]


def within(folder: str, argv: Sequence[str]) -> list[str]:
    """The command that runs ``argv`` in a folder."""
    return ["sh", "-c", 'cd "$0" && exec "$@"', folder, *argv]


def on_all(commands: Mapping[str, Sequence[str]], seconds: float) -> dict[str, subprocess.CompletedProcess[str]]:
    """Run a command a host, all at once. One that does not end in time has the code 255, as where ssh fails."""

    def run(argv: Sequence[str]) -> subprocess.CompletedProcess[str]:
        try:
            return subprocess.run(
                argv,
                capture_output=True,
                text=True,
                timeout=seconds,
                check=False,
                stdin=subprocess.DEVNULL,
                start_new_session=True,
            )
        except subprocess.TimeoutExpired:
            return subprocess.CompletedProcess(list(argv), 255, "", f"no answer within {seconds:g} s")
        except OSError as error:
            return subprocess.CompletedProcess(list(argv), 255, "", str(error))

    with ThreadPoolExecutor(max_workers=min(64, max(1, len(commands)))) as pool:
        return dict(zip(commands, pool.map(run, commands.values()), strict=True))
