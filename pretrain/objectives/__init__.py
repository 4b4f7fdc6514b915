"""Objectives: one file here is one thing to predict. ``kind: span_boundary`` is ``objectives/span_boundary.py``.

``build`` and ``targets`` run in data workers on numpy arrays; ``head``, ``tied``, ``companions`` and ``loss`` in the
model.

Flags say how it takes part: BUILDS_ROWS (a share gives it rows of its own kind), HAS_TASK_ID (they carry an id of
their own), TRAINS_POOLER, READS_HIDDEN (tokens are hidden for it). ``groups`` names what its figures are split by.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, ClassVar

import numpy as np
import numpy.typing as npt
import torch
from torch import nn

from data_prep.shards import Prepared
from masking.spans import KINDS
from pretrain.feed.batch import Batch
from pretrain.feed.building import Built, Keys, each, plain_samples
from pretrain.feed.feeds import Feed
from pretrain.feed.hiding import Specials
from pretrain.feed.packed import Packed
from pretrain.feed.samples import NOWHERE, Sample
from pretrain.feed.texts import Long, Text, Texts
from pretrain.forward.encoding import Encoding
from pretrain.forward.loss import Loss, cross_entropy, over_vocabulary
from pretrain.network.decoder import Decoder
from pretrain.network.kinds import architecture, word_width

WORDS = "ernie.embeddings.word_embeddings.weight"
"""The table that decoders over the vocabulary are tied to; a task that ties one predicts its targets' ``label``."""


@dataclass(frozen=True, kw_only=True)
class Objective(ABC):
    """One pretraining task."""

    BUILDS_ROWS: ClassVar[bool] = False
    """Does its share of a stage give it rows of its own kind of samples? False: it only rides on the rows of others."""
    HAS_TASK_ID: ClassVar[bool] = False
    """Do its rows carry a task id of their own, a row of the task table? False: task id 0, which fine-tuning sees."""
    TRAINS_POOLER: ClassVar[bool] = False
    """Does its loss read ``pooled_SD``? The pooler is frozen in stages where no task does."""

    READS_HIDDEN: ClassVar[bool] = False
    """Do its inputs or targets hang on hidden or shuffled tokens? Stages none of whose tasks does train on whole
    text."""

    weight: float = 1.0
    """Factor of its mean loss in the total."""
    folders: list[str] | dict[str, float] = field(default_factory=list)
    """Names of the prepared folders whose documents it reads; empty: all of the run. As `{a: 2, b: 1}` with weights of
    its own in place of those under `data`."""

    def __post_init__(self) -> None:
        if not self.weight > 0:
            raise ValueError(f"weight: {self.weight} must be positive; leave the task out of a stage to switch it off")
        if isinstance(self.folders, dict) and not all(weight > 0 for weight in self.folders.values()):
            raise ValueError(f"folders: the weights {self.folders} must be positive; leave a folder out instead")

    @property
    def classes(self) -> int:
        """Number of classes of a task whose targets have a ``label`` among few; 0 for other tasks."""
        return 0

    @property
    def class_names(self) -> tuple[str, ...]:
        """Names of its classes, for people; numbers by default."""
        return tuple(str(number) for number in range(self.classes))

    @property
    def groups(self) -> tuple[str, ...]:
        """Names of the groups of targets that its figures are split by: ``loss/TASK/GROUP``; none by default."""
        return ()

    @property
    def means(self) -> Mapping[str, float]:
        """Parts of its targets that have a mean loss each, with the weights by which these are summed; none: one mean
        of all its targets. ``targets`` counts each part, and ``Loss.mean`` says what each target counts in."""
        return {}

    def feed(self) -> Feed:
        """What it reads of each folder; here the windows of the training split."""
        return Feed()

    def bind(self, prepared: Mapping[str, Prepared]) -> Objective:
        """The objective as it is trained on its folders: where it learns from them (the number of its classes), a copy
        whose fields say so.

        What the fields say is kept in checkpoints, so that a run continues and exports without the folders.

        Raises:
            ValueError: it cannot be trained on them; ``task 'NAME'`` is put in front of the message.
        """
        return self

    def special_tokens(self) -> int:
        """Most special tokens that ``build`` adds to a window: windows have so many tokens less than
        `batch.max_sample_tokens`."""
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
    def targets(self, packed: Packed, name: str) -> tuple[Mapping[str, npt.NDArray[np.int64]], int | Mapping[str, int]]:
        """Arrays that ``loss`` reads, and the number of targets: of each of its ``means``, where it has some."""

    @abstractmethod
    def head(self, config: Any) -> nn.Module:
        """Parameters of its own, a second encoder included; ``config`` is transformers' ErnieConfig (or that
        of another architecture, network/kinds.py).

        A layer whose weight is shared must belong to the head (see ``tied``): ZeRO-3 gathers a shared weight only for
        modules that own it.
        """

    def tied(self, name: str) -> Mapping[str, str]:
        """Parameters of the head that are parameters of the model: of ``ernie.*``, or of this head, ``heads.NAME.*``.

        {"decoder.weight": "ernie.embeddings.word_embeddings.weight", "decoder.bias": "heads.NAME.bias"}
        """
        return {}

    def companions(self, head: nn.Module) -> Mapping[str, nn.Module]:
        """Encoders inside the head, by name, which ``kmask export --companions`` writes as Hugging Face folders of
        their own."""
        return {}

    @abstractmethod
    def loss(self, encoding: Encoding, batch: Batch, targets: Mapping[str, torch.Tensor], head: nn.Module) -> Loss:
        """Loss of every target; must touch every parameter of the head even when there is no target."""


