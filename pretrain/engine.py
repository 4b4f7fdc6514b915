"""DeepSpeed behind a small door. The only file that imports deepspeed.

    world = join()                               rank, size, device; every process calls it once
    engine = Engine(model, ...)                  wraps a model for one stage
    engine.train_step(micro_batches, scale, lr, seeds)    one optimiser step
    engine.state() / engine.restore(...)         fp32 weights and Adam moments *by parameter name*: independent of ZeRO stage and world size

DeepSpeed's own checkpoints are tied to stage and world size and are not atomic, so they are not used (checkpoint.py).
"""

from __future__ import annotations

import datetime
import logging
import os
import warnings
from collections.abc import Mapping, Sequence
from typing import Any

import torch
from torch import nn

from pretrain.batch import Batch
from pretrain.checkpoint import fitted
from pretrain.optimization import Optimization, parameter_groups
from pretrain.settings import DeepSpeed, deepspeed_config
from pretrain.world import World, free_port

MOMENTS = ("exp_avg", "exp_avg_sq")


def join(settings: DeepSpeed) -> World:
    """Join the process group from RANK, WORLD_SIZE, LOCAL_RANK and MASTER_*; alone when they are not set.

    Raises:
        ValueError: fp16 without a GPU.
    """
    if settings.precision == "fp16" and not torch.cuda.is_available():
        raise ValueError("engine.precision: fp16 needs a GPU; use bf16 or fp32 on this machine")
    if not torch.cuda.is_available():
        os.environ.setdefault("DS_ACCELERATOR", "cpu")
    os.environ.setdefault("RANK", "0")
    os.environ.setdefault("WORLD_SIZE", "1")
    os.environ.setdefault("LOCAL_RANK", "0")
    os.environ.setdefault("MASTER_ADDR", "127.0.0.1")
    os.environ.setdefault("MASTER_PORT", str(free_port()))
    deepspeed = _quiet_deepspeed()
    timeout = datetime.timedelta(minutes=settings.timeout_minutes)
    local = int(os.environ["LOCAL_RANK"])
    if torch.cuda.is_available():
        torch.cuda.set_device(local)
    if not deepspeed.comm.is_initialized():
        deepspeed.init_distributed(timeout=timeout, verbose=False)
    device = torch.device("cuda", local) if torch.cuda.is_available() else torch.device("cpu")
    return World(torch.distributed.get_rank(), torch.distributed.get_world_size(), device)


def _quiet_deepspeed() -> Any:
    import deepspeed

    logging.getLogger("DeepSpeed").setLevel(logging.ERROR)
    warnings.filterwarnings("ignore", category=FutureWarning, module=r"torch\.distributed")  # names that DeepSpeed still uses
    # Without this DeepSpeed compiles a shared-memory all-reduce at the first start on a CPU; gloo needs no compiler.
    import deepspeed.ops

    deepspeed.ops.__compatible_ops__["deepspeed_shm_comm"] = False
    return deepspeed


