"""RoBERTa: an ErnieModel whose positions were counted from ``pad_token_id + 1``.

position table (514, D), pad_token_id 1  ->  (512, D): rows 0 and 1 belong to no token
token types (1, D)                       ->  (2, D), both rows alike: tasks over two segments may tell them apart
lm_head.layer_norm.weight                ->  heads.knowledge_masking.transform.LayerNorm.weight
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch

from pretrain.network.architectures.bert import TYPES, Bert

POSITIONS = "ernie.embeddings.position_embeddings.weight"
SEGMENTS = 2
"""Rows of the token type table here, at least."""


class Roberta(Bert):
    """FacebookAI/roberta-base and what has its shape and byte-level vocabulary."""

    KIND = "roberta"
    PREFIXES = ("roberta.",)
    HEADS = {
        "lm_head.dense.": "transform.dense.",
        "lm_head.layer_norm.": "transform.LayerNorm.",
        "lm_head.": "",
    }
    CLASSES = ("RobertaForMaskedLM", "RobertaModel")

    def refusal(self, config: Mapping[str, Any]) -> str:
        if not isinstance(config.get("pad_token_id", 1), int):
            return "config.json gives no pad_token_id, from which its positions are counted"
        return always_gelu(config)

    def encoder_config(self, config: Mapping[str, Any], tasks: int, dropout: float, attention_dropout: float) -> Any:
        values = {
            **config,
            "max_position_embeddings": config["max_position_embeddings"] - first_position(config),
            "type_vocab_size": max(config.get("type_vocab_size", SEGMENTS), SEGMENTS),
            "pad_token_id": config.get("pad_token_id", 1),
        }
        return super().encoder_config(values, tasks, dropout, attention_dropout)

    def imported(self, tensors: Mapping[str, torch.Tensor], config: Mapping[str, Any]) -> dict[str, torch.Tensor]:
        found = dict(tensors)
        if POSITIONS in found:
            found[POSITIONS] = found[POSITIONS][first_position(config) :].clone()
        if TYPES in found and len(found[TYPES]) < SEGMENTS:
            found[TYPES] = found[TYPES][:1].repeat(SEGMENTS, 1)
        return found

    def exported(self, tensors: Mapping[str, torch.Tensor], config: Mapping[str, Any]) -> dict[str, torch.Tensor]:
        found = super().exported(tensors, config)
        table = found[POSITIONS]
        found[POSITIONS] = torch.cat([table.new_zeros(first_position(config), table.shape[1]), table])
        return found

    def changed(self, config: Mapping[str, Any]) -> dict[str, Any]:
        if reason := always_gelu(config):
            raise ValueError(f"this model cannot be written as {self.KIND}: {reason}")
        return {"max_position_embeddings": config["max_position_embeddings"] + first_position(config)}


def first_position(config: Mapping[str, Any]) -> int:
    """The row of the position table that the first token of a text has."""
    return int(config.get("pad_token_id", 1)) + 1


def always_gelu(config: Mapping[str, Any]) -> str:
    """Why a masked-LM head that knows no other activation than gelu does not fit."""
    activation = config.get("hidden_act", "gelu")
    return "" if activation == "gelu" else f"hidden_act {activation!r}, but its masked-LM head always uses gelu"
