"""What the tasks about two pieces of text share: how their samples are built, and what they ask of a corpus.

A class is a list of forms (feed/sentence_pairs.py), all drawn evenly; the class of a sample is read from the pooled
[CLS].
"""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from data_prep.shard import Shard
from data_prep.shards import Prepared
from pretrain.feed.building import Built, Keys, each
from pretrain.feed.hiding import Specials
from pretrain.feed.neighbours import grouped
from pretrain.feed.samples import Sample
from pretrain.feed.sentence_pairs import FAR, OTHER, Form, paired_samples
from pretrain.feed.texts import Text, Texts
from pretrain.objectives import SentencePrediction


@dataclass(frozen=True, kw_only=True)
class SentencePairs(SentencePrediction):
    """Base of tasks that ask how two pieces of text stand to each other."""

    hide: bool = True
    """May tokens of its samples be hidden, so that masking tasks learn from the same rows?"""

    @property
    @abstractmethod
    def forms(self) -> tuple[Form, ...]:
        """The kinds of pairs, drawn evenly."""

    @property
    def classes(self) -> int:
        """As many as the forms have labels."""
        return 1 + max(form.label for form in self.forms)

    def special_tokens(self) -> int:
        return 3

    def bind(self, prepared: Mapping[str, Prepared]) -> SentencePairs:
        """Itself, if there is a document to ask in every folder.

        Raises:
            ValueError: a folder has none.
        """
        seconds = {form.second for form in self.forms}
        for name, folder in prepared.items():
            if not any(offers(shard, seconds) for shard in folder.shards(self.feed().split)):
                raise ValueError(f"{name} has no {wanted(seconds)}. Name other folders in `folders`")
        return self

    def build(self, text: Text, key: int, name: str, specials: Specials) -> Any:
        samples = self._paired(Texts.of([text]), np.array([key], np.uint64), name, specials).samples
        return samples[0] if len(samples) == 1 else list[Sample](samples)

    def build_all(self, texts: Texts, key_W: Keys, name: str, specials: Specials) -> Built:
        if type(self).build is not SentencePairs.build:
            return each(self.build, texts, key_W, name, specials)
        return self._paired(texts, key_W, name, specials)

    def _paired(self, texts: Texts, key_W: Keys, name: str, specials: Specials) -> Built:
        return paired_samples(texts, key_W, name, specials, self.forms, self.hide)


def offers(shard: Shard, seconds: set[int]) -> bool:
    """Has a shard a document that such pairs can be made of?"""
    found = grouped(shard, 1)
    sentences_E = np.diff(shard.unchecked_sentence_ends.offsets_D1)[found.held[0]]
    return int(sentences_E.max(initial=0)) >= (4 if FAR in seconds else 3) and (
        OTHER not in seconds or found.largest >= 2
    )


def wanted(seconds: set[int]) -> str:
    """What ``offers`` looks for, in words."""
    sentences = "four" if FAR in seconds else "three"
    beside = " with another one of the same source and language in its shard" if OTHER in seconds else ""
    return f"document of {sentences} sentences or more{beside}, which this task needs"
