"""How far apart are two pieces of text? (ERNIE 2.0, Sun et al. 2020, section 4.2.2)

    document  s1 s2 s3 s4 s5 s6 ...                        class, a third each
    [CLS] s2 s3 [SEP] s4 [SEP]                             0 adjacent: nothing between them
    [CLS] s2 s3 [SEP] s6 [SEP]                             1 same document: a sentence or more between them
    [CLS] s2 s3 [SEP] t4 [SEP]                             2 another document of the same shard, source and language

Distance has no direction: the second piece stands after the first one as often as before it, in class 0 too, so that
order gives nothing away. The paper says neither how long the pieces are nor how the other document is drawn; here
nothing but the text tells (feed/sentence_pairs.py).
"""

from __future__ import annotations

from dataclasses import dataclass

from pretrain.feed.sentence_pairs import ADJACENT, EITHER, FAR, OTHER, Form
from pretrain.objectives._sentence_pairs import SentencePairs


@dataclass(frozen=True, kw_only=True)
class SentenceDistance(SentencePairs):
    """Are two pieces adjacent, of one document, or of two? Needs documents of four sentences and more."""

    @property
    def forms(self) -> tuple[Form, ...]:
        """Beside the first piece, elsewhere in its document, in another document."""
        return Form(ADJACENT, EITHER, 0), Form(FAR, EITHER, 1), Form(OTHER, EITHER, 2)

    @property
    def class_names(self) -> tuple[str, ...]:
        """What the classes mean."""
        return "adjacent", "same document", "different documents"
