"""How much of a sample is hidden, and what happens to the unit that would cross that line.

100 maskable tokens, rate 0.15  ->  15 tokens; 101  ->  15 or 16, by a keyed coin, 15.15 on average

The rate may change along training: ``rate: 0.3, final_rate: 0.15`` hides 30 % in the first step, 22.5 % half way and
15 % in the last.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

RULES = ("accept", "skip", "stop", "overshoot", "cut", "units", "bernoulli")
TOKEN_RULES = RULES[:5]
"""Rules that count tokens."""


@dataclass(frozen=True, kw_only=True)
class Budget:
    """Share of the maskable tokens of each sample; the count is rounded by a keyed coin, so the expectation is
    exact."""

    rate: float = 0.15
    """Share of real-text tokens to hide (BERT: 0.15); of units with the rules `units` and `bernoulli`."""
    final_rate: float = 0.0
    """The rate at the end of the planned steps, to which `rate` moves in a straight line (Ankner et al. 2024: from
    0.3 to 0.15). 0: `rate` throughout."""
    rule: str = "accept"
    """The unit that would cross the budget is: `accept` taken as often as keeps the share of the tokens exact, by
    schemes that draw units one by one in a way that hides every unit equally often whatever its length; `skip` passed
    over for the next (Megatron); `stop` the end; `overshoot` taken; `cut` shortened (SpanBERT). Or `units`: the
    budget is a share of the units (MacBERT); `bernoulli`: no budget, every unit is hidden with probability `rate` by
    itself (ERNIE 1.0)."""
    at_least_one: bool = True
    """Hide one unit of every sample that has any, even if it exceeds the budget: no sample without target. Where the
    rule chooses none, one of the shortest units is hidden."""
    row_targets: int = 0
    """Most hidden tokens in a packed row; whole units beyond are given up, long ones as often as short ones, and
    counted. 0: no limit. With a limit, masks depend on what shares a row."""

    def __post_init__(self) -> None:
        if not 0 < self.rate < 1:
            raise ValueError(f"rate: {self.rate} must lie between 0 and 1")
        if not 0 <= self.final_rate < 1:
            raise ValueError(f"final_rate: {self.final_rate} must lie between 0 and 1, or be 0 for a rate that stays")
        if self.rule not in RULES:
            raise ValueError(f"rule: {self.rule!r} is not one of {', '.join(RULES)}")
        if self.row_targets < 0:
            raise ValueError(f"row_targets: {self.row_targets} must be 0 (no limit) or more")

    def at(self, progress: float) -> Budget:
        """The budget in force when this share of the planned steps is done, 0 to 1."""
        if not self.final_rate:
            return self
        done = min(max(progress, 0.0), 1.0)
        return replace(self, rate=self.rate + (self.final_rate - self.rate) * done, final_rate=0.0)

    @property
    def code(self) -> int:
        """The kernels' number for ``rule``."""
        return RULES.index(self.rule)
