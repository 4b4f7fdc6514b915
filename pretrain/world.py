"""This process among all processes of a run."""

from __future__ import annotations

import socket
from typing import NamedTuple

import torch


class World(NamedTuple):
    """This process among all."""

    rank: int
    size: int
    device: torch.device

    def sum(self, values: torch.Tensor) -> torch.Tensor:
        """``values`` summed over all ranks, on every rank."""
        if self.size > 1:
            torch.distributed.all_reduce(values)
        return values

    def agree(self, number: int, what: str) -> None:
        """Raise ValueError on every rank unless all ranks came with the same number."""
        seen = self.sum(torch.tensor([number, number * number], dtype=torch.float64, device=self.device)).tolist()
        if seen != [number * self.size, number * number * self.size]:
            raise ValueError(f"the processes do not agree on {what}: this one sees {number}")


def leave() -> None:
    """Leave the process group."""
    if torch.distributed.is_initialized():
        torch.distributed.destroy_process_group()


def free_port() -> int:
    """A TCP port nobody listens on."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])
