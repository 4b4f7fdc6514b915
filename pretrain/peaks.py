"""What devices can do at most: bf16 or fp16 matrix products with fp32 sums, without sparsity, as their makers say.

TFLOP/s by a part of the name that `torch.cuda.get_device_name` tells; the first that fits counts. From NVIDIA's data
sheets of B200, H200, H100, A100, A30, A10, L40S, L4, T4 and V100 (where these print figures "with sparsity", half of
them), the whitepapers "NVIDIA Ada GPU Architecture" and "NVIDIA Ampere GA102" for RTX cards, and AMD's data sheets of
MI300X and MI250X (one of its two dies, which is what a process sees).
"""

from __future__ import annotations

import re

import torch

PEAKS = (
    ("B200", 2250.0),
    ("GH200", 989.0),
    ("H200 NVL", 835.0),
    ("H200", 989.0),
    ("H100 NVL", 835.0),
    ("H100 PCIe", 756.0),
    ("H100", 989.0),
    ("H800", 989.0),
    ("A100", 312.0),
    ("A800", 312.0),
    ("A30", 165.0),
    ("A10", 125.0),
    ("L40S", 362.0),
    ("L40", 181.0),
    ("L4", 121.0),
    ("V100", 125.0),
    ("T4", 65.0),
    ("RTX 4090", 165.2),
    ("RTX 3090", 71.0),
    ("MI300X", 1307.0),
    ("MI250X", 191.5),
)
SINGLE = ("fp32", "auto")
"""Precisions that these figures are not about."""


def peak_tflops(name: str) -> float | None:
    """Of a device by its name; None: not known."""
    return next((peak for part, peak in PEAKS if re.search(rf"\b{part}\b", name)), None)


def peak_of(given: float, precision: str, device: torch.device) -> float | None:
    """TFLOP/s that ``mfu`` is measured against: the setting, or what is known of a GPU that computes in 16 bits; None:
    nothing is known."""
    if given:
        return given
    if device.type != "cuda" or precision in SINGLE:
        return None
    return peak_tflops(torch.cuda.get_device_name(device))
