"""Which class has a labelled pair, or a single labelled text? Any supervised task that BERT (Devlin et al. 2019,
section 3 and figure 4) reads from [CLS]: paraphrases, inference, answers to questions, sentiment.

    {"first": "长江在哪里", "second": "长江源头考察", "label": "0"}, prepared with `kind: pairs`

    tokens    [CLS] 长 江 在 哪 里 [SEP] 长 江 源 头 考 察 [SEP]            a single text: [CLS] text [SEP]
    segments    0    0  0  0  0  0   0    1  1  1  1  1  1   1
    label     0, the number of its class in the folder

A pair that is too long loses tokens from its longer part first, at the start of a unit where one is near
(feed/parts.py). Documents that are no pair, and pairs without a label, are samples for the tasks that hide tokens only.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Self

import numpy as np
import torch
from torch import nn

from data_prep.shards import Prepared
from pretrain.feed.batch import Batch
from pretrain.feed.building import Built, Keys, each
from pretrain.feed.feeds import Feed
from pretrain.feed.hiding import Specials
from pretrain.feed.joining import Pieces, joined_samples
from pretrain.feed.parts import Pairs, pair_pieces, parts_of
from pretrain.feed.samples import NO_LABEL, Sample
from pretrain.feed.texts import Long, Text, Texts
from pretrain.forward.encoding import Encoding
from pretrain.forward.loss import Loss
from pretrain.objectives import SentencePrediction

HELDOUT = {"train": "heldout", "discourse": "discourse_heldout"}


@dataclass(frozen=True, kw_only=True)
class PairClassification(SentencePrediction):
    """Which class has a labelled pair, or a single labelled text?"""

    split: str = "train"
    """The split that is read: `train` of corpora of labelled pairs, `discourse` of pairs that a marker joined. It is
    evaluated on `heldout` or `discourse_heldout`."""
    hide: bool = True
    """May tokens of its samples be hidden, so that the tasks that hide tokens learn from them, too?"""
    class_weights: dict[str, float] = field(default_factory=dict)
    """Factor of the loss of a class, by its name; 1 for classes that are not named."""
    names: list[str] = field(default_factory=list)
    """The classes of its folders; learned from them."""

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.split not in HELDOUT:
            raise ValueError(f"split: {self.split!r} is not one of {', '.join(HELDOUT)}")
        if bad := {name: value for name, value in self.class_weights.items() if not value > 0}:
            raise ValueError(f"class_weights: {bad} must be positive")

    @property
    def classes(self) -> int:
        """As many as are named."""
        return len(self.class_names)

    @property
    def class_names(self) -> tuple[str, ...]:
        """Those of its folders."""
        return tuple(self.names)

    def special_tokens(self) -> int:
        return 3

    def feed(self) -> Feed:
        return Feed(split=self.split, heldout=HELDOUT[self.split], whole=True, labelled=True)

    def bind(self, prepared: Mapping[str, Prepared]) -> Self:
        names = classes_of(prepared, self.feed())
        if self.names and self.names != names:
            raise ValueError(f"names: {', '.join(self.names)} were learned before, but its folders have {_list(names)}")
        bound = replace(self, names=names)
        bound.check(sorted({int(label) for folder in prepared.values() for label in seen_labels(folder, self.split)}))
        if unknown := [name for name in self.class_weights if name not in bound.class_names]:
            raise ValueError(f"class_weights: {unknown[0]!r} is no class; they are {_list(bound.class_names)}")
        return bound

    def check(self, seen: list[int]) -> None:
        """Raise ValueError unless pairs of these classes can be told apart: two at least are needed.

        Args:
            seen: numbers of classes that occur in its folders, two of them if there are so many.
        """
        if len(seen) < 2:
            found = f"all of class {self.names[seen[0]]!r}" if seen else "without a label"
            raise ValueError(
                f"the pairs of the split {self.split!r} are {found} (the classes are {_list(self.names)}); two "
                "classes at least must occur"
            )

    def build(self, text: Text, key: int, name: str, specials: Specials) -> Sample:
        texts = Texts.of([text])
        return type(self).built(self, texts, np.array([key], np.uint64), name, specials).samples[0]

    def build_all(self, texts: Texts, key_W: Keys, name: str, specials: Specials) -> Built:
        if type(self).build is not PairClassification.build:
            return each(self.build, texts, key_W, name, specials)
        return self.built(texts, key_W, name, specials)

    def built(self, texts: Texts, key_W: Keys, name: str, specials: Specials) -> Built:
        """A sample of every window."""
        pairs, label_W = self.pairs(texts, key_W)
        pieces = Pieces(
            texts=pairs.texts,
            count_S=pairs.count_W,
            segment_P=pairs.segment_P,
            window_S=np.arange(len(texts)),
            labels={name: label_W},
            hide_S=None if self.hide else np.zeros(len(texts), np.bool_),
        )
        return joined_samples(texts, pieces, key_W, name, specials)

    def pairs(self, texts: Texts, key_W: Keys) -> tuple[Pairs, Long]:
        """The pieces of windows, and what is asked of them: int64[W], NO_LABEL of those that are not."""
        parts = parts_of(texts)
        pairs = pair_pieces(texts, parts)
        return pairs, np.where(pairs.asked_W & (parts.label_W >= 0), parts.label_W, NO_LABEL)

    def loss(self, encoding: Encoding, batch: Batch, targets: Mapping[str, torch.Tensor], head: nn.Module) -> Loss:
        found = super().loss(encoding, batch, targets, head)
        if not self.class_weights:
            return found
        weights = [self.class_weights.get(name, 1.0) for name in self.class_names]
        factor_C = torch.tensor(weights, dtype=found.per_target.dtype, device=found.per_target.device)
        return found._replace(factor=factor_C.index_select(0, targets["label"]))


def classes_of(prepared: Mapping[str, Prepared], feed: Feed) -> list[str]:
    """The classes of the split that is trained on.

    Raises:
        ValueError: fewer than two, or others in other folders or in what is evaluated on.
    """
    names: tuple[str, ...] = ()
    for label, folder in prepared.items():
        own = folder.classes.get(feed.split, ())
        if len(own) < 2:
            raise ValueError(f"the split {feed.split!r} of {label} has the classes {_list(own)}; two are needed")
        if names and own != names:
            raise ValueError(
                f"its folders have different classes ({_list(names)}; {_list(own)}); name folders of one kind"
            )
        names = own
        if folder.tokens(feed.heldout) and folder.classes.get(feed.heldout) != names:
            other = _list(folder.classes.get(feed.heldout, ()))
            raise ValueError(
                f"{label} has the classes {_list(names)} in {feed.split!r}, but {other} in {feed.heldout!r}"
            )
    return list(names)


def seen_labels(folder: Prepared, split: str) -> list[int]:
    """Numbers of classes that occur in a split, all that occur in its first shards until there are two."""
    seen: set[int] = set()
    for shard in folder.shards(split):
        seen |= set(np.unique(shard.label).tolist()) - {-1}
        if len(seen) > 1:
            break
    return sorted(seen)


def _list(names: list[str] | tuple[str, ...]) -> str:
    return ", ".join(names)[:200] or "none"
