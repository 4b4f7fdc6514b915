"""Compiled loops. The only module that imports numba; imported on first use and cached on disk.

Every loop draws from one uint64 key per sample: the n-th number is splitmix64(key + (n + 1) * GOLDEN), as in keyed.py.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numba import njit

GOLDEN = np.uint64(0x9E3779B97F4A7C15)
ONE = np.uint64(1)
ACCEPT, SKIP, STOP, OVERSHOOT, CUT = 0, 1, 2, 3, 4
"""What happens to the unit that would cross the budget (budget.py names them)."""


@njit(cache=True, inline="always")
def draw(key: Any, count: Any) -> Any:
    """The count-th number in [0, 1) under ``key``."""
    value = key + (np.uint64(count) + ONE) * GOLDEN
    value = (value ^ (value >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    value = (value ^ (value >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    value = value ^ (value >> np.uint64(31))
    return float(value >> np.uint64(11)) * 2.0**-53


@njit(cache=True)
def paint(start_U: Any, end_U: Any, kind: int, maskable_T: Any, owned_T: Any, unit_end_T: Any, kind_T: Any) -> None:
    """Give each unit its tokens unless one of them is owned already or must not be hidden."""
    for unit in range(len(start_U)):
        start, end = start_U[unit], end_U[unit]
        free = True
        for position in range(start, end):
            if owned_T[position] or not maskable_T[position]:
                free = False
                break
        if free:
            unit_end_T[start] = end
            for position in range(start, end):
                owned_T[position] = True
                kind_T[position] = kind


@njit(cache=True)
def paint_rest(maskable_T: Any, owned_T: Any, unit_end_T: Any) -> None:
    """Every maskable token that no unit owns is a unit of its own."""
    for position in range(len(maskable_T)):
        if maskable_T[position] and not owned_T[position]:
            unit_end_T[position] = position + 1


@njit(cache=True, inline="always")
def budget_of(tokens: int, rate: float, coin: float) -> int:
    """``rate * tokens``, rounded up or down by the coin so that the expectation is exact."""
    exact = rate * tokens
    whole = int(exact)
    return whole + (1 if coin < exact - whole else 0)


@njit(cache=True)
def select_units(sample_start_S: Any, sample_end_S: Any, maskable_T: Any, unit_end_T: Any, keys_S: Any, rate: float, crossing: int) -> Any:
    """Take units in keyed random order until the sample's budget is spent.

    Returns (sample, start, end), sorted by position.
    """
    total = len(maskable_T)
    out_sample, out_start, out_end = np.empty(total, np.int32), np.empty(total, np.int32), np.empty(total, np.int32)
    chosen_T = np.zeros(total, np.int32)
    order = np.empty(total, np.int32)
    count = 0
    for sample in range(len(sample_start_S)):
        first, last, key = sample_start_S[sample], sample_end_S[sample], keys_S[sample]
        units, tokens = 0, 0
        for position in range(first, last):
            if unit_end_T[position] > 0:
                order[units] = position
                units += 1
            if maskable_T[position]:
                tokens += 1
        left = budget_of(tokens, rate, draw(key, 0))
        number = 1
        for index in range(units):
            if left <= 0:
                break
            # Fisher-Yates, one step at a time: only as many draws as units are looked at.
            other = index + int(draw(key, number) * (units - index))
            number += 1
            order[index], order[other] = order[other], order[index]
            start = order[index]
            end = unit_end_T[start]
            length = end - start
            if length > left:
                if crossing == ACCEPT:
                    if draw(key, number) < left / length:
                        chosen_T[start] = end
                    break
                if crossing == SKIP:
                    continue
                if crossing == STOP:
                    break
                if crossing == CUT:
                    end = start + left
            chosen_T[start] = end
            left -= length
        for position in range(first, last):
            if chosen_T[position] > 0:
                out_sample[count], out_start[count], out_end[count] = sample, position, chosen_T[position]
                chosen_T[position] = 0
                count += 1
    return out_sample[:count].copy(), out_start[:count].copy(), out_end[:count].copy()


@njit(cache=True)
def select_spans(sample_start_S: Any, sample_end_S: Any, maskable_T: Any, unit_end_T: Any, keys_S: Any, rate: float, crossing: int, cumulative_L: Any) -> Any:
    """SpanBERT's draw: a length in words, an anchor token, whole words from the anchor's word on; then the budget.

    ``cumulative_L`` is the cumulative law of the span length 1, 2 ... Returns (sample, start, end) of maximal runs.
    """
    total = len(maskable_T)
    out_sample, out_start, out_end = np.empty(total, np.int32), np.empty(total, np.int32), np.empty(total, np.int32)
    hidden_T = np.zeros(total, np.bool_)
    texts = np.empty(total, np.int32)
    count = 0
    for sample in range(len(sample_start_S)):
        first, last, key = sample_start_S[sample], sample_end_S[sample], keys_S[sample]
        tokens = 0
        for position in range(first, last):
            if maskable_T[position]:
                texts[tokens] = position
                tokens += 1
        left = budget_of(tokens, rate, draw(key, 0))
        number = 1
        tries = 0
        while left > 0 and tries < 20 * tokens + 100:
            tries += 1
            length = 1 + np.searchsorted(cumulative_L, draw(key, number), side="right")
            anchor = texts[int(draw(key, number + 1) * tokens)]
            number += 2
            if hidden_T[anchor]:
                continue
            start = anchor
            while unit_end_T[start] == 0:
                start -= 1
            end, words, fresh = start, 0, 0
            while words < length and end < last and maskable_T[end]:
                following = unit_end_T[end]
                for position in range(end, following):
                    if not hidden_T[position]:
                        fresh += 1
                end = following
                words += 1
            if fresh > left:
                if crossing == ACCEPT:
                    if draw(key, number) >= left / fresh:
                        break
                    left = fresh
                elif crossing == SKIP:
                    continue
                elif crossing == STOP:
                    break
                elif crossing == CUT:
                    end, fresh = start, 0
                    while fresh < left:
                        if not hidden_T[end]:
                            fresh += 1
                        end += 1
            for position in range(start, end):
                hidden_T[position] = True
            left -= fresh
        position = first
        while position < last:
            if hidden_T[position]:
                start = position
                while position < last and hidden_T[position]:
                    hidden_T[position] = False
                    position += 1
                out_sample[count], out_start[count], out_end[count] = sample, start, position
                count += 1
            position += 1
    return out_sample[:count].copy(), out_start[:count].copy(), out_end[:count].copy()


@njit(cache=True)
def corrupt(
    ids_T: Any,
    start_N: Any,
    end_N: Any,
    sample_N: Any,
    sample_start_S: Any,
    keys_S: Any,
    mask_id: int,
    pool_V: Any,
    mask: float,
    random: float,
    per_unit: bool,
) -> Any:
    """Replace hidden tokens in place and list the targets: (positions, original ids, what was done: 0 mask 1 random 2 kept)."""
    total = 0
    for span in range(len(start_N)):
        total += end_N[span] - start_N[span]
    position_M, label_M, action_M = np.empty(total, np.int64), np.empty(total, np.int64), np.empty(total, np.uint8)
    count = 0
    for span in range(len(start_N)):
        key = keys_S[sample_N[span]]
        origin = sample_start_S[sample_N[span]]
        choice = draw(key, 2 * (start_N[span] - origin))
        for position in range(start_N[span], end_N[span]):
            if not per_unit:
                choice = draw(key, 2 * (position - origin))
            position_M[count], label_M[count] = position, ids_T[position]
            if choice < mask:
                ids_T[position] = mask_id
                action_M[count] = 0
            elif choice < mask + random:
                ids_T[position] = pool_V[int(draw(key, 2 * (position - origin) + 1) * len(pool_V))]
                action_M[count] = 1
            else:
                action_M[count] = 2
            count += 1
    return position_M, label_M, action_M


@njit(cache=True)
def boundaries(start_N: Any, end_N: Any, sample_N: Any, max_length: int) -> Any:
    """SBO targets: (target position, left boundary, right boundary, offset from the left boundary 1, 2 ...).

    Adjacent spans of a sample are merged first; of a merged span longer than ``max_length`` only the first tokens are targets.
    """
    total = 0
    for span in range(len(start_N)):
        total += end_N[span] - start_N[span]
    position_M, left_M = np.empty(total, np.int64), np.empty(total, np.int64)
    right_M, offset_M = np.empty(total, np.int64), np.empty(total, np.int64)
    count = 0
    span = 0
    while span < len(start_N):
        start, end, sample = start_N[span], end_N[span], sample_N[span]
        span += 1
        while span < len(start_N) and sample_N[span] == sample and start_N[span] == end:
            end = end_N[span]
            span += 1
        for position in range(start, min(end, start + max_length)):
            position_M[count], left_M[count], right_M[count] = position, start - 1, end
            offset_M[count] = position - start + 1
            count += 1
    return position_M[:count].copy(), left_M[:count].copy(), right_M[:count].copy(), offset_M[:count].copy()


@njit(cache=True)
def group_ragged(ends: Any, offsets_D1: Any, limit: int) -> Any:
    """Join consecutive pieces of each document greedily up to ``limit`` tokens; a longer piece is divided.

    ``ends[offsets_D1[d]:offsets_D1[d + 1]]`` are the ends of document d's pieces (sentences), counted from its first token.
    Returns (document, start, end) of every group.
    """
    total = 0
    for document in range(len(offsets_D1) - 1):
        previous: Any = 0
        for index in range(offsets_D1[document], offsets_D1[document + 1]):
            total += 1 + (np.int64(ends[index]) - previous) // limit
            previous = np.int64(ends[index])
    out_document, out_start, out_end = np.empty(total, np.int32), np.empty(total, np.int32), np.empty(total, np.int32)
    count = 0
    for document in range(len(offsets_D1) - 1):
        start: Any = 0
        previous = 0
        for index in range(offsets_D1[document], offsets_D1[document + 1]):
            end = np.int64(ends[index])
            if end - start > limit and previous > start:
                out_document[count], out_start[count], out_end[count] = document, start, previous
                count += 1
                start = previous
            while end - start > limit:
                out_document[count], out_start[count], out_end[count] = document, start, start + limit
                count += 1
                start += limit
            previous = end
        if previous > start:
            out_document[count], out_start[count], out_end[count] = document, start, previous
            count += 1
    return out_document[:count].copy(), out_start[:count].copy(), out_end[:count].copy()
