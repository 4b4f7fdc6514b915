"""Does the second piece of text follow the first? (BERT, Devlin et al. 2019, section 3.1, task 2)

    document  s1 s2 s3 s4 ...                              class, a half each
    [CLS] s2 s3 [SEP] s4 [SEP]                             0 next
    [CLS] s2 s3 [SEP] t4 [SEP]                             1 random: of another document

BERT's released code draws the random piece of any document, from its first sentence on as often as from any other,
and uses the sentences that it left out as the start of the next sample; one sample in ten is short. Here it is drawn of
the same shard, source and language, never from the start of a document, windows are those of the run, and both pieces
have the same budget whatever the class (feed/sentence_pairs.py).
"""

from __future__ import annotations

from dataclasses import dataclass

from pretrain.feed.sentence_pairs import ADJACENT, OTHER, STRAIGHT, Form
from pretrain.objectives._sentence_pairs import SentencePairs


@dataclass(frozen=True, kw_only=True)
class NextSentence(SentencePairs):
    """Is the second piece the next one, or of another document?"""

    @property
    def forms(self) -> tuple[Form, ...]:
        """After the first piece, or in another document."""
        return Form(ADJACENT, STRAIGHT, 0), Form(OTHER, STRAIGHT, 1)

    @property
    def class_names(self) -> tuple[str, ...]:
        """What the classes mean."""
        return "next", "random"
