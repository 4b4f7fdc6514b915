r"""Processes of this machine, spawned (never forked: threads do not survive a fork) and never orphaned.

    launcher --- pipe --- worker 1      one part at a time: number there, result back
             \-- pipe --- worker 2      a pipe that closes without a result means that its worker died; the others go on

Even one worker is a process of its own, so that a document on which compiled code crashes does not end the run.
"""

from __future__ import annotations

import contextlib
import ctypes
import os
import pickle
import signal
import sys
import traceback
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from multiprocessing import get_context
from multiprocessing.connection import wait
from typing import Any, NamedTuple

from data_prep.engines import Died, Engine, answer


@dataclass(frozen=True, kw_only=True)
class Local(Engine):
    """All cores of this machine."""

    workers: int = 0
    """Processes; 0 means one per usable core."""

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.workers < 0:
            raise ValueError(f"workers: {self.workers} must be 0 (one per core) or more")

    def run(self, work: Callable[[int], Any], parts: Sequence[int]) -> Iterator[Any]:
        count = self.workers or len(os.sched_getaffinity(0))
        payload = pickle.dumps(work)
        waiting = deque(parts)
        busy: dict[Any, tuple[Worker, int]] = {}
        idle: list[Worker] = []
        try:
            while waiting or busy:
                while waiting and (idle or len(busy) < count):
                    worker = idle.pop() if idle else Worker.start(payload)
                    part = waiting.popleft()
                    busy[worker.connection] = worker, part
                    with contextlib.suppress(OSError):  # it is dead already: noticed below
                        worker.connection.send(part)
                for ready in wait(list(busy)):
                    worker, part = busy.pop(ready)
                    try:
                        result, error = worker.connection.recv()
                    except (EOFError, OSError):
                        worker.end()
                        yield Died(part)
                        continue
                    if error is not None:
                        raise error
                    idle.append(worker)
                    yield result
        finally:
            for worker in [*idle, *(worker for worker, _ in busy.values())]:
                worker.end()


class Worker(NamedTuple):
    """A process and the launcher's end of its pipe."""

    process: Any
    connection: Any

    @staticmethod
    def start(payload: bytes) -> Worker:
        """Start a process that does the pickled work on every part number it is sent."""
        context = get_context("spawn")
        ours, theirs = context.Pipe()
        process = context.Process(target=serve, args=(theirs, payload, os.getpid()), daemon=True)
        process.start()
        theirs.close()
        return Worker(process, ours)

    def end(self) -> None:
        """End the process, whatever it does."""
        self.connection.close()
        self.process.kill()
        self.process.join()


def serve(connection: Any, payload: bytes, parent: int) -> None:
    """What a worker does all its life."""
    die_with_parent(parent)
    os.environ.setdefault("TOKENIZERS_PARALLELISM", "false")
    work: Callable[[int], Any] = pickle.loads(payload)
    while True:
        try:
            part = connection.recv()
        except EOFError:
            return
        try:
            connection.send((answer(work, part), None))
        except Exception as error:
            connection.send((None, portable(error)))


def portable(error: Exception) -> Exception:
    """The error as it can travel between processes, with its traceback as a note."""
    error.add_note(traceback.format_exc())
    try:
        pickle.loads(pickle.dumps(error))
    except Exception:
        return RuntimeError(f"{type(error).__name__}: {error}")
    return error


def die_with_parent(parent: int) -> None:
    """Ask the kernel to kill this process when its parent ends, however it ends (Linux; elsewhere nothing happens)."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    if sys.platform == "linux":
        with contextlib.suppress(OSError, AttributeError):
            ctypes.CDLL(None, use_errno=True).prctl(1, signal.SIGKILL)
    if os.getppid() != parent:
        os._exit(1)
