"""`kmask ...` as processes of their own: forked from a process that has imported everything, or really started.

    run("train", FILE, ...)       wait for its end; a CompletedProcess
    start("train", FILE, ...)     a Popen
    killed("train", FILE, ..., when=...)    started, and killed as soon as something is there
    script(CODE, ...)             `python -c CODE ...` to its end

Both are real processes with their own ids, signals, files and exit codes; see fork_server.py. ``started=True`` starts
the interpreter itself, as a user does.
"""

from __future__ import annotations

import atexit
import contextlib
import multiprocessing.util
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import partial
from typing import Any

import fork_server
from tiny import ROOT

Done = subprocess.CompletedProcess[str]
READ_LATER = (
    *("PYTHONPATH", "PYTEST_", "COLUMNS", "NO_COLOR", "TORCHINDUCTOR_", "HF_DATASETS_CACHE"),
    *("RANK", "WORLD_SIZE", "LOCAL_", "MASTER_", "SLURM_", "KMASK_", "GLOO_"),
)
"""Beginnings of the variables that no module reads while it is imported: these may change between commands."""
SPAWN = multiprocessing.util.spawnv_passfds
"""Starts a worker of multiprocessing as it is started outside tests."""


class Server:
    """The server of this test process; made when it is first needed."""

    made: Server | None = None

    def __init__(self) -> None:
        connection, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        self.asker = fork_server.Asker(connection)
        self.environment = dict(os.environ)
        room = fork_server.ROOM * " "
        argv = [sys.executable, fork_server.__file__, str(theirs.fileno()), room]
        environment = {**self.environment, "KMASK_ROOM": room, "JE_ARROW_MALLOC_CONF": "background_thread:false"}
        self.process = subprocess.Popen(argv, env=environment, cwd=ROOT, pass_fds=[theirs.fileno()])
        theirs.close()
        threads = int(self.asker.answer())
        assert threads == 1, f"the server of forked commands has {threads} threads: a fork would lose all but one"
        atexit.register(self.close)

    @classmethod
    def get(cls) -> Server:
        """The one that there is, or a new one."""
        if cls.made is None:
            cls.made = cls()
        return cls.made

    def fork(self, call: fork_server.Call, descriptors: Sequence[int]) -> int:
        """A new child of this process that becomes ``call``."""
        changed = self.changed(call.environment)
        assert not changed, f"{changed} has changed: use a process that is really started"
        try:
            return self.asker.fork(call, descriptors)
        except BaseException:  # its next messages would belong to this call
            type(self).made = None
            self.close()
            raise

    def changed(self, environment: Mapping[str, str]) -> str:
        """The name of a variable that modules read while they are imported and that is not as it was then, or none."""
        for name in environment.keys() | self.environment.keys():
            if environment.get(name) != self.environment.get(name) and not name.startswith(READ_LATER):
                return name
        return ""

    def close(self) -> None:
        """End it."""
        self.asker.connection.close()
        self.process.send_signal(signal.SIGKILL)
        self.process.wait()


class Forked(fork_server.Forked):
    """A command, forked from the server."""

    def fork(self, call: fork_server.Call, descriptors: tuple[int, ...]) -> int:
        return Server.get().fork(call, descriptors)


@contextlib.contextmanager
def workers_forked() -> Iterator[None]:
    """Within the block, workers that this process spawns are forked from the server, too."""

    def fork(call: fork_server.Call, descriptors: Sequence[int]) -> int | None:
        server = Server.get()
        return None if server.changed(call.environment) else server.fork(call, descriptors)

    fork_server.fork_workers(fork)
    try:
        yield
    finally:
        multiprocessing.util.spawnv_passfds = SPAWN


def start(*arguments: Any, started: bool = False, **settings: Any) -> subprocess.Popen[Any]:
    """`kmask ARGUMENTS`; ``settings`` are those of Popen."""
    argv = [sys.executable, "-m", fork_server.MODULE, *map(str, arguments)]
    make = subprocess.Popen if started else Forked
    return make(argv, **{"cwd": ROOT, **settings})


def run(*arguments: Any, started: bool = False, timeout: float = 240, **settings: Any) -> Done:
    """`kmask ARGUMENTS` to its end; ``settings`` are those of Popen."""
    return finished(partial(start, *arguments, started=started), timeout, settings)


def killed(
    *arguments: Any, when: Callable[[], object], timeout: float = 240, whole: bool = False, **settings: Any
) -> None:
    """`kmask ARGUMENTS`, killed with signal 9 as soon as ``when()``: it alone, or with its whole session."""
    quiet = {"stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL, "start_new_session": True}
    process = start(*arguments, **{**quiet, **settings})
    deadline = time.monotonic() + timeout
    while not when():
        assert process.poll() is None or when(), f"{process.args} ended with {process.returncode} before"
        assert time.monotonic() < deadline, f"{process.args} did not come so far in {timeout} seconds"
        time.sleep(0.01)
    (os.killpg if whole else os.kill)(process.pid, signal.SIGKILL)
    process.wait()


def script(code: str, *arguments: Any, timeout: float = 240, **settings: Any) -> Done:
    """`python -c CODE ARGUMENTS` to its end; ``settings`` are those of Popen."""
    argv = [sys.executable, "-c", code, *map(str, arguments)]
    return finished(partial(Forked, argv, cwd=ROOT), timeout, settings)


def finished(make: Callable[..., subprocess.Popen[Any]], timeout: float, settings: Mapping[str, Any]) -> Done:
    """A process with what it printed."""
    pipes: dict[str, Any] = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "text": True}
    with make(**pipes, **settings) as process:
        try:
            out, err = process.communicate(timeout=timeout)
        except BaseException:
            process.kill()
            raise
    return Done(process.args, process.returncode, out, err)
