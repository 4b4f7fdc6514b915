"""Runs with an adapter: what becomes of it when another run goes on from them, and in an export.

settled_adapter(origin, wanted)     an origin whose adapter goes on, or whose LoRA is merged into its weights
plain_weights(run, weights)         what an export holds: LoRA merged, a bottleneck left out
plain_model(run, found)             the model that an export must give again
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import torch

from pretrain.config import Run
from pretrain.model import PretrainingModel
from pretrain.network.adapters import is_own
from pretrain.network.adapters.lora import DOWN, merged
from pretrain.setup import saved_model
from pretrain.state.checkpoint import Checkpoint
from pretrain.state.origins import Origin


def settled_adapter(origin: Origin, wanted: Mapping[str, Any] | None) -> Origin:
    """An origin for a run with the adapter ``wanted`` (its settings): as it is where that is the origin's own, else
    with its LoRA merged.

    Raises:
        ValueError: the origin has another adapter, which cannot be merged.
    """
    own = [name for name in origin.tensors if is_own(name)]
    theirs = origin.config.get("model", {}).get("adapter") or {}
    if not own or theirs == wanted:
        return origin
    if not any(name.endswith(DOWN) for name in own):
        raise ValueError(
            f"model.path {origin.path} was trained with model.adapter {theirs}, which is no part of its weights; give "
            "this run the same, or export it and begin from that"
        )
    weights = {name: tensor for name, tensor in origin.tensors.items() if "#" not in name}
    memory = {name: tensor for name, tensor in origin.tensors.items() if "#" in name and not is_own(name)}
    tensors = merged(weights, theirs["alpha"] / theirs["rank"]) | memory
    return replace(origin, tensors=tensors, notes=[*origin.notes, "its LoRA is merged into the weights"])


def plain_weights(run: Run, weights: Mapping[str, torch.Tensor]) -> Mapping[str, torch.Tensor]:
    """The weights of a run without its adapter."""
    return run.model.adapter.without(weights) if run.model.adapter else weights


def plain_model(run: Run, found: Checkpoint) -> PretrainingModel:
    """The model of a checkpoint that a folder of its plain weights must give again: with LoRA as it was trained, not
    merged; without an adapter that is kept apart."""
    if run.model.adapter and run.model.adapter.BESIDE:
        run = replace(run, model=replace(run.model, adapter=None))
    return saved_model(run, found)
