"""What a comparison of masks says beside its drawings, for terminal and page: words about a scheme, and two tables."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from launch.views.masks.comparison import Comparison, Shown
from launch.views.masks.scheme_words import budget_words, corruption_words

if TYPE_CHECKING:
    from masking.audit import Audit

READING = (
    "A unit counts as hidden when all of it is; char.: single tokens in no unit of several. "
    "partly: units of which only some tokens are hidden, of all that are touched. "
    "run: mean length of adjacent hidden tokens. empty: samples without a target. "
    "given up: units beyond budget.row_targets. SBO: span boundary targets per 1,000 tokens."
)
COUNTS = ("run", "empty", "given up", "SBO")
"""Columns that are no shares."""


class Table(NamedTuple):
    """Numbers as text; the first column names the scheme."""

    title: str
    heads: list[str]
    rows: list[list[str]]


def hidden_words(shown: Shown) -> str:
    """How much of the drawn sample is hidden."""
    return f"{shown.own.hidden} of {shown.own.maskable} tokens hidden, {shown.own.rate:.1%}".replace("%", " %")


def description(shown: Shown) -> str:
    """Budget, corruption, paper and note of a scheme."""
    masking = shown.scheme.masking
    strategy, note = masking.strategy, shown.scheme.note
    budgets = " or ".join(map(budget_words, strategy.own_budgets() or [masking.hidden_share]))
    corruptions = " or ".join(map(corruption_words, masking.laws))
    return "; ".join(part for part in (budgets, corruptions, strategy.PAPER, note) if part) + "."


def reading(comparison: Comparison) -> str:
    """How to read the tables, and how many units of the data a higher level takes apart."""
    from masking.spans import KINDS

    audit = comparison.shown[0].audit
    crossed = zip(KINDS, audit.crossed_K, audit.crossed_share_K, strict=True)
    counts = ", ".join(f"{count:,} {kind} units ({share_cell(share)} %)" for kind, count, share in crossed if count)
    return f"{READING} Crossed by a unit of a higher level, so that they are none: {counts or 'none'}."


def tables(comparison: Comparison) -> list[Table]:
    """What is hidden, and what replaces it, over many samples."""
    from masking.audit import LENGTHS

    audits = [(shown.scheme.name, shown.audit) for shown in comparison.shown]
    samples, tokens = (audits[0][1].samples, audits[0][1].maskable) if audits else (0, 0)
    hidden = Table(
        f"{samples:,} samples, {tokens:,} tokens; in %: tokens hidden, units hidden by kind and by length in tokens",
        ["scheme", "hidden", "char.", "word", "phrase", "entity", *LENGTHS],
        [[name, *hidden_cells(audit)] for name, audit in audits],
    )
    replaced = Table(
        "in %: what replaced hidden tokens, units hidden in part",
        ["scheme", "[MASK]", "random", "kept", "similar", "partly", *COUNTS],
        [[name, *replaced_cells(audit)] for name, audit in audits],
    )
    return [hidden, replaced]


def hidden_cells(audit: Audit) -> list[str]:
    """Share of tokens, of units by kind and of units by length."""
    return [share_cell(share) for share in (audit.rate, *audit.rate_K, *audit.rate_L)]


def replaced_cells(audit: Audit) -> list[str]:
    """Shares of the replacements, and what else there is to know."""
    shares = [share_cell(share) for share in (*audit.action_shares_A, audit.parted)]
    counts = [f"{audit.without_target:,}", f"{audit.given_up:,}", f"{1000 * audit.boundary_rate:.0f}"]
    return [*shares, f"{audit.mean_run:.2f}", *counts]


def share_cell(share: float | None) -> str:
    """In per cent with one decimal and no sign; `-` where there is nothing to take a share of."""
    return "-" if share is None else f"{100 * share:.1f}"
