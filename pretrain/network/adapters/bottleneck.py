"""A bottleneck behind the second feed-forward layer of every layer (Houlsby et al. 2019), for knowledge that is kept
apart (K-Adapter, Wang et al. 2021): the encoder stays as it was, bit for bit, and the adapter is a file of its own.

    h = dense(x)    ->    h + up(gelu(down(h)))          down (width, D), up (D, width), which begins as 0
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import nn

from masking.keyed import hash_key
from pretrain.network.adapters import Adapter, is_own

PLACE = re.compile(r"(?:.*\.)?layers?\.\d+\.(?:output\.dense|mlp\.Wo)")
SPREAD = 0.02


class Wrapped(nn.Module):
    """A linear layer and the bottleneck behind it."""

    def __init__(self, base_layer: nn.Linear, width: int) -> None:
        super().__init__()
        self.base_layer = base_layer
        like = {"device": base_layer.weight.device, "dtype": base_layer.weight.dtype}
        self.adapter_down = nn.Linear(base_layer.out_features, width, **like)  # type: ignore[arg-type]
        self.adapter_up = nn.Linear(width, base_layer.out_features, **like)  # type: ignore[arg-type]

    def forward(self, states: torch.Tensor) -> torch.Tensor:
        """The layer's output, and what the bottleneck adds to it."""
        hidden: torch.Tensor = self.base_layer(states)
        added: torch.Tensor = self.adapter_up(nn.functional.gelu(self.adapter_down(hidden)))
        return hidden + added


@dataclass(frozen=True, kw_only=True)
class Bottleneck(Adapter):
    """A small network behind every layer's feed-forward part, exported beside the encoder as `FOLDER-adapter`."""

    BESIDE: ClassVar[bool] = True

    width: int = 64
    """Of the bottleneck."""

    def __post_init__(self) -> None:
        if self.width < 1:
            raise ValueError(f"width: {self.width} must be at least 1")

    def attach(self, encoder: nn.Module, seed: int) -> None:
        places = [name for name, module in encoder.named_modules() if PLACE.fullmatch(name)]
        if not places:
            raise ValueError("model.adapter: this encoder has no layers that a bottleneck is known to fit behind")
        for place in places:
            owner, _, leaf = place.rpartition(".")
            setattr(encoder.get_submodule(owner), leaf, Wrapped(encoder.get_submodule(place), self.width))  # type: ignore[arg-type]
        self._begin(encoder, seed)

    @torch.no_grad()
    def _begin(self, encoder: nn.Module, seed: int) -> None:
        for name, parameter in encoder.named_parameters():
            if parameter.is_meta or not is_own(name):
                continue
            generator = torch.Generator().manual_seed(hash_key("bottleneck", seed, name) % 2**63)
            drawn = torch.randn(parameter.shape, generator=generator) * SPREAD
            parameter.copy_(drawn if name.endswith("adapter_down.weight") else torch.zeros(()))

    def trains(self, name: str) -> bool:
        return is_own(name)

    def without(self, tensors: Mapping[str, torch.Tensor]) -> dict[str, torch.Tensor]:
        return {name: tensor for name, tensor in tensors.items() if not is_own(name)}
