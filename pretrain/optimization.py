"""What moves the weights: groups of parameters, what is remembered of each, and the learning rate as a pure function of
the step.

linear   warm-up, then straight down to ``final_share`` of the peak at the last step
noam     warm-up, then peak * sqrt(warmup / step)          (ERNIE 2.0)
cosine   warm-up, then half a cosine down to ``final_share``
wsd      warm-up, stable, then straight down over the last ``decay_share`` of the steps
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from torch import nn

from pretrain.network.adapters import is_own

SCHEDULES = ("linear", "noam", "cosine", "wsd")
ALGORITHMS = ("adamw", "muon")
MOMENTS = ("exp_avg", "exp_avg_sq")
"""What AdamW remembers of a parameter, in its shape."""
MOMENTUM = "momentum_buffer"
"""What Muon remembers."""
MOMENTUM_SHARE = 0.95
"""Of it that stays at every step (Jordan et al. 2024)."""
LAYER = re.compile(r"ernie\.encoder\.layer\.(\d+)\.")


@dataclass(frozen=True, kw_only=True)
class Optimization:
    """AdamW or Muon, and its learning-rate schedule."""

    algorithm: str = "adamw"
    """`adamw`, or `muon`: the matrices of the encoder's layers move by their orthogonalised momentum (Jordan et al.
    2024, scaled by Liu et al. 2025 so that AdamW's rate and decay fit), everything else, tables and heads, by AdamW. An
    experiment: held-out loss 6.63 against 7.02 at equal steps, each at its best rate, of 2 layers of 128 on .9 million
    tokens; nothing larger was measured. ZeRO 0 only, because ZeRO cuts matrices up. A run keeps the one that it began
    with."""
    momentum: float = MOMENTUM_SHARE
    """Muon's momentum."""

    lr: float = 1e-4
    """Peak learning rate."""
    schedule: str = "linear"
    """`linear`, `noam`, `cosine` or `wsd` (warm-up, stable, decay)."""
    warmup: int = 1000
    """Steps over which the rate rises from 0."""
    restart_per_stage: bool = True
    """Run the schedule over each stage anew, warm-up included, as ERNIE 2.0 does for each added task; else once over
    the whole run."""
    final_share: float = 0.0
    """Rate at the last step, as a share of the peak (linear, cosine, wsd)."""
    decay_share: float = 0.1
    """Share of the steps in which wsd decays."""
    betas: list[float] = field(default_factory=lambda: [0.9, 0.98])
    """AdamW's betas; [0.9, 0.98] by default (ERNIE 2.0)."""
    eps: float = 1e-6
    """AdamW's epsilon."""
    weight_decay: float = 0.01
    """Decoupled weight decay; biases and layer norms have none."""
    clip: float = 1.0
    """Largest global gradient norm; 0 switches clipping off."""
    old_parameters: float = 1.0
    """Factor of the learning rate of parameters that existed before their stage began: encoder, heads of earlier tasks,
    a pooler that was trained (what a stage adds takes the whole rate, so does the task table where it grows). Against
    forgetting; it acts from the second stage on, and from the first where `model.path` names a beginning. Kin of
    discriminative fine-tuning (Howard and Ruder 2018, section 3.2), which lowers the rate by layer."""
    layer_decay: float = 1.0
    """Factor of the learning rate from each layer to the one below it, for continuing from a trained model: heads and
    pooler take the whole rate, layer k of L takes ``layer_decay ** (L + 1 - k)`` of it, the embeddings
    ``layer_decay ** (L + 1)`` (discriminative fine-tuning, Howard and Ruder 2018, section 3.2). 1: no difference."""
    average_stages: bool = False
    """At the end of a stage, put in place of every parameter that existed before it the running mean over the ends of
    all stages since it joined (what a run began from counts as an end); the next stage goes on from the mean. Against
    forgetting; kin of weight averaging along training (Izmailov et al. 2018, SWA) and of model soups (Wortsman et al.
    2022), which average runs. Adam's moments stay as they are; checkpoints within a stage hold one more copy of the
    weights."""

    def __post_init__(self) -> None:
        if len(self.betas) != 2 or not all(0 <= beta < 1 for beta in self.betas):
            raise ValueError(f"betas: {self.betas} must be two numbers in [0, 1)")
        if self.algorithm not in ALGORITHMS:
            raise ValueError(f"algorithm: {self.algorithm!r} is not one of {', '.join(ALGORITHMS)}")
        if not 0 <= self.momentum < 1:
            raise ValueError(f"momentum: {self.momentum} must lie in [0, 1)")
        if self.algorithm != "muon" and self.momentum != MOMENTUM_SHARE:
            raise ValueError(f"momentum: {self.momentum} is Muon's, and algorithm is {self.algorithm}; leave it out")
        if self.schedule not in SCHEDULES:
            raise ValueError(f"schedule: {self.schedule!r} is not one of {', '.join(SCHEDULES)}")
        for name in ("lr", "eps"):
            if not getattr(self, name) > 0:
                raise ValueError(f"{name}: {getattr(self, name)} must be positive")
        for name in ("warmup", "weight_decay", "clip"):
            if getattr(self, name) < 0:
                raise ValueError(f"{name}: {getattr(self, name)} must not be negative")
        if not 0 < self.layer_decay <= 1:
            raise ValueError(f"layer_decay: {self.layer_decay} must lie in (0, 1]")
        for name in ("final_share", "decay_share", "old_parameters"):
            if not 0 <= getattr(self, name) <= 1:
                raise ValueError(f"{name}: {getattr(self, name)} must lie in [0, 1]")

    def check_stages(self, stages: int, path: str) -> None:
        """Raise ValueError when a setting is about parameters older than a stage, and no stage will have any."""
        idle = "old_parameters" if self.old_parameters != 1 else "average_stages" if self.average_stages else ""
        if idle and stages < 2 and not path:
            raise ValueError(
                f"optimization.{idle}: {getattr(self, idle)} is about parameters that existed before a stage, and "
                "there are none: the run has one stage and no model.path; leave it out"
            )

    def check_sharding(self, zero_stage: int) -> None:
        """Raise ValueError when matrices would not be whole where they are updated."""
        if self.algorithm == "muon" and zero_stage:
            raise ValueError(
                f"optimization.algorithm: muon needs whole matrices, and engine.zero_stage {zero_stage} cuts them up "
                "among processes; set engine.zero_stage: 0, or take adamw"
            )

    def rate(self, step: int, total: int) -> float:
        """Learning rate of the step-th (0-based) of ``total`` steps."""
        warmup = min(self.warmup, total)
        if step < warmup:
            return self.lr * (step + 1) / warmup
        if self.schedule == "noam":
            return self.lr * math.sqrt(max(warmup, 1) / (step + 1))
        begin = max(warmup, total - round(self.decay_share * total)) if self.schedule == "wsd" else warmup
        if step < begin or total <= begin:
            return self.lr
        done = (step + 1 - begin) / (total - begin)
        share = 0.5 * (1 + math.cos(math.pi * done)) if self.schedule == "cosine" else 1 - done
        return self.lr * (self.final_share + (1 - self.final_share) * share)


