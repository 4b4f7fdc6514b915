"""Encoder and heads as one module: a batch in, one scalar and the sums behind it out.

    forward(batch, scale)  ->  loss = sum over tasks of scale[task] * (sum of its targets' losses)
                               stats (R, 3): loss sum, hits, targets; of each task one row of all, then one of each of
                               its groups

``scale`` holds weight / global number of targets, so losses are divided once, by what the whole step sums over
(feed/means.py).
Parameters are initialised from a key per name: which heads exist changes no other parameter.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from functools import cache
from typing import Any

import torch
from torch import nn

from masking.keyed import hash_key
from pretrain.feed.batch import Batch
from pretrain.forward.encoding import Encoding
from pretrain.forward.loss import Loss, minimised
from pretrain.network.adapters import Adapter, plain_name
from pretrain.network.encoder import build_encoder, encode
from pretrain.objectives import Objective

INIT_RANGE = 0.02


class PretrainingModel(nn.Module):
    """ErnieModel, and one head per learned task. ``ernie.*`` and ``heads.*`` are the parameter names of checkpoints.

    Args:
        objectives: every task learned so far, in the order of the run.
        active: those that are trained now; the heads of the others are kept as they are.
        adapter: what is trained in place of the encoder; its pooler learns where a task trains it, as heads do.
    """

    def __init__(
        self,
        config: Any,
        objectives: Mapping[str, Objective],
        active: Collection[str],
        seed: int,
        adapter: Adapter | None = None,
    ) -> None:
        super().__init__()
        self.config = config
        self.objectives = dict(objectives)
        self.ernie = build_encoder(config)
        self.heads = nn.ModuleDict({name: objective.head(config) for name, objective in objectives.items()})
        initialise(self, seed)
        for name, objective in objectives.items():
            for own, shared in objective.tied(name).items():
                tie(self, name, own, shared)
        encoder = {id(parameter) for parameter in self.ernie.parameters()}
        for parameter in (item for name in objectives if name not in active for item in self.heads[name].parameters()):
            parameter.requires_grad_(id(parameter) in encoder)
        if adapter:
            adapter.attach(self.ernie, seed)
            for name, parameter in self.ernie.named_parameters():
                parameter.requires_grad_(adapter.trains(plain_name(name)) or name.startswith("pooler."))
        if not any(objective.TRAINS_POOLER for name, objective in objectives.items() if name in active):
            self.ernie.pooler.requires_grad_(False)  # type: ignore[union-attr]  # nothing trains it

    def named_parameters(self, *arguments: Any, **named: Any) -> Iterator[tuple[str, nn.Parameter]]:
        """All parameters by the names that checkpoints have: as they are without an adapter."""
        for name, parameter in super().named_parameters(*arguments, **named):
            yield plain_name(name), parameter

    def forward(self, batch: Batch, scale: Mapping[str, float]) -> tuple[torch.Tensor, torch.Tensor]:
        """Loss to minimise, and stats float64 (R, 3), for the tasks that ``scale`` names, in its order
        (metrics/sums.py, ``rows_of``)."""

        def encode_again(
            input_ids: torch.Tensor | None = None,
            prefix_S: torch.Tensor | None = None,
            encoder: nn.Module | None = None,
        ) -> torch.Tensor:
            return encode(self.ernie if encoder is None else encoder, batch, input_ids, prefix_S)

        @cache
        def hidden_TD() -> torch.Tensor:
            return encode(self.ernie, batch)

        @cache
        def pooled_SD() -> torch.Tensor:
            pooled: torch.Tensor = self.ernie.pooler(hidden_TD().index_select(0, batch.cls_positions_S)[:, None])  # type: ignore[operator]
            return pooled

        encoding = Encoding(hidden_TD, pooled_SD, encode_again)
        total = torch.zeros((), device=batch.input_ids.device)  # not of hidden_TD(): tasks may all encode otherwise
        rows = []
        for name in (name for name in scale if name in self.objectives):
            objective = self.objectives[name]
            loss = objective.loss(encoding, batch, batch.targets[name], self.heads[name])
            total = total + minimised(name, loss, objective.means, scale)
            rows.append(summarise(name, loss, objective.groups))
        return total, torch.cat(rows)


def tie(model: nn.Module, task: str, own: str, shared: str) -> None:
    """Make the parameter ``own`` of a task's head the model's parameter ``shared``.

    Raises:
        ValueError: one of them does not exist, they differ in shape, or ``shared`` belongs to another task, which may
        join later.
    """
    head = f"heads.{task}."
    if not shared.startswith(("ernie.", head)):
        raise ValueError(
            f"task {task!r} ties {own} to {shared!r}; it must be a parameter of ernie.* or of its own head, {head}*"
        )
    path, _, leaf = own.rpartition(".")
    try:
        owner, like = model.get_submodule(f"{head}{path}".rstrip(".")), model.get_parameter(shared)
        found = owner.get_parameter(leaf)
    except AttributeError as error:
        raise ValueError(f"task {task!r} ties {own} of its head to {shared}: {error}") from None
    if found.shape != like.shape:
        raise ValueError(
            f"task {task!r} ties {own} of shape {tuple(found.shape)} to {shared} of shape {tuple(like.shape)}; they "
            "must be equal"
        )
    setattr(owner, leaf, like)


def summarise(task: str, loss: Loss, groups: Sequence[str]) -> torch.Tensor:
    """(loss sum, hits, targets) over all targets and for each group: float64 (1 + groups, 3).

    A target in no group is counted among all alone, so that nobody has to wait for a GPU here:
    `metrics.sums.check_groups` finds it.

    Raises:
        ValueError: the loss has groups where the objective names none, or the other way round.
    """
    if (loss.group is None) == bool(groups):
        told = "its loss gives its targets no group" if groups else "its loss gives its targets groups"
        raise ValueError(f"task {task!r}: {told}, and `groups` names {', '.join(groups) or 'none'}")
    per_target_M = loss.per_target.detach()
    values_M3 = torch.stack(
        [per_target_M.double(), loss.correct.double(), torch.ones_like(per_target_M, dtype=torch.float64)], 1
    )
    table = values_M3.new_zeros(2 + len(groups), 3)
    table[0] = values_M3.sum(0)
    if loss.group is not None:
        known_M = (loss.group >= 0) & (loss.group < len(groups))
        table.index_add_(0, torch.where(known_M, loss.group, len(groups)) + 1, values_M3)
    return table[:-1]


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
            parameter.copy_(initial(name, parameter.shape, seed))


def initial(name: str, shape: Sequence[int], seed: int) -> torch.Tensor:
    """The first weights of a matrix or table."""
    generator = torch.Generator().manual_seed(hash_key("init", seed, name) % 2**63)
    return torch.randn(tuple(shape), generator=generator) * INIT_RANGE
