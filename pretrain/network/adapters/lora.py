"""LoRA (Hu et al. 2021) by the layers of ``peft``: a layer W x becomes W x + alpha / rank * B (A x), and B begins as 0.

A (rank, in), B (out, rank)    exported merged:  W + alpha / rank * B A
"""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from dataclasses import dataclass, field

import torch
from torch import nn

from masking.keyed import hash_key
from pretrain.network.adapters import Adapter, is_own

DOWN, UP = ".lora_A.default.weight", ".lora_B.default.weight"
BIASES = ("none", "all")


@dataclass(frozen=True, kw_only=True)
class Lora(Adapter):
    """Low-rank additions to linear layers, merged into them by `kmask export` (needs the extra `peft`)."""

    rank: int = 8
    """Of the additions."""
    alpha: float = 16.0
    """The additions count `alpha / rank` times."""
    dropout: float = 0.0
    """Of what goes into the additions."""
    targets: list[str] = field(default_factory=lambda: ["query", "value"])
    """Ends of the names of linear layers inside the encoder's layers: `query`, `attention.output.dense`,
    `intermediate.dense`, ..."""
    bias: str = "none"
    """`none`, or `all`: all biases of the encoder learn too."""
    embeddings: bool = False
    """The word embeddings learn too, as new words of the vocabulary should."""

    def __post_init__(self) -> None:
        if self.rank < 1:
            raise ValueError(f"rank: {self.rank} must be at least 1")
        if not 0 < self.alpha < math.inf:
            raise ValueError(f"alpha: {self.alpha} must be positive")
        if not 0 <= self.dropout < 1:
            raise ValueError(f"dropout: {self.dropout} must lie in [0, 1)")
        if not self.targets:
            raise ValueError("targets: name at least one layer, as in query")
        if self.bias not in BIASES:
            raise ValueError(f"bias: {self.bias!r} is not one of {', '.join(BIASES)}")

    def attach(self, encoder: nn.Module, seed: int) -> None:
        try:
            from peft import LoraConfig, inject_adapter_in_model
        except ImportError:
            raise ValueError(
                "model.adapter: kind lora needs the package peft, which is not installed; `pip install kmask[peft]`"
            ) from None
        inside = r"(?:.*\.)?layers?\.\d+\.(?:.*\.)?"
        layers = [
            name for name, module in encoder.named_modules() if isinstance(module, nn.Linear) and re.match(inside, name)
        ]
        for target in self.targets:
            if not any(f".{name}".endswith(f".{target}") for name in layers):
                first = sorted({re.sub(r".*?layers?\.\d+\.", "", name) for name in layers})
                raise ValueError(
                    f"model.adapter.targets: {target!r} ends the name of no layer; {', '.join(first)} are there"
                )
        pattern = inside + f"(?:{'|'.join(map(re.escape, self.targets))})"
        config = LoraConfig(
            r=self.rank, lora_alpha=self.alpha, lora_dropout=self.dropout, target_modules=pattern, bias="none"
        )
        inject_adapter_in_model(config, encoder)
        begin(encoder, seed)

    def trains(self, name: str) -> bool:
        words = self.embeddings and name.startswith("embeddings.") and name.endswith("_embeddings.weight")
        words = words and name.rpartition(".")[0].rpartition(".")[2] in ("word_embeddings", "tok_embeddings")
        return is_own(name) or words or (self.bias == "all" and name.endswith(".bias"))

    def without(self, tensors: Mapping[str, torch.Tensor]) -> dict[str, torch.Tensor]:
        return merged(tensors, self.alpha / self.rank)


@torch.no_grad()
def begin(encoder: nn.Module, seed: int) -> None:
    """A as peft draws it, uniform in +-1 / sqrt(in), under a key of its own; B is 0. Nothing on torch's meta device."""
    for name, parameter in encoder.named_parameters():
        if parameter.is_meta or not is_own(name):
            continue
        generator = torch.Generator().manual_seed(hash_key("lora", seed, name) % 2**63)
        width = 1 / math.sqrt(parameter.shape[1])
        drawn = (torch.rand(parameter.shape, generator=generator) * 2 - 1) * width
        parameter.copy_(drawn if name.endswith(DOWN) else torch.zeros(()))


def merged(tensors: Mapping[str, torch.Tensor], scale: float) -> dict[str, torch.Tensor]:
    """The weights with every addition added, and nothing else of it."""
    found = {name: tensor for name, tensor in tensors.items() if not is_own(name)}
    for name in (name for name in tensors if name.endswith(DOWN)):
        stem = name.removesuffix(DOWN)
        found[stem + ".weight"] = found[stem + ".weight"] + scale * (tensors[stem + UP] @ tensors[name])
    return found
