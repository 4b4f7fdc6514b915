"""What a configuration leaves open, decided for the machines of a run."""

from __future__ import annotations

from pretrain.compiling import with_compilation
from pretrain.config import Run
from pretrain.engine import with_precision
from pretrain.network.encoder import slow_attention
from pretrain.processes.world import World
from pretrain.settings import DeepSpeed


def settled(run: Run, world: World) -> tuple[DeepSpeed, list[str]]:
    """The engine's settings with precision and compilation chosen, and what the user should know about them."""
    settings, notes = with_precision(run.engine, world)
    settings, compiled = with_compilation(settings, world)
    return settings, [*notes, *compiled, *slow_attention(run.model, world.device)]
