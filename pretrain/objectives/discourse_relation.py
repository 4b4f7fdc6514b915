"""How are two sentences related? (ERNIE 2.0, Sun et al. 2020, section 4.2.3: discourse relation.)

Pairs of sentences that a discourse marker joined in ordinary text, the marker taken away; which marker it was, or its
sense, is the class. ERNIE 2.0 takes English pairs from Sileo et al. 2019 ("Mining discourse markers for unsupervised
sentence representation learning", 174 markers).

    It rained. However, we went out.        class "however", or "contrast", as `discourse.label` of the preparation says

    tokens    [CLS] it rained . [SEP] we went out . [SEP]
    segments    0   0    0    0   0   1   1    1  1   1

`discourse` in a data configuration mines such pairs while it prepares a corpus, into a split of their own, which this
task reads by default (data_prep/discourse). Pairs from elsewhere come as JSON Lines (`kind: pairs`): set
`split: train`.
"""

from __future__ import annotations

from dataclasses import dataclass

from pretrain.objectives.pair_classification import PairClassification


@dataclass(frozen=True, kw_only=True)
class DiscourseRelation(PairClassification):
    """Which marker, or which relation, joined two sentences?"""

    split: str = "discourse"
    """The split that is read: `discourse`, what was mined, or `train` of corpora of labelled pairs. It is evaluated on
    `discourse_heldout` or `heldout`."""
