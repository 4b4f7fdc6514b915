"""What the parts of documents may be in each split: classes of labelled pairs, or roles of turns.

[LabelledPairs(classes=["0", "1"])]  ->  classes {"train": ["0", "1"], "heldout": ["0", "1"]}, roles {}
"""

from __future__ import annotations

from collections.abc import Sequence

from data_prep.corpora import Corpus
from data_prep.discourse.discourse import SPLITS as DISCOURSE_SPLITS
from data_prep.discourse.discourse import Discourse
from data_prep.shards import SPLITS


def pair_classes(corpora: Sequence[Corpus], discourse: Discourse | None) -> dict[str, list[str]]:
    """Names of the classes, for each split with labelled pairs.

    Raises:
        ValueError: corpora of labelled pairs whose classes differ.
    """
    pairs = [found for corpus in corpora if (found := corpus.pair_classes()) is not None]
    named: list[list[str]] = [found for found in pairs if found] or [[]]
    if any(found != named[0] for found in named):
        raise ValueError(
            "corpora: labelled pairs with different classes. Prepare them into a folder each, or write the same "
            "`classes` for all."
        )
    classes = dict.fromkeys(SPLITS, named[0]) if pairs else {}
    return classes | (dict.fromkeys(DISCOURSE_SPLITS.values(), discourse.classes) if discourse else {})


def turn_roles(corpora: Sequence[Corpus]) -> dict[str, list[str]]:
    """Names of the roles of turns, for each split with dialogues.

    Raises:
        ValueError: corpora of dialogues whose roles differ, or labelled pairs beside them.
    """
    found = [roles for corpus in corpora if (roles := corpus.turn_roles()) is not None]
    if any(roles != found[0] for roles in found):
        raise ValueError(
            "corpora: dialogues with different roles. Prepare them into a folder each, or write the same `roles` for "
            "all."
        )
    if found and any(corpus.pair_classes() is not None for corpus in corpora):
        raise ValueError("corpora: dialogues and labelled pairs. Prepare them into a folder each.")
    return dict.fromkeys(SPLITS, found[0]) if found else {}
