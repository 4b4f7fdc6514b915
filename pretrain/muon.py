"""Muon for the matrices of the encoder's layers, AdamW for everything else, as one optimiser.

    momentum of the gradients (D, E)  --orthogonal-->  a matrix whose singular values are all near 1
                                      --x rate x .2 sqrt(max(D, E))-->  what the weights lose

The update is that of torch.optim.Muon (Jordan et al. 2024; `match_rms_adamw` of Liu et al. 2025, section 2.2, by which
AdamW's rate and decay serve both), in a loop of our own: it leaves a step with bad numbers out where it computes
(``found_inf``), multiplies all matrices of a shape at once, and rounds to bf16 only under bf16.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import torch
from torch import nn

from pretrain.optimization import MOMENTUM, Optimization

NEWTON_SCHULZ = (3.4445, -4.7750, 2.0315)
"""Coefficients of the iteration (Jordan et al. 2024)."""
ROUNDS = 5
LEAST_NORM = 1e-7


def orthogonal(matrices_NDE: torch.Tensor) -> torch.Tensor:
    """Each matrix with its singular values brought near 1 (.7 to 1.2), by Newton and Schulz's iteration."""
    tall = matrices_NDE.shape[1] > matrices_NDE.shape[2]
    found = matrices_NDE.mT if tall else matrices_NDE
    found = found / found.norm(dim=(1, 2), keepdim=True).clamp(min=LEAST_NORM)
    a, b, c = NEWTON_SCHULZ
    for _ in range(ROUNDS):
        gram = found @ found.mT
        found = torch.baddbmm(found, torch.baddbmm(gram, gram, gram, beta=b, alpha=c), found, beta=a)
    return found.mT if tall else found


class MuonAdamW(torch.optim.Optimizer):
    """Muon for the groups that say ``muon``, AdamW for the others.

    One table of states holds ``momentum_buffer`` of the former and AdamW's of the latter. Every process computes the
    whole update.

    Args:
        groups: of ``parameter_groups``.
        dtype: in which matrices are made orthogonal.
    """

    def __init__(self, groups: Iterable[dict[str, Any]], settings: Optimization, dtype: torch.dtype) -> None:
        super().__init__(groups, {"lr": settings.lr, "fused": True})
        self.momentum, self.dtype = settings.momentum, dtype
        rest = [group for group in self.param_groups if not group["muon"]]
        self.adamw = adamw(rest, settings)  # of the very same groups: a rate that is set here is set there
        self.adamw.state = self.state

    @torch.no_grad()
    def step(self, closure: None = None) -> None:  # type: ignore[override]
        """Update all weights, or none where ``found_inf`` is 1."""
        bad: torch.Tensor | None = getattr(self, "found_inf", None)
        if bad is not None:
            self.adamw.found_inf = bad  # type: ignore[attr-defined]
        self.adamw.step()
        for group in self.param_groups:
            if group["muon"]:
                for parameters in _by_shape(group["params"]):
                    self._update(parameters, group, torch.zeros(()) if bad is None else bad)

    def _update(self, parameters: Sequence[nn.Parameter], group: Mapping[str, Any], bad: torch.Tensor) -> None:
        """Of matrices of one shape; with bad numbers, momentum is blended with itself and weights lose nothing."""
        buffers = [self._buffer(parameter) for parameter in parameters]
        gradients = [
            torch.where(bad.bool(), buffer, parameter.grad)
            for parameter, buffer in zip(parameters, buffers, strict=True)
            if parameter.grad is not None
        ]
        torch._foreach_lerp_(buffers, gradients, 1 - self.momentum)
        ahead = torch._foreach_lerp(gradients, buffers, self.momentum)  # Nesterov's
        turned_NDE = orthogonal(torch.stack(ahead).to(self.dtype))
        rate = group["lr"] * (1 - bad)
        scale = 0.2 * math.sqrt(max(parameters[0].shape))
        weights: list[torch.Tensor] = list(parameters)
        torch._foreach_mul_(weights, 1 - rate * group["weight_decay"])
        torch._foreach_sub_(weights, list((turned_NDE.float() * (rate * scale)).unbind()))

    def _buffer(self, parameter: nn.Parameter) -> torch.Tensor:
        state = self.state[parameter]
        if MOMENTUM not in state:
            state[MOMENTUM] = torch.zeros_like(parameter)
        found: torch.Tensor = state[MOMENTUM]
        return found


def adamw(groups: Iterable[dict[str, Any]], settings: Optimization) -> torch.optim.AdamW:
    """AdamW as the settings want it."""
    betas = (settings.betas[0], settings.betas[1])
    return torch.optim.AdamW(groups, lr=settings.lr, betas=betas, eps=settings.eps, fused=True)


def build_optimizer(groups: Iterable[dict[str, Any]], settings: Optimization, precision: str) -> torch.optim.Optimizer:
    """The optimiser of a run, over the groups of ``parameter_groups``."""
    if settings.algorithm == "muon":
        return MuonAdamW(groups, settings, torch.bfloat16 if precision == "bf16" else torch.float32)
    return adamw(groups, settings)


def _by_shape(parameters: Iterable[nn.Parameter]) -> Iterable[list[nn.Parameter]]:
    """The parameters that had a gradient, those of a shape together, in order."""
    found: dict[torch.Size, list[nn.Parameter]] = {}
    for parameter in parameters:
        if parameter.grad is not None:
            found.setdefault(parameter.shape, []).append(parameter)
    return found.values()
