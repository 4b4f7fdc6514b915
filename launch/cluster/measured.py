"""What an all-reduce over the machines of a cluster file measured: CLUSTER.measured.json beside CLUSTER.yaml.

doctor --cluster  ->  {"machines": 2, "processes": 16, "bandwidth": 48.1, "latency": 21.5}  ->  launch --plan
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import NamedTuple


class Measured(NamedTuple):
    """An all-reduce over all processes."""

    machines: float
    processes: float
    bandwidth: float
    """GB/s through each process: where there are several machines, out of each of them."""
    latency: float
    """Microseconds for a message from a process to its neighbour."""


def measured_file(cluster: Path) -> Path:
    """Where the figures of a cluster file are kept."""
    return cluster.with_suffix(".measured.json")


def read_measured(cluster: Path) -> Measured | None:
    """What was measured; None: nothing, or what stands there is no such file."""
    try:
        value = json.loads(measured_file(cluster).read_text(encoding="utf-8"))
        found = Measured._make(float(value[name]) for name in Measured._fields)
    except (OSError, ValueError, KeyError, TypeError):
        return None
    return found if min(found) > 0 else None
