"""Are two consecutive pieces of text in order? (ALBERT, Lan et al. 2020, section 3.1, sentence-order prediction)

    document  s1 s2 s3 s4 ...                              class, a half each
    [CLS] s2 s3 [SEP] s4 [SEP]                             0 in order
    [CLS] s4 [SEP] s2 s3 [SEP]                             1 swapped

The piece that is shown first has its budget whichever of the two it is, so lengths tell nothing
(feed/sentence_pairs.py).
"""

from __future__ import annotations

from dataclasses import dataclass

from pretrain.feed.sentence_pairs import ADJACENT, MIRRORED, STRAIGHT, Form
from pretrain.objectives._sentence_pairs import SentencePairs


@dataclass(frozen=True, kw_only=True)
class SentenceOrder(SentencePairs):
    """Are two consecutive pieces in order, or swapped?"""

    @property
    def forms(self) -> tuple[Form, ...]:
        """In order, swapped."""
        return Form(ADJACENT, STRAIGHT, 0), Form(ADJACENT, MIRRORED, 1)

    @property
    def class_names(self) -> tuple[str, ...]:
        """What the classes mean."""
        return "in order", "swapped"
