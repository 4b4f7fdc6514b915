"""Objectives: one file here is one thing to predict. ``kind: span_boundary`` is ``objectives/span_boundary.py``.

An objective is four hooks. ``build`` and ``targets`` run in data workers on numpy arrays; ``head`` and ``loss`` in the model.
Token-level objectives ride on every row; a sentence-level objective builds rows of its own, whose samples carry its task id.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar, NamedTuple

import numpy as np
import numpy.typing as npt
import torch
from torch import nn

from pretrain.feed.batch import Batch
from pretrain.feed.building import Built, Keys, each, plain_samples
from pretrain.feed.hiding import Specials
from pretrain.feed.packed import Packed
from pretrain.feed.samples import NOWHERE, Sample
from pretrain.feed.texts import Long, Text, Texts


class Loss(NamedTuple):
    """A sum and what it sums over, per target, so that it is divided once, by the global count."""

    per_target: torch.Tensor
    """float[M], the loss of each target."""
    correct: torch.Tensor
    """bool[M]."""
    group: torch.Tensor
    """int64[M], a group of each target that metrics are split by (the kind of its unit), 0 where there is none."""


class Encoding(NamedTuple):
    """What an objective may read from the model."""

    hidden_TD: Callable[[], torch.Tensor]
    """The encoder's last states (T, D) of the batch as it is; computed once, on first use."""
    pooled_SD: Callable[[], torch.Tensor]
    """The pooled [CLS] state of every sample (S, D)."""


@dataclass(frozen=True, kw_only=True)
class Objective(ABC):
    """One pretraining task."""

    SENTENCE_LEVEL: ClassVar[bool] = False
    """True: builds rows of its own and has a row in the task table. False: rides on every row, task id 0."""

    weight: float = 1.0
    """Factor of its mean loss in the total."""

    def __post_init__(self) -> None:
        if not self.weight > 0:
            raise ValueError(f"weight: {self.weight} must be positive; leave the task out of a stage to switch it off")

    @property
    def classes(self) -> int:
        """Number of classes of a sentence-level task whose targets have a ``label``; 0 for other tasks."""
        return 0

    def special_tokens(self) -> int:
        """Most special tokens that ``build`` adds to a window: windows have so many tokens less than `batch.max_sample_tokens`."""
        return 2

    def lengths(self, tokens_W: Long) -> Long:
        """Most tokens of all samples that are built of windows of so many tokens: what rows are packed by."""
        return tokens_W + self.special_tokens()

    def build(self, text: Text, key: int, name: str, specials: Specials) -> Sample | Sequence[Sample]:
        """One or several samples of a window; here ``[CLS] window [SEP]``."""
        return plain_sample(text, key, name, specials)

    def build_all(self, texts: Texts, key_W: Keys, name: str, specials: Specials) -> Built:
        """``build`` for several windows; an objective may do it faster, with the same result."""
        if type(self).build is Objective.build:
            return plain_samples(texts, key_W, name, specials)
        return each(self.build, texts, key_W, name, specials)

    @abstractmethod
    def targets(self, packed: Packed, name: str) -> tuple[Mapping[str, npt.NDArray[np.int64]], int]:
        """Arrays that ``loss`` reads, and the number of targets."""

    @abstractmethod
    def head(self, config: Any) -> nn.Module:
        """Parameters of its own; ``config`` is transformers' ErnieConfig.

        A linear layer named ``decoder`` is tied to the word embeddings by the model, and its bias to ``head.bias`` if there is one. (The layer
        must belong to the head: ZeRO-3 gathers a shared weight only for modules that own it.)
        """

    @abstractmethod
    def loss(self, encoding: Encoding, batch: Batch, targets: Mapping[str, torch.Tensor], head: nn.Module) -> Loss:
        """Loss of every target; must touch every parameter of the head even when there is no target."""


@dataclass(frozen=True, kw_only=True)
class TokenPrediction(Objective):
    """Base of tasks that predict the original token at some positions; their targets are `position`, `label` and `kind`.

    The head is transformers' own: transform, layer norm, and a decoder tied to the word embeddings. It sees those positions only.
    """

    def head(self, config: Any) -> nn.Module:
        from transformers.models.ernie.modeling_ernie import ErnieLMPredictionHead

        head: nn.Module = ErnieLMPredictionHead(config)
        return head

    def loss(self, encoding: Encoding, batch: Batch, targets: Mapping[str, torch.Tensor], head: nn.Module) -> Loss:
        hidden_MD = encoding.hidden_TD().index_select(0, targets["position"])
        return cross_entropy(head(hidden_MD), targets["label"], targets["kind"])


def plain_sample(text: Text, key: int, name: str, specials: Specials) -> Sample:
    """``[CLS] window [SEP]``, one segment."""
    count = len(text.token_ids_T)
    maskable_T = np.ones(count + 2, np.bool_)
    maskable_T[0] = maskable_T[-1] = False
    return Sample(
        token_ids_T=np.concatenate([[specials.cls], text.token_ids_T, [specials.sep]]),
        maskable_T=maskable_T,
        segment_ids_T=np.zeros(count + 2, np.int64),
        units={level: (start_U + 1, end_U + 1) for level, (start_U, end_U) in text.units.items()},
        task=name,
        labels={},
        key=key,
        document_id=text.document_id,
        first_token=text.start,
        sentence_ends_S=text.sentence_ends_S + 1,
        place_T=np.concatenate([[NOWHERE], np.arange(text.start, text.start + count), [NOWHERE]]),
        text=text,
    )


def cross_entropy(logits_MV: torch.Tensor, label_M: torch.Tensor, group_M: torch.Tensor) -> Loss:
    """Loss, hit and group of every target."""
    per_target = nn.functional.cross_entropy(logits_MV.float(), label_M, reduction="none")
    with torch.no_grad():
        correct = logits_MV.argmax(-1) == label_M
    return Loss(per_target, correct, group_M)
