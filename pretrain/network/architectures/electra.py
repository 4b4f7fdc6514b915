"""ELECTRA: generators have a masked-LM head, discriminators have none (their own head has no place here).

words as wide as the layers     the same as a BERT: computed by ErnieModel, tasks have task embeddings
narrower words (electra-small)  computed by ElectraModel, which projects them; it knows no tasks: no task embeddings

    generator_predictions.LayerNorm.weight  ->  heads.knowledge_masking.transform.LayerNorm.weight
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch
from torch import nn

from pretrain.network.architectures import ENCODER, HEAD, Hub, Transform, VocabularyHead
from pretrain.network.architectures.bert import KEPT, Bert
from pretrain.network.architectures.roberta import always_gelu


class Electra(Bert):
    """google/electra-small-generator, hfl/chinese-electra-180g-base-discriminator, ..."""

    KIND = "electra"
    PREFIXES = ("electra.",)
    HEADS = {
        "generator_predictions.dense.": "transform.dense.",
        "generator_predictions.LayerNorm.": "transform.LayerNorm.",
        "generator_lm_head.weight": "decoder.weight",
        "generator_lm_head.": "",
    }
    CLASSES = ("ElectraForMaskedLM", "ElectraModel")

    def refusal(self, config: Mapping[str, Any]) -> str:
        return always_gelu(config)

    def encoder_config(self, config: Mapping[str, Any], tasks: int, dropout: float, attention_dropout: float) -> Any:
        from transformers import ElectraConfig

        if words(config) == config["hidden_size"]:
            return super().encoder_config(config, tasks, dropout, attention_dropout)
        return ElectraConfig(
            **{name: config[name] for name in KEPT if name in config},
            embedding_size=words(config),
            **self.dropouts(dropout, attention_dropout),
        )

    def build(self, config: Any, pooler: bool) -> nn.Module:
        from transformers import ElectraModel
        from transformers.models.ernie.modeling_ernie import ErniePooler

        encoder: nn.Module = ElectraModel(config)
        if pooler:
            encoder.pooler = ErniePooler(config)
        return encoder

    def head(self, config: Any) -> nn.Module:
        dense = nn.Linear(config.hidden_size, config.embedding_size)
        norm = nn.LayerNorm(config.embedding_size, eps=config.layer_norm_eps)
        return VocabularyHead(Transform(dense, "gelu", norm), config.vocab_size)

    def to_hub(self, tensors: Mapping[str, torch.Tensor], config: Mapping[str, Any]) -> Hub:
        if config.get("model_type") != self.KIND:
            return super().to_hub(tensors, config)
        kept = {name: item for name, item in tensors.items() if name.startswith((ENCODER, HEAD))}
        masked = any(name.startswith(HEAD) for name in kept)
        return Hub(
            {self.hub_name(name): tensor for name, tensor in kept.items()},
            {**config, "architectures": [self.CLASSES[not masked]]},
        )

    def changed(self, config: Mapping[str, Any]) -> dict[str, Any]:
        if reason := always_gelu(config):
            raise ValueError(f"this model cannot be written as {self.KIND}: {reason}")
        return {"embedding_size": config["hidden_size"]}


def words(config: Mapping[str, Any]) -> int:
    """Width of the word table; 128 where config.json does not say, as transformers takes it."""
    return int(config.get("embedding_size", 128))
