"""What the optimiser knows, by parameter name: independent of how DeepSpeed lays it out at each ZeRO stage and world
size.

    Memory.collect(everywhere)  ->  NAME, NAME#exp_avg, NAME#exp_avg_sq (fp32), NAME#step: Adam's own count, which
                                    skipped steps do not raise; of matrices that Muon moves NAME, NAME#momentum_buffer
                                    and NAME#step
    Memory.restore(tensors)         the other way round

With engine.py the only file that imports deepspeed.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch
from torch import nn

from pretrain.optimization import MOMENTS, MOMENTUM, moments_of
from pretrain.processes.world import World
from pretrain.settings import DeepSpeed
from pretrain.state.growing import fitted, fitted_moment

SCALER = ("cur_scale", "cur_iter", "last_overflow_iter", "cur_hysteresis")


class Memory:
    """Weights and the optimiser's state of one engine.

    Args:
        steps: how many steps of Adam each parameter had seen when the engine was made, by name; 0 when absent.
        frozen: fp32 weights of the parameters that are not trained, from before the engine took the model.
        algorithm: of the optimiser, which decides what it remembers of a parameter.
    """

    def __init__(
        self,
        engine: Any,
        adam: torch.optim.Optimizer,
        settings: DeepSpeed,
        world: World,
        steps: Mapping[str, int],
        frozen: Mapping[str, torch.Tensor],
        algorithm: str,
    ) -> None:
        self.engine, self.adam, self.settings, self.world = engine, adam, settings, world
        self.steps, self.applied, self.algorithm = dict(steps), 0, algorithm
        self.restored = False
        self.kept: dict[str, torch.Tensor] = dict(frozen)
        """Everything about parameters that are not trained, as it was before: exact also where the model holds bf16
        copies."""

    def _named(self) -> list[tuple[str, nn.Parameter]]:
        return list(self.engine.module.named_parameters())

    def _moments(self, name: str, parameter: nn.Parameter) -> tuple[str, ...]:
        return moments_of(name, len(_shape(parameter)), self.algorithm)

    def collect(self, everywhere: bool) -> dict[str, torch.Tensor]:
        """Weights and what the optimiser knows, by name, on the CPU: ``NAME``, ``NAME#exp_avg``, ``NAME#exp_avg_sq``
        (or ``NAME#momentum_buffer``) in fp32, ``NAME#step``.

        A collective: every rank calls it. All tensors reach every rank, or rank 0 alone. Parameters that are not
        trained keep what they came with. No later step changes what was collected: ZeRO 0 holds the very tensors that
        are trained, which are copied; the other stages gather into new ones.
        """
        own = self.settings.zero_stage > 0
        wanted = everywhere or self.world.rank == 0
        tensors: dict[str, torch.Tensor] = dict(self.kept) if wanted else {}
        stepped = self.restored or self.applied > 0
        if stepped:
            self._link_moments()
        for name, parameter in self._named():
            if name in self.kept:
                continue
            parts = {name: self._weight(parameter)}
            for moment in self._moments(name, parameter):
                none = None if stepped else torch.zeros(_shape(parameter))
                parts[f"{name}#{moment}"] = self._moment(parameter, moment) if none is None else none
            if wanted:
                for key, value in parts.items():
                    tensors[key] = value.detach().to("cpu", torch.float32, copy=not own).contiguous()
                tensors[f"{name}#step"] = torch.tensor(self.steps.get(name, 0) + self.applied)
        return tensors

    def _weight(self, parameter: nn.Parameter) -> torch.Tensor:
        if self.settings.zero_stage == 0:
            return parameter.data
        from deepspeed.utils import safe_get_full_fp32_param

        found = safe_get_full_fp32_param(parameter)
        assert found is not None
        return found.view(_shape(parameter))  # type: ignore[no-any-return]

    def _link_moments(self) -> None:
        """ZeRO 1 and 2 link parameters to Adam's state after the first *group* has stepped, when other groups have
        none: do it again."""
        optimizer = self.engine.optimizer
        if self.settings.zero_stage in (1, 2) and hasattr(optimizer, "_lazy_init_hp_params_optimizer_state"):
            optimizer._hp_optimizer_states_linked = False
            optimizer._lazy_init_hp_params_optimizer_state()

    def _moment(self, parameter: nn.Parameter, moment: str) -> torch.Tensor:
        if self.settings.zero_stage > 0:
            from deepspeed.utils import safe_get_full_optimizer_state

            found = safe_get_full_optimizer_state(parameter, moment)
            assert found is not None
            return found.view(_shape(parameter))  # type: ignore[no-any-return]
        return self.engine.optimizer.state[parameter][moment]  # type: ignore[no-any-return]

    def restore(self, tensors: Mapping[str, torch.Tensor]) -> None:
        """Put back what a snapshot holds; parameters without saved moments (new heads) begin with zeros."""
        self._set_adam()
        self.restored = True
        self._link_moments()
        for name, parameter in self._named():
            if not parameter.requires_grad:
                self.kept |= {
                    key: tensors[key].clone()
                    for item in (*MOMENTS, MOMENTUM, "step")
                    if (key := f"{name}#{item}") in tensors
                }
                continue
            shape = _shape(parameter)
            if self.settings.precision in ("bf16_parameters", "fp16") and name in tensors:
                self._set_master(parameter, fitted(tensors[name], self._weight(parameter).detach().float().cpu()))
            for moment in self._moments(name, parameter):
                self._set_moment(
                    parameter, moment, fitted_moment(tensors.get(f"{name}#{moment}"), shape, moment == MOMENTS[1])
                )

    def _set_adam(self) -> None:
        """Give the optimiser a state, empty but for Adam's step counts, as DeepSpeed lays it out: one flat tensor a
        group, or every parameter (ZeRO 0).

        Optimisers make it in their first step only; a step with an empty gradient would do, but needs a batch whose
        loss is finite.
        """
        names = {id(parameter): name for name, parameter in self._named()}
        base, optimizer = self.adam, self.engine.optimizer
        if self.settings.zero_stage == 0:
            flats = [(parameter, [parameter]) for group in base.param_groups for parameter in group["params"]]
        elif self.settings.zero_stage == 3:
            flats = list(zip(optimizer.fp32_partitioned_groups_flat, optimizer.fp16_groups, strict=True))
        else:
            groups = optimizer.bit16_groups if hasattr(optimizer, "bit16_groups") else optimizer.bf16_groups
            flats = [(group["params"][0], members) for group, members in zip(base.param_groups, groups, strict=True)]
        fused = bool(base.defaults["fused"])
        for flat, members in flats:
            name = names[id(members[0])]
            found = {moment: torch.zeros_like(flat) for moment in self._moments(name, members[0])}
            if MOMENTUM not in found:
                count = float(self.steps.get(name, 0))
                found["step"] = torch.tensor(count, dtype=torch.float32, device=flat.device if fused else None)
            base.state[flat] = found

    def loss_scale(self) -> dict[str, float]:
        """fp16's dynamic loss scale; empty for other precisions."""
        scaler = getattr(self.engine.optimizer, "loss_scaler", None)
        return {name: getattr(scaler, name) for name in SCALER} if getattr(scaler, "dynamic", False) else {}

    def set_loss_scale(self, saved: Mapping[str, float]) -> None:
        """Put a saved loss scale back; nothing when it was saved under another precision."""
        scaler = getattr(self.engine.optimizer, "loss_scaler", None)
        if saved and getattr(scaler, "dynamic", False):
            for name in SCALER:
                setattr(scaler, name, saved[name])

    def _set_master(self, parameter: nn.Parameter, value: torch.Tensor) -> None:
        from deepspeed.utils import safe_set_full_fp32_param, safe_set_local_fp32_param

        if self.settings.zero_stage == 3:
            safe_set_local_fp32_param(parameter, self._partition(parameter, value))
        else:
            safe_set_full_fp32_param(parameter, value.to(self.world.device))

    def _set_moment(self, parameter: nn.Parameter, moment: str, value: torch.Tensor) -> None:
        from deepspeed.utils import safe_set_full_optimizer_state, safe_set_local_optimizer_state

        if self.settings.zero_stage == 3:
            safe_set_local_optimizer_state(parameter, self._partition(parameter, value), moment)
        elif self.settings.zero_stage > 0:
            safe_set_full_optimizer_state(parameter, value.to(self.world.device), moment)
        else:
            self.engine.optimizer.state[parameter][moment].copy_(value)

    def _partition(self, parameter: nn.Parameter, value: torch.Tensor) -> torch.Tensor:
        """This rank's part of ``value`` at stage 3 (DeepSpeed's own full setter fails when ranks do not divide the
        parameter)."""
        size = parameter.ds_tensor.numel()  # type: ignore[attr-defined]
        flat = nn.functional.pad(value.flatten(), (0, size * self.world.size - value.numel()))
        return flat.narrow(0, self.world.rank * size, size).to(self.world.device)


def _shape(parameter: nn.Parameter) -> torch.Size:
    return getattr(parameter, "ds_shape", parameter.shape)
