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
    return settings, [*notes, *compiled, *slow_attention(run.model, world.device), *tight_rows(run)]


def tight_rows(run: Run) -> list[str]:
    """What a user should know whose rows have room for fewer hidden tokens than the masking rate asks for."""
    budget = run.masking.hidden_share
    rate, rows = max(budget.rate, budget.final_rate), dict.fromkeys(run.batch_of(stage).row for stage in run.stages)
    return [
        f"masking: budget.row_targets {budget.row_targets} is less than {rate * row:.0f} tokens, which the rate asks "
        f"for in a full row of {row}: units will be given up in most rows (`given_up_units` counts them)"
        for row in rows
        if 0 < budget.row_targets < rate * row
    ]
