"""How a model is fine-tuned: settings, the learning rate of every step, and which parameters move when.

linear      warm-up, then straight down to 0                                   (Mosbach et al. 2021)
triangular  slanted: up over the first tenth, then down to a 32nd of the peak  (Howard and Ruder 2018, section 3.2)
constant    warm-up, then the peak
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from torch import nn

SCHEDULES = ("linear", "triangular", "constant")
POOLINGS = ("pooler", "cls", "mean")
LAYERS = ("last", "mix")
PRECISIONS = ("fp32", "bf16")
CUT_SHARE, RATIO = 0.1, 32.0
LAYER = re.compile(r"encoder\.encoder\.layer\.(\d+)\.")
"""Every architecture has its layers under this name (network/architectures)."""


@dataclass(frozen=True, kw_only=True)
class Training:
    """Settings of fine-tuning; defaults are those that Mosbach et al. 2021 found stable (AdamW corrects its bias)."""

    epochs: int = 3
    """Passes over the training examples. Small sets want more: Mosbach et al. take 20."""
    batch: int = 16
    """Examples a step."""
    lr: float = 2e-5
    """Peak learning rate."""
    head_lr: float = 0.0
    """That of the head; 0: `lr`. A CRF or a head on frozen features wants 1.0e-3 or so."""
    schedule: str = "linear"
    """`linear`, `triangular` or `constant`."""
    warmup: float = 0.1
    """Share of the steps over which the rate rises from 0 (linear, constant)."""
    weight_decay: float = 0.01
    """Of matrices; biases and layer norms have none."""
    clip: float = 1.0
    """Largest norm of the gradients; 0: not clipped."""
    eps: float = 1e-6
    """AdamW's epsilon."""
    dropout: float = 0.1
    """Of hidden states and before the head."""
    attention_dropout: float = 0.0
    """Of attention weights. BERT's own is 0.1; here 0, because packed attention is several times slower with it."""
    layer_decay: float = 1.0
    """Factor of the rate from each layer to the one below it: head and pooler take the whole rate, layer k of L
    layer_decay ** (L + 1 - k), the embeddings layer_decay ** (L + 1). Howard and Ruder's 1 / 2.6 is .385; .95 is usual
    for BERT (Zhang et al. 2021)."""
    frozen_epochs: int = 0
    """First epochs in which the head alone is trained."""
    gradual: bool = False
    """After these epochs, unfreeze one layer more in each epoch, from the top (Howard and Ruder 2018)."""
    frozen: bool = False
    """Train the head alone, on states that are computed once: feature extraction (Peters et al. 2019)."""
    pooling: str = "pooler"
    """What a task on whole texts reads: `pooler` ([CLS] through the pretrained pooler, as BERT does), `cls`, or the
    `mean` of all states of a text."""
    layers: str = "last"
    """`last`, or `mix`: a learned weighted sum of all layers, embeddings included (Peters et al. 2018)."""
    keep: str = "best"
    """`best`: the epoch with the highest first figure on dev (the earliest of equals); `last`."""
    patience: int = 0
    """Stop after so many epochs without a better figure on dev; 0: never."""
    precision: str = "fp32"
    """`fp32`, or `bf16` (autocast; for GPUs)."""

    def __post_init__(self) -> None:
        for name, known in (
            ("schedule", SCHEDULES),
            ("pooling", POOLINGS),
            ("layers", LAYERS),
            ("precision", PRECISIONS),
            ("keep", ("best", "last")),
        ):
            if getattr(self, name) not in known:
                raise ValueError(f"{name}: {getattr(self, name)!r} is not one of {', '.join(known)}")
        for name in ("epochs", "batch"):
            if getattr(self, name) < 1:
                raise ValueError(f"{name}: {getattr(self, name)} must be at least 1")
        for name in ("lr", "eps"):
            if not getattr(self, name) > 0:
                raise ValueError(f"{name}: {getattr(self, name)} must be positive")
        for name in ("head_lr", "weight_decay", "clip", "frozen_epochs", "patience"):
            if getattr(self, name) < 0:
                raise ValueError(f"{name}: {getattr(self, name)} must not be negative")
        for name in ("warmup", "dropout", "attention_dropout"):
            if not 0 <= getattr(self, name) < 1:
                raise ValueError(f"{name}: {getattr(self, name)} must lie in [0, 1)")
        if not 0 < self.layer_decay <= 1:
            raise ValueError(f"layer_decay: {self.layer_decay} must lie in (0, 1]")
        if self.frozen and (self.layer_decay != 1 or self.gradual or self.frozen_epochs):
            raise ValueError(
                "frozen: true trains the head alone; layer_decay, gradual and frozen_epochs do nothing then"
            )
        if self.layers == "mix" and self.pooling == "pooler":
            raise ValueError("layers: mix is a sum of layers, and pooling: pooler reads the last; take cls or mean")

    def share(self, step: int, total: int) -> float:
        """Rate of the step-th (0-based) of ``total`` steps, as a share of the peak."""
        if self.schedule == "triangular":
            cut = max(1, math.floor(total * CUT_SHARE))
            done = step / cut if step < cut else 1 - (step - cut) / max(1, total - cut)
            return (1 + done * (RATIO - 1)) / RATIO
        warmup = math.ceil(total * self.warmup)
        if step < warmup:
            return step / warmup
        return 1.0 if self.schedule == "constant" else (total - step) / max(1, total - warmup)

    def frozen_depth(self, epoch: int, layers: int) -> int:
        """Depths below this one do not move in an epoch: 0 nothing is frozen, ``layers + 1`` all but the head."""
        if self.frozen or epoch < self.frozen_epochs:
            return layers + 1
        return max(0, layers + 1 - (epoch - self.frozen_epochs)) if self.gradual else 0


def depth_of(name: str, layers: int) -> int:
    """Where a parameter of ``Tuned`` stands: embeddings 0, layer k (from 1) k, pooler ``layers``, head and mix
    ``layers + 1``."""
    if name.startswith("encoder.embeddings."):
        return 0
    if found := LAYER.match(name):
        return int(found[1]) + 1
    return layers if name.startswith("encoder.") else layers + 1


def parameter_groups(
    named: Iterable[tuple[str, nn.Parameter]], training: Training, layers: int
) -> list[dict[str, Any]]:
    """Groups for AdamW, each with its peak rate."""
    groups: dict[tuple[float, float], list[nn.Parameter]] = {}
    for name, parameter in named:
        depth = depth_of(name, layers)
        rate = training.lr * training.layer_decay ** (layers + 1 - depth)
        if name.startswith("encoder.pooler."):
            rate = training.lr
        if depth > layers:
            rate = training.head_lr or training.lr
        decay = training.weight_decay if parameter.dim() > 1 else 0.0
        groups.setdefault((rate, decay), []).append(parameter)
    return [
        {"params": found, "lr": 0.0, "peak": rate, "weight_decay": decay} for (rate, decay), found in groups.items()
    ]