@dataclass(frozen=True, kw_only=True)
class TokenPrediction(Objective):
    """Base of tasks that predict the original token at some positions; their targets are `position`, `label` and
    `kind`.

    The head is transformers' own: transform, layer norm, and a decoder tied to the word embeddings. It sees those
    positions only.
    """

    READS_HIDDEN: ClassVar[bool] = True

    @property
    def groups(self) -> tuple[str, ...]:
        """The kinds of units."""
        return tuple(KINDS)

    def tied(self, name: str) -> Mapping[str, str]:
        return {"decoder.weight": WORDS, "decoder.bias": f"heads.{name}.bias"}

    def head(self, config: Any) -> nn.Module:
        head = architecture(config.model_type).head(config)
        head.decoder = Decoder(word_width(config), config.vocab_size)
        return head

    def loss(self, encoding: Encoding, batch: Batch, targets: Mapping[str, torch.Tensor], head: nn.Module) -> Loss:
        hidden_MD = encoding.hidden_TD().index_select(0, targets["position"])
        return over_vocabulary(head, [hidden_MD], targets["label"], targets["kind"])


@dataclass(frozen=True, kw_only=True)
class SentencePrediction(Objective):
    """Base of tasks that ask for the class of a whole sample: ``Sample.labels[NAME]``, read from the pooled [CLS]."""

    BUILDS_ROWS: ClassVar[bool] = True
    HAS_TASK_ID: ClassVar[bool] = True
    TRAINS_POOLER: ClassVar[bool] = True

    def targets(self, packed: Packed, name: str) -> tuple[Mapping[str, npt.NDArray[np.int64]], int]:
        sample_M, label_M = packed.labelled(name)
        return {"sample": sample_M, "label": label_M}, len(sample_M)

    def head(self, config: Any) -> nn.Module:
        return nn.Linear(config.hidden_size, self.classes)

    def loss(self, encoding: Encoding, batch: Batch, targets: Mapping[str, torch.Tensor], head: nn.Module) -> Loss:
        logits_MC = head(encoding.pooled_SD().index_select(0, targets["sample"]))
        return cross_entropy(logits_MC, targets["label"])


@dataclass(frozen=True, kw_only=True)
class TokenClassification(Objective):
    """Base of tasks that ask for the class of tokens, read from their last states.

    They have no task id and learn from every row of a stage; a share gives them plain rows besides.
    """

    BUILDS_ROWS: ClassVar[bool] = True

    @abstractmethod
    def labels(self, packed: Packed, name: str) -> tuple[Long, Long]:
        """(position_M, label_M): which positions of the batch are asked, and their classes."""

    def targets(self, packed: Packed, name: str) -> tuple[Mapping[str, npt.NDArray[np.int64]], int]:
        position_M, label_M = self.labels(packed, name)
        return {"position": position_M, "label": label_M}, len(position_M)

    def head(self, config: Any) -> nn.Module:
        return nn.Linear(config.hidden_size, self.classes)

    def loss(self, encoding: Encoding, batch: Batch, targets: Mapping[str, torch.Tensor], head: nn.Module) -> Loss:
        logits_MC = head(encoding.hidden_TD().index_select(0, targets["position"]))
        return cross_entropy(logits_MC, targets["label"])


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
