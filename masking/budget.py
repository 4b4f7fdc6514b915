"""How much of a sample is hidden, and what happens to the unit that would cross that line.

100 maskable tokens, rate 0.15  ->  15 tokens; 101  ->  15 or 16, by a keyed coin, 15.15 on average
"""

from __future__ import annotations

from dataclasses import dataclass

RULES = ("accept", "skip", "stop", "overshoot", "cut", "units", "bernoulli")
TOKEN_RULES = RULES[:5]
"""Rules that count tokens."""


@dataclass(frozen=True, kw_only=True)
class Budget:
    """Share of the maskable tokens of each sample; the count is rounded by a keyed coin, so the expectation is exact."""

    rate: float = 0.15
    """Share of real-text tokens to hide (BERT: 0.15); of units with the rules `units` and `bernoulli`."""
    rule: str = "accept"
    """The unit that would cross the budget is: `accept` taken as often as makes every unit equally likely to be hidden, whatever its length;
    `skip` passed over for the next (Megatron); `stop` the end; `overshoot` taken; `cut` shortened (SpanBERT). Or `units`: the budget is a
    share of the units (MacBERT); `bernoulli`: no budget, every unit is hidden with probability `rate` by itself (ERNIE 1.0)."""
    at_least_one: bool = True
    """Hide one unit of every sample that has any, even if it exceeds the budget: no sample without target."""
    row_targets: int = 0
    """Most hidden tokens in a packed row; whole units beyond are given up and counted. 0: no limit. With a limit, masks depend on what shares a row."""

    def __post_init__(self) -> None:
        if not 0 < self.rate < 1:
            raise ValueError(f"rate: {self.rate} must lie between 0 and 1")
        if self.rule not in RULES:
            raise ValueError(f"rule: {self.rule!r} is not one of {', '.join(RULES)}")
        if self.row_targets < 0:
            raise ValueError(f"row_targets: {self.row_targets} must be 0 (no limit) or more")

    @property
    def code(self) -> int:
        """The kernels' number for ``rule``."""
        return RULES.index(self.rule)
