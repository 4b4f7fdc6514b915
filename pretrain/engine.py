"""DeepSpeed behind a small door. The only file that imports deepspeed.

    world = join()                               rank, size, device; every process calls it once
    engine = Engine(model, ...)                  wraps a model for one stage
    engine.train_step(micro_batches, scale, lr, seeds)    one optimiser step
    engine.state() / engine.restore(...)         fp32 weights and moments *by parameter name*: independent of
                                                 ZeRO stage and world size

DeepSpeed's own checkpoints are tied to stage and world size and are not atomic, so they are not used (checkpoint.py).
"""

from __future__ import annotations

import datetime
import logging
import math
import os
import time
import warnings
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

import torch
from torch import nn

from pretrain.compiling import compile_layers
from pretrain.feed.batch import Batch
from pretrain.muon import build_optimizer
from pretrain.network.encoder import keep_less
from pretrain.optimization import Optimization, parameter_groups
from pretrain.optimizer_state import Memory
from pretrain.precision import Choice, automatic, check_possible, emulated
from pretrain.processes.heartbeat import computed
from pretrain.processes.world import World, free_port
from pretrain.settings import DeepSpeed, deepspeed_config
from pretrain.unsharded import Gradients


def join(settings: DeepSpeed) -> World:
    """Join the process group from RANK, WORLD_SIZE, LOCAL_RANK and MASTER_*; alone when they are not set.

    Raises:
        ValueError: fp16 without a GPU.
    """
    check_possible(settings.precision, torch.cuda.is_available())
    if not torch.cuda.is_available():
        os.environ.setdefault("DS_ACCELERATOR", "cpu")
    os.environ.setdefault("RANK", "0")
    os.environ.setdefault("WORLD_SIZE", "1")
    os.environ.setdefault("LOCAL_RANK", "0")
    os.environ.setdefault("MASTER_ADDR", "127.0.0.1")
    os.environ.setdefault("MASTER_PORT", str(free_port()))
    deepspeed = _quiet_deepspeed()
    local = int(os.environ["LOCAL_RANK"])
    if torch.cuda.is_available():
        torch.cuda.set_device(local)
    if not deepspeed.comm.is_initialized():
        deepspeed.init_distributed(timeout=datetime.timedelta(minutes=settings.timeout_minutes), verbose=False)
    device = torch.device("cuda", local) if torch.cuda.is_available() else torch.device("cpu")
    return World(torch.distributed.get_rank(), torch.distributed.get_world_size(), device)


def with_precision(settings: DeepSpeed, world: World) -> tuple[DeepSpeed, list[str]]:
    """``settings`` with ``auto`` decided for the machines of this run, and what the user should know about it.

    One machine without bf16 units decides for all.
    """
    gpu = world.device.type == "cuda"
    if settings.precision != "auto":
        slow = world.any(emulated(settings.precision, gpu))
        return settings, [
            f"precision {settings.precision} is emulated here and many times slower than fp32: `auto` would choose fp32"
        ] if slow else []
    choice = automatic(gpu)
    if world.any(choice.precision == "fp32") and choice.precision != "fp32":
        choice = Choice("fp32", "another machine of this run has no bf16 units")
    return replace(settings, precision=choice.precision), [f"precision {choice.precision}: {choice.why}"]


def _quiet_deepspeed() -> Any:
    import deepspeed

    logging.getLogger("DeepSpeed").setLevel(logging.ERROR)
    warnings.filterwarnings(
        "ignore", category=FutureWarning, module=r"torch\.distributed"
    )  # names that DeepSpeed still uses
    # Without this DeepSpeed tries out a compiler for each of its operators at every start, and compiles a
    # shared-memory all-reduce at the first one on a CPU; gloo needs no compiler.
    import deepspeed.ops

    deepspeed.ops.__compatible_ops__ = {"deepspeed_shm_comm": False}
    _import_muon_uncompiled()
    return deepspeed


def _import_muon_uncompiled() -> None:
    """ZeRO imports DeepSpeed's Muon to look whether an optimiser is one. No run uses it, and as it stands it loads
    torch's compiler at every start."""
    compiling = torch.compile
    torch.compile = lambda function: function  # type: ignore[assignment, misc]
    try:
        import deepspeed.runtime.zero.muon.muon_optimizer  # noqa: F401
    finally:
        torch.compile = compiling


