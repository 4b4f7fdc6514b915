"""Floating point operations of training, as what they grow with: counted from the model's shapes and one small batch.

    of a token     6 x weights of the encoder's layers                       forward 2, backward 4, for each weight
    of a pair      12 x layers x width                                       a token that attends to another of its text
    of a target    6 x weights of the head that it goes through              transform and vocabulary: 6 (D^2 + D V)

These are the model's operations: nothing for padding, for tokens that no head sees, or for what is computed twice to
save memory. A task that encodes the batch again counts again, and second encoders count by their own shapes: what a
task does is found by calling its loss on shapes alone (torch's meta device), so tasks of users are counted as well.

    tokens 1000, samples of 100 (100,000 pairs), 150 hidden; 12 layers of 768, V 30,000
    ->  1000 x 510 M + 100,000 x 110,592 + 150 x 142 M = 5.4e11
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field
from typing import Any, NamedTuple

import torch
from torch import nn

from pretrain.feed.batch import Batch
from pretrain.forward.encoding import Encoding

TRAINED = 6
"""Operations of a multiplied weight: one multiplication and one addition forward, twice as many backward."""


class Work(NamedTuple):
    """Operations of training by what they grow with."""

    token: float
    pair: float
    targets: Mapping[str, float]
    """By the names of counts (feed/means.py): tasks, and parts of tasks."""

    def of(self, tokens: float, pairs: float, targets: Mapping[str, float]) -> float:
        """Of so many real tokens, pairs (the sum of squared lengths of samples) and targets."""
        heads = sum(self.targets.get(name, 0.0) * count for name, count in targets.items())
        return self.token * tokens + self.pair * pairs + heads


@dataclass(kw_only=True)
class Seen:
    """What the losses of the tasks did with a batch of shapes."""

    encodings: list[nn.Module] = field(default_factory=list)
    """The encoder of every pass over the batch, in order; the model's own one for the shared pass."""
    rows: list[tuple[str, int, int]] = field(default_factory=list)
    """Task, weights and rows of every matrix that was multiplied."""
    unknown: list[str] = field(default_factory=list)
    """Tasks whose loss needs real numbers; they are taken to read the shared pass, each target to go through all of the
    head."""


@torch.no_grad()
def observe(model: nn.Module, batch: Batch, tasks: Iterable[str]) -> Seen:
    """Call the losses of ``tasks`` on shapes.

    Args:
        model: a PretrainingModel on the meta device.
    """
    seen, found = Seen(), batch.to(torch.device("meta"))
    shared: list[torch.Tensor] = []

    def states(encoder: nn.Module) -> torch.Tensor:
        seen.encodings.append(encoder)
        return torch.empty(batch.input_ids.numel(), encoder.config.hidden_size, device="meta")  # type: ignore[union-attr, arg-type]

    def hidden_TD() -> torch.Tensor:
        if not shared:
            shared.append(states(model.ernie))  # type: ignore[arg-type]
        return shared[0]

    def pooled_SD() -> torch.Tensor:
        pooled: torch.Tensor = model.ernie.pooler(hidden_TD().index_select(0, found.cls_positions_S)[:, None])  # type: ignore[union-attr, operator]
        return pooled

    def encode(
        input_ids: torch.Tensor | None = None, prefix_S: torch.Tensor | None = None, encoder: nn.Module | None = None
    ) -> torch.Tensor:
        return states(model.ernie if encoder is None else encoder)  # type: ignore[arg-type]

    for task in tasks:
        head, passes = model.heads[task], len(seen.encodings)  # type: ignore[index]
        rows: list[tuple[str, int, int]] = []
        with ExitStack() as stack:
            for layer in (item for part in (head, model.ernie.pooler) for item in _linear(part)):  # type: ignore[union-attr, arg-type]
                stack.callback(layer.register_forward_hook(_note(task, rows)).remove)
            try:
                model.objectives[task].loss(Encoding(hidden_TD, pooled_SD, encode), found, found.targets[task], head)  # type: ignore[index, union-attr]
            except Exception:  # a loss of anybody's, which looks at its numbers
                del seen.encodings[passes:]
                shared = shared if passes else []
                hidden_TD()
                seen.unknown.append(task)
                rows = [(task, layer.weight.numel(), batch.counts[task]) for layer in _linear(head)]  # type: ignore[arg-type]
        seen.rows += rows
    return seen


def work(seen: Seen, batch: Batch) -> Work:
    """Operations by what they grow with: a matrix that was multiplied as often as its task has targets (or a part of
    the task) grows with these, every other one with the tokens."""
    layers = [TRAINED * sum(layer.weight.numel() for layer in _linear(encoder)) for encoder in seen.encodings]
    token = float(sum(layers))
    pair = float(sum(2 * TRAINED * _of(encoder, "num_hidden_layers", "hidden_size") for encoder in seen.encodings))
    targets: dict[str, float] = {}
    for task, weights, rows in seen.rows:
        names = [name for name, count in batch.counts.items() if name.partition("/")[0] == task and count == rows]
        if names:
            targets[names[-1]] = targets.get(names[-1], 0.0) + TRAINED * weights
        else:
            token += TRAINED * weights * rows / max(batch.real_tokens, 1)
    return Work(token, pair, targets)


def _linear(module: nn.Module) -> Sequence[nn.Linear]:
    """Its matrices; those of an encoder without the pooler, which reads one token of a sample."""
    pooler = getattr(module, "pooler", None)
    left_out = {id(item) for item in pooler.modules()} if isinstance(pooler, nn.Module) else set()
    return [item for item in module.modules() if isinstance(item, nn.Linear) and id(item) not in left_out]


def _note(task: str, rows: list[tuple[str, int, int]]) -> Any:
    def hook(layer: nn.Linear, given: tuple[torch.Tensor, ...], output: torch.Tensor) -> None:
        rows.append((task, layer.weight.numel(), given[0].numel() // layer.in_features))

    return hook


def _of(encoder: nn.Module, *names: str) -> int:
    """The product of some numbers of an encoder's configuration."""
    product = 1
    for name in names:
        product *= int(getattr(encoder.config, name))
    return product
