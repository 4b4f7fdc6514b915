"""What a masking really did, counted: how much is hidden, of which units, replaced by what. Counts of batches add up.

    tokens     [CLS] 他 在 {北 京 大 学} [SEP]     hidden 在 and {北 京 大 学}; [MASK] [MASK] [MASK] [MASK] 学
    audit      6 maskable, 5 hidden; characters 1 of 2, entities 1 of 1; length 1: 1 of 2, length 4: 1 of 1;
               one run of 5 tokens

Units are counted as the text has them, by full precedence (entity > phrase > own levels > word > character), whatever
the scheme hides together: so a scheme of single tokens shows how many words it only hides in part. A unit that a
higher one meets in part is none; those are counted too: in {北 京 大 学} 生 the word 学 生 is crossed, the word 北 京
is not, for it lies inside the entity.
"""

from __future__ import annotations

from dataclasses import dataclass, fields, replace
from itertools import zip_longest
from typing import Any

import numpy as np
import numpy.typing as npt

from masking.boundary import boundary_targets
from masking.corruption import ACTIONS, Targets
from masking.spans import KINDS, Spans, Units, kind_of, precedence
from masking.structure import covered

LENGTHS = ("1", "2", "3", "4", "5-8", "9+")
"""Groups of units by their length in tokens."""
FIRST_OF_GROUP = np.array([1, 2, 3, 4, 5, 9])
Counts = tuple[int, ...]


@dataclass(frozen=True, kw_only=True)
class Audit:
    """Counts of one or more masked batches; ``+`` adds them up. K: kinds (spans.KINDS), L: groups of lengths
    (LENGTHS), A: actions (corruption.ACTIONS)."""

    samples: int = 0
    """Samples looked at."""
    without_target: int = 0
    """Samples of which nothing is hidden."""
    maskable: int = 0
    """Tokens of real text."""
    hidden: int = 0
    """Tokens hidden."""
    actions_A: Counts = (0,) * len(ACTIONS)
    """Hidden tokens by what was done to them."""
    present_K: Counts = (0,) * len(KINDS)
    """Units of the text by kind."""
    hidden_K: Counts = (0,) * len(KINDS)
    """Units hidden completely, by kind."""
    parted_K: Counts = (0,) * len(KINDS)
    """Units of which some tokens are hidden and others not, by kind."""
    crossed_K: Counts = (0,) * len(KINDS)
    """Units of each kind that are none, because units of higher levels hold some of their tokens and not all."""
    present_L: Counts = (0,) * len(LENGTHS)
    """Units of the text by length."""
    hidden_L: Counts = (0,) * len(LENGTHS)
    """Units hidden completely, by length."""
    runs_R: Counts = ()
    """How many runs of adjacent hidden tokens have r tokens, for r = 0, 1, 2 ... up to the longest."""
    boundary_targets: int = 0
    """Targets of the span boundary objective."""
    given_up: int = 0
    """Units that were chosen and given up for ``budget.row_targets``."""

    def __add__(self, other: Audit) -> Audit:
        return Audit(**{item.name: _sum(getattr(self, item.name), getattr(other, item.name)) for item in fields(self)})

    @property
    def rate(self) -> float:
        """Share of the maskable tokens that is hidden."""
        return self.hidden / max(self.maskable, 1)

    @property
    def action_shares_A(self) -> tuple[float, ...]:
        """Shares of the hidden tokens by what was done to them."""
        return tuple(count / max(self.hidden, 1) for count in self.actions_A)

    @property
    def rate_K(self) -> tuple[float | None, ...]:
        """Share of the units of each kind that is hidden completely; None where there is no such unit."""
        return _shares(self.hidden_K, self.present_K)

    @property
    def crossed_share_K(self) -> tuple[float | None, ...]:
        """Share of the units of each kind that are crossed, of those that are units or crossed; None where there is
        neither."""
        return _shares(
            self.crossed_K,
            tuple(crossed + present for crossed, present in zip(self.crossed_K, self.present_K, strict=True)),
        )

    @property
    def rate_L(self) -> tuple[float | None, ...]:
        """Share of the units of each length that is hidden completely; None where there is no such unit."""
        return _shares(self.hidden_L, self.present_L)

    @property
    def parted(self) -> float:
        """Share of the units with a hidden token that are hidden in part only."""
        return sum(self.parted_K) / max(sum(self.parted_K) + sum(self.hidden_K), 1)

    @property
    def mean_run(self) -> float:
        """Mean number of tokens of a run of adjacent hidden tokens."""
        return self.hidden / max(sum(self.runs_R), 1)

    @property
    def boundary_rate(self) -> float:
        """Targets of the span boundary objective per maskable token."""
        return self.boundary_targets / max(self.maskable, 1)


