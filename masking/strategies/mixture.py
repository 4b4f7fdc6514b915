"""Several strategies, one drawn for each sample; the weights may change along training.

ERNIE 1.0's order basic -> phrase -> entity is three steps:

    kind: mixture
    strategies: [{kind: whole_unit, units: [word]}, {kind: whole_unit, units: [phrase, word]}, {kind: whole_unit}]
    schedule:
      - {until: 0.33, weights: [1, 0, 0]}
      - {until: 0.67, weights: [0, 1, 0]}
      - {until: 1.0, weights: [0, 0, 1]}

One budget and one corruption hold for all samples: where the strategies were published with different ones, the
configuration must give them. Or ``budgets`` and ``corruptions`` give every strategy its own, in their order, and
``masking.budget`` or ``masking.corruption`` is left out.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import ClassVar, TypeVar

import numpy as np
import numpy.typing as npt

from masking.budget import RULES, Budget
from masking.corruption import Corruption
from masking.keyed import combine_array, uniform_array
from masking.spans import Keys, Spans, Units
from masking.strategies import Strategy

T = TypeVar("T")
CHOICE, INSIDE = 0x6D6978, 0x6D6979
"""Separate the draw of the strategy from the draws inside it."""


@dataclass(frozen=True, kw_only=True)
class Phase:
    """Weights that hold up to a point of training."""

    until: float
    """Share of the planned steps, 0 to 1; the last phase ends at 1."""
    weights: list[float]
    """One non-negative number per strategy; they need not sum to 1."""

    def __post_init__(self) -> None:
        if not 0 < self.until <= 1:
            raise ValueError(f"until: {self.until} must lie in (0, 1]")
        if not all(0 <= weight < math.inf for weight in self.weights) or sum(self.weights) <= 0:
            raise ValueError(f"weights: {self.weights} must be non-negative with a positive sum")


@dataclass(frozen=True, kw_only=True)
class Mixture(Strategy):
    """One of several strategies for each sample."""

    OURS: ClassVar[tuple[str, ...]] = ("budget", "corruption")
    PAPER: ClassVar[str] = "stages of ERNIE 1.0, Sun et al. 2019, section 3.2; mixtures of your own"

    strategies: list[Strategy]
    """The strategies to draw from."""
    schedule: list[Phase]
    """Weights by the progress of training, in order; one phase until 1.0 keeps them constant."""
    budgets: list[Budget] = field(default_factory=list)
    """How much each strategy hides, in their order, instead of one `masking.budget` for all samples."""
    corruptions: list[Corruption] = field(default_factory=list)
    """What replaces the tokens that each strategy hides, in their order, instead of one `masking.corruption`."""

    def __post_init__(self) -> None:
        if not self.strategies:
            raise ValueError("strategies: give at least one")
        ends = [phase.until for phase in self.schedule]
        if not ends or ends != sorted(set(ends)) or ends[-1] != 1:
            raise ValueError(f"schedule: the ends {ends} must rise and the last must be 1.0")
        for phase in self.schedule:
            if len(phase.weights) != len(self.strategies):
                raise ValueError(f"schedule: {len(phase.weights)} weights for {len(self.strategies)} strategies")
        for name, own in (("budgets", self.budgets), ("corruptions", self.corruptions)):
            if own and len(own) != len(self.strategies):
                raise ValueError(f"{name}: {len(own)} for {len(self.strategies)} strategies; give one for each or none")
        if any(strategy.own_budgets() or strategy.own_corruptions() for strategy in self.strategies):
            raise ValueError("strategies: a mixture inside a mixture cannot have budgets or corruptions of its own")
        for budget, strategy in zip(self.budgets, self.strategies, strict=False):
            if budget.rule not in strategy.rules():
                raise ValueError(
                    f"budgets: the rule {budget.rule!r} has no meaning for its strategy, "
                    f"which knows {', '.join(strategy.rules())}"
                )
            if budget.final_rate or budget.row_targets:
                raise ValueError("budgets: final_rate and row_targets are not possible here")

    def levels(self) -> Iterable[str]:
        return dict.fromkeys(level for strategy in self.strategies for level in strategy.levels())

    def weighted(self) -> Mapping[str, str]:
        asked: dict[str, str] = {}
        for strategy in self.strategies:
            for level, weight in strategy.weighted().items():
                if asked.setdefault(level, weight) != weight:
                    raise ValueError(
                        f"strategies: two of them weigh the level {level!r} differently, "
                        f"by {asked[level]} and by {weight}"
                    )
        return asked

    def rules(self) -> tuple[str, ...]:
        if self.budgets:
            return RULES
        return tuple(rule for rule in RULES if all(rule in strategy.rules() for strategy in self.strategies))

    def own_budgets(self) -> Sequence[Budget]:
        return self.budgets

    def own_corruptions(self) -> Sequence[Corruption]:
        return self.corruptions

    def budget(self) -> Budget:
        if self.budgets:
            return Budget()
        return agreed([strategy.budget() for strategy in self.strategies], "budget")

    def corruption(self) -> Corruption:
        if self.corruptions:
            return Corruption()
        return agreed([strategy.corruption() for strategy in self.strategies], "corruption")

    def members(self, keys_S: Keys, progress_S: npt.NDArray[np.float64]) -> npt.NDArray[np.int64]:
        phase_S = np.minimum(
            np.searchsorted([phase.until for phase in self.schedule], progress_S, "right"), len(self.schedule) - 1
        )
        weights = np.array([phase.weights for phase in self.schedule], np.float64)
        cumulative = np.cumsum(weights / weights.sum(1, keepdims=True), axis=1)
        draws_S = uniform_array(combine_array(keys_S, CHOICE), 0)
        choice_S: npt.NDArray[np.int64] = np.minimum(
            (draws_S[:, None] >= cumulative[phase_S]).sum(1), len(self.strategies) - 1
        )
        return choice_S

    def select(self, units: Units, budget: Budget, keys_S: Keys, progress_S: npt.NDArray[np.float64]) -> Spans:
        choice_S = self.members(keys_S, progress_S)
        parts = []
        inner_S = combine_array(keys_S, INSIDE)
        for index, strategy in enumerate(self.strategies):
            samples = np.flatnonzero(choice_S == index)
            if len(samples):
                # A mixture inside a mixture must not see the number that chose it.
                keys = inner_S if isinstance(strategy, Mixture) else keys_S
                own = self.budgets[index] if self.budgets else budget
                spans = strategy.select(units.take(samples), own, keys[samples], progress_S[samples])
                parts.append(Spans(samples[spans.sample_N].astype(np.int32), spans.start_N, spans.end_N))
        return Spans.join(parts)


def agreed(published: Sequence[T], name: str) -> T:
    """What all strategies publish.

    Raises:
        ValueError: they differ.
    """
    if any(other != published[0] for other in published):
        raise ValueError(
            f"strategies: they were published with different settings of `{name}`; give masking.{name} yourself"
        )
    return published[0]
