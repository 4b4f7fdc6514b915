"""The first steps of a run that begins from a checkpoint, in which only what is new is trained (model.warm_up_head).

    steps 0 .. N-1    new heads train, and the pooler when it is new; encoder and heads that were read stand still
    step N            an engine with everything in it; Adam of the encoder begins at step 0

Both follow from the step and from what the run began from, so a run that goes on does the same.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from pretrain.config import Run
from pretrain.model import PretrainingModel
from pretrain.setup import active_tasks


def new_heads(run: Run, source: Mapping[str, Any]) -> list[str]:
    """Tasks of the first stage whose heads ``source`` did not bring (or brought untrained)."""
    return [task for task in active_tasks(run, 0) if f"heads.{task}" not in source.get("parts", ())]


def warm_up_end(run: Run, source: Mapping[str, Any]) -> int:
    """The step at which the encoder joins; 0: it is there from the beginning."""
    return run.model.warm_up_head if new_heads(run, source) else 0


def hold_still(model: PretrainingModel, run: Run, source: Mapping[str, Any]) -> str:
    """Freeze what was there before; returns a line that says so."""
    fresh = new_heads(run, source)
    trained = [f"heads.{task}." for task in fresh] + ([] if source.get("pooler") else ["ernie.pooler."])
    for name, parameter in model.named_parameters():
        if not name.startswith(tuple(trained)):
            parameter.requires_grad_(False)
    return f"until step {run.model.warm_up_head:,} only {', '.join(fresh)} train; everything else stands still"
