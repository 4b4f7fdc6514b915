"""A supervised task of your own on tokens, from marked text and a configuration: names, terms, chunks, word edges.

The text is prepared like any other; each line of a JSONL file holds a text and its spans in characters:

    {"text": "鲁迅生于绍兴。", "spans": [[0, 2, "PER"], [4, 6, "LOC"]]}

    corpora:                                                       (data configuration; `kind: conll` reads columns)
      - {kind: annotated_jsonl, paths: [ner.jsonl], kinds: [PER, LOC], level: entity}
    tasks:                                                         (pretraining configuration)
      names: {kind: token_classification, level: entity, folders: [ner], unmarked: true}

    token   鲁     迅     生  于  绍     兴     。
    bio     B-PER  I-PER  O   O   B-LOC  I-LOC  O                  io: PER PER O O LOC LOC O

Every token of a document is asked, hidden, replaced and moved ones too; a unit that the edge of a sample cuts keeps its
labels, so that a sample may begin with an I. The task rides on every row of its folders. Documents in which nothing is
marked are asked only with `unmarked`: text from elsewhere in the folder was perhaps never looked at. The figures of
each class stand beside those of all, since most tokens are O.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace

import numpy as np
import torch
from torch import nn

from data_prep.shards import Prepared
from pretrain.feed.batch import Batch
from pretrain.feed.corpus_counts import sampled
from pretrain.feed.document_tokens import ShardSamples, asked_tokens
from pretrain.feed.packed import Packed
from pretrain.feed.texts import Long
from pretrain.forward.encoding import Encoding
from pretrain.forward.loss import Loss, cross_entropy
from pretrain.objectives import Objective, TokenClassification

SCHEMES = ("bio", "io")
OUTSIDE = "O"


@dataclass(frozen=True, kw_only=True)
class UnitClassification(TokenClassification):
    """Which class of unit does the token belong to? The units of a level and their types are the answers."""

    level: str = "entity"
    """Level of the prepared folders whose units are the answers (`entity`, `phrase`, `word` or one of your own)."""
    types: list[str] = field(default_factory=list)
    """Types of units that are classes, other units are outside; empty: all types of the level. Units without a type
    have the level's name."""
    scheme: str = "bio"
    """`bio`: the first token of a unit has a class of its own; `io`: all its tokens have the same."""
    unmarked: bool = False
    """Are documents asked that have no unit of the level? Right for folders in which everything was looked at."""

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.scheme not in SCHEMES:
            raise ValueError(f"scheme: {self.scheme!r} is not one of {', '.join(SCHEMES)}")
        if len(set(self.types)) < len(self.types) or not all(name.strip() for name in self.types):
            raise ValueError(f"types: {self.types} must name every type once")

    @property
    def classes(self) -> int:
        """Outside, and one or two of each type."""
        return len(self.class_names)

    @property
    def class_names(self) -> tuple[str, ...]:
        if self.scheme == "io":
            return (OUTSIDE, *self.types)
        return (OUTSIDE, *(f"{mark}-{name}" for name in self.types for mark in "BI"))

    @property
    def groups(self) -> tuple[str, ...]:
        """The classes."""
        return self.class_names

    def bind(self, prepared: Mapping[str, Prepared]) -> Objective:
        found: dict[str, None] = {}
        read_all = True
        for name, folder in prepared.items():
            if self.level not in folder.levels:
                raise ValueError(
                    f"level: {name} has no units of level {self.level!r}; it has {', '.join(folder.levels) or 'none'}"
                )
            types, read = self._named(folder), 0
            for shard in sampled([folder]):
                found |= dict.fromkeys(types[label] for label in np.unique(shard.units[self.level].label_U).tolist())
                read += len(shard.token_ids.values)
            read_all &= read >= folder.tokens("train")
        missing = [name for name in self.types if name not in found]
        if not found or (missing and read_all):
            which = f"of the types {', '.join(missing)} " if found else ""
            raise ValueError(
                f"types: {', '.join(prepared)} have no unit of level {self.level!r} {which}to learn from; found: "
                f"{', '.join(found) or 'none'}"
            )
        return replace(self, types=self.types or list(found))

    def _named(self, folder: Prepared) -> list[str]:
        """The types of a folder's labels, by number."""
        return [label.type or self.level for label in folder.labels]

    def labels(self, packed: Packed, name: str) -> tuple[Long, Long]:
        return asked_tokens(packed, self.folders, self._write)

    def _write(self, samples: ShardSamples, label_T: Long) -> None:
        """The class of each token."""
        from pretrain.feed import kernels

        folder = samples.reader.prepared
        if self.level not in folder.levels:
            return
        numbers = {name: number for number, name in enumerate(self.types)}
        type_L = np.array([numbers.get(name, -1) for name in self._named(folder)] or [-1], np.int64)
        class_L2 = np.where(type_L >= 0, 1 + type_L, 0)[:, None].repeat(2, 1)
        if self.scheme == "bio":
            class_L2 = np.where(type_L[:, None] >= 0, 1 + 2 * type_L[:, None] + np.arange(2), 0)
        units = samples.shard.units[self.level]
        kernels.unit_classes(*samples.placed, *units, class_L2, self.unmarked, label_T)

    def loss(self, encoding: Encoding, batch: Batch, targets: Mapping[str, torch.Tensor], head: nn.Module) -> Loss:
        logits_MC = head(encoding.hidden_TD().index_select(0, targets["position"]))
        return cross_entropy(logits_MC, targets["label"], targets["label"])
