"""Heads and poolers that a folder holds and that nobody trained.

A part looks untrained when all its biases are exactly 0, its norms exactly 1, and the standard deviation of its matrix
lies between 0.8 and 1.1 of ``initializer_range`` (TensorFlow cuts its normal distribution off: 0.88). One step of
AdamW moves every bias, so a trained part never looks so.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch

from pretrain.network.architectures import ENCODER, HEAD

POOLER = ENCODER + "pooler."
LOW, HIGH = 0.8, 1.1
INITIALIZER_RANGE = 0.02
RULE = "all biases 0, norms 1, matrix as wide as initialised"


def looks_untrained(part: str, tensors: Mapping[str, torch.Tensor], config: Mapping[str, Any]) -> bool:
    """Does a part whose names begin with ``part`` (HEAD, POOLER) look as it was initialised?"""
    found = {name.removeprefix(part): item for name, item in tensors.items() if name.startswith(part)}
    matrix = next((item for name, item in sorted(found.items()) if item.dim() == 2), None)
    if matrix is None:
        return False
    biases = [item for name, item in found.items() if name.endswith("bias")]
    norms = [item for name, item in found.items() if name.endswith("LayerNorm.weight")]
    width = float(matrix.float().std()) / float(config.get("initializer_range") or INITIALIZER_RANGE)
    if not biases and not norms:
        return False
    same = all(not bool(item.any()) for item in biases) and all(bool((item == 1).all()) for item in norms)
    return same and LOW <= width <= HIGH


def untrained_parts(tensors: Mapping[str, torch.Tensor], config: Mapping[str, Any]) -> list[str]:
    """Of the masked-LM head and the pooler those that are there and look untrained."""
    return [part for part in (HEAD, POOLER) if looks_untrained(part, tensors, config)]
