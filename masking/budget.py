"""How much of a sample is hidden, and what happens to the unit that would cross that line."""

from __future__ import annotations

from dataclasses import dataclass

CROSSING = ("accept", "skip", "stop", "overshoot", "cut")


@dataclass(frozen=True, kw_only=True)
class Budget:
    """Share of the maskable tokens of each sample; the count is rounded by a keyed coin, so the expectation is exact."""

    rate: float = 0.15
    """Share of real-text tokens to hide (BERT: 0.15)."""
    crossing: str = "accept"
    """The unit that would cross the budget is: `accept` taken with probability left/length, which hides long units about as often
    as short ones (8-token units within 20 % of single tokens in samples of 64 or more, rarer in shorter ones); `skip` passed over
    for the next (Megatron); `stop` the end; `overshoot` taken; `cut` shortened (SpanBERT)."""

    def __post_init__(self) -> None:
        if not 0 < self.rate < 1:
            raise ValueError(f"rate: {self.rate} must lie between 0 and 1")
        if self.crossing not in CROSSING:
            raise ValueError(f"crossing: {self.crossing!r} is not one of {', '.join(CROSSING)}")

    @property
    def code(self) -> int:
        """The kernels' number for ``crossing``."""
        return CROSSING.index(self.crossing)
