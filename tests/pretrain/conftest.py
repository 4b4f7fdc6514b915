"""This process as the only rank of a run, for whole runs within a test."""

from __future__ import annotations

import contextlib
import gc
import os
from collections.abc import Iterator
from types import SimpleNamespace
from unittest import mock

import commands
import pytest
import torch
from frozen_garbage import Frozen

from pretrain.engine import join
from pretrain.processes.world import World, leave
from pretrain.settings import DeepSpeed

COLLECTING = ("deepspeed.runtime.utils", "deepspeed.runtime.zero.utils")
"""Modules of DeepSpeed that collect garbage."""


class Over:
    """What a collective gives back at once when it has only this process."""

    def wait(self) -> bool:
        return True


def of_one(*_: object, async_op: bool = False, **__: object) -> Over | None:
    """A sum over one process, and what one process tells itself: nothing to do, and gloo takes a thread for it."""
    return Over() if async_op else None


@pytest.fixture(scope="session")
def joined() -> Iterator[tuple[World, dict[str, str]]]:
    """The world, and the variables that make this process a rank: DeepSpeed cannot join twice in one process."""
    commands.Server.get()  # made while this process is a rank, it would hold a rank's variables for all later commands
    before = dict(os.environ)
    with mock.patch.dict(os.environ):
        found = join(DeepSpeed(precision="fp32"))
        variables = {name: value for name, value in os.environ.items() if before.get(name) != value}
    yield found, variables
    leave()


@pytest.fixture(scope="module")
def world(joined: tuple[World, dict[str, str]]) -> Iterator[World]:
    """A rank as long as a file's tests run: later ones may start processes of their own."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)  # threads that wait for each other are slow on a busy machine
    gc.collect()
    gc.freeze()  # for good: the end of a file's tests would show all that is imported to every later search
    with contextlib.ExitStack() as during:
        for name in COLLECTING:  # a dozen times for each optimiser that it makes, among everything ever imported
            during.enter_context(mock.patch(f"{name}.gc", SimpleNamespace(collect=int)))
        for name in ("all_reduce", "broadcast"):
            during.enter_context(mock.patch(f"torch.distributed.{name}", of_one))
        during.enter_context(mock.patch("pretrain.processes.garbage.gc", Frozen()))
        during.enter_context(mock.patch.dict(os.environ, joined[1]))
        during.enter_context(mock.patch.object(torch.nn.functional, "linear", torch.nn.functional.linear))  # ZeRO 3's
        yield joined[0]
    torch.set_num_threads(threads)
