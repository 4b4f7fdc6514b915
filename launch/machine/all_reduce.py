"""An all-reduce of known numbers over all processes of a cluster: does it come out right, and how fast is it?

Every process runs `kmask doctor --all-reduce` as a rank; the first one tells.
"""

from __future__ import annotations

import datetime
import json
import os
import statistics
import time
from pathlib import Path

from launch.processes.rank import ATTEMPT, adopt_slurm
from launch.shell.exit_codes import DONE, FAILED

SMALL, LARGE = 1 << 10, 1 << 24
"""Numbers of 4 bytes: for the latency, for the bandwidth."""
TIMES = 5
MEASURED = "measured.json"
"""What the first process leaves in the folder that it is given: GB/s through each process, microseconds a hop."""


def all_reduce(minutes: float) -> int:
    """Take part as one rank. Returns the exit code."""
    from pretrain.processes import heartbeat

    adopt_slurm()
    rank, world = int(os.environ.get("RANK", "0")), int(os.environ.get("WORLD_SIZE", "1"))
    heartbeat.begin(Path(os.environ["KMASK_RUN"]), rank, os.environ.get(ATTEMPT, ""), world)
    try:
        code = _add_up(rank, world, minutes)
    except Exception as error:
        heartbeat.end(FAILED, f"{type(error).__name__}: {error}".splitlines()[0])
        raise
    heartbeat.end(code)
    return code


def _add_up(rank: int, world: int, minutes: float) -> int:
    import torch
    import torch.distributed as dist

    gpu = torch.cuda.is_available()
    if gpu:
        torch.cuda.set_device(int(os.environ.get("LOCAL_RANK", "0")))
    dist.init_process_group("nccl" if gpu else "gloo", timeout=datetime.timedelta(minutes=minutes))
    device = torch.device("cuda" if gpu else "cpu")
    right, seconds = True, {}
    for count in (SMALL, LARGE):
        taken = []
        for _ in range(TIMES):
            values = torch.full((count,), float(rank + 1), device=device)
            dist.barrier()
            begun = time.perf_counter()
            dist.all_reduce(values)
            total = values[[0, -1]].sum().item()  # waits for the device
            taken.append(time.perf_counter() - begun)
            right = right and total == world * (world + 1)
        seconds[count] = statistics.median(taken)
    if rank == 0:
        moved = 4 * LARGE * 2 * (world - 1) / world / seconds[LARGE] if world > 1 else 0.0
        if right and world > 1:
            hop = seconds[SMALL] / (2 * (world - 1))
            measured = {"processes": world, "bandwidth": round(moved / 1e9, 4), "latency": round(1e6 * hop, 1)}
            Path(os.environ["KMASK_RUN"], MEASURED).write_text(json.dumps(measured), encoding="utf-8")
        print(
            f"all-reduce over {world} processes: {'right' if right else 'WRONG'}; {1e3 * seconds[SMALL]:.2f} ms for "
            f"{4 * SMALL:,} bytes, {1e3 * seconds[LARGE]:.0f} ms for {4 * LARGE >> 20} MiB "
            f"({moved / 1e9:.2f} GB/s through each process)",
            flush=True,
        )
    dist.destroy_process_group()
    return DONE if right else FAILED
