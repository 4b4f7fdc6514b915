"""A budget and a corruption in words, as tables and docs say them."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from masking.budget import Budget
    from masking.corruption import Corruption


def budget_words(budget: Budget) -> str:
    """A budget in words."""
    of = "units" if budget.rule in ("units", "bernoulli") else "tokens"
    rate = f"{budget.rate * 100:.3g} %" + (
        f" at first, {budget.final_rate * 100:.3g} % at the end," if budget.final_rate else ""
    )
    parts = [f"{rate} of the {of}", f"rule {budget.rule}", *(["at least one unit"] if budget.at_least_one else [])]
    return ", ".join(parts + ([f"at most {budget.row_targets} tokens a row"] if budget.row_targets else []))


def corruption_words(corruption: Corruption) -> str:
    """A corruption in words."""
    kept = max(1 - corruption.mask - corruption.random - corruption.similar, 0)
    shares = [
        ("[MASK]", corruption.mask),
        ("similar words", corruption.similar),
        ("random", corruption.random),
        ("kept", kept),
    ]
    shown = ", ".join(f"{share * 100:.3g} % {name}" for name, share in shares if share > 1e-9)
    pool = {
        "vocabulary": "",
        "corpus": ", random tokens by corpus frequency",
        "sample": ", random tokens from the sample",
    }[corruption.pool]
    return f"{shown}, one draw per {corruption.per}{pool if corruption.random or corruption.similar else ''}"
