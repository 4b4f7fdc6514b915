"""ERNIE 1.0 to 3.0 as nghuyong converted them, and exports of kmask: transformers' ErnieModel as it is."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch
from torch import nn

from pretrain.network.architectures.bert import Bert


class Ernie(Bert):
    """nghuyong/ernie-3.0-base-zh, nghuyong/ernie-2.0-base-en, ..."""

    KIND = "ernie"
    PREFIXES = ("ernie.", "bert.")
    CLASSES = ("ErnieForMaskedLM", "ErnieModel")

    def encoder_config(self, config: Mapping[str, Any], tasks: int, dropout: float, attention_dropout: float) -> Any:
        there = config.get("task_type_vocab_size", 0) if config.get("use_task_id") else 0
        return super().encoder_config(config, max(tasks, there), dropout, attention_dropout)

    def build(self, config: Any, pooler: bool) -> nn.Module:
        from transformers import ErnieModel

        encoder: nn.Module = ErnieModel(config, add_pooling_layer=pooler)
        return encoder

    def exported(self, tensors: Mapping[str, torch.Tensor], config: Mapping[str, Any]) -> dict[str, torch.Tensor]:
        return dict(tensors)

    def changed(self, config: Mapping[str, Any]) -> dict[str, Any]:
        return {name: config[name] for name in ("task_type_vocab_size", "use_task_id") if name in config}
