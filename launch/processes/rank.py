"""One rank of a training run: what every process started by a backend, torchrun or srun does."""

from __future__ import annotations

import multiprocessing
import os
import sys
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, NoReturn

from launch.processes.training_console import TrainConsole
from launch.shell.exit_codes import DONE, FAILED, INTERRUPTED, STOPPED, USER_ERROR

if TYPE_CHECKING:
    from pretrain.config import Run


class LostProcessError(ValueError):
    """A process that this one needs has gone: another start may go better, so the code is 1."""


class LostPeerError(LostProcessError):
    """Another process of the run; its own message says why."""


class LostWorkerError(LostProcessError):
    """A process that makes batches for this one: killed, or it hangs."""


def is_rank() -> bool:
    """Was this process started as one of several (by us, torchrun, DeepSpeed or srun)?"""
    return "RANK" in os.environ or (int(os.environ.get("SLURM_NTASKS", "1")) > 1 and "SLURM_PROCID" in os.environ)


def adopt_slurm() -> None:
    """Translate srun's variables into the ones torch reads. Two steps of one job meet at different ports."""
    if "RANK" in os.environ or "SLURM_PROCID" not in os.environ:
        return
    os.environ["RANK"] = os.environ["SLURM_PROCID"]
    os.environ["WORLD_SIZE"] = os.environ["SLURM_NTASKS"]
    os.environ["LOCAL_RANK"] = os.environ.get("SLURM_LOCALID", "0")
    if of_node := tasks_of_node():
        os.environ.setdefault("LOCAL_WORLD_SIZE", str(of_node))
    os.environ.setdefault(
        "MASTER_ADDR", first_host(os.environ.get("SLURM_STEP_NODELIST") or os.environ["SLURM_NODELIST"])
    )
    job, step = (int(os.environ.get(f"SLURM_{name}_ID", "0")) for name in ("JOB", "STEP"))
    os.environ.setdefault("MASTER_PORT", str(20000 + (job * 61 + step) % 20000))


def tasks_of_node() -> int:
    """Tasks of this Slurm step on this node, 0 where Slurm does not say: ``SLURM_STEP_TASKS_PER_NODE`` is `2(x3),1`."""
    told = os.environ.get("SLURM_STEP_TASKS_PER_NODE") or os.environ.get("SLURM_NTASKS_PER_NODE", "")
    counts: list[int] = []
    for part in filter(None, told.split(",")):
        count, _, times = part.rstrip(")").partition("(x")
        counts += [int(count)] * int(times or 1)
    node = int(os.environ.get("SLURM_NODEID", "0"))
    return counts[min(node, len(counts) - 1)] if counts else 0


def local_processes() -> int:
    """Processes of this run on this machine: as torchrun, DeepSpeed or Slurm says, else all of them."""
    told = os.environ.get("LOCAL_WORLD_SIZE") or os.environ.get("LOCAL_SIZE") or tasks_of_node()
    return int(told or os.environ.get("WORLD_SIZE", "1"))


def first_host(nodes: str) -> str:
    """The first name of a Slurm node list: ``gpu[03-05,9],x1`` -> ``gpu03``."""
    prefix, bracket, rest = nodes.partition("[")
    if not bracket or "," in prefix:
        return nodes.split(",")[0]
    return prefix + rest.split("]")[0].split(",")[0].split("-")[0]


ATTEMPT = "KMASK_ATTEMPT"
"""Variable that names the start (cluster/attempts.py) that a process belongs to."""
FOLDER = "KMASK_RUN"
"""Variable that names the run's folder, known before its configuration is read."""


