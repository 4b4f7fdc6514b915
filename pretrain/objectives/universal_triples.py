"""Predict the relation of a triple from its sentence, or words of the sentence (ERNIE 3.0, Sun et al. 2021, section
3.2.3, universal knowledge-text prediction).

    hidden relation   [CLS] 鲁 迅 [M] [M] [M] 绍 兴 [SEP] 鲁 迅 生 于 绍 兴 。 [SEP]     targets 出 生 地
    hidden words      [CLS] 鲁 迅 出 生 地 绍 兴 [SEP] 鲁 迅 [M] [M] 绍 兴 。 [SEP]     targets 生 于

A document is a text and its triples (corpora of kind `triples`); each time it is read, one of its triples is drawn, and
which of the two is hidden. A relation is hidden whole, by [MASK]; words of the sentence as `masking` says, and then
nothing of the triple is. Texts are cut to what fits. A document without triples, or whose triple would take more than
half of a sample, is a plain sample of its text for the tasks that hide tokens, and is not asked.

Name the folder of triples in `folders`, and the others in those of tasks that read running text. The head is that of
masked language modelling.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar

import numpy as np
import numpy.typing as npt

from data_prep.shards import Prepared
from masking.keyed import uniform_array
from pretrain.feed.building import Built, Keys
from pretrain.feed.feeds import Feed
from pretrain.feed.hiding import Specials
from pretrain.feed.joining import Pieces, joined_samples
from pretrain.feed.packed import Packed
from pretrain.feed.samples import NO_LABEL, Sample, Samples
from pretrain.feed.texts import Long, Text, Texts, Windows, starts
from pretrain.feed.triples import Drawn, drawn_triples
from pretrain.objectives import Objective, TokenPrediction

TRIPLE, HIDDEN = 63, 64
"""Sub-keys of a sample's key."""
SENTENCE, RELATION = 0, 1


@dataclass(frozen=True, kw_only=True)
class UniversalTriples(TokenPrediction):
    """The hidden relation of a triple, or hidden words of the sentence that states it."""

    BUILDS_ROWS: ClassVar[bool] = True

    relation_share: float = 0.5
    """Share of the samples whose relation is hidden; in the others it is words of the sentence."""

    def __post_init__(self) -> None:
        super().__post_init__()
        if not 0 <= self.relation_share <= 1:
            raise ValueError(f"relation_share: {self.relation_share} must lie in [0, 1]")

    @property
    def groups(self) -> tuple[str, ...]:
        """What is predicted."""
        return ("sentence", "relation")

    def feed(self) -> Feed:
        return Feed(whole=True)

    def bind(self, prepared: Mapping[str, Prepared]) -> Objective:
        split = self.feed().split
        for name, folder in prepared.items():
            shards = folder.shards(split) if split in folder.classes else []
            parts = (np.diff(shard.segment_ends.offsets_D1) for shard in shards)
            if not any(((count_D >= 4) & (count_D % 3 == 1)).any() for count_D in parts):
                raise ValueError(
                    f"{name} holds no triples; name the folders that do in `folders`, or prepare one from a corpus of "
                    "`kind: triples`"
                )
        return self

    def special_tokens(self) -> int:
        return 3

    def build(self, text: Text, key: int, name: str, specials: Specials) -> Sample:
        return self.build_all(Texts.of([text]), np.array([key], np.uint64), name, specials).samples[0]

    def build_all(self, texts: Texts, key_W: Keys, name: str, specials: Specials) -> Built:
        windows, room = texts.windows, texts.reader.max_tokens if texts.reader else 1 << 30
        drawn = drawn_triples(texts, key_W, TRIPLE, room)
        usable_W = drawn.usable_W
        window_P = np.repeat(np.arange(len(texts)), 1 + usable_W)
        second_P = np.diff(window_P, prepend=-1) == 0
        plain_W = np.minimum(windows.start_W, windows.end_W), np.minimum(windows.end_W, windows.start_W + room)
        begin_P, end_P = (
            np.where(second_P, text_W[window_P], np.where(usable_W, triple_W, alone_W)[window_P])
            for text_W, triple_W, alone_W in zip(drawn.text_W, drawn.triple_W, plain_W, strict=True)
        )
        pieces = Pieces(
            texts=texts.read(Windows(windows.shard_W[window_P], windows.document_W[window_P], begin_P, end_P)),
            count_S=1 + usable_W,
            segment_P=second_P.astype(np.int64),
            window_S=np.arange(len(texts)),
            labels={name: np.where(usable_W, 0, NO_LABEL)},
        )
        built = joined_samples(texts, pieces, key_W, name, specials)
        relation_W = usable_W & (uniform_array(key_W, HIDDEN) < self.relation_share)
        _hide(built.samples, drawn, relation_W, specials.mask)
        return built

    def targets(self, packed: Packed, name: str) -> tuple[Mapping[str, npt.NDArray[np.int64]], int]:
        asked_M, _ = packed.labelled(name)
        start_S = packed.sample_start_S.astype(np.int64)
        sample_M = np.searchsorted(start_S, packed.hidden.position_M, "right") - 1
        mine_M = np.isin(sample_M, asked_M)
        position, label = _relations(packed, asked_M)
        count = int(mine_M.sum())
        arrays = {
            "position": np.concatenate([packed.hidden.position_M[mine_M], position]),
            "label": np.concatenate([packed.hidden.label_M[mine_M], label]),
            "kind": np.repeat([SENTENCE, RELATION], [count, len(position)]),
        }
        return arrays, count + len(position)


def _hide(samples: Samples, drawn: Drawn, relation_S: npt.NDArray[np.bool_], mask: int) -> None:
    """Leave the triples to nobody, and of samples whose relation is asked the sentence too; put [MASK] for it."""
    sample_T = np.repeat(np.arange(len(samples)), samples.length_S)
    in_triple_T = samples.segment_ids_T == 0
    samples.maskable_T[drawn.usable_W[sample_T] & (in_triple_T | relation_S[sample_T])] = False
    begin_T, end_T = (column[sample_T] for column in drawn.relation_W)
    here_T = relation_S[sample_T] & in_triple_T & (samples.place_T >= begin_T) & (samples.place_T < end_T)
    samples.token_ids_T[here_T] = mask


def _relations(packed: Packed, asked_M: Long) -> tuple[Long, Long]:
    """Positions of hidden relations and what stands there in the documents.

    They lie in asked samples of which masking may hide nothing, where the sample is unlike its document.
    """
    samples, maskable_T1 = packed.samples, starts(packed.samples.maskable_T)
    from_S1 = starts(samples.length_S)
    first_S, last_S = from_S1[:-1], from_S1[1:]
    wholly_M = asked_M[maskable_T1[last_S[asked_M]] == maskable_T1[first_S[asked_M]]]
    found: list[tuple[Long, Long]] = [(np.zeros(0, np.int64), np.zeros(0, np.int64))]
    for sample in wholly_M.tolist():
        text = samples.texts[sample]
        assert text is not None
        tokens = slice(first_S[sample], last_S[sample])
        place_T = samples.place_T[tokens]
        known = np.flatnonzero(place_T >= 0)
        true = text.token_ids_T[place_T[known] - text.start]
        unlike = true != samples.token_ids_T[tokens][known]
        found.append((known[unlike] + int(packed.sample_start_S[sample]), true[unlike]))
    positions, labels = zip(*found, strict=True)
    return np.concatenate(positions), np.concatenate(labels)
