"""transformers' own ERNIE: ErnieForPreTraining, ErnieForMaskedLM or ErnieModel, by what was learned."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from pretrain.formats._native import Native


@dataclass(frozen=True, kw_only=True)
class Ernie(Native):
    """The classes of transformers that a model is trained as, unless it began from another architecture."""

    KIND: ClassVar[str] = "ernie"
    PAIRS: ClassVar[str] = "ErnieForPreTraining"
