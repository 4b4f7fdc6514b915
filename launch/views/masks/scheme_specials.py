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
    from pretrain.feed.corpus_counts import rarity
    from pretrain.feed.hiding import Masking
    from pretrain.special_ids import specials

    laws = [scheme.masking.replacement for scheme in schemes]
    pool = "corpus" if any(law.pool == "corpus" for law in laws) else "vocabulary"
    shared = specials(folders, Masking(strategy=Subword(), corruption=Corruption(pool=pool)))
    weighted = dict.fromkeys(level for scheme in schemes for level in scheme.masking.strategy.weighted())
    shared = dataclasses.replace(shared, rarity={level: rarity(folders, level) for level in weighted})
    found = []
    for law in laws:
        similar = None
        if law.similar > 0 and law.similar_words:
            alone = Masking(strategy=Subword(), corruption=dataclasses.replace(law, pool="vocabulary"))
            similar = specials(folders, alone).replacements.similar
        elif law.similar > 0:
            similar = no_similar_words()
        found.append(
            dataclasses.replace(shared, replacements=dataclasses.replace(shared.replacements, similar=similar))
        )
    return found


def no_similar_words() -> SimilarWords:
    """A table without entries."""
    import numpy as np

    from masking.sequences import Sequences, SimilarWords

    return SimilarWords(
        Sequences.build(np.zeros(0, np.int32), np.zeros(1, np.int64)), np.zeros(1, np.int64), np.zeros(0, np.int32)
    )
