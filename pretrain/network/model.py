"""Encoder and heads as one module: a batch in, one scalar and the sums behind it out.

    forward(batch, scale)  ->  loss = sum over tasks of scale[task] * (sum of its targets' losses)
                               stats[task, group] = (loss sum, hits, targets); group 0 is all, 1.. are the kinds of units

``scale`` holds weight / global number of targets, so losses are divided once, by what the whole step sums over.
Parameters are initialised from a key per name: which heads exist changes no other parameter.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from functools import cache
from typing import Any

import torch
from torch import nn

from masking.keyed import hash_key
from masking.spans import KINDS
from pretrain.feed.batch import Batch
from pretrain.network.encoder import build_encoder, encode
from pretrain.objectives import Encoding, Objective

INIT_RANGE = 0.02


class PretrainingModel(nn.Module):
    """ErnieModel, and one head per learned task. ``ernie.*`` and ``heads.*`` are the parameter names of checkpoints.

    Args:
        objectives: every task learned so far, in the order of the run.
        active: those that are trained now; the heads of the others are kept as they are.
    """

    def __init__(self, config: Any, objectives: Mapping[str, Objective], active: Collection[str], seed: int) -> None:
        super().__init__()
        self.config = config
        self.objectives = dict(objectives)
        self.ernie = build_encoder(config)
        self.heads = nn.ModuleDict({name: objective.head(config) for name, objective in objectives.items()})
        initialise(self, seed)
        for head in self.heads.values():
            if isinstance(decoder := getattr(head, "decoder", None), nn.Linear):
                decoder.weight = self.ernie.embeddings.word_embeddings.weight  # type: ignore[union-attr, assignment]
                decoder.bias = getattr(head, "bias", decoder.bias)
        table = self.ernie.embeddings.word_embeddings.weight  # type: ignore[union-attr]
        for parameter in (item for name in objectives if name not in active for item in self.heads[name].parameters()):
            parameter.requires_grad_(parameter is table)
        if not any(objective.SENTENCE_LEVEL for name, objective in objectives.items() if name in active):
            self.ernie.pooler.requires_grad_(False)  # type: ignore[union-attr]  # nothing trains it

    def forward(self, batch: Batch, scale: Mapping[str, float]) -> tuple[torch.Tensor, torch.Tensor]:
        """Loss to minimise, and stats float64 (tasks, 1 + kinds, 3), for the tasks that ``scale`` names, in its order."""

        @cache
        def hidden_TD() -> torch.Tensor:
            return encode(self.ernie, batch)

        @cache
        def pooled_SD() -> torch.Tensor:
            pooled: torch.Tensor = self.ernie.pooler(hidden_TD().index_select(0, batch.cls_positions_S)[:, None])  # type: ignore[operator]
            return pooled

        encoding = Encoding(hidden_TD, pooled_SD)
        total = hidden_TD().new_zeros((), dtype=torch.float32)
        rows = []
        for name, factor in scale.items():
            loss = self.objectives[name].loss(encoding, batch, batch.targets[name], self.heads[name])
            total = total + factor * loss.per_target.sum()
            rows.append(summarise(loss.per_target.detach(), loss.correct, loss.group))
        return total, torch.stack(rows)


def summarise(per_target_M: torch.Tensor, correct_M: torch.Tensor, group_M: torch.Tensor) -> torch.Tensor:
    """(loss sum, hits, targets) over all targets and for each kind: float64 (1 + kinds, 3)."""
    values_M3 = torch.stack([per_target_M.double(), correct_M.double(), torch.ones_like(per_target_M, dtype=torch.float64)], 1)
    table = values_M3.new_zeros(1 + len(KINDS), 3)
    table[0] = values_M3.sum(0)
    table.index_add_(0, group_M + 1, values_M3)
    return table


@torch.no_grad()
def initialise(model: nn.Module, seed: int) -> None:
    """BERT's initialisation, each parameter under a key of its own name: normal(0, 0.02), norms 1, biases 0.

    Nothing is done to a model on torch's meta device, which has shapes and no numbers (sizes.py).
    """
    if next(model.parameters()).is_meta:
        return
    norms = {f"{name}.weight" for name, module in model.named_modules() if isinstance(module, nn.LayerNorm)}
    for name, parameter in model.named_parameters():
        if name in norms:
            parameter.fill_(1.0)
        elif parameter.dim() == 1:
            parameter.zero_()
        else:
            generator = torch.Generator().manual_seed(hash_key("init", seed, name) % 2**63)
            parameter.copy_(torch.randn(parameter.shape, generator=generator) * INIT_RANGE)
