"""A BiLSTM and a CRF over states (Lample et al. 2016): what frozen features are usually read by in labelling."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import nn

from pretrain.evaluation.heads import Head, HeadModule
from pretrain.evaluation.heads.crf import CrfModule, padded
from pretrain.evaluation.tasks import Problem


@dataclass(frozen=True, kw_only=True)
class BilstmCrf(Head):
    """A bidirectional LSTM, a linear layer and a CRF."""

    FOR_TAGS: ClassVar[bool] = True

    size: int = 256
    """Width of the LSTM in each direction."""

    def __post_init__(self) -> None:
        if self.size < 1:
            raise ValueError(f"size: {self.size} must be at least 1")

    def build(self, width: int, problem: Problem, dropout: float) -> HeadModule:
        return BilstmCrfModule(width, self.size, problem.classes, dropout)


class BilstmCrfModule(CrfModule):
    """The CRF over the states of the LSTM."""

    def __init__(self, width: int, size: int, tags: Sequence[str], dropout: float) -> None:
        super().__init__(2 * size, tags, dropout)
        self.lstm = nn.LSTM(width, size, batch_first=True, bidirectional=True)

    def forward(self, states_MD: torch.Tensor, counts_S: Sequence[int]) -> torch.Tensor:
        """Logits."""
        states_SLD, real_SL = padded(self.dropout(states_MD), counts_S)
        lengths = real_SL.sum(1).cpu()
        packed = nn.utils.rnn.pack_padded_sequence(states_SLD, lengths, batch_first=True, enforce_sorted=False)
        read_SLD, _ = nn.utils.rnn.pad_packed_sequence(self.lstm(packed)[0], batch_first=True)
        return super().forward(read_SLD[real_SL], counts_S)
