"""Compile the layers of the encoder, or say why not.

Each layer is one graph, used by all of them: `torch.compile` fuses what stands between its multiplications. Shapes are
those of the rows and tables that batches are made up to (feed/grids.py, feed/batch.py), so a second graph is rare and a
third has not been seen. DeepSpeed's hooks of ZeRO 3 cut a layer into a dozen graphs, and then it does not pay.
"""

from __future__ import annotations

import os
import shutil
from dataclasses import replace

import torch
from torch import nn

from pretrain.processes.world import World
from pretrain.settings import DeepSpeed

GRAPHS = 32
"""Graphs of a layer's function: kinds of layers times shapes."""


def with_compilation(settings: DeepSpeed, world: World) -> tuple[DeepSpeed, list[str]]:
    """``settings`` with ``compile: auto`` decided for all machines of this run, and what the user should know about it.

    `auto` compiles on GPUs below ZeRO 3. On a processor it gains nothing (measured: 0.99 of the speed), so it is off.
    """
    if settings.compile == "off":
        return settings, []
    gpu = world.device.type == "cuda"
    if settings.compile == "auto" and (not gpu or settings.zero_stage == 3 or settings.activation_checkpointing):
        return replace(settings, compile="off"), []
    lacks = missing(gpu)
    if world.any(bool(lacks)):
        why = lacks or "another machine of this run lacks its compiler"
        return replace(settings, compile="off"), [f"layers are not compiled: {why}"]
    return replace(settings, compile="on"), []


def missing(gpu: bool) -> str:
    """What torch.compile needs and this machine lacks; empty: nothing."""
    if gpu:
        from torch.utils._triton import has_triton

        return "" if has_triton() else "triton is not installed"
    compiler = os.environ.get("CXX", "g++")
    return "" if shutil.which(compiler) else f"there is no C++ compiler ({compiler}; install one, or set CXX)"


def compile_layers(model: nn.Module, backend: str = "inductor") -> None:
    """Compile every layer of ``model.ernie``; names of parameters stay. Layers that differ (ModernBERT has three kinds)
    share the graphs that torch allows a function: 8 by default, and one more is an error."""
    torch._dynamo.config.recompile_limit = max(torch._dynamo.config.recompile_limit, GRAPHS)
    for layer in model.ernie.encoder.layer:  # type: ignore[union-attr]
        layer.compile(fullgraph=True, backend=backend)
