"""Which class has a labelled pair? Reads whole documents of a split of its own, and learns their classes from the
folder."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, ClassVar

import numpy as np
import numpy.typing as npt
import torch
from torch import nn

from data_prep.shards import Prepared
from pretrain.feed.batch import Batch
from pretrain.feed.feeds import Feed
from pretrain.feed.hiding import Specials
from pretrain.feed.packed import Packed
from pretrain.feed.samples import Sample
from pretrain.feed.texts import Text
from pretrain.forward.encoding import Encoding
from pretrain.forward.loss import Loss, cross_entropy
from pretrain.objectives import Objective


@dataclass(frozen=True, kw_only=True)
class LabelledPairs(Objective):
    """``[CLS] first [SEP] second [SEP]`` with two segments."""

    BUILDS_ROWS: ClassVar[bool] = True
    HAS_TASK_ID: ClassVar[bool] = True
    TRAINS_POOLER: ClassVar[bool] = True

    names: list[str] = field(default_factory=list)
    """The classes; empty: those of the folders."""
    split: str = "discourse"
    """The split that is read."""
    fault: str = ""
    """What is done wrong: `label`, `two` (the first sample of a stage is built twice as long)."""

    @property
    def classes(self) -> int:
        """As many as the folders name."""
        return len(self.names)

    def special_tokens(self) -> int:
        return 3

    def feed(self) -> Feed:
        return Feed(split=self.split, heldout="heldout", whole=True, labelled=True)

    def bind(self, prepared: Mapping[str, Prepared]) -> Objective:
        names = list(next(iter(prepared.values())).classes[self.split])
        if self.names and self.names != names:
            raise ValueError(f"names: {self.names}, but the folders have {names}")
        return replace(self, names=names)

    def build(self, text: Text, key: int, name: str, specials: Specials) -> Sample | Sequence[Sample]:
        first, second = (int(end) for end in text.shard.segment_ends.row(text.document))
        room = 64 - 3
        kept = max(min(first, room // 2), room - (second - first)) if second > room else first
        tokens_T = text.token_ids_T
        one_T, two_T = tokens_T[: min(first, kept)], tokens_T[first : first + room - min(first, kept)]
        ids_T = np.concatenate([[specials.cls], one_T, [specials.sep], two_T, [specials.sep]])
        segment_T = np.concatenate([np.zeros(len(one_T) + 2, np.int64), np.ones(len(two_T) + 1, np.int64)])
        return Sample(
            token_ids_T=ids_T,
            maskable_T=~np.isin(ids_T, [specials.cls, specials.sep]),
            segment_ids_T=segment_T,
            units={level: (np.zeros(0, np.int64), np.zeros(0, np.int64)) for level in text.units},
            task=name,
            labels={name: int(text.shard.label[text.document]) + (100 if self.fault == "label" else 0)},
            key=key,
            document_id=text.document_id,
            first_token=text.start,
            text=text,
        )

    def targets(self, packed: Packed, name: str) -> tuple[Mapping[str, npt.NDArray[np.int64]], int]:
        sample_M, label_M = packed.labelled(name)
        return {"sample": sample_M, "label": label_M}, len(sample_M)

    def head(self, config: Any) -> nn.Module:
        return nn.Linear(config.hidden_size, self.classes)

    def loss(self, encoding: Encoding, batch: Batch, targets: Mapping[str, torch.Tensor], head: nn.Module) -> Loss:
        return cross_entropy(head(encoding.pooled_SD().index_select(0, targets["sample"])), targets["label"])