class Engine:
    """A model under DeepSpeed for one stage of training."""

    def __init__(self, model: nn.Module, settings: DeepSpeed, optimization: Optimization, rows: int, accumulation: int, world: World) -> None:
        deepspeed = _quiet_deepspeed()
        self.settings, self.optimization, self.world, self.accumulation = settings, optimization, world, accumulation
        groups = parameter_groups(model.named_parameters(), optimization.weight_decay)
        adam = torch.optim.AdamW(
            groups, lr=optimization.lr, betas=(optimization.betas[0], optimization.betas[1]), eps=optimization.eps, fused=world.device.type == "cuda"
        )
        config = deepspeed_config(settings, optimization, rows, accumulation, world.size)
        self.engine, *_ = deepspeed.initialize(model=model.to(world.device), optimizer=adam, config=config)

    def eval(self) -> None:
        """Switch dropout off."""
        self.engine.eval()

    def train(self) -> None:
        """Switch dropout on."""
        self.engine.train()

    def forward(self, batch: Batch, scale: Mapping[str, float]) -> tuple[torch.Tensor, torch.Tensor]:
        """The model's (loss, stats)."""
        result: tuple[torch.Tensor, torch.Tensor] = self.engine(batch, scale)
        return result

    def train_step(self, batches: Sequence[Batch], scale: Mapping[str, float], lr: float, seeds: Sequence[int]) -> tuple[torch.Tensor, float]:
        """One optimiser step over this rank's micro-batches.

        Args:
            scale: weight / global number of targets, by task; ranks are summed, not averaged.
            seeds: what torch's generator is set to before each forward (dropout), one per micro-batch.

        Returns:
            The summed stats of this rank, and the global gradient norm before clipping.
        """
        for group in self.engine.optimizer.param_groups:
            group["lr"] = lr
        stats: torch.Tensor | None = None
        norm = 0.0
        summed = {task: value * self.world.size for task, value in scale.items()}
        for micro, (batch, seed) in enumerate(zip(batches, seeds, strict=True)):
            torch.manual_seed(seed)
            loss, found = self.forward(batch, summed)
            # `* 1.0`: given the very tensor that forward returned, stage 0 of DeepSpeed 0.19.8 divides by the accumulation all the same.
            self.engine.backward(loss * 1.0, scale_wrt_gas=False)
            stats = found if stats is None else stats + found
            if self.settings.zero_stage == 0 and micro == len(batches) - 1:
                norm = self._own_norm()
            self.engine.step()
        if self.settings.zero_stage > 0:
            norm = float(self.engine.get_global_grad_norm() or 0.0)
        assert stats is not None
        return stats, norm

    def _own_norm(self) -> float:
        gradients = [parameter.grad for parameter in self.engine.module.parameters() if parameter.grad is not None]
        return float(torch.stack(torch._foreach_norm(gradients)).norm()) if gradients else 0.0  # type: ignore[attr-defined]

    def _named(self) -> list[tuple[str, nn.Parameter]]:
        return list(self.engine.module.named_parameters())

    def state(self) -> dict[str, torch.Tensor] | None:
        """Weights and Adam moments by name, fp32 on the CPU: ``NAME``, ``NAME#exp_avg``, ``NAME#exp_avg_sq``.

        A collective: every rank calls it. Only rank 0 gets the tensors; others get None.
        """
        tensors: dict[str, torch.Tensor] = {}
        self._link_moments()
        for name, parameter in self._named():
            parts = {name: self._weight(parameter)}
            if parameter.requires_grad:
                for moment in MOMENTS:
                    parts[f"{name}#{moment}"] = self._moment(parameter, moment)
            if self.world.rank == 0:
                tensors.update({key: value.detach().float().cpu().clone().contiguous() for key, value in parts.items()})
        return tensors if self.world.rank == 0 else None

    def _weight(self, parameter: nn.Parameter) -> torch.Tensor:
        if self.settings.zero_stage > 0 and parameter.requires_grad:
            from deepspeed.utils import safe_get_full_fp32_param

            found = safe_get_full_fp32_param(parameter)
            assert found is not None
            return found.view(_shape(parameter))  # type: ignore[no-any-return]
        if self.settings.zero_stage == 3:
            import deepspeed

            with deepspeed.zero.GatheredParameters([parameter]):
                return parameter.data.clone()
        return parameter.data

    def _link_moments(self) -> None:
        """ZeRO 1 and 2 link parameters to Adam's state after the first *group* has stepped, when other groups have none: do it again."""
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

    def restore(self, tensors: Mapping[str, torch.Tensor], steps: int, batch: Batch, scale: Mapping[str, float]) -> None:
        """Put the moments of a checkpoint back (weights were loaded into the model before it was wrapped).

        Adam's state exists only after a step, so one step with zero gradient and rate 0 is taken first; it changes no weight.
        Parameters without saved moments (new heads) begin with zeros.
        """
        self.train_step([batch] * self.accumulation, dict.fromkeys(scale, 0.0), 0.0, [0] * self.accumulation)
        self._link_moments()
        for name, parameter in self._named():
            if not parameter.requires_grad:
                continue
            shape = _shape(parameter)
            if self.settings.precision in ("bf16_parameters", "fp16") and name in tensors:
                self._set_master(parameter, fitted(tensors[name], shape, None))
            for moment in MOMENTS:
                self._set_moment(parameter, moment, fitted(tensors.get(f"{name}#{moment}"), shape, None))
        base = self.engine.optimizer if self.settings.zero_stage == 0 else self.engine.optimizer.optimizer
        for state in base.state.values():
            if "step" in state:
                state["step"] = torch.full_like(state["step"], steps) if isinstance(state["step"], torch.Tensor) else steps

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
        """This rank's part of ``value`` at stage 3 (DeepSpeed's own full setter fails when ranks do not divide the parameter)."""
        size = parameter.ds_tensor.numel()  # type: ignore[attr-defined]
        flat = nn.functional.pad(value.flatten(), (0, size * self.world.size - value.numel()))
        return flat.narrow(0, self.world.rank * size, size).to(self.world.device)

    def encoder_config(self) -> dict[str, Any]:
        """The encoder's shape as plain values."""
        values: dict[str, Any] = self.engine.module.config.to_dict()
        return {name: value for name, value in values.items() if name != "transformers_version" and not name.startswith("_")}

    def close(self) -> None:
        """Let go of the model, its hooks and its buffers before another stage wraps it."""
        self.engine.destroy()


def _shape(parameter: nn.Parameter) -> torch.Size:
    return getattr(parameter, "ds_shape", parameter.shape)
