"""A Ray cluster (the extra ``kmask[ray]``). The prepared folder and the inputs lie on a file system that all its nodes
share.

    engine: {kind: ray, address: auto}         the cluster this machine belongs to
    engine: {kind: ray, address: "10.0.0.7:6379"}, or "ray://10.0.0.7:10001" from outside

One task is one part. The work (settings, plan) is stored in the cluster once, and each worker process unpacks it once.
Ray itself repeats nothing: a worker or node that dies is reported, and the same rules as everywhere say what follows
(supervision.py).
"""

from __future__ import annotations

import os
import pickle
import socket
import sys
import uuid
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from data_prep.engines import Died, Engine, answer

_work: dict[str, Callable[[int], Any]] = {}
"""What this worker process does, by name: only the newest is kept."""
AHEAD = 2
"""Tasks given to the cluster for each of its CPUs, so that none waits for the launcher."""
OBJECT_BYTES = 1 << 27
"""Memory for objects of a cluster started here: work and results are small, documents never pass through it."""


@dataclass(frozen=True, kw_only=True)
class Ray(Engine):
    """A Ray cluster."""

    address: str = ""
    """`auto` (the cluster of this machine), `host:port`, `ray://host:port`, `local` (a small one on this machine, for
    trying); empty: the variable RAY_ADDRESS, or else the cluster of this machine, or else `local`."""
    workers: int = 0
    """Parts at a time; 0 for one per CPU of the cluster."""

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.workers < 0:
            raise ValueError(f"workers: {self.workers} must be 0 (one per CPU of the cluster) or more")

    def run(self, work: Callable[[int], Any], parts: Sequence[int]) -> Iterator[Any]:
        if not parts:
            return
        ray = self.connect()
        deaths = (
            ray.exceptions.WorkerCrashedError,
            ray.exceptions.NodeDiedError,
            ray.exceptions.OutOfMemoryError,
            ray.exceptions.ObjectLostError,
        )
        task = ray.remote(max_retries=0, num_cpus=1)(run_part)
        name, payload = uuid.uuid4().hex, ray.put(pickle.dumps((str(Path.cwd()), sys.path, pickle.dumps(work))))
        waiting = list(reversed(parts))
        running: dict[Any, int] = {}
        try:
            while waiting or running:
                limit = self.workers or AHEAD * max(1, int(ray.cluster_resources().get("CPU", 1)))
                while waiting and len(running) < limit:
                    part = waiting.pop()
                    running[task.remote(name, payload, part)] = part
                for done in ray.wait(list(running))[0]:
                    part = running.pop(done)
                    try:
                        result = ray.get(done)
                    except deaths:
                        result = Died(part)
                    except ray.exceptions.RayTaskError as error:
                        raise (error.cause if isinstance(error.cause, Exception) else error) from None
                    yield result
        finally:
            for left in running:
                ray.cancel(left, force=True)

    def connect(self) -> Any:
        """The library, connected to the cluster.

        Raises:
            ValueError: Ray is not installed.
            ConnectionError: the cluster cannot be reached.
        """
        os.environ.setdefault("RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO", "0")
        try:
            import ray
        except ImportError:
            raise ValueError(
                "engine.kind: ray needs the package ray, which is not installed. Run: pip install 'kmask[ray]'"
            ) from None
        if ray.is_initialized():
            return ray
        where = self.address or os.environ.get("RAY_ADDRESS", "")
        settings: dict[str, Any] = {
            "runtime_env": {"env_vars": {"TOKENIZERS_PARALLELISM": "false"}},
            "log_to_driver": False,
            "logging_level": "ERROR",
        }
        if where == "local":
            settings.update(object_store_memory=OBJECT_BYTES, include_dashboard=False)
        try:
            knock(where)
            ray.init(address=self.address or None, **settings)
        except (OSError, RuntimeError, ValueError, ImportError) as error:
            reason = str(error).strip().split("\n")[0]
            raise ConnectionError(
                f"engine.address {where or '(empty)'}: no Ray cluster could be reached ({reason}). Start one with "
                "`ray start --head` and `ray start --address=...` on the other machines, or use engine.kind=local."
            ) from None
        return ray


def knock(address: str) -> None:
    """Raise OSError when nobody listens at ``host:port``: Ray itself would try for minutes."""
    host, _, port = address.removeprefix("ray://").rpartition(":")
    if host and port.isdigit():
        socket.create_connection((host, int(port)), timeout=10).close()


def run_part(name: str, payload: bytes, part: int) -> Any:
    """What a task does, in a worker process of the cluster."""
    if name not in _work:
        _work.clear()
        folder, paths, content = pickle.loads(payload)
        os.chdir(folder)  # relative paths mean what they mean to the launcher
        sys.path += [path for path in paths if path not in sys.path]
        _work[name] = pickle.loads(content)
    return answer(_work[name], part)
