"""RoBERTa: RobertaForMaskedLM or RobertaModel, for a model that began from one and for runtimes that expect it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from pretrain.formats._native import Native


@dataclass(frozen=True, kw_only=True)
class Roberta(Native):
    """The same numbers as a RoBERTa; positions are counted from the padding id on."""

    KIND: ClassVar[str] = "roberta"
