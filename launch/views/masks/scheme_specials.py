"""What each scheme needs to know of prepared folders: vocabulary, frequencies, rarity, similar words."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from typing import TYPE_CHECKING

from launch.views.masks.schemes import Scheme

if TYPE_CHECKING:
    from data_prep.shards import Prepared
    from masking.sequences import SimilarWords
    from pretrain.feed.hiding import Specials


def specials_for(folders: list[Prepared], schemes: Sequence[Scheme]) -> list[Specials]:
    """What each scheme needs to know of these folders; the corpus is counted once.

    Without a table of similar words none are known.

    Raises:
        ValueError: a table of similar words that cannot be read.
    """
    from masking.corruption import Corruption
    from masking.strategies.subword import Subword
    from pretrain.feed.corpus_counts import unit_weights
    from pretrain.feed.hiding import Masking
    from pretrain.special_ids import specials

    laws = [scheme.masking.replacement for scheme in schemes]
    pool = "corpus" if any(law.pool == "corpus" for law in laws) else "vocabulary"
    shared = specials(folders, Masking(strategy=Subword(), corruption=Corruption(pool=pool)))
    weighted = [scheme.masking.strategy.weighted() for scheme in schemes]
    known = {
        pair: unit_weights(folders, *pair) for pair in dict.fromkeys(pair for of in weighted for pair in of.items())
    }
    found = []
    for law, of in zip(laws, weighted, strict=True):
        similar = None
        if law.similar > 0 and law.similar_words:
            alone = Masking(strategy=Subword(), corruption=dataclasses.replace(law, pool="vocabulary"))
            similar = specials(folders, alone).replacements.similar
        elif law.similar > 0:
            similar = no_similar_words()
        found.append(
            dataclasses.replace(
                shared,
                replacements=dataclasses.replace(shared.replacements, similar=similar),
                rarity={level: known[level, measure] for level, measure in of.items()},
            )
        )
    return found


def no_similar_words() -> SimilarWords:
    """A table without entries."""
    import numpy as np

    from masking.sequences import Sequences, SimilarWords

    return SimilarWords(
        Sequences.build(np.zeros(0, np.int32), np.zeros(1, np.int64)), np.zeros(1, np.int64), np.zeros(0, np.int32)
    )
