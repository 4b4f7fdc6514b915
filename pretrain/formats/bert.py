"""Plain BERT, for runtimes that know no ERNIE: BertForPreTraining, ForMaskedLM or BertModel, by what was learned."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from pretrain.formats._native import Native


@dataclass(frozen=True, kw_only=True)
class Bert(Native):
    """The same numbers as a BERT."""

    KIND: ClassVar[str] = "bert"
    PAIRS: ClassVar[str] = "BertForPreTraining"
