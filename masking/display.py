"""A masked sample as pieces that a terminal or a page can colour. Strings only: no torch, no shards, no terminal.

[ORG 北 京 大 学] 在 [word 海 淀]      what is there
北 京 大 学 -> [M] [M] [M] [M]          what was hidden and what replaced it
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from masking.corruption import ACTIONS
from masking.spans import KINDS, Byte, Int, Spans


@dataclass(frozen=True, kw_only=True)
class Piece:
    """One token of a sample as it should be drawn."""

    token: str
    """What stood there."""
    replaced_by: str
    """What the model sees instead; empty when the token is not hidden."""
    action: str
    """`mask`, `random`, `kept`, `similar`, or empty."""
    kind: str
    """Kind of the unit the token belongs to."""
    opens: bool
    """Does its unit begin here (and have more than one token)?"""
    closes: bool
    """Does its unit end here (and have more than one token)?"""


def pieces(
    tokens: Sequence[str],
    seen: Sequence[str],
    unit_end_T: Int,
    kind_T: Byte,
    spans: Spans,
    actions: dict[int, int],
    start: int,
    end: int,
) -> list[Piece]:
    """The tokens ``[start, end)`` of a flat batch.

    Args:
        tokens: original tokens of the whole batch.
        seen: tokens after corruption.
        actions: what was done at each hidden position (see corruption.Targets).
    """
    hidden = np.zeros(len(tokens), np.bool_)
    for first, last in zip(spans.start_N, spans.end_N, strict=True):
        hidden[first:last] = True
    result = []
    closing = -1
    for position in range(start, end):
        opens = int(unit_end_T[position]) - position > 1
        if opens:
            closing = int(unit_end_T[position]) - 1
        result.append(
            Piece(
                token=tokens[position],
                replaced_by=seen[position] if hidden[position] else "",
                action=ACTIONS[actions[position]] if hidden[position] else "",
                kind=KINDS[kind_T[position]],
                opens=opens,
                closes=position == closing,
            )
        )
    return result
