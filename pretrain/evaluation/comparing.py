"""Is a model better than another one, or were the examples kind to it? A paired bootstrap.

    figures of models: an Outcome for each piece (seed)  ->  Difference: model less baseline, 95 % interval, p

One draw takes as many examples as there are, with replacement, the same ones for both models (Koehn 2004), and, where
a measurement has several pieces, as many pieces less one as there are, again the same for both: with one less the
spread of the mean is not too narrow (Rao & Wu 1988). What is random in both at once is counted twice. The interval
holds the middle 95 % of 10,000 draws; p is twice the share of draws on the rarer side of 0, and never below 2^(1-m),
what a sign test could show at most when the two models differ on m examples only. Holm's correction (1979) is for the
figures of one model.

Draws are a function of (examples, draw), so every figure of the same examples sees the same draws, on every machine.
More than 2,000 examples are drawn in groups of equal size, made at random once: the spread is known to 1.6 % from so
many, and a draw costs no more.

Shape legend: N examples, R draws, G groups, K numbers of an example, S pieces.
"""

from __future__ import annotations

from collections.abc import Hashable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import NamedTuple, TypeVar

import numpy as np
import numpy.typing as npt

from masking.keyed import GOLDEN, hash_key, mix_array, permute
from pretrain.evaluation.metrics import OF_SUMS, Floats, Outcome

DRAWS = 10_000
GROUPS = 2_000
INTERVAL = (0.025, 0.975)
LEVEL = 0.05
"""p of a difference that is marked, after Holm's correction."""
CHUNK = 1 << 18
"""Numbers drawn at a time."""
TOGETHER = 400
"""Figures, models and pieces whose draws are kept at a time: 80 kB each."""
LEAST_DEFINED = 0.5
"""Share of the draws in which a figure must be defined."""
LEAST_EXAMPLES = 5


Name = TypeVar("Name", bound=Hashable)


class Sample(NamedTuple):
    """A figure of a model in one piece."""

    outcome: Outcome
    examples: str
    """What the examples are; only equal ones are compared."""


Figures = Mapping[str, Mapping[str, Sample]]
"""By figure and piece."""


@dataclass(frozen=True, kw_only=True)
class Difference:
    """A model less the baseline in one figure, both as means over the pieces that both have."""

    value: float
    low: float
    high: float
    p: float
    """Two-sided."""
    adjusted: float
    """p after Holm's correction over ``among`` figures of the model."""
    among: int
    better: bool | None
    """Is the difference in the model's favour? None: there is none."""
    pieces: int
    examples: int
    differing: int
    """Examples on which the two differ in at least one piece."""

    @property
    def significant(self) -> bool:
        """Is it marked?"""
        return self.adjusted < LEVEL


