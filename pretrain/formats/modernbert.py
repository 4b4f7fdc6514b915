"""ModernBERT: ModernBertForMaskedLM or ModernBertModel, for a model that began from one; it has no pooler."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from pretrain.formats._native import Native


@dataclass(frozen=True, kw_only=True)
class Modernbert(Native):
    """A ModernBERT as it was trained; other encoders cannot be written as one."""

    KIND: ClassVar[str] = "modernbert"
