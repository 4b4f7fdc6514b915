"""Does the text hold a digit? A small task of one's own, as docs/objectives.md explains it.

    [CLS] vienna built a tram line in 1865 . [SEP]        class 1, digit
    [CLS] horses pulled the first trams . [SEP]           class 0, no digit

In a pretraining configuration, with the folder of ``my_tasks`` as the current one or on PYTHONPATH:

    tasks:
      knowledge_masking: {kind: knowledge_masking}
      digits: {kind: my_tasks.has_digit, weight: 0.5}
    stages:
      - {name: one, steps: 8, tasks: {knowledge_masking: 1, digits: 1}}
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any, ClassVar

import numpy as np
import numpy.typing as npt
import torch
from torch import nn

from data_prep.shards import Prepared
from pretrain.feed.batch import Batch
from pretrain.feed.hiding import Specials
from pretrain.feed.packed import Packed
from pretrain.feed.samples import Sample
from pretrain.feed.texts import Text
from pretrain.forward.encoding import Encoding
from pretrain.forward.loss import Loss, cross_entropy
from pretrain.objectives import Objective, plain_sample


@dataclass(frozen=True, kw_only=True)
class HasDigit(Objective):
    """Does the text hold a digit?"""

    BUILDS_ROWS: ClassVar[bool] = True
    HAS_TASK_ID: ClassVar[bool] = True
    TRAINS_POOLER: ClassVar[bool] = True

    digits: list[int] = field(default_factory=list)
    """Ids of the tokens with a digit; learned from its folders."""

    @property
    def classes(self) -> int:
        """None, one or more."""
        return 2

    @property
    def class_names(self) -> tuple[str, ...]:
        """What the classes mean."""
        return "no digit", "digit"

    def bind(self, prepared: Mapping[str, Prepared]) -> Objective:
        """Find the tokens with a digit, and refuse folders in which none occurs."""
        tokens = next(iter(prepared.values())).tokenizer.tokens  # all folders of a run share it
        digits = [number for number, token in enumerate(tokens) if any(map(str.isdigit, token))]
        shards = (shard for folder in prepared.values() for shard in folder.shards("train"))
        if not any(np.isin(shard.token_ids.values, digits).any() for shard in shards):
            raise ValueError(f"the text of {', '.join(prepared)} has no digit: there is nothing to tell apart")
        return replace(self, digits=digits)

    def build(self, text: Text, key: int, name: str, specials: Specials) -> Sample:
        """``[CLS] window [SEP]`` with its class; digits are never hidden, they are the answer."""
        sample = plain_sample(text, key, name, specials)
        digit_T = np.isin(sample.token_ids_T, self.digits)
        return replace(sample, labels={name: int(digit_T.any())}, maskable_T=sample.maskable_T & ~digit_T)

    def targets(self, packed: Packed, name: str) -> tuple[Mapping[str, npt.NDArray[np.int64]], int]:
        """The samples of a batch that were built for this task, and their classes."""
        sample_M, label_M = packed.labelled(name)
        return {"sample": sample_M, "label": label_M}, len(sample_M)

    def head(self, config: Any) -> nn.Module:
        """A linear layer over the pooled state of [CLS]."""
        return nn.Linear(config.hidden_size, self.classes)

    def loss(self, encoding: Encoding, batch: Batch, targets: Mapping[str, torch.Tensor], head: nn.Module) -> Loss:
        """Cross-entropy of each sample; of no sample it is an empty one that still touches the head."""
        logits_MC = head(encoding.pooled_SD().index_select(0, targets["sample"]))
        return cross_entropy(logits_MC, targets["label"])