class Engine:
    """A model under DeepSpeed for one stage of training.

    Args:
        steps: how many steps of Adam each parameter has seen, by name; 0 when absent.
        accumulation: micro-batches of a step, at most.
        factors: of the learning rate, by name; 1 when absent.
    """

    def __init__(
        self,
        model: nn.Module,
        settings: DeepSpeed,
        optimization: Optimization,
        rows: int,
        accumulation: int,
        world: World,
        steps: Mapping[str, int],
        factors: Mapping[str, float] | None = None,
    ) -> None:
        deepspeed = _quiet_deepspeed()
        self.settings, self.optimization, self.world, self.accumulation = settings, optimization, world, accumulation
        groups = parameter_groups(
            model.named_parameters(), optimization.weight_decay, steps, factors, optimization.algorithm
        )
        self.adam = build_optimizer(groups, optimization, settings.precision)
        config = deepspeed_config(settings, optimization, rows, accumulation, world.size)
        frozen = {
            name: parameter.detach().float().cpu().clone()
            for name, parameter in model.named_parameters()
            if not parameter.requires_grad
        }
        self.engine, *_ = deepspeed.initialize(model=model.to(world.device), optimizer=self.adam, config=config)
        if settings.activation_checkpointing:
            keep_less(model.ernie)  # type: ignore[arg-type]
        if settings.compile == "on":
            compile_layers(model)
        self.memory = Memory(self.engine, self.adam, settings, world, steps, frozen, optimization.algorithm)
        trained = [parameter for parameter in model.parameters() if parameter.requires_grad]
        self.gradients = None if settings.zero_stage else Gradients(trained, self.adam, optimization.clip)
        self.engine.enable_backward_allreduce = self.gradients is None
        set_timeouts(settings.timeout_minutes)

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

    def train_step(
        self, batches: Sequence[Batch], scale: Mapping[str, float], lr: float, seeds: Sequence[int]
    ) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
        """One optimiser step over this rank's micro-batches, left out on every rank when a loss or the gradient is not
        finite. At ZeRO 0 nothing here waits for a GPU; from ZeRO 1 on DeepSpeed does, to look for gradients that are
        not finite.

        Args:
            scale: weight / global number of targets, by task; ranks are summed, not averaged.
            seeds: what torch's generator is set to before each forward (dropout), one per micro-batch.

        Returns:
            On the device: the summed stats of this rank, the global gradient norm before clipping, and 1 where the step
            was applied.

        Raises:
            FloatingPointError: fp16's loss scale cannot become smaller.
        """
        for group in self.engine.optimizer.param_groups:
            group["lr"] = lr * group["factor"]
        stats: torch.Tensor | None = None
        ranks = self.world.size if self.gradients is None else 1  # DeepSpeed takes the mean over ranks
        summed = {task: value * ranks for task, value in scale.items()}
        norm = applied = torch.zeros(())
        for micro, (batch, seed) in enumerate(zip(batches, seeds, strict=True)):
            self.world.seed(seed)
            self.engine.set_gradient_accumulation_boundary(micro == len(batches) - 1)  # steps may differ in length
            begun = time.perf_counter()
            loss, found = self.forward(batch, summed)
            if self.settings.zero_stage < 3:  # there it gathers weights, and waits
                computed(time.perf_counter() - begun)
            # A loss that is not finite may have a finite gradient: make it visible in the gradient, where every rank
            # sees it. The product is also needed when it is 1: given the very tensor that forward returned, stage 0 of
            # DeepSpeed 0.19.8 divides it once more.
            self.engine.backward(loss * torch.where(torch.isfinite(loss.detach()), 1.0, math.nan), scale_wrt_gas=False)
            stats = found if stats is None else stats + found
            if self.gradients is not None and micro == len(batches) - 1:
                norm, applied = self.gradients.finish(self.world)
            self._optimizer_step()
        if self.gradients is None:
            norm = torch.as_tensor(self.engine.get_global_grad_norm() or 0.0)
            applied = torch.tensor(float(not self.engine.optimizer.overflow))
        assert stats is not None
        return stats, norm, applied

    def _optimizer_step(self) -> None:
        try:
            self.engine.step()
        except Exception as error:
            if "loss scale already at minimum" in str(error):
                raise FloatingPointError("fp16's loss scale is at its minimum and gradients still overflow") from None
            raise

    def encoder_config(self) -> dict[str, Any]:
        """The encoder's shape as plain values."""
        values: dict[str, Any] = self.engine.module.config.to_dict()
        return {
            name: value for name, value in values.items() if name != "transformers_version" and not name.startswith("_")
        }

    def close(self) -> None:
        """Let go of the model, its hooks and its buffers before another stage wraps it."""
        self.engine.destroy()


def set_timeouts(minutes: float) -> None:
    """Give every process group the same patience: groups that DeepSpeed clones keep torch's default of 30 minutes."""
    from torch.distributed import distributed_c10d

    for group in list(distributed_c10d._world.pg_map):
        distributed_c10d._set_pg_timeout(datetime.timedelta(minutes=minutes), group)
