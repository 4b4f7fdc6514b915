"""Predict a text from the one before it on the same encoder (UniLM, Dong et al. 2019, sections 2.2 and 2.3).

    window       他 在 北 京 上 学 。 | 学 校 很 大 。           cut at a drawn end of a sentence
    input        [CLS] 他 在 [M] [M] 上 学 。 [SEP] 学 校 [M] 大 。 [SEP]     segments 0 and 1
    sees         the source (up to its [SEP]) itself in both directions; the target the source, and itself to the left
    targets      北 京 (source)  很 (target)                     tokens: masked, as in the paper
                 学 校 很 大 。 [SEP], each from the token before it, nothing hidden     tokens: next

The paper predicts hidden tokens of both segments, from the states at their own positions, under this pattern of
attention; what is hidden is decided by `masking`. With `tokens: next` no token is hidden and every token of the target
is predicted from the state before it: no position sees what it predicts.

A window of one sentence has no target segment: it is a plain sample for the tasks that hide tokens, and is not asked.
Rows of other tasks are not asked either. The head is that of masked language modelling.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar

import numpy as np
import numpy.typing as npt
import torch
from torch import nn

from masking.keyed import uniform_array
from pretrain.feed.batch import Batch
from pretrain.feed.building import Built, Keys
from pretrain.feed.hiding import Specials
from pretrain.feed.joining import Pieces, joined_samples
from pretrain.feed.packed import Packed
from pretrain.feed.samples import NO_LABEL, Sample
from pretrain.feed.texts import Long, Text, Texts, Windows, starts
from pretrain.forward.encoding import Encoding
from pretrain.forward.loss import Loss, over_vocabulary
from pretrain.objectives import TokenPrediction

CUT = 61
"""Sub-key of a sample's key."""
TOKENS = ("masked", "next")


@dataclass(frozen=True, kw_only=True)
class PrefixLm(TokenPrediction):
    """The tokens of a text that may look back only, given a source that is read in both directions."""

    BUILDS_ROWS: ClassVar[bool] = True

    tokens: str = "masked"
    """What is predicted: `masked`, hidden tokens of source and target (UniLM), or `next`, every token of the target
    from what stands before it."""

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.tokens not in TOKENS:
            raise ValueError(f"tokens: {self.tokens!r} is not one of {', '.join(TOKENS)}")

    @property
    def groups(self) -> tuple[str, ...]:
        """Where a predicted token stands."""
        return ("source", "target")

    def special_tokens(self) -> int:
        return 3

    def build(self, text: Text, key: int, name: str, specials: Specials) -> Sample:
        return self.build_all(Texts.of([text]), np.array([key], np.uint64), name, specials).samples[0]

    def build_all(self, texts: Texts, key_W: Keys, name: str, specials: Specials) -> Built:
        cut_W, count_W = cuts(texts, key_W)
        both_W = count_W == 2
        windows, window_P = texts.windows, np.repeat(np.arange(len(texts)), count_W)
        second_P = np.diff(window_P, prepend=-1) == 0
        middle_P = windows.start_W[window_P] + cut_W[window_P]
        pieces = Pieces(
            texts=texts.read(
                Windows(
                    windows.shard_W[window_P],
                    windows.document_W[window_P],
                    np.where(second_P, middle_P, windows.start_W[window_P]),
                    np.where(second_P | ~both_W[window_P], windows.end_W[window_P], middle_P),
                )
            ),
            count_S=count_W,
            segment_P=second_P.astype(np.int64),
            window_S=np.arange(len(texts)),
            labels={name: np.where(both_W, 0, NO_LABEL)},
        )
        return joined_samples(texts, pieces, key_W, name, specials)

    def targets(self, packed: Packed, name: str) -> tuple[Mapping[str, npt.NDArray[np.int64]], int]:
        samples, start_S = packed.samples, packed.sample_start_S.astype(np.int64)
        asked_M, _ = packed.labelled(name)
        sources_S = samples.length_S - np.add.reduceat(samples.segment_ids_T, starts(samples.length_S)[:-1])
        prefix_S = samples.length_S.copy()
        prefix_S[asked_M] = sources_S[asked_M]
        changed = np.zeros(0, np.int64)
        if self.tokens == "masked":
            sample_M = np.searchsorted(start_S, packed.hidden.position_M, "right") - 1
            mine_M = np.isin(sample_M, asked_M)
            position, label, sample_M = (
                packed.hidden.position_M[mine_M],
                packed.hidden.label_M[mine_M],
                sample_M[mine_M],
            )
            target_M = position - start_S[sample_M] >= prefix_S[sample_M]
        else:
            count_M = (samples.length_S - prefix_S)[asked_M]
            first_M = (start_S + prefix_S)[asked_M] - starts(count_M)[:-1]
            behind = np.arange(int(count_M.sum())) + np.repeat(first_M, count_M)
            position, label, target_M = behind - 1, packed.original_T[behind], np.ones(len(behind), np.bool_)
            changed = np.flatnonzero(packed.corrupted_T != packed.original_T)
        arrays = {
            "position": position,
            "label": label,
            "group": target_M.astype(np.int64),
            "prefix": prefix_S,
            "changed": changed,
            "original": packed.original_T[changed],
        }
        return arrays, len(position)

    def loss(self, encoding: Encoding, batch: Batch, targets: Mapping[str, torch.Tensor], head: nn.Module) -> Loss:
        ids_T = batch.input_ids[0].index_copy(0, targets["changed"], targets["original"])
        prefix_S = targets["prefix"] if len(targets["prefix"]) else None
        hidden_MD = encoding.encode(input_ids=ids_T, prefix_S=prefix_S).index_select(0, targets["position"])
        return over_vocabulary(head, [hidden_MD], targets["label"], targets["group"])


def cuts(texts: Texts, key_W: Keys) -> tuple[Long, Long]:
    """(cut_W, count_W): how many tokens of each window are its source, drawn evenly among the ends of its sentences but
    the last, and how many segments it has: 1 where there is no such end, and the cut means nothing."""
    ends, sentences_W = texts.sentence_ends, texts.sentence_ends.count_S
    inner_W = np.maximum(sentences_W - 1, 0)
    drawn_W = np.minimum((uniform_array(key_W, CUT) * inner_W).astype(np.int64), np.maximum(inner_W - 1, 0))
    cut_W = ends.values[ends.offsets_S1[:-1] + drawn_W] if len(texts) else np.zeros(0, np.int64)
    return cut_W, np.where(inner_W > 0, 2, 1)
