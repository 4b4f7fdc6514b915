"""Is the second piece of text next, previous, or of another document? (StructBERT, Wang et al. 2020, section 2.3)

    document  s1 s2 s3 s4 ...                              class, a third each
    [CLS] s2 s3 [SEP] s4 [SEP]                             0 next
    [CLS] s4 [SEP] s2 s3 [SEP]                             1 previous
    [CLS] s2 s3 [SEP] t4 [SEP]                             2 random: of another document, same shard, source, language

Beside ``token_order`` it is StructBERT's pair of objectives. In class 2 the first piece is one from before a boundary
as often as one from after it, as in the two others together.
"""

from __future__ import annotations

from dataclasses import dataclass

from pretrain.feed.sentence_pairs import ADJACENT, EITHER, MIRRORED, OTHER, STRAIGHT, Form
from pretrain.objectives._sentence_pairs import SentencePairs


@dataclass(frozen=True, kw_only=True)
class SentenceStructure(SentencePairs):
    """Is the second piece the next one, the previous one, or of another document?"""

    @property
    def forms(self) -> tuple[Form, ...]:
        """In order, swapped, in another document."""
        return Form(ADJACENT, STRAIGHT, 0), Form(ADJACENT, MIRRORED, 1), Form(OTHER, EITHER, 2)

    @property
    def class_names(self) -> tuple[str, ...]:
        """What the classes mean."""
        return "next", "previous", "random"
