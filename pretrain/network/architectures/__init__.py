"""Architectures: one file is one ``model_type`` of config.json; ``roberta`` is ``architectures/roberta.py``.

    config.json, weights of a folder  --encoder_config, our_name, imported-->  our encoder and its weights
    our encoder and its weights       --to_hub-->                              config.json, weights of a folder

An encoder is one of transformers' own, with parameters under ``ernie.*``: ``embeddings.word_embeddings``,
``encoder.layer.N``, ``pooler``. Three compute: ErnieModel (bert, ernie, roberta, electra as wide as its words),
ElectraModel and ModernBERT's layers.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping
from typing import Any, ClassVar, NamedTuple

import torch
from torch import nn

ENCODER = "ernie."
HEAD = "heads.knowledge_masking."
"""Where the masked-LM head is among our names: `transform.dense`, `transform.LayerNorm`, `bias`, `decoder`."""
SHAPE = (
    "vocab_size",
    "hidden_size",
    "num_hidden_layers",
    "num_attention_heads",
    "intermediate_size",
    "max_position_embeddings",
)
"""Whole numbers that a config.json must say."""


class Hub(NamedTuple):
    """A model as transformers' own class of its architecture saves it."""

    tensors: Mapping[str, torch.Tensor]
    config: Mapping[str, Any]
    """What config.json says; `architectures` names the class."""


class Architecture(ABC):
    """How checkpoints of one ``model_type`` become ours and go back."""

    KIND: ClassVar[str]
    """Its ``model_type``."""
    PREFIXES: ClassVar[tuple[str, ...]]
    """What names of the encoder's tensors may begin with in a folder."""

    def refusal(self, config: Mapping[str, Any]) -> str:
        """Why a checkpoint of this config.json cannot be continued; empty: it can."""
        return ""

    @abstractmethod
    def encoder_config(self, config: Mapping[str, Any], tasks: int, dropout: float, attention_dropout: float) -> Any:
        """transformers' configuration of the encoder that computes it here, with a table of ``tasks`` rows where that
        encoder has one."""

    @abstractmethod
    def our_name(self, name: str) -> str | None:
        """Our name of a tensor of the folder; None: it has no place here."""

    def imported(self, tensors: Mapping[str, torch.Tensor], config: Mapping[str, Any]) -> dict[str, torch.Tensor]:
        """Tensors under our names, once they have them, in the shapes that they have here."""
        return dict(tensors)

    def dropouts(self, dropout: float, attention_dropout: float) -> dict[str, float]:
        """Fields of our encoder's configuration that say how much is dropped."""
        return {"hidden_dropout_prob": dropout, "attention_probs_dropout_prob": attention_dropout}

    def build(self, config: Any, pooler: bool) -> nn.Module:
        """The encoder; without weights of anybody and with transformers' own attention."""
        raise ValueError(f"{self.KIND}: its checkpoints are computed by the encoder of another architecture")

    def head(self, config: Any) -> nn.Module:
        """The masked-LM head without its decoder: ``transform`` and ``bias``; it calls ``decoder``, as wide as the
        words."""
        from transformers.models.ernie.modeling_ernie import ErnieLMPredictionHead

        found: nn.Module = ErnieLMPredictionHead(config)
        return found

    @abstractmethod
    def to_hub(self, tensors: Mapping[str, torch.Tensor], config: Mapping[str, Any]) -> Hub:
        """The folder that transformers' class of this architecture reads; heads that it has no place for stay out.

        Args:
            tensors: under our names.
            config: of our encoder, as ``to_dict`` gives it.

        Raises:
            ValueError: the encoder computes something that this architecture cannot.
        """


class VocabularyHead(nn.Module):
    """transform (dense, activation, norm) to the width of the words, then ``decoder``: the names of BERT's head."""

    decoder: nn.Module

    def __init__(self, transform: nn.Module, vocabulary: int) -> None:
        super().__init__()
        self.transform = transform
        self.bias = nn.Parameter(torch.zeros(vocabulary))

    def forward(self, states: torch.Tensor) -> torch.Tensor:
        """Logits."""
        logits: torch.Tensor = self.decoder(self.transform(states))
        return logits


class Transform(nn.Module):
    """dense, activation and norm, as masked-LM heads have them before the vocabulary."""

    def __init__(self, dense: nn.Linear, activation: str, norm: nn.LayerNorm) -> None:
        from transformers.activations import ACT2FN

        super().__init__()
        self.dense, self.activation, self.LayerNorm = dense, ACT2FN[activation], norm

    def forward(self, states: torch.Tensor) -> torch.Tensor:
        """States as wide as the words."""
        found: torch.Tensor = self.LayerNorm(self.activation(self.dense(states)))
        return found
