"""Corruptions that hide nothing: visible tokens in another order, and hidden positions that a generator fills.

    shuffle (StructBERT)     他 在 [北 京 大] 学   ->   他 在 [大 北 京] 学,  targets: 北 京 大 at the three positions
    replacement slots (ELECTRA) hidden positions, each with the keyed number by which a generator draws its token
        there

Both come after masking and touch no hidden token, so one sample can carry every kind of target.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from masking.corruption import Targets
from masking.keyed import combine_array, mix_array
from masking.spans import Flags, Keys, Spans, Units

SHUFFLE, SLOTS = 0x736866, 0x736C74
"""Separate these draws from all others under a sample's key."""


@dataclass(frozen=True, kw_only=True)
class Shuffle:
    """Windows of visible tokens put into another order (StructBERT, Wang et al. 2020: 5 % of the trigrams)."""

    share: float = 0.05
    """Share of the text that lies in shuffled windows."""
    length: int = 3
    """Tokens of a window."""
    across_sentences: bool = False
    """May a window hold the end of one sentence and the beginning of the next?"""

    def __post_init__(self) -> None:
        if not 0 < self.share < 1:
            raise ValueError(f"share: {self.share} must lie between 0 and 1")
        if self.length < 2:
            raise ValueError(f"length: {self.length} must be at least 2")

    def shuffle(
        self, corrupted_T: npt.NDArray[np.int64], spans: Spans, units: Units, keys_S: Keys
    ) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.int64]]:
        """(ids after shuffling, positions in shuffled windows). Every order of a window is equally likely, its own
        included."""
        from masking import kernels

        shuffled_T = corrupted_T.copy()
        where = (units.maskable_T, units.breaks(self.across_sentences), units.sample_start_S, units.sample_end_S)
        keys = combine_array(keys_S, SHUFFLE)
        return shuffled_T, kernels.shuffle_windows(
            shuffled_T, covered(spans, len(corrupted_T)), *where, keys, self.share, self.length
        )


@dataclass(frozen=True)
class Slots:
    """Positions that a generator fills and a discriminator judges (ELECTRA, Clark et al. 2020); each position once."""

    position_M: npt.NDArray[np.int64]
    label_M: npt.NDArray[np.int64]
    """The token that stood there: a generator that draws it has replaced nothing."""
    uniform_M: npt.NDArray[np.float64]
    """Where in the generator's cumulative distribution its token is drawn, in [0, 1)."""


def replacement_slots(hidden: Targets, spans: Spans, units: Units, keys_S: Keys) -> Slots:
    """The hidden positions as slots. The number of a slot depends on its sample's key and its place there only."""
    sample_M = np.repeat(spans.sample_N, spans.end_N - spans.start_N)
    place_M = (hidden.position_M - units.sample_start_S[sample_M]).astype(np.uint64)
    draws_M = mix_array(combine_array(keys_S, SLOTS)[sample_M] + place_M)
    return Slots(hidden.position_M, hidden.label_M, (draws_M >> np.uint64(11)).astype(np.float64) * 2.0**-53)


def covered(spans: Spans, total: int) -> Flags:
    """bool[T]: does a unit cover the token?"""
    edge_T = np.zeros(total + 1, np.int32)
    np.add.at(edge_T, spans.start_N, 1)
    np.add.at(edge_T, spans.end_N, -1)
    hidden_T: Flags = np.cumsum(edge_T[:-1]) > 0
    return hidden_T