def compare(models: Mapping[str, Figures], baseline: str, draws: int = DRAWS) -> dict[str, dict[str, Difference | str]]:
    """Every other model's figures against those of ``baseline``: a Difference that is not yet corrected, or why there
    is none. Figures that one of the two does not have are left out."""
    found: dict[str, dict[str, Difference | str]] = {model: {} for model in models if model != baseline}
    first, largest = models[baseline], max([1, *(len(pieces) for one in models.values() for pieces in one.values())])
    step = max(1, TOGETHER // (len(models) * largest))
    names = list(first)
    for some in (names[begin : begin + step] for begin in range(0, len(names), step)):
        compared: dict[tuple[str, str], list[str]] = {}
        for model, differences in found.items():
            for figure in some:
                if figure in models[model]:
                    why = differences[figure] = why_not(first[figure], models[model][figure])
                    if not why:
                        compared[model, figure] = [piece for piece in first[figure] if piece in models[model][figure]]
        samples = {
            (name, figure, piece): models[name][figure][piece]
            for (model, figure), pieces in compared.items()
            for piece in pieces
            for name in (baseline, model)
        }
        values = dict(_drawn(samples, draws))
        for (model, figure), pieces in compared.items():
            pairs = [(first[figure][piece], models[model][figure][piece]) for piece in pieces]
            sides = [np.stack([values[name, figure, piece] for piece in pieces], 1) for name in (baseline, model)]
            found[model][figure] = _difference(pairs, sides[0], sides[1])
    return found


def why_not(first: Mapping[str, Sample], other: Mapping[str, Sample]) -> str:
    """Why a figure of two models cannot be compared; empty: it can."""
    both = [piece for piece in first if piece in other]
    if not both:
        return f"no piece in common ({', '.join(first)}; {', '.join(other)})"
    for one, two in ((first[piece], other[piece]) for piece in both):
        if len(one.outcome.rows) != len(two.outcome.rows):
            return f"other examples ({len(one.outcome.rows):,} and {len(two.outcome.rows):,})"
        if one.examples != two.examples:
            return "other examples"
        if one.outcome.metric != two.outcome.metric or one.outcome.rows.shape != two.outcome.rows.shape:
            return "another metric, or other classes"
        if len(one.outcome.rows) < LEAST_EXAMPLES:
            return f"fewer than {LEAST_EXAMPLES} examples"
        if not np.isfinite([one.outcome.value, two.outcome.value]).all():
            return "not defined for one of the two"
    return ""


def _difference(pairs: Sequence[tuple[Sample, Sample]], first_RS: Floats, other_RS: Floats) -> Difference | str:
    value = float(np.mean([other.outcome.value - first.outcome.value for first, other in pairs]))
    weight_RS = drawn_pieces(len(pairs), len(first_RS))
    with np.errstate(invalid="ignore"):
        drawn_R = ((other_RS - first_RS) * weight_RS).sum(1)
    drawn_R = drawn_R[np.isfinite(drawn_R)]
    if len(drawn_R) < LEAST_DEFINED * len(first_RS):
        return "not defined for most draws of the examples"
    drawn_R[np.abs(drawn_R) < 1e-12 * np.abs(first_RS).max(initial=0.0, where=np.isfinite(first_RS))] = 0.0
    low, high = np.quantile(drawn_R, INTERVAL)
    rarer = min(int((drawn_R <= 0).sum()), int((drawn_R >= 0).sum()))
    differs: dict[str, npt.NDArray[np.bool_]] = {}
    for first, other in pairs:
        here_N = (first.outcome.rows != other.outcome.rows).any(1)
        differs[first.examples] = differs.get(first.examples, False) | here_N
    differing = sum(int(here_N.sum()) for here_N in differs.values())
    p = min(1.0, max(2 * (rarer + 1) / (len(drawn_R) + 1), 2.0 ** (1 - min(differing, 1000))))
    return Difference(
        value=value,
        low=float(low),
        high=float(high),
        p=p,
        adjusted=p,
        among=1,
        better=None if not value else (value < 0) == pairs[0][0].outcome.lower_is_better,
        pieces=len(pairs),
        examples=sum(len(here_N) for here_N in differs.values()),
        differing=differing,
    )


def _drawn(samples: Mapping[tuple[str, str, str], Sample], draws: int) -> Iterator[tuple[tuple[str, str, str], Floats]]:
    """The value of each sample under every draw (R,)."""
    sets: dict[tuple[str, int], list[tuple[str, str, str]]] = {}
    for place, sample in samples.items():
        sets.setdefault((sample.examples, len(sample.outcome.rows)), []).append(place)
    for (examples, count), places in sets.items():
        outcomes = [samples[place].outcome for place in places]
        yield from zip(places, drawn_values(outcomes, hash_key("compare", examples, count), draws).T, strict=True)


def drawn_values(outcomes: Sequence[Outcome], key: int, draws: int) -> Floats:
    """The values (R, figures) of several outcomes of the same examples, under the same draws of them."""
    group_N = groups(len(outcomes[0].rows), key)
    most = int(group_N.max()) + 1
    rows, ends = [], [0]
    for outcome in outcomes:
        if outcome.metric in OF_SUMS:
            rows += [np.bincount(group_N, column, most) for column in outcome.rows.T]
        ends.append(len(rows))
    rows_GK = np.stack(rows, 1) if rows else np.zeros((most, 0))
    step = max(1, CHUNK // (most if rows else len(group_N)))
    found = np.empty((draws, len(outcomes)))
    for begin in range(0, draws, step):
        counts_RG = drawn_counts(key, most, begin, min(begin + step, draws)).astype(np.float64)
        sums_RK, end = counts_RG @ rows_GK, begin + len(counts_RG)
        for number, outcome in enumerate(outcomes):
            found[begin:end, number] = (
                OF_SUMS[outcome.metric](sums_RK[:, ends[number] : ends[number + 1]])
                if outcome.metric in OF_SUMS
                else outcome.drawn(counts_RG[:, group_N])
            )
    return found


def groups(count: int, key: int) -> npt.NDArray[np.int64]:
    """What is drawn together (N,): every example by itself, or groups of equal size."""
    size = -(-count // GROUPS)
    if size == 1:
        return np.arange(count)
    places_N = permute(np.arange(count, dtype=np.uint64), count, hash_key("groups", key))
    found: npt.NDArray[np.int64] = places_N.astype(np.int64) // size
    return found


def drawn_counts(key: int, among: int, first: int, last: int, taken: int = 0) -> npt.NDArray[np.int64]:
    """How often each of ``among`` things is taken in the draws from ``first`` to ``last``, (R, among); each draw takes
    as many as there are, or ``taken``."""
    taken, draws = taken or among, last - first
    begin, end = first * taken, last * taken
    numbers = np.arange(begin // 2, -(-end // 2), dtype=np.uint64)
    halves = mix_array(np.uint64(key) + numbers * np.uint64(GOLDEN)).astype("<u8").view("<u4")[begin % 2 :]
    places = (halves[: end - begin] * np.uint64(among)) >> np.uint64(32)
    rows = np.repeat(np.arange(draws) * among, taken)
    return np.bincount(rows + places.astype(np.int64), minlength=draws * among).reshape(draws, among)


def drawn_pieces(pieces: int, draws: int) -> Floats:
    """The weight (R, S) of each piece in every draw: pieces less one are taken, one alone always."""
    if pieces == 1:
        return np.ones((draws, 1))
    key = hash_key("compare", "pieces", pieces)
    return drawn_counts(key, pieces, 0, draws, pieces - 1) / (pieces - 1)


def holm(differences: Mapping[Name, Difference]) -> dict[Name, Difference]:
    """Differences with p corrected over all of them: the smallest p times their number, the next times one less, ...,
    never smaller than the one before."""
    adjusted, found = 0.0, dict[Name, Difference]()
    for place, name in enumerate(sorted(differences, key=lambda name: differences[name].p)):
        adjusted = max(adjusted, min(1.0, differences[name].p * (len(differences) - place)))
        found[name] = replace(differences[name], adjusted=adjusted, among=len(differences))
    return {name: found[name] for name in differences}
