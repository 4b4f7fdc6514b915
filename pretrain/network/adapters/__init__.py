"""Adapters: one file here is one kind of small addition to an encoder that is trained in its place. ``kind: lora`` is
``adapters/lora.py``.

    attach(encoder, seed)    layers get new parameters, which change nothing before the first step
    trains(name)             which parameters of the encoder learn; all others keep their values, bit for bit
    without(tensors)         the weights of a plain encoder, for an export

The layer that an adapter wraps is its ``base_layer``; its parameters keep the names that they have without an adapter
(``plain_name``), so checkpoints, exports and origins agree about them.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import nn

MARKS = (".lora_", ".adapter_")
"""What the names of the parameters of adapters hold."""


@dataclass(frozen=True, kw_only=True)
class Adapter(ABC):
    """What is trained in place of the encoder."""

    BESIDE: ClassVar[bool] = False
    """Is it exported to a folder of its own? Otherwise it is merged into the weights."""

    @abstractmethod
    def attach(self, encoder: nn.Module, seed: int) -> None:
        """Add the parameters to an encoder, drawn from keys of ``seed`` and their names.

        Raises:
            ValueError: the encoder has no such layers, or a package is missing.
        """

    @abstractmethod
    def trains(self, name: str) -> bool:
        """Does a parameter of the encoder learn?"""

    @abstractmethod
    def without(self, tensors: Mapping[str, torch.Tensor]) -> dict[str, torch.Tensor]:
        """The weights of a model without the adapter: merged, or as they were."""


def plain_name(name: str) -> str:
    """The name of a parameter without the wrapping of an adapter.

    encoder.layer.0.attention.self.query.base_layer.weight  ->  encoder.layer.0.attention.self.query.weight
    """
    return name.replace(".base_layer.", ".")


def is_own(name: str) -> bool:
    """Is it a parameter of an adapter?"""
    return any(mark in name for mark in MARKS)
