"""A start that another program carries out: its processes are not children of this one.

What they say goes through here: to the terminal without the launcher's own talk, and all of it to ``launcher.log``.
They hear of a stop through the run's folder, and are ended by the numbers that they wrote there themselves, never by a
pattern: another run of the same user on the same machines is not touched.
"""

from __future__ import annotations

import contextlib
import os
import re
import signal
import subprocess
import sys
import threading
from collections.abc import Callable, Collection, Sequence
from typing import IO

from launch.backends import Command, Session, Start
from launch.shell.remote import on_all, ssh, within

TALK = re.compile(r"\[(INFO|WARNING)\] \[|^\[?W\d{4} |^\*{20,}|^Setting OMP_NUM_THREADS|pdsh@")
"""Lines of DeepSpeed's and torch's launchers that say nothing to a user."""
END_SECONDS = 60.0
NODE_VARIABLES = ("KMASK_NODE_RANK", "NODE_RANK", "JOB_COMPLETION_INDEX")


class Starter(Session):
    """Programs that start the processes, each in a session of its own: Ctrl-C reaches this process alone.

    Args:
        end_all: ends the processes of this start on all machines; says what it could not.
        without: variables that are not passed on.
        hosts: whose names pdsh puts before the lines of each.
        folder: to work in; this one by default.
    """

    def __init__(
        self,
        commands: Sequence[Command],
        start: Start,
        end_all: Callable[[], list[str]],
        without: Collection[str] = (),
        hosts: Collection[str] = (),
        folder: str = "",
    ) -> None:
        self.end_all, self.hosts = end_all, hosts
        own = {name: value for name, value in os.environ.items() if name not in without}
        logs = start.output / "logs"
        logs.mkdir(parents=True, exist_ok=True)
        self.log = (logs / "launcher.log").open("a", encoding="utf-8", errors="replace")
        self.programs = [
            subprocess.Popen(
                command.argv,
                env={**own, **command.environment, "KMASK_ATTEMPT": start.name},
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=subprocess.STDOUT,
                start_new_session=True,
                text=True,
                errors="replace",
                cwd=folder or None,
            )
            for command in commands
        ]
        self.readers = [
            threading.Thread(target=self._pass_on, args=(item.stdout,), daemon=True) for item in self.programs
        ]
        for reader in self.readers:
            reader.start()

    def _pass_on(self, lines: IO[str]) -> None:
        for line in lines:
            self.log.write(line)
            self.log.flush()
            host, _, rest = line.partition(": ")
            shown = rest if host in self.hosts else line
            if not TALK.search(shown):
                sys.stderr.write(shown)
                sys.stderr.flush()

    def poll(self) -> int | None:
        codes = [program.poll() for program in self.programs]
        if any(code is None for code in codes):
            return None
        for reader in self.readers:
            reader.join(5)
        return next((code for code in codes if code), 0)  # type: ignore[return-value]

    def ask(self) -> None:
        """They read it in the run's folder."""

    def end(self) -> None:
        for program in self.programs:  # first: told that a process has ended, they would signal others by patterns
            if program.poll() is None:  # its number may be another's by now
                with contextlib.suppress(ProcessLookupError):
                    os.killpg(program.pid, signal.SIGKILL)
                program.wait()
        for problem in self.end_all():
            print(f"note: {problem}", file=sys.stderr)


def place_of(given: int, machines: int, by_name: int = -1) -> int:
    """Which of the machines this one is: as given, as a variable says, or by its name.

    Raises:
        ValueError: nothing says so.
    """
    told = next((os.environ[name] for name in NODE_VARIABLES if os.environ.get(name, "").isdigit()), "")
    number = given if given >= 0 else int(told) if told else by_name
    if not 0 <= number < machines:
        raise ValueError(
            f"node_rank: {number if number >= 0 else 'not given'}; give this machine's number, from 0 to "
            f"{machines - 1}, or set {NODE_VARIABLES[0]}"
        )
    return number


def ended_elsewhere(
    hosts: Sequence[str], argv: Sequence[str], start: Start, folder: str, options: Sequence[str]
) -> list[str]:
    """End the processes of a start on ``hosts`` (on this machine when there is none named); returns what went wrong."""
    command = [*argv, str(start.output), start.name]
    if not hosts:
        done = subprocess.run(command, capture_output=True, text=True, check=False, cwd=folder)
        return [done.stderr.strip()] if done.returncode else []
    found = on_all({host: ssh(host, within(folder, command), options) for host in hosts}, END_SECONDS)
    lines = {host: (done.stderr.strip() or "ssh failed").splitlines()[-1] for host, done in found.items()}
    return [
        f"{host} does not answer ({lines[host]}): its processes end by themselves within the run's timeout_minutes"
        for host, done in found.items()
        if done.returncode
    ]
