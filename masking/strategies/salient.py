"""Units that tell much are hidden more often (salient span masking, REALM, Guu et al. 2020, section 3.4), here
weighted by rarity.

    entities of a sample   北京 (in every second document), 哈尔滨工业大学 (in one of a thousand)
                           ->   the second is drawn first more often

Single tokens have weights, too, where they are a salient level by the name `character`, the last of the units:

    {kind: salient, units: [character], salient: [character], weight: idf}             rare tokens are hidden more often
    {kind: salient, units: [entity, word, character], salient: [entity, character]}    entities, and tokens of no unit
    {kind: salient, units: [character], salient: [character], weight: informative}     InforMask (informativeness.py)

A salient unit of average weight is drawn ``favour`` times as readily as any other unit: units are taken one after
another, each with chances proportional to its weight among those that are left. With a very large ``favour`` other
units are hidden only once all salient ones are.

Weights, budget and corruption are kmask's defaults. REALM hides one salient span of a sample, any of them, behind
[MASK] alone: `configs/pretrain/realm.yaml` is that. With the rule `accept` the unit that would cross the budget is
taken with probability left / length, so long units are hidden less often than short ones of equal weight (table under
"Budget").
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import ClassVar

import numpy as np
import numpy.typing as npt

from masking.budget import RULES, Budget
from masking.spans import KINDS, Flags, Keys, Part, Spans, Units
from masking.strategies import Strategy

WEIGHTS = ("tf_idf", "idf", "informative", "even")


@dataclass(frozen=True, kw_only=True)
class Salient(Strategy):
    """Whole units; those of the salient levels are favoured by their weight."""

    OURS: ClassVar[tuple[str, ...]] = ("budget", "corruption")
    PAPER: ClassVar[str] = "REALM, Guu et al. 2020, section 3.4"
    RULES: ClassVar[tuple[str, ...]] = RULES[:-1]

    salient: list[str] = field(default_factory=lambda: ["entity"])
    """Levels whose units are favoured."""
    units: list[str] = field(default_factory=lambda: ["entity", "phrase", "word"])
    """All levels in order of precedence, the salient ones among them; `character`, if named, is last: single tokens."""
    weight: str = "tf_idf"
    """How telling a unit is: `idf` rare in the documents of the corpus, `tf_idf` rare there and frequent in this
    sample, `informative` single tokens alone: how often the most informative masks of the corpus hide them (InforMask),
    `even` all alike."""
    favour: float = 8.0
    """How many times as readily a salient unit of average weight is drawn as another unit."""

    favours: dict[str, float] = field(default_factory=dict)
    """Salient levels with a `favour` of their own, as `entity:DATE: 16`."""

    def __post_init__(self) -> None:
        if not self.units or len(set(self.units)) < len(self.units):
            raise ValueError(f"units: {self.units} must name at least one level, each once")
        if not self.salient or not set(self.salient) <= set(self.units):
            raise ValueError(
                f"salient: {self.salient} must name at least one level, all of them among units = {self.units}"
            )
        if KINDS[0] in self.units[:-1]:
            raise ValueError(f"units: {self.units} must name {KINDS[0]}, single tokens, last: no token would be left")
        if self.weight not in WEIGHTS:
            raise ValueError(f"weight: {self.weight!r} is not one of {', '.join(WEIGHTS)}")
        if self.weight == "informative" and self.salient != [KINDS[0]]:
            raise ValueError(
                f"weight: informative is a rate of single tokens; it needs salient: [{KINDS[0]}], not {self.salient}"
            )
        if not 0 < self.favour < np.inf:
            raise ValueError(f"favour: {self.favour} must be above 0")
        for level, favour in self.favours.items():
            if level not in self.salient or not 0 < favour < np.inf:
                raise ValueError(
                    f"favours: {level}: {favour} must be above 0, and the level one of salient = {self.salient}"
                )

    def levels(self) -> Iterable[str]:
        return [level for level in self.units if level != KINDS[0]]

    def weighted(self) -> Mapping[str, str]:
        return {} if self.weight == "even" else dict.fromkeys(self.salient, self.weight)

    def select(self, units: Units, budget: Budget, keys_S: Keys, progress_S: npt.NDArray[np.float64]) -> Spans:
        from masking import kernels

        unit_end_T, _ = units.partition(tuple(self.levels()))
        where = (
            units.sample_start_S,
            units.sample_end_S,
            units.maskable_T,
            unit_end_T,
            self.weights(units, unit_end_T),
            keys_S,
        )
        return Spans(*kernels.select_weighted(*where, budget.rate, budget.code, budget.at_least_one))

    def named(self, units: Units) -> Flags:
        """bool[T]: is the token, all by itself, a unit of a level (and so no single token)?"""
        found_T = np.zeros(len(units.maskable_T), np.bool_)
        for level in self.levels():
            start_U, end_U = units.level(level)
            found_T[start_U[end_U - start_U == 1]] = True
        return found_T

    def weights(self, units: Units, unit_end_T: npt.NDArray[np.int32]) -> npt.NDArray[np.float64]:
        """float64[T]: how readily the unit that begins at a token is drawn; salient units average ``favour`` in every
        sample, others have 1.

        Those of levels with a favour of their own have it instead: the mean that weights are divided by is that of
        all salient units.
        """
        weight_T = np.ones(len(unit_end_T))
        start_X, weight_X, favour_X = np.zeros(0, np.int64), np.zeros(0), np.zeros(0)
        for level in self.salient:
            start_U, end_U = units.level(level)
            own = unit_end_T[start_U] == end_U
            if level == KINDS[0]:
                own &= ~self.named(units)[start_U]
            for part in self.salient:
                if part != level and Part.of(part).level == level:
                    own &= ~np.isin(start_U, units.level(part)[0])  # the part has a say of its own
            if self.weight != "even" and level not in units.weights:
                raise ValueError(
                    f"weight: {self.weight} of the units of level {level!r} is needed, "
                    "but the batch has no weights for them"
                )
            weight_U = np.ones(len(start_U)) if self.weight == "even" else units.weights[level].astype(np.float64)
            start_X, weight_X = np.append(start_X, start_U[own]), np.append(weight_X, weight_U[own])
            favour_X = np.append(favour_X, np.full(int(own.sum()), self.favours.get(level, self.favour)))
        sample_X = np.searchsorted(units.sample_start_S, start_X, "right") - 1
        # The batch may hold samples that others mask.
        asked = (sample_X >= 0) & (start_X < units.sample_end_S[sample_X])
        start_X, weight_X, favour_X, sample_X = start_X[asked], weight_X[asked], favour_X[asked], sample_X[asked]
        samples = len(units.sample_start_S)
        mean_S = np.bincount(sample_X, weight_X, samples) / np.maximum(np.bincount(sample_X, minlength=samples), 1)
        weight_T[start_X] = favour_X * weight_X / mean_S[sample_X]
        return weight_T
