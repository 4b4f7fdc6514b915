"""What is hidden and how, and what masking must know of the vocabulary and the corpus."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt

from masking.budget import Budget
from masking.corruption import Corruption, Replacements
from masking.salience import Rarity
from masking.spans import Units
from masking.strategies import Strategy
from masking.strategies.whole_unit import WholeUnit
from masking.structure import Shuffle


@dataclass(frozen=True, kw_only=True)
class Masking:
    """What is hidden and how."""

    strategy: Strategy = field(default_factory=WholeUnit)
    """Which units are hidden together."""
    budget: Budget | None = None
    """How much of a sample is hidden; without it, as the strategy was published."""
    corruption: Corruption | None = None
    """What replaces hidden tokens; without it, as the strategy was published."""
    shuffle: Shuffle | None = None
    """Visible tokens put into another order, for a `token_order` task; without it, none."""

    def __post_init__(self) -> None:
        self.strategy.weighted()
        if self.budget and self.strategy.own_budgets():
            raise ValueError(
                "budget: the strategies of the mixture have `budgets` of their own; leave one of the two out"
            )
        if self.corruption and self.strategy.own_corruptions():
            raise ValueError(
                "corruption: the strategies of the mixture have `corruptions` of their own; leave one of the two out"
            )
        rules, rule = self.strategy.rules(), self.hidden_share.rule
        if rule not in rules:
            raise ValueError(
                f"budget: the rule {rule!r} has no meaning for this strategy, which knows {', '.join(rules)}"
            )
        _ = self.replacement

    @property
    def hidden_share(self) -> Budget:
        """The budget in force."""
        return self.budget or self.strategy.budget()

    @property
    def replacement(self) -> Corruption:
        """The corruption in force."""
        return self.corruption or self.strategy.corruption()

    @property
    def laws(self) -> Sequence[Corruption]:
        """All corruptions in force: one, or those of a mixture's strategies."""
        return self.strategy.own_corruptions() or [self.replacement]


@dataclass(frozen=True, kw_only=True)
class Specials:
    """Ids that building and masking need to know."""

    pad: int
    cls: int
    sep: int
    replacements: Replacements
    rarity: Mapping[str, Rarity] = field(default_factory=dict)
    """By level, for strategies that weigh units."""
    notes: tuple[str, ...] = ()
    """What the user should know about the tables that were read."""
    vocabulary: int | None = None
    """Number of token ids, gaps included: a sample with another id is refused. None: not known."""

    @property
    def mask(self) -> int:
        """Id of [MASK]."""
        return self.replacements.mask_id


def weights(
    strategy: Strategy, units: Units, ids_T: npt.NDArray[np.int64], rarity: Mapping[str, Rarity]
) -> dict[str, npt.NDArray[np.float32]]:
    """The weights that the strategy asks for.

    Raises:
        ValueError: the rarity of a level is not known.
    """
    found = {}
    for level, law in strategy.weighted().items():
        if level not in rarity:
            raise ValueError(f"masking.strategy weighs units of level {level!r}, but how rare they are was not counted")
        start_U, end_U = units.level(level)
        found[level] = (
            rarity[level].tf_idf(ids_T, start_U, end_U, units.sample_start_S)
            if law == "tf_idf"
            else rarity[level].idf(ids_T, start_U, end_U)
        )
    return found
