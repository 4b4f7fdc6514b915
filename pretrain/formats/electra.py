"""ELECTRA: ElectraForMaskedLM (a generator) or ElectraModel; transformers knows no pooler there and leaves ours out."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from pretrain.formats._native import Native


@dataclass(frozen=True, kw_only=True)
class Electra(Native):
    """The same numbers as an ELECTRA."""

    KIND: ClassVar[str] = "electra"
