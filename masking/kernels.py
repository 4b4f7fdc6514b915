"""Compiled loops of masking: one of the two modules that import numba; imported on first use and cached on disk.

Every loop draws from one uint64 key per sample: the n-th number is splitmix64(key + (n + 1) * GOLDEN), as in
keyed.py. Loops that choose return (sample, start, end) of every chosen unit, sorted by position; a unit appears in
them whole unless the rule is CUT.

    partition, _pieces          levels of intervals -> units by precedence
    select_units, _weighted     units in keyed order until the budget is spent
    select_ngrams, _spans       several whole words at once
    corrupt                     hidden tokens -> what replaces them
    boundaries                  chosen units -> span boundary targets
    shuffle_windows             groups of visible tokens in another order
    index_sequences, find       a hash table over sequences of token ids
    group_ragged                sentences -> windows
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numba import njit, types
from numba.extending import intrinsic

GOLDEN = np.uint64(0x9E3779B97F4A7C15)
ONE, TWO, FOUR = np.uint64(1), np.uint64(2), np.uint64(4)
ACCEPT, SKIP, STOP, OVERSHOOT, CUT, UNITS, BERNOULLI = 0, 1, 2, 3, 4, 5, 6
"""How a budget is spent (budget.py names them)."""
TOKEN, UNIT, SPAN = 0, 1, 2
"""What shares one draw of the replacement."""
VOCABULARY, CORPUS, SAMPLE = 0, 1, 2
"""Where random tokens come from."""
MASKED, RANDOM, KEPT, SIMILAR = 0, 1, 2, 3
"""What was done to a hidden token."""
SAFE = 1.0 + 1e-9
"""More than rounding can make of a quotient."""


@njit(cache=True, inline="always")
def mixed(value: Any) -> Any:
    """splitmix64's output function."""
    value = (value ^ (value >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    value = (value ^ (value >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return value ^ (value >> np.uint64(31))


@njit(cache=True, inline="always")
def draw(key: Any, count: Any) -> Any:
    """The count-th number in [0, 1) under ``key``."""
    return float(np.int64(mixed(key + (np.uint64(count) + ONE) * GOLDEN) >> np.uint64(11))) * 2.0**-53


@njit(cache=True, inline="always")
def blank(maskable_T: Any) -> Any:
    """Nothing divided yet: (no unit begins anywhere, kind 0 for tokens that may be hidden and 255 for all others)."""
    kind_T = np.empty(len(maskable_T), np.uint8)
    for position in range(len(maskable_T)):
        kind_T[position] = 0 if maskable_T[position] else 255
    return np.zeros(len(maskable_T), np.int32), kind_T


@njit(cache=True, inline="always")
def add_singles(unit_end_T: Any, kind_T: Any) -> None:
    """Every token that is free yet becomes a unit of its own; what may not be hidden gets kind 0, too."""
    for position in range(len(kind_T)):
        if kind_T[position] == 0:
            unit_end_T[position] = position + 1
        elif kind_T[position] == 255:
            kind_T[position] = 0


@njit(cache=True)
def partition(start_U: Any, end_U: Any, kind_L: Any, last_L: Any, maskable_T: Any) -> Any:
    """Units of several levels, one level after another: the first that covers a token owns it; free tokens are units
    of their own.

    Level l owns the intervals up to ``last_L[l]``; kinds are above 0. Returns (end of the unit that begins here or 0,
    kind of every token).
    """
    unit_end_T, kind_T = blank(maskable_T)
    unit = 0
    for level in range(len(last_L)):
        kind = kind_L[level]
        while unit < last_L[level]:
            # Unsigned: no check for indices from the end.
            start, end = np.uint64(start_U[unit]), np.uint64(end_U[unit])
            unit += 1
            if end - start <= FOUR:
                # Nearly all units: no loop whose length the processor cannot foresee.
                last = end - ONE
                second, third = min(start + ONE, last), min(start + TWO, last)
                if kind_T[start] | kind_T[second] | kind_T[third] | kind_T[last]:
                    continue
                kind_T[start] = kind_T[second] = kind_T[third] = kind_T[last] = kind
                unit_end_T[start] = end
                continue
            free = True
            for position in range(start, end):
                if kind_T[position]:
                    free = False
                    break
            if free:
                unit_end_T[start] = end
                for position in range(start, end):
                    kind_T[position] = kind
    add_singles(unit_end_T, kind_T)
    return unit_end_T, kind_T


@njit(cache=True)
def partition_pieces(start_U: Any, end_U: Any, kind_L: Any, last_L: Any, maskable_T: Any) -> Any:
    """As ``partition``, but a unit that meets a higher one keeps its longest free piece, of equally long ones the
    first."""
    unit_end_T, kind_T = blank(maskable_T)
    unit = 0
    for level in range(len(last_L)):
        while unit < last_L[level]:
            place, end = np.int64(start_U[unit]), np.int64(end_U[unit])
            unit += 1
            best: Any = place
            longest: Any = 0
            while place < end:
                first = place
                while place < end and kind_T[place] == 0:
                    place += 1
                if place - first > longest:
                    best, longest = first, place - first
                place += 1
            if longest > 0:
                unit_end_T[best] = best + longest
                kind_T[best : best + longest] = kind_L[level]
    add_singles(unit_end_T, kind_T)
    return unit_end_T, kind_T


@njit(cache=True)
def divide_units(unit_end_T: Any, start_X: Any, end_X: Any) -> None:
    """Cut every unit at the edges of these intervals, so that each interval is a row of whole units."""
    for index in range(2 * len(start_X)):
        edge = start_X[index // 2] if index % 2 == 0 else end_X[index // 2]
        if edge < len(unit_end_T) and unit_end_T[edge] == 0:
            start = edge - 1
            while start >= 0 and unit_end_T[start] == 0:
                start -= 1
            if start >= 0 and unit_end_T[start] > edge:
                unit_end_T[edge] = unit_end_T[start]
                unit_end_T[start] = edge


@njit(cache=True, inline="always")
def allowance(count: int, rate: float, at_least_one: bool, coin: float) -> int:
    """``rate * count``, rounded up or down by the coin so that the expectation is exact; where asked, at least 1."""
    exact = rate * count
    whole = int(exact)
    left = whole + (1 if coin < exact - whole else 0)
    return 1 if at_least_one and left == 0 else left


@njit(cache=True, inline="always")
def counted(ends: Any, texts: Any) -> Any:
    """(units, maskable tokens) of a sample."""
    units, tokens = 0, 0
    for place in range(len(ends)):
        units += ends[place] > 0
        tokens += texts[place]
    return units, tokens


@njit(cache=True, inline="always")
def bits_for(sample_start_S: Any, sample_end_S: Any) -> Any:
    """Clear bits, enough for the positions of the longest sample."""
    longest = 0
    for sample in range(len(sample_start_S)):
        longest = max(longest, sample_end_S[sample] - sample_start_S[sample])
    return np.zeros((longest + 63) >> 6, np.uint64)


@njit(cache=True, inline="always")
def columns(total: int) -> Any:
    """Room for (sample, start, end) of so many units."""
    return np.empty(total, np.int32), np.empty(total, np.int32), np.empty(total, np.int32)


@njit(cache=True, inline="always")
def filled(out: Any, count: int) -> Any:
    """What was written of ``columns``."""
    return out[0][:count].copy(), out[1][:count].copy(), out[2][:count].copy()


@intrinsic
def lowest_bit(typingctx: Any, bits: Any) -> Any:
    """Number of the lowest bit that is set in a uint64 (which must not be 0)."""

    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        return builder.cttz(arguments[0], context.get_constant(types.boolean, True))

    return types.int64(types.uint64), generate


@njit(cache=True, inline="always")
def mark(bits: Any, place: int) -> None:
    """Set a bit."""
    bits[place >> 6] |= ONE << np.uint64(place & 63)


@njit(cache=True, inline="always")
def marked(bits: Any, place: int) -> Any:
    """Is a bit set?"""
    return (bits[place >> 6] >> np.uint64(place & 63)) & ONE


@njit(cache=True, inline="always")
def write_marked(
    bits: Any, first: int, last: int, sample: int, unit_end_T: Any, cut: int, cut_end: int, out: Any, count: int
) -> int:
    """Append the units of a sample that begin at a set bit, in order of position, and clear the bits. The unit at
    ``cut`` ends at ``cut_end``."""
    for block in range((last - first + 63) >> 6):
        left = bits[block]
        bits[block] = np.uint64(0)
        while left:
            start = first + (block << 6) + lowest_bit(left)
            left &= left - ONE
            out[0][count], out[1][count] = sample, start
            out[2][count] = cut_end if start == cut else unit_end_T[start]
            count += 1
    return count


@njit(cache=True, inline="always")
def write_shortest(ends: Any, first: int, key: Any, number: int, sample: int, out: Any, count: int) -> int:
    """Append one of the shortest units of a sample, the first whose beginning is drawn: what is hidden where nothing
    else would be."""
    shortest = len(ends)
    for start in range(len(ends)):
        if ends[start] > 0:
            shortest = min(shortest, ends[start] - first - start)
    place = int(draw(key, number) * len(ends))
    while ends[place] - first - place != shortest:
        number += 1
        place = int(draw(key, number) * len(ends))
    out[0][count], out[1][count], out[2][count] = sample, first + place, ends[place]
    return count + 1


@njit(cache=True, inline="always")
def drawn_text(texts: Any, key: Any, number: int) -> Any:
    """(a random maskable place of a sample, the number of the next draw)."""
    place = int(draw(key, number) * len(texts))
    number += 1
    while not texts[place]:
        place = int(draw(key, number) * len(texts))
        number += 1
    return place, number


@njit(cache=True, inline="always")
def begin_of(ends: Any, place: int) -> Any:
    """Where the unit around a place begins."""
    while ends[place] == 0:
        place -= 1
    return place


@njit(cache=True)
def select_units(
    sample_start_S: Any,
    sample_end_S: Any,
    maskable_T: Any,
    unit_end_T: Any,
    keys_S: Any,
    rate: float,
    rule: int,
    at_least_one: bool,
) -> Any:
    """Take units in keyed random order until the sample's budget is spent: positions are drawn until one begins a unit
    not seen before.

    ACCEPT lays the units on a circle in that order, begins at a random token of it and takes every unit that begins
    within the next ``budget`` tokens: the chance of a unit is then budget / tokens, whatever its length. Where nothing
    is chosen, ``at_least_one`` hides one of the shortest units.
    """
    out, count = columns(len(maskable_T)), 0
    seen, taken = bits_for(sample_start_S, sample_end_S), bits_for(sample_start_S, sample_end_S)
    for sample in range(len(sample_start_S)):
        first, last, key = sample_start_S[sample], sample_end_S[sample], keys_S[sample]
        ends, texts, length = unit_end_T[first:last], maskable_T[first:last], last - first
        units, tokens = counted(ends, texts)
        if units == 0:
            continue
        before, number, cut, cut_end = count, 1, -1, -1
        if rule == BERNOULLI:
            for place in range(length):
                if ends[place] > 0 and draw(key, place) < rate:
                    mark(taken, place)
            number = length
        else:
            left = allowance(units if rule == UNITS else tokens, rate, at_least_one, draw(key, 0))
            waiting, start = units, -1
            if rule == ACCEPT and left > 0:
                # Of the unit begun before the circle's first token, only what is left counts against the budget.
                place, number = drawn_text(texts, key, number)
                start = begin_of(ends, place)
                if start == place:
                    mark(taken, start)
                mark(seen, start)
                waiting -= 1
                left -= ends[start] - first - place
            while left > 0 and waiting > 0:
                place = int(draw(key, number) * length)
                number += 1
                if ends[place] == 0 or marked(seen, place):
                    continue
                mark(seen, place)
                waiting -= 1
                size = ends[place] - first - place
                if rule == UNITS:
                    size = 1
                elif size > left and rule != ACCEPT and rule != OVERSHOOT:
                    if rule == SKIP:
                        continue
                    if rule == STOP:
                        break
                    cut, cut_end = first + place, first + place + left
                mark(taken, place)
                left -= size
            if start >= 0 and left > 0:
                mark(taken, start)  # once round the circle
            seen[: (length + 63) >> 6] = 0
        count = write_marked(taken, first, last, sample, unit_end_T, cut, cut_end, out, count)
        if count == before and at_least_one:
            count = write_shortest(ends, first, key, number, sample, out, count)
    return filled(out, count)


@njit(cache=True, inline="always")
def next_ranks(uniforms: Any, weights: Any, units: int, low: float, high: float, ranks: Any, found: Any) -> int:
    """List the units whose rank -log(1 - uniform) / weight lies in [low, high): how many there are.

    No logarithm where none is needed: -log(1 - u) is at least u. No jump that the processor cannot foresee.
    """
    near, size = 0, 0
    for unit in range(units):
        found[near] = unit
        near += uniforms[unit] < high * weights[unit] * SAFE
    for index in range(near):
        unit = found[index]
        ranks[size], found[size] = -np.log(1.0 - uniforms[unit]) / weights[unit], unit
        size += low <= ranks[size] < high
    return size


@njit(cache=True, inline="always")
def write_first_shortest(
    ends: Any, first: int, uniforms: Any, weights: Any, starts: Any, units: int, sample: int, out: Any, count: int
) -> int:
    """Append of the shortest units of a sample the one of the least rank."""
    best, shortest, least = -1, 0, 0.0
    for unit in range(units):
        place = starts[unit]
        size = ends[place] - first - place
        rank = -np.log(1.0 - uniforms[unit]) / weights[unit]
        if best < 0 or size < shortest or (size == shortest and rank < least):
            best, shortest, least = place, size, rank
    out[0][count], out[1][count], out[2][count] = sample, first + best, ends[best]
    return count + 1


@njit(cache=True)
def select_weighted(
    sample_start_S: Any,
    sample_end_S: Any,
    maskable_T: Any,
    unit_end_T: Any,
    weight_T: Any,
    keys_S: Any,
    rate: float,
    rule: int,
    at_least_one: bool,
) -> Any:
    """As ``select_units``, but the order favours heavy units: the first is drawn with chances proportional to
    ``weight_T`` (where units begin), the second likewise among the rest, and so on (Efraimidis and Spirakis 2006: sort
    by -log(uniform) / weight). ACCEPT takes the unit that would cross the budget with probability left / length.

    Only the first units of the order are needed, so ranks are found and sorted in slabs: nearly always the first slab
    is enough.
    """
    out, count = columns(len(maskable_T)), 0
    taken = bits_for(sample_start_S, sample_end_S)
    starts, found = np.empty(64 * len(taken), np.int64), np.empty(64 * len(taken), np.int64)
    uniforms, weights = np.empty(64 * len(taken), np.float64), np.empty(64 * len(taken), np.float64)
    ranks = np.empty(64 * len(taken), np.float64)
    for sample in range(len(sample_start_S)):
        first, last, key = sample_start_S[sample], sample_end_S[sample], keys_S[sample]
        ends, texts = unit_end_T[first:last], maskable_T[first:last]
        units, tokens = 0, 0
        for place in range(last - first):
            starts[units], weights[units] = place, weight_T[first + place]
            units += ends[place] > 0
            tokens += texts[place]
        if units == 0:
            continue
        for unit in range(units):
            uniforms[unit] = draw(key, 1 + unit)
        total = units if rule == UNITS else tokens
        left = allowance(total, rate, at_least_one, draw(key, 0))
        low, high = 0.0, -np.log(1.0 - min(1.25 * left / total + 0.02, 0.95))
        before, cut, cut_end = count, -1, -1
        while left > 0 and low < np.inf:
            size = next_ranks(uniforms, weights, units, low, high, ranks, found)
            order = np.argsort(ranks[:size])
            low, high = high, (4.0 * high if low == 0.0 else np.inf)
            for index in range(size):
                place = starts[found[order[index]]]
                cost = 1 if rule == UNITS else ends[place] - first - place
                if cost > left:
                    if rule == SKIP:
                        continue
                    if rule == STOP or (rule == ACCEPT and draw(key, 1 + units) >= left / cost):
                        left = 0
                        break
                    if rule == CUT:
                        cut, cut_end = first + place, first + place + left
                mark(taken, place)
                left -= cost
                if left <= 0:
                    break
        count = write_marked(taken, first, last, sample, unit_end_T, cut, cut_end, out, count)
        if count == before and at_least_one:
            count = write_first_shortest(ends, first, uniforms, weights, starts, units, sample, out, count)
    return filled(out, count)


@njit(cache=True, inline="always")
def list_ends(ends: Any, breaks: Any, first: int, start: int, last_place: Any) -> Any:
    """Write where the words from ``start`` on end, as many as follow one another and fit: how many there are."""
    end, words = np.int64(ends[start]) - first, 1
    last_place[0] = end
    while words < len(last_place) and end < len(ends) and ends[end] > 0 and not breaks[end]:
        end = np.int64(ends[end]) - first
        last_place[words] = end
        words += 1
    return words


@njit(cache=True, inline="always")
def all_free(taken: Any, ends: Any, first: int, start: Any, end: int) -> Any:
    """Is none of the words in [start, end) taken?"""
    free = True
    while start < end:
        if marked(taken, start):
            free = False
        start = np.int64(ends[start]) - first
    return free


@njit(cache=True)
def select_ngrams(
    sample_start_S: Any,
    sample_end_S: Any,
    maskable_T: Any,
    unit_end_T: Any,
    break_T: Any,
    keys_S: Any,
    rate: float,
    rule: int,
    at_least_one: bool,
    cumulative_L: Any,
) -> Any:
    """Words in keyed random order (as in ``select_units``), each the beginning of an n-gram; one that meets a chosen
    word is passed over.

    ``cumulative_L`` is the cumulative law of n = 1, 2 ...; where fewer words follow (a special token, ``break_T``,
    the end) it is renormalised over what there is. SKIP shortens an n-gram until it fits. UNITS counts words.
    """
    out, count = columns(len(maskable_T)), 0
    seen, taken = bits_for(sample_start_S, sample_end_S), bits_for(sample_start_S, sample_end_S)
    last_place = np.empty(len(cumulative_L), np.int64)
    for sample in range(len(sample_start_S)):
        first, last, key = sample_start_S[sample], sample_end_S[sample], keys_S[sample]
        ends, texts, breaks, length = unit_end_T[first:last], maskable_T[first:last], break_T[first:last], last - first
        units, tokens = counted(ends, texts)
        if units == 0:
            continue
        left = allowance(units if rule == UNITS else tokens, rate, at_least_one, draw(key, 0))
        before, number, waiting, cut, cut_end = count, 1, units, -1, -1
        while left > 0 and waiting > 0:
            start = int(draw(key, number) * length)
            number += 1
            if ends[start] == 0 or marked(seen, start):
                continue
            mark(seen, start)
            waiting -= 1
            words = list_ends(ends, breaks, first, start, last_place)
            wanted = draw(key, number) * cumulative_L[words - 1]
            number += 1
            chosen = 1
            while chosen < words and cumulative_L[chosen - 1] <= wanted:
                chosen += 1
            if rule == UNITS:
                chosen = min(chosen, left)
            elif rule == SKIP:
                while chosen > 0 and last_place[chosen - 1] - start > left:
                    chosen -= 1
                if chosen == 0:
                    continue
            end = last_place[chosen - 1]
            if not all_free(taken, ends, first, start, end):
                continue
            cost = chosen if rule == UNITS else end - start
            if cost > left:
                if rule == STOP:
                    break
                if rule == ACCEPT and draw(key, number) >= left / cost:
                    break
                if rule == CUT:
                    end = start + left
            place = start
            while place < end:
                mark(taken, place)
                if ends[place] - first > end:
                    cut, cut_end = first + place, first + end
                place = np.int64(ends[place]) - first
            left -= cost
        seen[: (length + 63) >> 6] = 0
        count = write_marked(taken, first, last, sample, unit_end_T, cut, cut_end, out, count)
        if count == before and at_least_one:
            count = write_shortest(ends, first, key, number + 1, sample, out, count)
    return filled(out, count)


@njit(cache=True, inline="always")
def unmarked(bits: Any, start: int, end: int) -> Any:
    """How many bits of [start, end) are not set."""
    found: Any = 0
    for place in range(start, end):
        found += 1 - np.int64(marked(bits, place))
    return found


@njit(cache=True)
def select_spans(
    sample_start_S: Any,
    sample_end_S: Any,
    maskable_T: Any,
    unit_end_T: Any,
    break_T: Any,
    keys_S: Any,
    rate: float,
    rule: int,
    at_least_one: bool,
    cumulative_L: Any,
    share: float,
    extra_start_X: Any,
    extra_end_X: Any,
) -> Any:
    """SpanBERT's draw: a length in words, an anchor token, whole words from the anchor's word on; then the budget.

    ``cumulative_L`` is the cumulative law of the span length 1, 2 ...; with probability ``share`` one of the sample's
    extra intervals is drawn instead. A span may run into hidden words; only new tokens count against the budget.
    """
    out, count, extra_first = columns(len(maskable_T)), 0, 0
    hidden, taken = bits_for(sample_start_S, sample_end_S), bits_for(sample_start_S, sample_end_S)
    for sample in range(len(sample_start_S)):
        first, last, key = sample_start_S[sample], sample_end_S[sample], keys_S[sample]
        ends, texts, breaks, length = unit_end_T[first:last], maskable_T[first:last], break_T[first:last], last - first
        tokens = counted(ends, texts)[1]
        if tokens == 0:
            continue
        while extra_first < len(extra_start_X) and extra_start_X[extra_first] < first:
            extra_first += 1
        extras = 0
        while extra_first + extras < len(extra_start_X) and extra_start_X[extra_first + extras] < last:
            extras += 1
        left = allowance(tokens, rate, at_least_one, draw(key, 0))
        before, number, tries, cut, cut_end = count, 1, 0, -1, -1
        while left > 0 and tries < 20 * length + 100:
            tries += 1
            if extras > 0 and share > 0 and draw(key, number) < share:
                index = extra_first + int(draw(key, number + 1) * extras)
                start, end = np.int64(extra_start_X[index]) - first, np.int64(extra_end_X[index]) - first
            else:
                start = int(draw(key, number + 1) * length)
                if not texts[start] or marked(hidden, start):
                    number += 3
                    continue
                wanted, words = draw(key, number + 2), 1
                start = begin_of(ends, start)
                end = np.int64(ends[start]) - first
                while cumulative_L[words - 1] <= wanted and end < length and ends[end] > 0 and not breaks[end]:
                    end = np.int64(ends[end]) - first
                    words += 1
            number += 3
            fresh = unmarked(hidden, start, end)
            if fresh == 0:
                continue
            if fresh > left:
                if rule == ACCEPT:
                    if draw(key, number) >= left / fresh:
                        break
                    left = fresh
                elif rule == SKIP:
                    continue
                elif rule == STOP:
                    break
                elif rule == CUT:
                    end, fresh = start, 0
                    while fresh < left:
                        fresh += 1 - np.int64(marked(hidden, end))
                        end += 1
            for place in range(start, end):
                mark(hidden, place)
                if ends[place] > 0:
                    mark(taken, place)
                    if ends[place] - first > end:
                        cut, cut_end = first + place, first + end
            left -= fresh
        hidden[: (length + 63) >> 6] = 0
        count = write_marked(taken, first, last, sample, unit_end_T, cut, cut_end, out, count)
        if count == before and at_least_one:
            count = write_shortest(ends, first, key, number + 1, sample, out, count)
    return filled(out, count)


@njit(cache=True)
def choose_similar(
    ids_T: Any,
    start_N: Any,
    end_N: Any,
    sample_N: Any,
    sample_start_S: Any,
    keys_S: Any,
    low: float,
    high: float,
    slot_H: Any,
    offset_E1: Any,
    word_ids: Any,
    similar_E1: Any,
) -> Any:
    """int64[N]: where in the flat ids of similar words each unit's replacement begins; -1 where its draw lies outside
    [low, high) or none is known."""
    source_N = np.full(len(start_N), -1, np.int64)
    for span in range(len(start_N)):
        start, end, key = start_N[span], end_N[span], keys_S[sample_N[span]]
        number = 2 * (start - sample_start_S[sample_N[span]])
        choice = draw(key, number)
        if low <= choice < high:
            entry = find(ids_T, start, end, slot_H, offset_E1, word_ids)
            if entry >= 0:
                words = (similar_E1[entry + 1] - similar_E1[entry]) // (end - start)
                source_N[span] = similar_E1[entry] + (end - start) * int(draw(key, number + 1) * words)
    return source_N


@njit(cache=True, inline="always")
def tokens_of(start_N: Any, end_N: Any) -> Any:
    """Tokens that the spans cover."""
    total = 0
    for span in range(len(start_N)):
        total += end_N[span] - start_N[span]
    return total


@njit(cache=True, inline="always")
def ordinary_place(ids_T: Any, maskable_T: Any, unknown_id: int, origin: int, size: int, key: Any, number: Any) -> Any:
    """A random position of ``size`` from ``origin`` on that may be hidden and is not [UNK]; -1: none found."""
    tries = 0
    chosen = origin + int(draw(key, number) * size)
    while tries < 64 and (not maskable_T[chosen] or ids_T[chosen] == unknown_id):
        tries += 1
        chosen = origin + int(draw(key, np.int64(number) + 2 * size * tries) * size)
    return -1 if tries == 64 else chosen


@njit(cache=True)
def corrupt(
    ids_T: Any,
    corrupted_T: Any,
    start_N: Any,
    end_N: Any,
    sample_N: Any,
    sample_start_S: Any,
    sample_end_S: Any,
    maskable_T: Any,
    keys_S: Any,
    mask_id: int,
    unknown_id: int,
    shares: Any,
    per: int,
    pool: int,
    pool_V: Any,
    below_V: Any,
    other_V: Any,
    source_N: Any,
    similar_ids: Any,
) -> Any:
    """Write what replaces hidden tokens into ``corrupted_T`` and list the targets: (positions, original ids, what was
    done).

    ``shares`` are the cumulative shares of [MASK], random and similar; the rest is kept. Random tokens: an entry of
    ``pool_V``; for CORPUS drawn by an alias table (Vose 1991) over its entries, (``below_V``, ``other_V``); for
    SAMPLE any ordinary token of the same sample. Similar words: the ids from ``source_N`` on (``choose_similar``); a
    unit without one gets random tokens.
    """
    total = tokens_of(start_N, end_N)
    position_M, label_M, action_M = np.empty(total, np.int64), np.empty(total, np.int64), np.empty(total, np.uint8)
    masked, replaced = shares[0], shares[2]
    count = np.uint64(0)
    choice = 0.0
    for span in range(len(start_N)):
        start, end, sample = np.uint64(start_N[span]), np.uint64(end_N[span]), np.uint64(sample_N[span])
        key, origin = keys_S[sample], np.uint64(sample_start_S[sample])
        if per != SPAN or span == 0 or start_N[span] != end_N[span - 1] or sample_N[span - 1] != sample_N[span]:
            choice = draw(key, TWO * (start - origin))
        for position in range(start, end):
            if per == TOKEN:
                choice = draw(key, TWO * (position - origin))
            label = ids_T[position]
            position_M[count], label_M[count] = position, label
            if choice < masked:
                corrupted_T[position] = mask_id
                action_M[count] = MASKED
            elif choice >= replaced:
                action_M[count] = KEPT
            elif len(source_N) > 0 and source_N[span] >= 0:
                corrupted_T[position] = similar_ids[source_N[span] + np.int64(position - start)]
                action_M[count] = SIMILAR
            else:
                place = TWO * (position - origin) + ONE
                value = draw(key, place)
                if pool == VOCABULARY:
                    corrupted_T[position] = pool_V[int(value * len(pool_V))]
                elif pool == CORPUS:
                    value *= len(pool_V)
                    index = int(value)
                    corrupted_T[position] = pool_V[index if value - index < below_V[index] else other_V[index]]
                else:
                    size: Any = np.int64(sample_end_S[sample]) - np.int64(origin)
                    chosen = ordinary_place(ids_T, maskable_T, unknown_id, np.int64(origin), size, key, place)
                    corrupted_T[position] = label if chosen < 0 else ids_T[chosen]
                action_M[count] = RANDOM
            count += ONE
    return position_M, label_M, action_M


@njit(cache=True)
def boundaries(
    start_N: Any,
    end_N: Any,
    sample_N: Any,
    sample_start_S: Any,
    sample_end_S: Any,
    maskable_T: Any,
    max_length: int,
    special_boundaries: bool,
) -> Any:
    """SBO targets: (target position, left boundary, right boundary, offset from the left boundary 1, 2 ...).

    Adjacent spans of a sample are merged first; of a merged span longer than ``max_length`` only the first tokens are
    targets. A span with a special token or the edge of its sample beside it has none, unless ``special_boundaries``
    (the edge of a sample never serves).
    """
    total = tokens_of(start_N, end_N)
    position_M, left_M = np.empty(total, np.int64), np.empty(total, np.int64)
    right_M, offset_M = np.empty(total, np.int64), np.empty(total, np.int64)
    count = np.uint64(0)
    span = 0
    while span < len(start_N):
        start, end, sample = start_N[span], end_N[span], sample_N[span]
        span += 1
        while span < len(start_N) and sample_N[span] == sample and start_N[span] == end:
            end = end_N[span]
            span += 1
        if start <= sample_start_S[sample] or end >= sample_end_S[sample]:
            continue
        if not special_boundaries and not (maskable_T[start - 1] and maskable_T[end]):
            continue
        for offset in range(1, min(end - start, max_length) + 1):
            position_M[count], left_M[count], right_M[count], offset_M[count] = (
                start + offset - 1,
                start - 1,
                end,
                offset,
            )
            count += ONE
    return position_M[:count], left_M[:count], right_M[:count], offset_M[:count]


@njit(cache=True)
def shuffle_windows(
    ids_T: Any,
    hidden_T: Any,
    maskable_T: Any,
    break_T: Any,
    sample_start_S: Any,
    sample_end_S: Any,
    keys_S: Any,
    share: float,
    length: int,
) -> Any:
    """Shuffle windows of ``length`` visible tokens in place, so many that ``share`` of the sample's text lies in one:
    the positions in them.

    Windows are disjoint and cross neither a special token nor ``break_T``; where no more find room there are fewer.
    """
    used_T = np.zeros(len(ids_T), np.bool_)
    count = 0
    for sample in range(len(sample_start_S)):
        first, last, key = sample_start_S[sample], sample_end_S[sample], keys_S[sample]
        tokens = 0
        for position in range(first, last):
            tokens += maskable_T[position]
        wanted = allowance(tokens, share / length, False, draw(key, 0))
        number, tries = 1, 0
        while wanted > 0 and tries < 20 * wanted + 20 and last - first >= length:
            tries += 1
            start = first + int(draw(key, number) * (last - first - length + 1))
            number += 1
            free = True
            for position in range(start, start + length):
                if (
                    used_T[position]
                    or hidden_T[position]
                    or not maskable_T[position]
                    or (position > start and break_T[position])
                ):
                    free = False
                    break
            if not free:
                continue
            for index in range(length):
                other = index + int(draw(key, number) * (length - index))
                number += 1
                ids_T[start + index], ids_T[start + other] = ids_T[start + other], ids_T[start + index]
                used_T[start + index] = True
            count += length
            wanted -= 1
            tries = 0
    position_M = np.empty(count, np.int64)
    count = 0
    for position in range(len(ids_T)):
        if used_T[position]:
            position_M[count] = position
            count += 1
    return position_M


@njit(cache=True, inline="always")
def find(ids: Any, start: int, end: int, slot_H: Any, offset_E1: Any, word_ids: Any) -> int:
    """Number of the entry equal to ``ids[start:end]`` in a table of ``index_sequences``, or -1."""
    if len(slot_H) == 0:
        return -1
    value = np.uint64(end - start)
    for position in range(start, end):
        value = mixed(value + (np.uint64(ids[position]) + ONE) * GOLDEN)
    slot = np.int64(value & np.uint64(len(slot_H) - 1))
    found = -1
    while slot_H[slot] >= 0:
        entry = slot_H[slot]
        begin = offset_E1[entry]
        same = offset_E1[entry + 1] - begin == end - start
        for index in range(end - start):
            same = same and word_ids[begin + index] == ids[start + index]
        if same:
            found = entry
            break
        slot = (slot + 1) & (len(slot_H) - 1)
    return found


@njit(cache=True)
def index_sequences(word_ids: Any, offset_E1: Any) -> Any:
    """A hash table (open addressing, at most half full) over the sequences ``word_ids[offset_E1[e]:offset_E1[e +
    1]]``; -1 marks a free slot."""
    entries = len(offset_E1) - 1
    size = 2
    while size < 2 * entries:
        size *= 2
    slot_H = np.full(size, -1, np.int32)
    for entry in range(entries):
        start, end = offset_E1[entry], offset_E1[entry + 1]
        if find(word_ids, start, end, slot_H, offset_E1, word_ids) >= 0:
            continue
        value = np.uint64(end - start)
        for position in range(start, end):
            value = mixed(value + (np.uint64(word_ids[position]) + ONE) * GOLDEN)
        slot = np.int64(value & np.uint64(size - 1))
        while slot_H[slot] >= 0:
            slot = (slot + 1) & (size - 1)
        slot_H[slot] = entry
    return slot_H


@njit(cache=True)
def look_up(ids: Any, start_U: Any, end_U: Any, slot_H: Any, offset_E1: Any, word_ids: Any) -> Any:
    """``find`` for many intervals: int32[U]."""
    entry_U = np.empty(len(start_U), np.int32)
    for unit in range(len(start_U)):
        entry_U[unit] = find(ids, start_U[unit], end_U[unit], slot_H, offset_E1, word_ids)
    return entry_U


@njit(cache=True)
def hash_sequences(ids: Any, start_U: Any, end_U: Any) -> Any:
    """uint64[U]: equal for equal sequences ``ids[start:end]``."""
    hash_U = np.empty(len(start_U), np.uint64)
    for unit in range(len(start_U)):
        value = np.uint64(end_U[unit] - start_U[unit])
        for position in range(start_U[unit], end_U[unit]):
            value = mixed(value + (np.uint64(ids[position]) + ONE) * GOLDEN)
        hash_U[unit] = value
    return hash_U


@njit(cache=True)
def group_ragged(ends: Any, offsets_D1: Any, limit: int) -> Any:
    """Join consecutive pieces of each document greedily up to ``limit`` tokens; a longer piece is divided.

    ``ends[offsets_D1[d]:offsets_D1[d + 1]]`` are the ends of document d's pieces (sentences), counted from its first
    token. Returns (document, start, end) of every group.
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


@njit(cache=True, inline="always")
def pair_slot(pair_N: Any, pair: Any) -> Any:
    """Where a pair of ids stands in an open hash table of a power of two slots, or the free slot where it would."""
    last = np.uint64(len(pair_N) - 1)
    slot = mixed(pair) & last
    while pair_N[slot] != 0 and pair_N[slot] != pair:
        slot = (slot + np.uint64(1)) & last
    return slot


@njit(cache=True, inline="always")
def pair_of(one: Any, other: Any) -> Any:
    """Two ids in one number, whatever their order; never 0."""
    low, high = min(one, other), max(one, other)
    return (np.uint64(low) << np.uint64(32) | np.uint64(high)) + np.uint64(1)


@njit(cache=True)
def count_pairs(ids_T: Any, offsets_C1: Any, pair_N: Any, count_N: Any, count_V: Any) -> None:
    """In how many stretches each id and each pair of ids occurs; a full table takes no new pairs."""
    used: Any = 0
    for stretch in range(len(offsets_C1) - 1):
        ids = np.unique(ids_T[offsets_C1[stretch] : offsets_C1[stretch + 1]])
        for first in range(len(ids)):
            count_V[ids[first]] += 1
            for second in range(first + 1, len(ids)):
                pair = pair_of(ids[first], ids[second])
                slot = pair_slot(pair_N, pair)
                if pair_N[slot] == 0:
                    if 4 * used >= 3 * len(pair_N):
                        continue
                    pair_N[slot] = pair
                    used += 1
                count_N[slot] += 1


@njit(cache=True)
def relevance(
    ids_T: Any, offsets_C1: Any, pair_N: Any, count_N: Any, count_V: Any, least: Any, sum_V: Any, seen_V: Any
) -> None:
    """Of every token its sum of PMI with the others of its stretch, in units of the root of the stretch's sum of
    squares; summed over all occurrences of its id."""
    stretches = len(offsets_C1) - 1
    for stretch in range(stretches):
        ids = ids_T[offsets_C1[stretch] : offsets_C1[stretch + 1]]
        size = len(ids)
        total = np.zeros(size)
        for first in range(size):
            seen_V[ids[first]] += 1
            for second in range(first + 1, size):
                together = count_N[pair_slot(pair_N, pair_of(ids[first], ids[second]))]
                if ids[first] != ids[second] and together >= least:
                    apart = float(count_V[ids[first]]) * float(count_V[ids[second]])
                    pmi = np.log(together * float(stretches) / apart)
                    total[first] += pmi
                    total[second] += pmi
        squares = np.sum(total * total)
        if squares > 0:
            for place in range(size):
                sum_V[ids[place]] += total[place] / np.sqrt(squares)
