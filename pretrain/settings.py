"""How DeepSpeed is set up: our few choices, and the configuration that is generated from them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from pretrain.optimization import Optimization

LONGEST_PATIENCE = 100_000
"""Minutes: ten weeks, within what torch can count."""
COMPILE = ("auto", "on", "off")
PRECISIONS = ("auto", "fp32", "bf16", "bf16_parameters", "fp16")


@dataclass(frozen=True, kw_only=True)
class DeepSpeed:
    """How DeepSpeed runs the model."""

    zero_stage: int = 1
    """What is sharded over processes: 0 nothing, 1 optimiser state, 2 and gradients, 3 and parameters."""
    precision: str = "auto"
    """`auto`: bf16 where the GPU or the processor has units for it, else fp32 (bf16 without units is many times slower;
    `kmask doctor` says what a machine has); `fp32`; `bf16`: bf16 arithmetic over fp32 parameters (autocast);
    `bf16_parameters`: bf16 copies with fp32 masters (ZeRO 1 up); `fp16`: fp16 copies with dynamic loss scaling (GPU
    only, ZeRO 1 up)."""
    compile: str = "auto"
    """Are the encoder's layers compiled (torch.compile)? `auto`: on GPUs below ZeRO 3; `on`; `off`. Without the
    compiler that it needs (triton on a GPU, g++ on a CPU) a run says so in one line and goes on without."""
    activation_checkpointing: bool = False
    """Keep only the input of each layer for the backward pass and compute the rest again: about a third more work for a
    small part of the memory."""
    timeout_minutes: float = 10.0
    """How long a process waits for the others (or for a data worker) before the run ends, and how long anything but a
    step may take: each part of a start, a batch of a measurement, a save; for hung processes and dead machines."""

    def __post_init__(self) -> None:
        if self.zero_stage not in (0, 1, 2, 3):
            raise ValueError(f"zero_stage: {self.zero_stage} is not one of 0, 1, 2, 3")
        if self.precision not in PRECISIONS:
            raise ValueError(f"precision: {self.precision!r} is not one of {', '.join(PRECISIONS)}")
        if self.precision in ("bf16_parameters", "fp16") and self.zero_stage == 0:
            raise ValueError(
                f"precision: {self.precision} needs zero_stage 1 or more (its fp32 masters live in ZeRO's optimiser)"
            )
        if self.compile not in COMPILE:
            raise ValueError(f"compile: {self.compile!r} is not one of {', '.join(COMPILE)}")
        if self.compile == "on" and (self.zero_stage == 3 or self.activation_checkpointing):
            what = "zero_stage 3" if self.zero_stage == 3 else "activation_checkpointing"
            raise ValueError(f"compile: on is not possible with {what}, which cuts a layer into many graphs; use auto")
        if not 0 < self.timeout_minutes <= LONGEST_PATIENCE:
            raise ValueError(
                f"timeout_minutes: {self.timeout_minutes} must be positive and at most {LONGEST_PATIENCE:,}"
            )


def deepspeed_config(
    settings: DeepSpeed, optimization: Optimization, rows: int, accumulation: int, world: int
) -> dict[str, Any]:
    """The DeepSpeed configuration; defaults that changed between versions are written out."""
    config: dict[str, Any] = {
        "train_batch_size": rows * accumulation * world,
        "train_micro_batch_size_per_gpu": rows,
        "gradient_accumulation_steps": accumulation,
        "gradient_clipping": optimization.clip if settings.zero_stage else 0.0,  # unsharded.py clips at ZeRO 0
        "steps_per_print": 10**9,
        "zero_optimization": {
            "stage": settings.zero_stage,
            "reduce_bucket_size": 25_000_000,
            "contiguous_gradients": True,
            "overlap_comm": False,
        },
        "zero_allow_untested_optimizer": True,
    }
    if settings.precision == "bf16":
        config["torch_autocast"] = {"enabled": True, "dtype": "bfloat16"}
        # Otherwise small parameters stay gathered between steps, those of linear layers in fp32 then, but rounded to
        # bf16 in the first step after a start: a resumed run would differ from an undisturbed one.
        config["zero_optimization"]["stage3_param_persistence_threshold"] = 0
    elif settings.precision == "bf16_parameters":
        config["bf16"] = {"enabled": True, "check_grad_overflow": True}
        config["data_types"] = {"grad_accum_dtype": "fp32"}
    elif settings.precision == "fp16":
        config["fp16"] = {"enabled": True, "initial_scale_power": 16}
    return config
