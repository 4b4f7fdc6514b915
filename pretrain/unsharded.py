"""The end of a step at ZeRO 0, where every process holds all gradients: summed over processes, measured, clipped.

DeepSpeed 0.19.8 does this too, with a new flat copy of all gradients even for one process, a norm of its own beside the
one that is logged, and no look at whether it is finite. Here nothing waits for a GPU: a step with bad numbers is left
out by the optimiser itself, which reads ``found_inf`` where it computes.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import nn

from pretrain.processes.heartbeat import doing
from pretrain.processes.world import World


class Gradients:
    """The gradients of these parameters.

    Args:
        clip: largest global norm; 0 switches clipping off.
    """

    def __init__(self, parameters: Sequence[nn.Parameter], optimizer: torch.optim.Optimizer, clip: float) -> None:
        self.parameters, self.optimizer, self.clip = parameters, optimizer, clip
        self.flat: torch.Tensor | None = None

    @torch.no_grad()
    def finish(self, world: World) -> tuple[torch.Tensor, torch.Tensor]:
        """Sum over ranks and clip, in place; the optimiser leaves its next step out when the norm is not finite.

        Parameters that no task of the step reached take part with zeros: ranks may have met different tasks.

        Returns:
            The global norm before clipping, and whether the step will be applied (1 or 0): tensors of one number.
        """
        for parameter in self.parameters:
            if parameter.grad is None:
                parameter.grad = torch.zeros_like(parameter)
        gradients = [parameter.grad for parameter in self.parameters if parameter.grad is not None]
        if world.size > 1:
            self._sum(gradients, world)
        norm = torch.stack(torch._foreach_norm(gradients)).norm()  # type: ignore[attr-defined]
        finite = torch.isfinite(norm)
        if self.clip:
            share = (self.clip / (norm + 1e-6)).clamp(max=1.0)
            torch._foreach_mul_(gradients, share)  # type: ignore[attr-defined]
        self.optimizer.found_inf = (~finite).float()  # type: ignore[attr-defined]
        return norm, finite.float()

    def _sum(self, gradients: list[torch.Tensor], world: World) -> None:
        """One message for all of them, in a buffer that stays."""
        if self.flat is None:
            self.flat = torch.empty(sum(gradient.numel() for gradient in gradients), device=gradients[0].device)
        views = [
            part.view_as(gradient)
            for part, gradient in zip(torch.split(self.flat, [g.numel() for g in gradients]), gradients, strict=True)
        ]
        torch._foreach_copy_(views, gradients)  # type: ignore[attr-defined]
        doing("gradients", long=False)
        world.sum(self.flat)
        torch._foreach_copy_(gradients, views)  # type: ignore[attr-defined]