def by_muon(name: str, dimensions: int) -> bool:
    """Does Muon, where it is chosen, move this parameter? Matrices of the model's own encoder."""
    return dimensions == 2 and LAYER.match(name) is not None and not is_own(name)


def moments_of(name: str, dimensions: int, algorithm: str) -> tuple[str, ...]:
    """What is remembered of a parameter, in its shape."""
    return (MOMENTUM,) if algorithm == "muon" and by_muon(name, dimensions) else MOMENTS


def layer_factors(names: Iterable[str], decay: float) -> dict[str, float]:
    """Factors of the learning rate by parameter, of those that are not 1 (``Optimization.layer_decay``)."""
    if decay == 1:
        return {}
    names = list(names)
    layer = {name: int(found[1]) + 1 for name in names if (found := LAYER.match(name))}
    below = max(layer.values(), default=0) + 1
    layer |= {name: 0 for name in names if name.startswith("ernie.embeddings.")}
    return {name: decay ** (below - number) for name, number in layer.items()}


def parameter_groups(
    named: Iterable[tuple[str, nn.Parameter]],
    weight_decay: float,
    steps: Mapping[str, int],
    factors: Mapping[str, float] | None = None,
    algorithm: str = "adamw",
) -> list[dict[str, Any]]:
    """Trainable parameters in groups of equal weight decay, equal age and equal ``factor`` of the learning rate
    (``factors`` by name, 1 when absent), each moved by one algorithm (``muon``: by Muon).

    Matrices decay; biases, layer norms and other vectors do not. DeepSpeed keeps one step count of Adam for a whole
    group, so parameters that have seen another number of steps (``steps`` by name, 0 when absent: a head that joins
    later) stand in groups of their own.
    """
    groups: dict[tuple[int, bool, float, bool], list[nn.Parameter]] = {}
    for name, parameter in named:
        if parameter.requires_grad:
            factor = (factors or {}).get(name, 1.0)
            muon = algorithm == "muon" and by_muon(name, parameter.dim())
            groups.setdefault((steps.get(name, 0), parameter.dim() > 1, factor, muon), []).append(parameter)
    ordered = sorted(groups, key=lambda key: (-key[0], not key[1], *key[2:]))
    return [
        {"params": groups[key], "weight_decay": weight_decay if key[1] else 0.0, "factor": key[2], "muon": key[3]}
        for key in ordered
    ]
