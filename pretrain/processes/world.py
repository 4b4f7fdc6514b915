"""This process among all processes of a run."""

from __future__ import annotations

import socket
from collections.abc import Sequence
from typing import Any, NamedTuple

import torch

OTHERS = "another process found the reason to stop; its message says more"


class World(NamedTuple):
    """This process among all."""

    rank: int
    size: int
    device: torch.device

    def tensor(self, numbers: Sequence[float]) -> torch.Tensor:
        """float64 on the device, without waiting for it."""
        made = torch.tensor(numbers, dtype=torch.float64)
        return made.pin_memory().to(self.device, non_blocking=True) if self.device.type == "cuda" else made

    def seed(self, value: int) -> None:
        """Set the generators that a forward pass draws from; torch.manual_seed formats the stack for each kind of
        accelerator that is not there."""
        if self.device.type == "cpu":
            torch.default_generator.manual_seed(value)
        else:
            torch.manual_seed(value)

    def sum(self, values: torch.Tensor) -> torch.Tensor:
        """``values`` summed over all ranks, on every rank."""
        if self.size > 1:
            torch.distributed.all_reduce(values)
        return values

    def any(self, yes: bool) -> bool:
        """Does any rank say yes? The same answer on every rank."""
        return bool(self.sum(torch.tensor([int(yes)], device=self.device)).item())

    def different(self, numbers: Sequence[int]) -> list[bool]:
        """For each of ``numbers`` (int64): did ranks come with different ones? The same answer on every rank."""
        if self.size == 1:
            return [False] * len(numbers)
        bounds = torch.tensor([*numbers, *(-number for number in numbers)], dtype=torch.int64, device=self.device)
        torch.distributed.all_reduce(bounds, torch.distributed.ReduceOp.MAX)
        largest, smallest = bounds[: len(numbers)], -bounds[len(numbers) :]
        return (largest != smallest).tolist()  # type: ignore[no-any-return]

    def first_text(self, text: str) -> str:
        """The first text that is not empty, in the order of the ranks; the same on every rank."""
        if self.size == 1:
            return text
        texts: list[Any] = [None] * self.size
        torch.distributed.all_gather_object(texts, text)
        return next((found for found in texts if found), "")

    def from_first(self, value: Any) -> Any:
        """Rank 0's ``value``, plain data, on every rank; a collective."""
        if self.size == 1:
            return value
        found = [value]
        torch.distributed.broadcast_object_list(found, 0)
        return found[0]

    def spread(self, tensor: torch.Tensor) -> torch.Tensor:
        """Rank 0's ``tensor`` on the CPU of every rank; the others come with one of its shape, which may be filled. A
        collective."""
        if self.size == 1:
            return tensor
        carried = tensor.to(self.device)
        torch.distributed.broadcast(carried, 0)
        return tensor if self.rank == 0 else carried.cpu()

    def all_or_none(self, fault: Exception | None) -> None:
        """Raise ValueError on every rank, in the words of the first that came with a fault; a collective."""
        if self.any(fault is not None):
            raise ValueError(self.first_text(str(fault) if fault else "") or OTHERS) from fault

    def agree(self, number: int, what: str) -> None:
        """Raise ValueError on every rank unless all ranks came with the same number."""
        if self.different([number])[0]:
            raise ValueError(f"the processes do not agree on {what}: this one (rank {self.rank}) sees {number}")


def leave() -> None:
    """Leave the process group."""
    if torch.distributed.is_initialized():
        torch.distributed.destroy_process_group()


def free_port() -> int:
    """A TCP port nobody listens on."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])
