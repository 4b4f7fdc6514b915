"""What replaces a hidden token: [MASK], a random token, a similar word's token, or itself (BERT section 3.1: 80/10/10).

    ids [CLS] 北 京 大 学 [SEP]   unit [1, 5), drawn as one   ->   [CLS] [M] [M] [M] [M] [SEP],  targets 1 2 3 4

All laws draw from the sample's key and the token's place in its sample, so a sample is corrupted equally wherever it
lies.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import numpy.typing as npt

from masking.sequences import SimilarWords
from masking.spans import Byte, Int, Keys, Spans, Units

ACTIONS = ("mask", "random", "kept", "similar")
PER = ("token", "unit", "span")
POOLS = ("vocabulary", "corpus", "sample")


@dataclass(frozen=True)
class Targets:
    """Hidden positions in order, the tokens that stood there, and what was done to each."""

    position_M: npt.NDArray[np.int64]
    label_M: npt.NDArray[np.int64]
    action_M: Byte
    """0 replaced by [MASK], 1 by a random token, 2 kept, 3 replaced by a similar word (ACTIONS)."""


@dataclass(frozen=True, kw_only=True)
class Replacements:
    """What may stand in for a hidden token."""

    mask_id: int
    unknown_id: int = -1
    """[UNK], which no random token may be."""
    ordinary_V: npt.NDArray[np.int64]
    """Ids of the real vocabulary: no special and no unused entry."""
    count_V: npt.NDArray[np.int64] | None = None
    """How often each of them occurs in the corpus; needed by ``pool: corpus``."""
    similar: SimilarWords | None = None
    """Needed where a share is replaced by similar words."""

    @cached_property
    def alias(self) -> tuple[npt.NDArray[np.float64], npt.NDArray[np.int64]]:
        """An alias table of the ordinary tokens by their counts (Vose 1991): column i is itself below ``[0][i]``,
        else ``[1][i]``."""
        if self.count_V is None or not self.count_V.sum():
            return np.zeros(0), np.zeros(0, np.int64)
        share = self.count_V / self.count_V.sum() * len(self.count_V)
        below, other = np.ones(len(share)), np.arange(len(share))
        small, large = (
            [index for index, value in enumerate(share) if value < 1],
            [index for index, value in enumerate(share) if value >= 1],
        )
        while small and large:
            less, more = small.pop(), large[-1]
            below[less], other[less] = share[less], more
            share[more] -= 1 - share[less]
            if share[more] < 1:
                small.append(large.pop())
        return below, other


@dataclass(frozen=True, kw_only=True)
class Corruption:
    """Shares of the replacements; what they leave of 1 stays as it is."""

    mask: float = 0.8
    """Share replaced by [MASK]."""
    random: float = 0.1
    """Share replaced by a random token; never a special or an unused entry of the vocabulary."""
    similar: float = 0.0
    """Share replaced by a similar word with as many tokens, a random one where none is known (MacBERT: 0.8)."""
    similar_words: str = ""
    """Table of similar words (`word<TAB>similar word`), written by you or by `kmask lexicon similar`."""
    per: str = "unit"
    """What shares one draw: `token` (BERT, ERNIE 1.0), `unit`, or `span`, a run of adjacent hidden units (SpanBERT)."""
    pool: str = "vocabulary"
    """Random tokens are drawn evenly from the `vocabulary`, as often as they occur in the `corpus` (SpanBERT), or
    from the text of the same `sample`."""

    def __post_init__(self) -> None:
        shares = {"mask": self.mask, "random": self.random, "similar": self.similar}
        if not (all(0 <= share <= 1 for share in shares.values()) and sum(shares.values()) <= 1 + 1e-9):
            shown = ", ".join(f"{name}={share}" for name, share in shares.items())
            raise ValueError(f"mask: shares {shown} must each lie in [0, 1] and sum to at most 1")
        if self.per not in PER:
            raise ValueError(f"per: {self.per!r} is not one of {', '.join(PER)}")
        if self.pool not in POOLS:
            raise ValueError(f"pool: {self.pool!r} is not one of {', '.join(POOLS)}")
        if self.similar > 0 and self.per != "unit":
            raise ValueError(f"per: {self.per!r} cannot be combined with similar words, which replace whole units")

    def check(self, replacements: Replacements) -> None:
        """Raise ValueError unless ``replacements`` has all that these shares ask for."""
        if (self.random > 0 or self.similar > 0) and self.pool != "sample" and not len(replacements.ordinary_V):
            raise ValueError(
                "no ordinary token in the vocabulary to draw random replacements from; set corruption.random=0"
            )
        if self.pool == "corpus" and (self.random > 0 or self.similar > 0) and not len(replacements.alias[0]):
            raise ValueError("pool: `corpus` needs the tokens of the corpus to be counted, and there are none")
        if self.similar > 0 and replacements.similar is None:
            raise ValueError(
                "similar_words: a share of the tokens is to be replaced by similar words, but there is no table of "
                "them. Make one with `kmask lexicon similar PREPARED -o similar.tsv` and name it here"
            )

    def corrupt(
        self, ids_T: npt.NDArray[np.int64], spans: Spans, units: Units, keys_S: Keys, replacements: Replacements
    ) -> tuple[npt.NDArray[np.int64], Targets]:
        """A corrupted copy of ``ids_T`` and the targets.

        Raises:
            ValueError: see ``check``.
        """
        from masking import kernels

        self.check(replacements)
        corrupted_T = ids_T.copy()
        shares = np.cumsum([self.mask, self.random, self.similar])
        shares[shares > 1 - 1e-9] = 1.0  # 0.7 + 0.3 must leave nothing
        below_V, other_V = replacements.alias if self.pool == "corpus" else (NO_CHANCES, NOTHING)
        source_N, similar_ids = NOTHING, NO_IDS
        if self.similar > 0 and replacements.similar is not None:
            words, similar_ids = replacements.similar.words, replacements.similar.similar_ids
            table = (words.slot_H, words.offset_E1, words.word_ids, replacements.similar.similar_E1)
            place = (spans.start_N, spans.end_N, spans.sample_N, units.sample_start_S, keys_S)
            source_N = kernels.choose_similar(ids_T, *place, shares[1], shares[2], *table)
        where = (
            spans.start_N,
            spans.end_N,
            spans.sample_N,
            units.sample_start_S,
            units.sample_end_S,
            units.maskable_T,
            keys_S,
        )
        how = (replacements.mask_id, replacements.unknown_id, shares, PER.index(self.per), POOLS.index(self.pool))
        pools = (replacements.ordinary_V, below_V, other_V, source_N, similar_ids)
        return corrupted_T, Targets(*kernels.corrupt(ids_T, corrupted_T, *where, *how, *pools))


def corrupt_each(
    corruptions: Sequence[Corruption],
    choice_S: npt.NDArray[np.int64],
    ids_T: npt.NDArray[np.int64],
    spans: Spans,
    units: Units,
    keys_S: Keys,
    replacements: Replacements,
) -> tuple[npt.NDArray[np.int64], Targets]:
    """``Corruption.corrupt``, by the corruption that each sample has chosen; where there is one, every sample has."""
    if len(corruptions) == 1:
        return corruptions[0].corrupt(ids_T, spans, units, keys_S, replacements)
    corrupted_T, found = ids_T.copy(), []
    for number, corruption in enumerate(corruptions):
        own_T, targets = corruption.corrupt(
            ids_T, spans.take(choice_S[spans.sample_N] == number), units, keys_S, replacements
        )
        corrupted_T[targets.position_M] = own_T[targets.position_M]
        found.append(targets)
    position_M, label_M, action_M = (
        np.concatenate([getattr(targets, name) for targets in found]) for name in ("position_M", "label_M", "action_M")
    )
    order = np.argsort(position_M, kind="stable")
    return corrupted_T, Targets(position_M[order], label_M[order], action_M[order])


NOTHING: npt.NDArray[np.int64] = np.zeros(0, np.int64)
NO_IDS: Int = np.zeros(0, np.int32)
NO_CHANCES: npt.NDArray[np.float64] = np.zeros(0)
