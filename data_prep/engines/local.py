"""Processes of this machine, spawned (never forked: tokenizers' threads do not survive a fork) and never orphaned."""

from __future__ import annotations

import contextlib
import ctypes
import os
import signal
import sys
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
from concurrent.futures.process import BrokenProcessPool
from dataclasses import dataclass
from multiprocessing import get_context
from typing import Any

from data_prep.engines import Engine


@dataclass(frozen=True, kw_only=True)
class Local(Engine):
    """All cores of this machine."""

    workers: int = 0
    """Processes; 0 means one per usable core."""

    def __post_init__(self) -> None:
        if self.workers < 0:
            raise ValueError(f"workers: {self.workers} must be 0 (one per core) or more")

    def run(self, work: Callable[[int], Any], parts: Sequence[int]) -> Iterator[Any]:
        count = min(self.workers or len(os.sched_getaffinity(0)), len(parts))
        if count <= 1:
            yield from map(work, parts)
            return
        os.environ.setdefault("TOKENIZERS_PARALLELISM", "false")
        with ProcessPoolExecutor(count, get_context("spawn"), initializer=die_with_parent, initargs=(os.getpid(),)) as pool:
            futures = [pool.submit(work, part) for part in parts]
            try:
                for future in as_completed(futures):
                    yield future.result()
            except BrokenProcessPool:
                raise RuntimeError(
                    "a worker process died (out of memory, or killed). Nothing finished is lost: run the same command again, "
                    "with fewer workers (engine.workers=1) if memory is short."
                ) from None
            finally:
                for future in futures:
                    future.cancel()


def die_with_parent(parent: int) -> None:
    """Ask the kernel to kill this process when its parent ends, however it ends (Linux; elsewhere nothing happens)."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    if sys.platform == "linux":
        with contextlib.suppress(OSError, AttributeError):
            ctypes.CDLL(None, use_errno=True).prctl(1, signal.SIGKILL)
    if os.getppid() != parent:
        os._exit(1)
