"""ModernBERT: rotary positions that begin anew with every sample, layers that see a window, no token types, no tasks.

    model.layers.1.attn.Wqkv.weight        ->  ernie.encoder.layer.1.attn.Wqkv.weight
    model.embeddings.tok_embeddings.weight ->  ernie.embeddings.word_embeddings.weight
    head.norm.weight                       ->  heads.knowledge_masking.transform.LayerNorm.weight

The layers are transformers' own; what is around them stands here, so that parameters have the names that they have in
every other encoder of ours, and that rotary angles are always computed in fp32.

Shape legend: T positions of the batch, D width, E head width.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch
from torch import nn
from transformers import ModernBertConfig
from transformers.modeling_outputs import BaseModelOutput
from transformers.models.ernie.modeling_ernie import ErniePooler
from transformers.models.modernbert.modeling_modernbert import ModernBertEncoderLayer, ModernBertPreTrainedModel

from pretrain.network.architectures import ENCODER, HEAD, Architecture, Hub, Transform, VocabularyHead

OURS = ("hidden_act", "layer_norm_eps")
"""Fields that heads of tasks read of every encoder, under the names of BERT."""
RENAMED = {
    "model.embeddings.tok_embeddings.": ENCODER + "embeddings.word_embeddings.",
    "model.embeddings.": ENCODER + "embeddings.",
    "model.layers.": ENCODER + "encoder.layer.",
    "model.final_norm.": ENCODER + "encoder.final_norm.",
    "model.pooler.": ENCODER + "pooler.",
    "head.dense.": HEAD + "transform.dense.",
    "head.norm.": HEAD + "transform.LayerNorm.",
    "decoder.weight": HEAD + "decoder.weight",
    "decoder.bias": HEAD + "bias",
}


class Words(nn.Module):
    """The word table, its norm and dropout."""

    def __init__(self, config: Any) -> None:
        super().__init__()
        self.word_embeddings = nn.Embedding(config.vocab_size, config.hidden_size, padding_idx=config.pad_token_id)
        self.norm = nn.LayerNorm(config.hidden_size, eps=config.norm_eps, bias=config.norm_bias)
        self.drop = nn.Dropout(config.embedding_dropout)

    def forward(self, ids: torch.Tensor) -> torch.Tensor:
        """(1, T, D)."""
        found: torch.Tensor = self.drop(self.norm(self.word_embeddings(ids)))
        return found


class Layers(nn.Module):
    """All layers and the norm behind them."""

    def __init__(self, config: Any) -> None:
        super().__init__()
        self.layer = nn.ModuleList([ModernBertEncoderLayer(config, index) for index in range(config.num_hidden_layers)])
        self.final_norm = nn.LayerNorm(config.hidden_size, eps=config.norm_eps, bias=config.norm_bias)

    def forward(self, hidden: torch.Tensor, angles: Mapping[str, Any], **kwargs: Any) -> torch.Tensor:
        """(1, T, D)."""
        for layer in self.layer:
            hidden = layer(hidden, position_embeddings=angles[layer.attention_type], **kwargs)  # type: ignore[index]
        found: torch.Tensor = self.final_norm(hidden)
        return found


class ModernBertEncoder(ModernBertPreTrainedModel):  # type: ignore[misc]
    """Embeddings, layers and a pooler of BERT's kind, which ModernBERT itself has not."""

    def __init__(self, config: Any, pooler: bool) -> None:
        super().__init__(config)
        self.embeddings, self.encoder = Words(config), Layers(config)
        self.pooler = ErniePooler(config) if pooler else None
        self.post_init()

    def forward(self, input_ids: torch.Tensor, position_ids: torch.Tensor, **kwargs: Any) -> BaseModelOutput:
        """Hidden states (1, T, D); segments and tasks among ``kwargs`` have no place."""
        config, angles = self.config, {}
        width = config.hidden_size // config.num_attention_heads
        hidden = self.embeddings(input_ids)
        for kind in dict.fromkeys(config.layer_types):
            angles[kind] = rotary(position_ids, config.rope_parameters[kind]["rope_theta"], width, hidden.dtype)
        around = {name: value for name, value in kwargs.items() if name not in ("token_type_ids", "task_type_ids")}
        return BaseModelOutput(last_hidden_state=self.encoder(hidden, angles, attention_mask=None, **around))


def rotary(
    position_ids: torch.Tensor, theta: float, width: int, kind: torch.dtype
) -> tuple[torch.Tensor, torch.Tensor]:
    """Cosines and sines (1, T, E) of rotary positions."""
    with torch.autocast(position_ids.device.type, enabled=False):
        steps = torch.arange(0, width, 2, dtype=torch.float, device=position_ids.device)
        angles = position_ids[..., None].float() * (1.0 / (theta ** (steps / width)))
        both = torch.cat((angles, angles), -1)
        return both.cos().to(kind), both.sin().to(kind)


class ModernBert(Architecture):
    """answerdotai/ModernBERT-base and what has its shape."""

    KIND = "modernbert"
    PREFIXES = ("model.",)

    def refusal(self, config: Mapping[str, Any]) -> str:
        found = ModernBertConfig(**{name: value for name, value in config.items() if name != "model_type"})
        odd = [item["rope_type"] for item in found.rope_parameters.values() if item.get("rope_type") != "default"]
        if odd:
            return f"its rotary positions are of type {odd[0]!r}; `default` can"
        return ""

    def dropouts(self, dropout: float, attention_dropout: float) -> dict[str, float]:
        return {"embedding_dropout": dropout, "mlp_dropout": dropout, "attention_dropout": attention_dropout}

    def encoder_config(self, config: Mapping[str, Any], tasks: int, dropout: float, attention_dropout: float) -> Any:
        values = {name: value for name, value in config.items() if name not in ("model_type", "architectures")}
        found = ModernBertConfig(**{**values, **self.dropouts(dropout, attention_dropout)})
        found.hidden_act, found.layer_norm_eps = found.hidden_activation, found.norm_eps
        return found

    def our_name(self, name: str) -> str | None:
        name = name if name.startswith(("model.", "head.", "decoder.")) else "model." + name
        begin = next((begin for begin in RENAMED if name.startswith(begin)), None)
        return None if begin is None else RENAMED[begin] + name.removeprefix(begin)

    def build(self, config: Any, pooler: bool) -> nn.Module:
        return ModernBertEncoder(config, pooler)

    def head(self, config: Any) -> nn.Module:
        dense = nn.Linear(config.hidden_size, config.hidden_size, bias=config.classifier_bias)
        norm = nn.LayerNorm(config.hidden_size, eps=config.norm_eps, bias=config.norm_bias)
        return VocabularyHead(Transform(dense, config.classifier_activation, norm), config.vocab_size)

    def to_hub(self, tensors: Mapping[str, torch.Tensor], config: Mapping[str, Any]) -> Hub:
        if config.get("model_type") != self.KIND:
            raise ValueError(f"a model of type {config.get('model_type')} cannot be written as {self.KIND}")
        theirs = {ours: begin for begin, ours in RENAMED.items()}
        found = {}
        for name, tensor in tensors.items():
            if begin := next((ours for ours in sorted(theirs, key=len, reverse=True) if name.startswith(ours)), None):
                found[theirs[begin] + name.removeprefix(begin)] = tensor
        masked = any(name.startswith(HEAD) for name in tensors)
        values = {name: value for name, value in config.items() if name not in OURS}
        return Hub(found, values | {"architectures": ["ModernBertForMaskedLM" if masked else "ModernBertModel"]})