def run_rank(read: Callable[[], tuple[Run, Mapping[str, Any]]]) -> NoReturn:
    """Train as this rank, and end the process. Requests to stop are heard from here on, before any slow import."""
    from pretrain.processes import heartbeat, stopping

    stopping.listen()
    adopt_slurm()
    if parent := os.environ.get("KMASK_PARENT"):
        from data_prep.engines.local import die_with_parent

        die_with_parent(int(parent))

    def begin(output: str) -> None:
        rank, world = int(os.environ.get("RANK", "0")), int(os.environ.get("WORLD_SIZE", "1"))
        heartbeat.begin(Path(output), rank, os.environ.get(ATTEMPT, ""), world)

    told = os.environ.get(FOLDER, "")
    try:
        if told:
            begin(told)
        run, resolved = read()
        if not told:
            begin(run.output)
        _train(run, resolved)
    except BaseException as error:
        heartbeat.end(*ending(error))
        raise


def ending(error: BaseException) -> tuple[int, str, bool]:
    """The exit code that an error will give, what to tell of it in one line, and whether another process is the
    reason."""
    from pretrain.processes.world import OTHERS

    text = (str(error).strip() or type(error).__name__).splitlines()[0]
    if isinstance(error, LostPeerError):
        return FAILED, text, True
    if isinstance(error, LostWorkerError):
        return FAILED, text, False
    if isinstance(error, KeyboardInterrupt):
        return INTERRUPTED, "interrupted", False
    if isinstance(error, (ValueError, OSError)):
        return USER_ERROR, text, isinstance(error, ValueError) and text == OTHERS
    return FAILED, f"{type(error).__name__}: {text}", False


def _train(run: Run, resolved: Mapping[str, Any]) -> NoReturn:
    """Meet the others, train, and end the process."""
    import torch

    from pretrain.engine import join
    from pretrain.processes import heartbeat
    from pretrain.processes.world import leave
    from pretrain.trainer import Trainer

    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    torch.set_num_threads(run.threads or max(1, cores // local_processes()))
    heartbeat.doing("meeting the others")
    world = join(run.engine)
    console = TrainConsole()
    try:
        finished = Trainer(run, resolved, world, console).train()
    except RuntimeError as error:
        text = lost_peer_message(error, run.engine.timeout_minutes)
        raise (LostWorkerError if "data_workers" in text else LostPeerError)(text) from error
    finally:
        console.close()
    leave()
    heartbeat.end(DONE if finished else STOPPED)
    if not finished and world.rank == 0:
        print("stopped on request; everything is saved, run the same command again to continue", file=sys.stderr)
    end_at_once(DONE if finished else STOPPED)


def has_joined() -> bool:
    """Is this process a rank that has met the others?"""
    distributed: Any = sys.modules.get("torch.distributed")
    return is_rank() and distributed is not None and bool(distributed.is_initialized())


def end_at_once(code: int) -> NoReturn:
    """End a rank, with everything saved and told.

    The destructors of torch's process groups may abort (always when another rank is gone, rarely at a good end on a
    busy machine), and the code would be SIGABRT's.
    """
    for child in multiprocessing.active_children():
        child.terminate()
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(code)


def lost_peer_message(error: RuntimeError, minutes: float) -> str:
    """What an error of torch's collectives means for the user.

    Raises:
        RuntimeError: it is another kind of error.
    """
    text = str(error)
    first = text.strip().splitlines()[0] if text.strip() else type(error).__name__
    if " in DataLoader worker process " in text:
        raise error  # its own error, with the traceback
    if "DataLoader timed out" in text or "DataLoader worker (pid" in text:
        remedy = "Was it out of memory? Run again to continue from the last checkpoint"
        return f"a process that makes batches (data_workers) has ended or hangs: {first}. {remedy}"
    if any(sign in text.lower() for sign in ("timed out", "timeout")):
        limit = f"{minutes:g} minutes (engine.timeout_minutes)"
        return f"a process of this run has not answered for {limit}: it hangs, or its machine is gone ({first})"
    if any(
        sign in text
        for sign in ("Connection closed by peer", "Connection reset by peer", "Broken pipe", "Connection refused")
    ):
        return f"another process of this run has ended ({first}); its own message says why"
    raise error