def audit(units: Units, spans: Spans, hidden: Targets, *, given_up: int = 0, max_length: int = 20) -> Audit:
    """Count one masked batch.

    Args:
        hidden: what ``Corruption.corrupt`` returned for ``spans``.
        given_up: units that the limit of a row left visible.
        max_length: longest run whose tokens are all targets of the span boundary objective (see boundary.py).
    """
    total = len(units.maskable_T)
    inside = covered(
        Spans(np.arange(len(units.sample_start_S), dtype=np.int32), units.sample_start_S, units.sample_end_S), total
    )
    units = replace(units, maskable_T=units.maskable_T & inside)
    unit_end_T, kind_T = units.partition(precedence(units.levels))
    start_U = np.flatnonzero(unit_end_T)
    length_U = unit_end_T[start_U] - start_U
    before_T1 = np.concatenate([[0], np.cumsum(covered(spans, total))])
    covered_U = before_T1[start_U + length_U] - before_T1[start_U]
    whole_U, part_U = covered_U == length_U, (covered_U > 0) & (covered_U < length_U)
    kind_U, group_U = kind_T[start_U], np.searchsorted(FIRST_OF_GROUP, length_U, "right") - 1
    return Audit(
        samples=len(units.sample_start_S),
        without_target=len(units.sample_start_S) - len(np.unique(spans.sample_N)),
        maskable=int(units.maskable_T.sum()),
        hidden=spans.tokens,
        actions_A=_counts(hidden.action_M, len(ACTIONS)),
        present_K=_counts(kind_U, len(KINDS)),
        hidden_K=_counts(kind_U[whole_U], len(KINDS)),
        parted_K=_counts(kind_U[part_U], len(KINDS)),
        crossed_K=crossed(units),
        present_L=_counts(group_U, len(LENGTHS)),
        hidden_L=_counts(group_U[whole_U], len(LENGTHS)),
        runs_R=_counts(run_lengths(spans), 0),
        boundary_targets=len(boundary_targets(spans, units, max_length).position_M),
        given_up=given_up,
    )


def crossed(units: Units) -> Counts:
    """Units by kind that units of higher levels hold in part: they are none, and their other tokens are left to lower
    levels."""
    counts, order = [0] * len(KINDS), precedence(units.levels)
    for place, level in enumerate(order):
        start_U, end_U = units.level(level)
        before_T1 = np.concatenate([[0], np.cumsum(units.partition(order[:place])[1] > 0)])
        held_U = before_T1[end_U] - before_T1[start_U]
        counts[kind_of(level)] += int(((held_U > 0) & (held_U < end_U - start_U)).sum())
    return tuple(counts)


def run_lengths(spans: Spans) -> npt.NDArray[np.int64]:
    """Tokens of every run of adjacent hidden units of a sample."""
    if not len(spans):
        return np.zeros(0, np.int64)
    begins = (spans.start_N[1:] != spans.end_N[:-1]) | (spans.sample_N[1:] != spans.sample_N[:-1])
    first, last = np.flatnonzero(np.append(True, begins)), np.flatnonzero(np.append(begins, True))
    return (spans.end_N[last] - spans.start_N[first]).astype(np.int64)


def _counts(values: npt.NDArray[Any], size: int) -> Counts:
    return tuple(np.bincount(values, minlength=size).tolist())


def _sum(one: Any, other: Any) -> Any:
    return tuple(a + b for a, b in zip_longest(one, other, fillvalue=0)) if isinstance(one, tuple) else one + other


def _shares(part: Counts, whole: Counts) -> tuple[float | None, ...]:
    return tuple(count / total if total else None for count, total in zip(part, whole, strict=True))
