"""`kmask ...` as processes of their own: forked from a process that has imported everything, or really started.

    run("train", FILE, ...)       wait for its end; a CompletedProcess
    start("train", FILE, ...)     a Popen

Both are real processes with their own ids, signals, files and exit codes; see fork_server.py. ``started=True`` starts
the interpreter itself, as a user does.
"""

from __future__ import annotations

import atexit
import ctypes
import json
import os
import signal
import socket
import subprocess
import sys
from collections.abc import Mapping
from typing import Any

import fork_server
from tiny import ROOT

Done = subprocess.CompletedProcess[str]
READ_LATER = (
    *("PYTHONPATH", "PYTEST_", "COLUMNS", "NO_COLOR", "TORCHINDUCTOR_", "HF_DATASETS_CACHE"),
    *("RANK", "WORLD_SIZE", "LOCAL_", "MASTER_", "SLURM_", "KMASK_"),
)
"""Beginnings of the variables that no module reads while it is imported: these may change between commands."""
SUBREAPER = 36
"""PR_SET_CHILD_SUBREAPER of <linux/prctl.h>."""


class Server:
    """The server of this test process; made when it is first needed."""

    made: Server | None = None

    def __init__(self) -> None:
        self.connection, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        self.environment = dict(os.environ)
        room = fork_server.ROOM * " "
        argv = [sys.executable, fork_server.__file__, str(theirs.fileno()), room]
        environment = {**self.environment, "KMASK_ROOM": room, "JE_ARROW_MALLOC_CONF": "background_thread:false"}
        self.process = subprocess.Popen(argv, env=environment, cwd=ROOT, pass_fds=[theirs.fileno()])
        theirs.close()
        threads = int(self.answer())
        assert threads == 1, f"the server of forked commands has {threads} threads: a fork would lose all but one"
        atexit.register(self.close)

    @classmethod
    def get(cls) -> Server:
        """The one that there is, or a new one."""
        if cls.made is None:
            cls.made = cls()
        return cls.made

    def answer(self) -> bytes:
        """Its next message."""
        message = self.connection.recv(1 << 16)
        assert message, f"the server of forked commands ended with {self.process.wait(10)}"
        return message

    def fork(self, call: fork_server.Call, descriptors: tuple[int, int, int]) -> int:
        """A new child of this process that becomes ``call``."""
        self.check(call.environment)
        adopt = ctypes.CDLL(None, use_errno=True).prctl
        assert adopt(SUBREAPER, 1, 0, 0, 0) == 0
        try:
            socket.send_fds(self.connection, [json.dumps(call._asdict()).encode()], descriptors)
            pid = int(self.answer())
            assert self.answer() == b"orphaned"
        except BaseException:  # its next messages would belong to this call
            type(self).made = None
            self.close()
            raise
        finally:
            adopt(SUBREAPER, 0, 0, 0, 0)
        return pid

    def check(self, environment: Mapping[str, str]) -> None:
        """A variable that modules read while they are imported must be as it was then."""
        for name in environment.keys() | self.environment.keys():
            same = environment.get(name) == self.environment.get(name)
            assert same or name.startswith(READ_LATER), f"{name} has changed: use a process that is really started"

    def close(self) -> None:
        """End it."""
        self.connection.close()
        self.process.send_signal(signal.SIGKILL)
        self.process.wait()


class Forked(fork_server.Forked):
    """A command, forked from the server."""

    def fork(self, call: fork_server.Call, descriptors: tuple[int, int, int]) -> int:
        return Server.get().fork(call, descriptors)


def start(*arguments: Any, started: bool = False, **settings: Any) -> subprocess.Popen[Any]:
    """`kmask ARGUMENTS`; ``settings`` are those of Popen."""
    argv = [sys.executable, "-m", fork_server.MODULE, *map(str, arguments)]
    make = subprocess.Popen if started else Forked
    return make(argv, **{"cwd": ROOT, **settings})


def run(*arguments: Any, started: bool = False, timeout: float = 240, **settings: Any) -> Done:
    """`kmask ARGUMENTS` to its end; ``settings`` are those of Popen."""
    pipes: dict[str, Any] = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "text": True}
    with start(*arguments, started=started, **pipes, **settings) as process:
        try:
            out, err = process.communicate(timeout=timeout)
        except BaseException:
            process.kill()
            raise
    return Done(process.args, process.returncode, out, err)
