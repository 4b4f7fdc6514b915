"""BERT, and Chinese RoBERTa-wwm and MacBERT, whose ``model_type`` is bert: an ErnieModel that knows no tasks.

bert.encoder.layer.0.output.LayerNorm.gamma  ->  ernie.encoder.layer.0.output.LayerNorm.weight
cls.predictions.transform.dense.weight       ->  heads.knowledge_masking.transform.dense.weight
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar

import torch

from pretrain.network.architectures import ENCODER, HEAD, SHAPE, Architecture, Hub

KEPT = (*SHAPE, "hidden_act", "type_vocab_size", "layer_norm_eps", "pad_token_id", "initializer_range")
TASKS = "ernie.embeddings.task_type_embeddings.weight"
TYPES = "ernie.embeddings.token_type_embeddings.weight"
OURS = ("task_type_vocab_size", "use_task_id")


class Bert(Architecture):
    """google-bert/bert-base-uncased, hfl/chinese-roberta-wwm-ext, hfl/chinese-macbert-base, ..."""

    KIND = "bert"
    PREFIXES: ClassVar[tuple[str, ...]] = ("bert.", "ernie.")
    HEADS: ClassVar[Mapping[str, str]] = {"cls.predictions.": ""}
    """Beginnings of names of the masked-LM head, and what stands for them behind ``HEAD``."""
    CLASSES: ClassVar[tuple[str, str]] = ("BertForMaskedLM", "BertModel")
    """transformers' class with a masked-LM head, and without."""

    def encoder_config(self, config: Mapping[str, Any], tasks: int, dropout: float, attention_dropout: float) -> Any:
        from transformers import ErnieConfig

        return ErnieConfig(
            **{name: config[name] for name in KEPT if name in config},
            task_type_vocab_size=tasks,
            use_task_id=True,
            **self.dropouts(dropout, attention_dropout),
        )

    def our_name(self, name: str) -> str | None:
        name = name.replace("LayerNorm.gamma", "LayerNorm.weight").replace("LayerNorm.beta", "LayerNorm.bias")
        if name.endswith("position_ids"):
            return None
        for begin, ours in self.HEADS.items():
            if name.startswith(begin):
                return HEAD + ours + name.removeprefix(begin)
        for prefix in self.PREFIXES:
            if name.startswith(prefix):
                return ENCODER + name.removeprefix(prefix)
        return (
            ENCODER + name if name.startswith(("embeddings.", "embeddings_project.", "encoder.", "pooler.")) else None
        )

    def hub_name(self, name: str) -> str:
        """The folder's name of a tensor of ours."""
        if not name.startswith(HEAD):
            return self.PREFIXES[0] + name.removeprefix(ENCODER)
        inner = name.removeprefix(HEAD)
        begin = max((ours for ours in self.HEADS.values() if inner.startswith(ours)), key=len)
        return next(theirs for theirs, ours in self.HEADS.items() if ours == begin) + inner.removeprefix(begin)

    def to_hub(self, tensors: Mapping[str, torch.Tensor], config: Mapping[str, Any]) -> Hub:
        if config.get("model_type") != "ernie":
            raise ValueError(f"a model of type {config.get('model_type')} cannot be written as {self.KIND}")
        kept = self.exported({name: item for name, item in tensors.items() if name.startswith((ENCODER, HEAD))}, config)
        values = {name: value for name, value in config.items() if name not in OURS} | {"model_type": self.KIND}
        values["architectures"] = [self.CLASSES[not any(name.startswith(HEAD) for name in kept)]]
        return Hub({self.hub_name(name): tensor for name, tensor in kept.items()}, values | self.changed(config))

    def exported(self, tensors: Mapping[str, torch.Tensor], config: Mapping[str, Any]) -> dict[str, torch.Tensor]:
        """Tensors in the shapes of the folder, still under our names: row 0 of the task table, which fine-tuning sees,
        goes into every row of the token types."""
        found = {name: tensor for name, tensor in tensors.items() if name != TASKS}
        if TASKS in tensors:
            found[TYPES] = found[TYPES] + tensors[TASKS][0]
        return found

    def changed(self, config: Mapping[str, Any]) -> dict[str, Any]:
        """Fields of config.json that differ from those of our encoder."""
        return {}
