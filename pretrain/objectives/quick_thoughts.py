"""Which of several pieces of text is the next one? (Quick Thoughts, Logeswaran and Lee 2018, section 3; for BERT by
Aroca-Ouellette and Rudzicz 2020, section 3)

    a row of the batch     [CLS] a [SEP]  [CLS] a' [SEP]  [CLS] b [SEP]  [CLS] b' [SEP]  [CLS] c [SEP]  [CLS] c' [SEP]
    two candidates         a: a' b'    b: b' c'    c: c' a'        (a' follows a in its document)
    loss                   cross entropy of f(a) . g(candidate) over the candidates

Both pieces of a window are samples of their own, encoded beside each other by the same encoder; f and g are two linear
maps of the pooled [CLS] states (the paper has two encoders instead, whose outputs are multiplied as they are). The
wrong candidates are the second pieces of the windows behind it in its row that are of the same source and language,
around the end of the row: a row is the same for any number of processes and rows in a micro-batch, and so is the loss.
(The papers take the whole batch.) They are nearly always of other documents, so the topic alone tells much. The length
of each piece is drawn by itself, up to half of the window, so that the length of one tells little of the other's (the
nearest is the right one of four in 27 %); half of the positions of its rows stay empty for it.

Every target has the same number of candidates, and the right one stands at a drawn place among them: chance, and the
share of the most frequent class that an evaluation tells (`majority/...`), is 1 / candidates. Where a row has fewer
pairs of a source and language, these have no targets: in folders of many sources, rows must be long.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from torch import nn

from masking.keyed import combine_array
from pretrain.feed.batch import Batch
from pretrain.feed.building import Built, Keys
from pretrain.feed.hiding import Specials
from pretrain.feed.packed import Packed
from pretrain.feed.sentence_pairs import ADJACENT, STRAIGHT, Form, paired_samples
from pretrain.feed.texts import Long, Texts, starts
from pretrain.forward.encoding import Encoding
from pretrain.forward.loss import Loss, cross_entropy
from pretrain.objectives._sentence_pairs import SentencePairs

PLACE = 46
"""Sub-key of a sample's key: where the right candidate stands."""


class TwoMaps(nn.Module):
    """f and g: one linear map for each side."""

    def __init__(self, hidden: int) -> None:
        super().__init__()
        self.first = nn.Linear(hidden, hidden)
        self.second = nn.Linear(hidden, hidden)

    def forward(self, first_MD: torch.Tensor, candidate_MKD: torch.Tensor) -> torch.Tensor:
        """Scores (M, K) of the candidates."""
        mapped_MD, mapped_MKD = self.first(first_MD), self.second(candidate_MKD)
        scores: torch.Tensor = (mapped_MD[:, None] * mapped_MKD).sum(-1)
        return scores


@dataclass(frozen=True, kw_only=True)
class QuickThoughts(SentencePairs):
    """Which of several pieces of text follows this one?"""

    candidates: int = 4
    """Pieces to choose from, the right one included; chance is 1 / candidates."""

    def __post_init__(self) -> None:
        super().__post_init__()
        if not 2 <= self.candidates <= 256:
            raise ValueError(f"candidates: {self.candidates} must lie between 2 and 256")

    @property
    def forms(self) -> tuple[Form, ...]:
        """Two pieces in order."""
        return (Form(ADJACENT, STRAIGHT, 0),)

    @property
    def classes(self) -> int:
        """The places of the right candidate."""
        return self.candidates

    def special_tokens(self) -> int:
        return 2

    def lengths(self, tokens_W: Long) -> Long:
        return tokens_W + 4

    def _paired(self, texts: Texts, key_W: Keys, name: str, specials: Specials) -> Built:
        return paired_samples(texts, key_W, name, specials, self.forms, self.hide, apart=True)

    def targets(self, packed: Packed, name: str) -> tuple[Mapping[str, npt.NDArray[np.int64]], int]:
        first_M, _ = packed.labelled(name)
        group_M = self._groups(packed, first_M)
        order_M = np.argsort(group_M, kind="stable")
        pairs_G = np.bincount(group_M, minlength=1)
        from_M, pairs_M = starts(pairs_G)[group_M], pairs_G[group_M]
        place_M = np.empty_like(order_M)
        place_M[order_M] = np.arange(len(order_M))
        place_M -= from_M
        key_M = combine_array(packed.keys_S[first_M], PLACE)
        label_M = (key_M % np.uint64(self.candidates)).astype(np.int64)
        ahead_MK = (np.arange(self.candidates) - label_M[:, None]) % self.candidates
        asked_M = pairs_M >= self.candidates
        chosen_MK = (from_M[:, None] + (place_M[:, None] + ahead_MK) % np.maximum(pairs_M, 1)[:, None])[asked_M]
        candidate_MK = first_M[order_M[chosen_MK]] + 1
        arrays = {"sample": first_M[asked_M], "candidate": candidate_MK, "label": label_M[asked_M]}
        return arrays, int(asked_M.sum())

    def _groups(self, packed: Packed, first_M: Long) -> Long:
        """A number for the row of each pair and the source and language of its document."""
        known: dict[tuple[int, str, str], int] = {}
        row_M = (packed.sample_start_S[first_M] // packed.row_tokens).tolist()
        found = []
        for row, sample in zip(row_M, first_M.tolist(), strict=True):
            text = packed.samples.texts[sample]
            origin = (text.shard.text_of(name, text.document) for name in ("source", "language")) if text else ("", "")
            found.append(known.setdefault((row, *origin), len(known)))
        return np.array(found, np.int64)

    def head(self, config: Any) -> nn.Module:
        return TwoMaps(config.hidden_size)

    def loss(self, encoding: Encoding, batch: Batch, targets: Mapping[str, torch.Tensor], head: nn.Module) -> Loss:
        pooled_SD, candidate_MK = encoding.pooled_SD(), targets["candidate"].reshape(-1, self.candidates)
        first_MD = pooled_SD.index_select(0, targets["sample"])
        candidate_MKD = pooled_SD.index_select(0, candidate_MK.flatten()).view(*candidate_MK.shape, pooled_SD.shape[-1])
        return cross_entropy(head(first_MD, candidate_MKD), targets["label"])
