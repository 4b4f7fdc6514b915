"""Compiled loops between shards and batches; imported on first use and cached on disk.

    windows_of_slots     stretches of a shard -> the windows that begin in them
    best_fit             lengths -> rows, each item into the fullest row that still holds it
    turns                shares of streams -> which of them gets each row
    find_*, copy_*       windows of many shards, by the addresses of their columns -> flat arrays
    *_parts              parts of pairs, turns of dialogues, and others drawn in place of them
    frame, move_*        texts -> samples with special tokens, whole or as shuffled_segments
    sentence_pairs       windows -> two pieces of text each: that follow each other, or not (sentence_pairs.py)
    spread               ragged values -> their places in a batch
    unit_classes, *_words   what token-level tasks ask of samples whose tokens have a place in their document
    grid                 where samples lie -> position, segment and attention indices of a batch

Compiled functions call only functions of this file: numba's cache does not notice when a helper in another one is
edited.

Shape legend: D documents, W windows, S samples, T tokens, E sentence ends, U units of a level, N items.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from llvmlite import ir
from numba import njit, types
from numba.extending import intrinsic

GOLDEN = np.uint64(0x9E3779B97F4A7C15)
ONE = np.uint64(1)
U8, U16, U32, I32, I16, I64 = range(6)
KINDS = ((8, False), (16, False), (32, False), (32, True), (16, True), (64, True))
"""Bits, and whether there is a sign."""
DOCUMENTS, TOKENS, TOKEN_WIDTH, TOKEN_OFFSETS, ENDS, END_OFFSETS, IDS, ID_OFFSETS, LEVELS = range(9)
"""Columns of a table of addresses (data_prep/shards.py), then four for each level: starts, lengths, labels, offsets."""
LEVEL_COLUMNS = 4
PART_OFFSETS, PART_ENDS, PART_LABEL, PART_TOKENS, PART_ROLES = range(5)
"""Columns of ``Shard.part_addresses``."""
LIKE_COUNT, _, LIKE_KEY, LIKE_DOCUMENT, LIKE_START, LIKE_END, LIKE_TEXT, LIKE_OWNER, LIKE_KNOWN = range(9)
"""Columns of ``PartTable.addresses`` (data_prep/shard_parts.py)."""


@njit(cache=True, inline="always")
def mixed(value: Any) -> Any:
    """splitmix64's output function, as masking/keyed.py has it."""
    value = (value ^ (value >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    value = (value ^ (value >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return value ^ (value >> np.uint64(31))


@njit(cache=True, inline="always")
def combined(key: Any, number: Any) -> Any:
    """A new key from a key and a number (keyed.combine)."""
    return mixed(key + (np.uint64(number) + ONE) * GOLDEN)


@njit(cache=True, inline="always")
def uniform(key: Any, count: Any) -> Any:
    """The count-th number in [0, 1) under ``key`` (keyed.uniform)."""
    return float(np.int64(combined(key, count) >> np.uint64(11))) * 2.0**-53


@njit(cache=True)
def grown(values: Any) -> Any:
    """Twice the room for ``values``."""
    more = np.empty(2 * len(values), values.dtype)
    more[: len(values)] = values
    return more


@intrinsic
def _load(context: Any, address: Any, index: Any, kind: Any) -> Any:
    """The number at ``address[index]``; ``kind`` is one of U8, U16, U32, I32, I16, I64."""

    def build(_: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        bits, signed = KINDS[signature.args[2].literal_value]
        pointer = builder.inttoptr(arguments[0], ir.IntType(bits).as_pointer())
        value = builder.load(builder.gep(pointer, [arguments[1]]))
        return builder.sext(value, ir.IntType(64)) if signed else builder.zext(value, ir.IntType(64))

    if isinstance(kind, types.IntegerLiteral):
        return types.int64(types.int64, types.int64, kind), build
    return None


@njit(cache=True, inline="always")
def first_at_least(address: Any, low: Any, high: Any, wanted: Any) -> Any:
    """The first index from ``low`` to ``high`` of rising uint32 at which the value is at least ``wanted``."""
    while low < high:
        middle = (low + high) // 2
        if _load(address, middle, U32) < wanted:
            low = middle + 1
        else:
            high = middle
    return low


@njit(cache=True, inline="always")
def last_at_most(address: Any, high: Any, wanted: Any) -> Any:
    """The last index below ``high`` of int32 that never fall, from 0 on, whose value is at most ``wanted``."""
    low: Any = 0
    while low < high:
        middle = (low + high) // 2
        if _load(address, middle, I32) <= wanted:
            low = middle + 1
        else:
            high = middle
    return low - 1


@njit(cache=True, nogil=True)
def windows_of_slots(table: Any, row_N: Any, slot_N: Any, size: Any, limit: Any, whole: Any) -> Any:
    """The windows whose first token lies in slot n = tokens [n * size, (n + 1) * size) of a shard, for each of
    ``slot_N``.

    A window joins consecutive sentences of a document up to ``limit`` tokens; a longer sentence is divided.

    Args:
        table: a row of addresses for each shard (the columns up to END_OFFSETS).
        row_N: the row of each slot's shard.
        whole: is every document one window, however long?

    Returns:
        (slot_W, document_W, start_W, end_W, a slot with a document whose sentence ends do not rise to its length or -1,
        that document)
    """
    slot_W, document_W, start_W, end_W = (
        np.empty(64, np.int64),
        np.empty(64, np.int64),
        np.empty(64, np.int64),
        np.empty(64, np.int64),
    )
    count: Any = 0
    for number in range(len(slot_N)):
        row = table[row_N[number]]
        documents, token_offsets, ends, end_offsets = row[DOCUMENTS], row[TOKEN_OFFSETS], row[ENDS], row[END_OFFSETS]
        low = slot_N[number] * size
        high = low + size
        document = max(last_at_most(token_offsets, documents + 1, low), 0)
        while document < documents:
            first = _load(token_offsets, document, I32)
            if first >= high:
                break
            length = _load(token_offsets, document + 1, I32) - first
            start: Any = np.int64(0)
            previous: Any = np.int64(0)
            index, last = _load(end_offsets, document, I32), _load(end_offsets, document + 1, I32)
            while start < length and first + start < high:
                # One window: whole sentences while they fit, else a piece of a long one.
                end = previous
                while index < last:
                    reached = _load(ends, index, U32)
                    if reached <= previous or reached > length:
                        return slot_W[:0], document_W[:0], start_W[:0], end_W[:0], number, document
                    if reached - start > limit and not whole:
                        break
                    end, previous = reached, reached
                    index += 1
                if end <= start:
                    if index == last:
                        return slot_W[:0], document_W[:0], start_W[:0], end_W[:0], number, document
                    end = start + limit
                if first + start >= low:
                    if count == len(document_W):
                        slot_W, document_W, start_W, end_W = (
                            grown(slot_W),
                            grown(document_W),
                            grown(start_W),
                            grown(end_W),
                        )
                    slot_W[count], document_W[count], start_W[count], end_W[count] = number, document, start, end
                    count += 1
                start = end
                previous = max(previous, start)
            document += 1
    return slot_W[:count].copy(), document_W[:count].copy(), start_W[:count].copy(), end_W[:count].copy(), -1, -1


@njit(cache=True, nogil=True)
def best_fit(length_N: Any, order_N: Any, capacity: Any) -> Any:
    """Items into rows in the given order, each into the fullest row that still holds it, of equally full ones the
    first.

    Returns (the row of every item, number of rows).
    """
    row_N = np.empty(len(length_N), np.int64)
    free = np.empty(len(length_N), np.int64)  # of rows that still have room, in order of their making
    name = np.empty(len(length_N), np.int64)
    rows: Any = 0
    open_rows: Any = 0
    least: Any = capacity
    for item in order_N:
        least = min(least, length_N[item])
    for item in order_N:
        length = length_N[item]
        best: Any = -1
        for index in range(open_rows):
            if free[index] >= length and (best < 0 or free[index] < free[best]):
                best = index
                if free[index] == length:
                    break
        if best < 0:
            best = open_rows
            free[best], name[best] = capacity, rows
            rows += 1
            open_rows += 1
        row_N[item] = name[best]
        free[best] -= length
        if free[best] < least:  # nothing fits any more
            for index in range(best, open_rows - 1):
                free[index], name[index] = free[index + 1], name[index + 1]
            open_rows -= 1
    return row_N, rows


@njit(cache=True)
def find_windows(
    table: Any, row_W: Any, document_W: Any, start_W: Any, end_W: Any, first_W: Any, count_W: Any, bytes_W: Any
) -> Any:
    """Where the sentence ends of every window begin, how many there are, and the length of its document's id in bytes.

    Returns the number of a window that lies outside its document, or whose sentence ends do not rise inside it; or -1.
    """
    for window in range(len(row_W)):
        row = table[row_W[window]]
        document = document_W[window]
        if not 0 <= document < row[DOCUMENTS] or start_W[window] < 0 or end_W[window] <= start_W[window]:
            return window
        if end_W[window] > _load(row[TOKEN_OFFSETS], document + 1, I32) - _load(row[TOKEN_OFFSETS], document, I32):
            return window
        low, high = _load(row[END_OFFSETS], document, I32), _load(row[END_OFFSETS], document + 1, I32)
        first = first_at_least(row[ENDS], low, high, start_W[window] + 1)
        last = first_at_least(row[ENDS], first, high, end_W[window])
        # Searching trusts that ends rise; a bad one anywhere in the document may mislead it.
        if last == high or (first > low and _load(row[ENDS], first - 1, U32) > start_W[window]):
            return window
        previous: Any = start_W[window]
        for index in range(first, last):
            reached = _load(row[ENDS], index, U32)
            if reached <= previous or reached >= end_W[window]:
                return window
            previous = reached
        if _load(row[ENDS], last, U32) < end_W[window]:
            return window
        first_W[window] = first
        count_W[window] = last - first + 1
        bytes_W[window] = _load(row[ID_OFFSETS], document + 1, I32) - _load(row[ID_OFFSETS], document, I32)
    return -1


@njit(cache=True)
def copy_windows(
    table: Any, row_W: Any, document_W: Any, start_W: Any, end_W: Any, first_W: Any, token_offsets_W1: Any,
    end_offsets_W1: Any, byte_offsets_W1: Any, out_T: Any, out_E: Any, out_B: Any,
) -> None:  # fmt: skip
    """Token ids, sentence ends (counted from the window's first token; the last is its length) and document ids (UTF-8)
    of every window."""
    for window in range(len(row_W)):
        row = table[row_W[window]]
        begin = _load(row[TOKEN_OFFSETS], document_W[window], I32) + start_W[window]
        at, count = token_offsets_W1[window], end_W[window] - start_W[window]
        tokens, target = row[TOKENS], np.uint64(at)
        if row[TOKEN_WIDTH] == 2:
            for index in range(np.uint64(count)):
                out_T[target + index] = _load(tokens, begin + np.int64(index), U16)
        else:
            for index in range(np.uint64(count)):
                out_T[target + index] = _load(tokens, begin + np.int64(index), U32)
        at, last = end_offsets_W1[window], end_offsets_W1[window + 1] - end_offsets_W1[window] - 1
        for index in range(last):
            out_E[at + index] = _load(row[ENDS], first_W[window] + index, U32) - start_W[window]
        out_E[at + last] = count
        at = byte_offsets_W1[window]
        begin = _load(row[ID_OFFSETS], document_W[window], I32)
        for index in range(byte_offsets_W1[window + 1] - at):
            out_B[at + index] = _load(row[IDS], begin + index, U8)


@njit(cache=True)
def find_units(
    table: Any, row_W: Any, level: Any, wanted_L: Any, every: Any, document_W: Any, start_W: Any, end_W: Any,
    first_W: Any, last_W: Any, count_W: Any
) -> None:  # fmt: skip
    """Where the units of every window begin and end in their column, and how many of them lie inside it and have a
    wanted label."""
    column = LEVELS + level * LEVEL_COLUMNS
    for window in range(len(row_W)):
        row = table[row_W[window]]
        starts, lengths, labels, offsets = row[column], row[column + 1], row[column + 2], row[column + 3]
        low, high = _load(offsets, document_W[window], I32), _load(offsets, document_W[window] + 1, I32)
        first = first_at_least(starts, low, high, start_W[window])
        last = first_at_least(starts, first, high, end_W[window])
        while last > first and _load(starts, last - 1, U32) + _load(lengths, last - 1, U16) > end_W[window]:
            last -= 1
        count = last - first
        if not every:
            count = 0
            for unit in range(first, last):
                count += wanted_L[_load(labels, unit, U8)]
        first_W[window], last_W[window], count_W[window] = first, last, count


@njit(cache=True)
def copy_units(
    table: Any, row_W: Any, level: Any, wanted_L: Any, every: Any, start_W: Any, first_W: Any, last_W: Any, at_W: Any,
    out_start_U: Any, out_end_U: Any
) -> None:  # fmt: skip
    """The units of every window, counted from its first token."""
    column = LEVELS + level * LEVEL_COLUMNS
    for window in range(len(row_W)):
        row = table[row_W[window]]
        starts, lengths, labels = row[column], row[column + 1], row[column + 2]
        at = at_W[window]
        for unit in range(first_W[window], last_W[window]):
            if every or wanted_L[_load(labels, unit, U8)]:
                start = _load(starts, unit, U32) - start_W[window]
                out_start_U[at], out_end_U[at] = start, start + _load(lengths, unit, U16)
                at += 1


@njit(cache=True)
def find_parts(
    table: Any, row_W: Any, document_W: Any, start_W: Any, end_W: Any, first_W: Any, count_W: Any, total_W: Any,
    label_W: Any
) -> Any:  # fmt: skip
    """Where in its column the first part is that reaches into a window, how many with tokens do, how many parts its
    document has, and its label.

    Returns the number of a window whose parts do not rise to its end, or -1.
    """
    for window in range(len(row_W)):
        row = table[row_W[window]]
        document = document_W[window]
        low, high = _load(row[PART_OFFSETS], document, I32), _load(row[PART_OFFSETS], document + 1, I32)
        label_W[window], total_W[window] = _load(row[PART_LABEL], document, I16), high - low
        first_W[window], count_W[window] = low, 0
        if high == low:
            continue
        first = first_at_least(row[PART_ENDS], low, high, start_W[window] + 1)
        previous: Any = _load(row[PART_ENDS], first - 1, U32) if first > low else 0
        if previous > start_W[window]:
            return window
        first_W[window], index = first, first
        while previous < end_W[window]:
            if index == high or _load(row[PART_ENDS], index, U32) < previous:
                return window
            count_W[window] += _load(row[PART_ENDS], index, U32) > previous
            previous = _load(row[PART_ENDS], index, U32)
            index += 1
        length = _load(row[PART_TOKENS], document + 1, I32) - _load(row[PART_TOKENS], document, I32)
        if previous > length:
            return window
    return -1


@njit(cache=True)
def copy_parts(
    table: Any, row_W: Any, document_W: Any, start_W: Any, end_W: Any, first_W: Any, at_W: Any, start_P: Any,
    end_P: Any, whole_P: Any, role_P: Any
) -> None:  # fmt: skip
    """The parts of every window as ``find_parts`` counted them, in tokens of the document: the piece of each that lies
    in the window, whether that is all of it, and its role."""
    for window in range(len(row_W)):
        row = table[row_W[window]]
        index: Any = first_W[window]
        begins = index > _load(row[PART_OFFSETS], document_W[window], I32)
        previous: Any = _load(row[PART_ENDS], index - 1, U32) if begins else 0
        at: Any = at_W[window]
        while at < at_W[window + 1]:
            end = _load(row[PART_ENDS], index, U32)
            if end > previous:
                start_P[at], end_P[at] = max(previous, start_W[window]), min(end, end_W[window])
                whole_P[at] = start_P[at] == previous and end_P[at] == end
                role_P[at] = _load(row[PART_ROLES], index, I16) if row[PART_ROLES] else 0
                at += 1
            previous = end
            index += 1


@njit(cache=True, inline="always")
def first_key(address: Any, high: Any, wanted: Any) -> Any:
    """The first index below ``high`` of rising int64 at which the value is at least ``wanted``."""
    low: Any = 0
    while low < high:
        middle = (low + high) // 2
        if _load(address, middle, I64) < wanted:
            low = middle + 1
        else:
            high = middle
    return low


@njit(cache=True)
def draw_parts(
    table: Any, row_Q: Any, document_Q: Any, group_Q: Any, length_Q: Any, key_Q: Any, slack: Any, tries: Any,
    out_document_Q: Any, out_start_Q: Any, out_end_Q: Any
) -> None:  # fmt: skip
    """A part of the same shard and group, at most ``slack`` tokens longer or shorter, of another owner and unlike all
    texts of this one; document -1 where none of so many draws is."""
    for number in range(len(row_Q)):
        row = table[row_Q[number]]
        count, document = row[LIKE_COUNT], document_Q[number]
        key = (group_Q[number] << 32) + length_Q[number]
        low = first_key(row[LIKE_KEY], count, max(key - slack, group_Q[number] << 32))
        high = first_key(row[LIKE_KEY], count, key + slack + 1)
        out_document_Q[number] = -1
        if low == high:
            continue
        owner = _load(row[LIKE_OWNER], document, I64)
        for draw in range(tries):
            part = low + int(uniform(key_Q[number], draw) * (high - low))
            other = _load(row[LIKE_DOCUMENT], part, I64)
            if other == document or _load(row[LIKE_OWNER], other, I64) == owner:
                continue
            text = np.uint64(_load(row[LIKE_TEXT], part, I64))
            both = np.int64(mixed(np.uint64(owner)) + text)
            at = first_key(row[LIKE_KNOWN], count, both)
            if at < count and _load(row[LIKE_KNOWN], at, I64) == both:
                continue
            out_document_Q[number] = other
            out_start_Q[number], out_end_Q[number] = _load(row[LIKE_START], part, I64), _load(row[LIKE_END], part, I64)
            break


@njit(cache=True, inline="always")
def lower_bound(values: Any, low: Any, high: Any, wanted: Any) -> Any:
    """The first index of values[low:high], which rise, whose value is at least ``wanted``."""
    while low < high:
        middle = (low + high) // 2
        if values[middle] < wanted:
            low = middle + 1
        else:
            high = middle
    return low


@njit(cache=True)
def permutation(rank: Any, count: Any, out: Any) -> None:
    """The rank-th permutation of range(count) in the order of itertools.permutations."""
    left = np.arange(count)
    base: Any = 1
    for number in range(2, count):
        base *= number
    for place in range(count):
        index = rank // base
        rank -= index * base
        out[place] = left[index]
        for later in range(index, count - place - 1):
            left[later] = left[later + 1]
        if count - place - 1 > 0:
            base //= count - place - 1


@njit(cache=True)
def shuffled_segments(
    offsets_S1: Any, ends_E: Any, end_offsets_S1: Any, key_S: Any, split: Any, order: Any, most: Any
) -> Any:
    """Each text as segments of whole sentences in a drawn order.

    The number of segments is drawn evenly from 1 to the smaller of ``most`` and the number of sentences, their edges by
    Floyd's algorithm, and their order, all under the sample's key.

    Returns:
        (segment_X2 the pieces [start, end) of every text in their new order, segments of every sample, class of every
        sample)
    """
    samples = len(offsets_S1) - 1
    segment_X2 = np.empty((samples * most, 2), np.int64)
    count_S, class_S = np.empty(samples, np.int64), np.empty(samples, np.int64)
    order_C, cut_C, edge_C = np.empty(most, np.int64), np.empty(most, np.int64), np.empty(most + 1, np.int64)
    at: Any = 0
    for sample in range(samples):
        low, sentences = end_offsets_S1[sample], end_offsets_S1[sample + 1] - end_offsets_S1[sample]
        cutting, ordering = combined(key_S[sample], split), combined(key_S[sample], order)
        count = 1 + int(uniform(cutting, 0) * min(most, sentences))
        orders: Any = 1
        before: Any = 0
        for number in range(1, count + 1):
            if number > 1:
                before += orders
            orders *= number
        for draw in range(count - 1):  # Floyd: a set of count - 1 of range(sentences - 1)
            top = sentences - 1 - (count - 1) + draw
            number = int(uniform(cutting, draw + 1) * (top + 1))
            for earlier in range(draw):
                if cut_C[earlier] == number:
                    number = top
                    break
            cut_C[draw] = number
        cut_C[: count - 1].sort()
        edge_C[0], edge_C[count] = 0, offsets_S1[sample + 1] - offsets_S1[sample]
        for cut in range(count - 1):
            edge_C[cut + 1] = ends_E[low + cut_C[cut]]
        rank = int(uniform(ordering, 0) * orders)
        permutation(rank, count, order_C)
        for place in range(count):
            segment_X2[at, 0], segment_X2[at, 1] = edge_C[order_C[place]], edge_C[order_C[place] + 1]
            at += 1
        count_S[sample] = count
        class_S[sample] = before + rank if sentences > 1 else -1
    return segment_X2[:at].copy(), count_S, class_S


@njit(cache=True)
def frame(ids_T: Any, offsets_S1: Any, first_S: Any, segment_X2: Any, segments_S: Any, cls: Any, sep: Any) -> Any:
    """``[CLS] segment [SEP] segment [SEP] ...`` of every text; a plain sample has one segment.

    Returns (token ids, which are text, position in the document or -1).
    """
    total = len(ids_T) + len(segments_S) + len(segment_X2)
    out_T, maskable_T, place_T = np.empty(total, np.int64), np.empty(total, np.bool_), np.empty(total, np.int32)
    at: Any = 0
    segment: Any = 0
    for sample in range(len(segments_S)):
        out_T[at], maskable_T[at], place_T[at] = cls, False, -1
        at += 1
        for _ in range(segments_S[sample]):
            low, count = segment_X2[segment, 0], np.uint64(segment_X2[segment, 1] - segment_X2[segment, 0])
            first, target, source = np.int32(first_S[sample] + low), np.uint64(at), np.uint64(offsets_S1[sample] + low)
            for index in range(count):
                out_T[target + index] = ids_T[source + index]
            for index in range(count):
                place_T[target + index] = first + np.int32(index)
            maskable_T[at : at + np.int64(count)] = True
            at += np.int64(count)
            out_T[at], maskable_T[at], place_T[at] = sep, False, -1
            at += 1
            segment += 1
    return out_T, maskable_T, place_T


@njit(cache=True)
def move_intervals(start_U: Any, end_U: Any, offsets_S1: Any, segment_X2: Any, segments_S: Any) -> Any:
    """Intervals of every text (rising) as they lie in ``frame``; those that a segment's edge cuts are left
    out.

    Returns (start_U, end_U, count of every sample).
    """
    out_start_U, out_end_U = np.empty_like(start_U), np.empty_like(end_U)
    count_S = np.zeros(len(segments_S), np.int64)
    at: Any = 0
    segment: Any = 0
    for sample in range(len(segments_S)):
        position: Any = 1
        before = at
        for _ in range(segments_S[sample]):
            low, high = segment_X2[segment, 0], segment_X2[segment, 1]
            unit = lower_bound(start_U, offsets_S1[sample], offsets_S1[sample + 1], low)
            while unit < offsets_S1[sample + 1] and end_U[unit] <= high:
                out_start_U[at], out_end_U[at] = start_U[unit] + position - low, end_U[unit] + position - low
                at += 1
                unit += 1
            position += high - low + 1
            segment += 1
        count_S[sample] = at - before
    return out_start_U[:at].copy(), out_end_U[:at].copy(), count_S


@njit(cache=True)
def move_ends(ends_E: Any, offsets_S1: Any, segment_X2: Any, segments_S: Any) -> Any:
    """The sentence ends of every text as they lie in ``frame``; segments are whole sentences, so none is
    lost."""
    out_E = np.empty_like(ends_E)
    at: Any = 0
    segment: Any = 0
    for sample in range(len(segments_S)):
        position: Any = 1
        for _ in range(segments_S[sample]):
            low, high = segment_X2[segment, 0], segment_X2[segment, 1]
            index = lower_bound(ends_E, offsets_S1[sample], offsets_S1[sample + 1], low + 1)
            while index < offsets_S1[sample + 1] and ends_E[index] <= high:
                out_E[at] = ends_E[index] + position - low
                at += 1
                index += 1
            position += high - low + 1
            segment += 1
    return out_E


LEAST_PIECE = 8
"""Tokens that every piece of a pair has room for."""
LOOSE = 0.25
"""Largest share of a window's tokens by which a pair is kept shorter."""
TRIES = 8
"""Draws of a place before a window is given up."""
ANCHOR, FORM, FAR_AWAY, ELSEWHERE = 41, 42, 43, 44
"""Sub-keys of a sample's key, for pairs of sentences."""
ADJACENT, FAR, OTHER = 0, 1, 2
"""What the second piece of a pair is: the text beside the first, other text of its document, of another document."""
EITHER = 2
"""Mirrored or not, as a coin says."""
ORDER, TOTALS, PLACES, GROUP_LOW, GROUP_HIGH = range(5)
"""Columns of a table of neighbours (neighbours.py)."""


@njit(cache=True)
def piece_before(ends: Any, low: Any, boundary: Any, room: Any) -> Any:
    """(first token, first sentence) of the whole sentences before sentence ``boundary`` that fit into so many tokens; a
    longer one is cut."""
    at = _load(ends, boundary - 1, U32)
    index = first_at_least(ends, low, boundary - 1, at - room)
    if index == boundary - 1:
        return at - room, boundary - 1
    return _load(ends, index, U32), index + 1


@njit(cache=True)
def piece_after(ends: Any, boundary: Any, high: Any, room: Any) -> Any:
    """(end, sentence after it) of the whole sentences from ``boundary`` on that fit; a longer one is cut."""
    at = _load(ends, boundary - 1, U32)
    index = first_at_least(ends, boundary, high, at + room + 1)
    if index == boundary:
        return at + room, boundary + 1
    return _load(ends, index - 1, U32), index


@njit(cache=True)
def piece(row: Any, document: Any, boundary: Any, room: Any, before: Any) -> Any:
    """(start, end) of the text before or after a boundary of a document."""
    ends = row[ENDS]
    at = _load(ends, boundary - 1, U32)
    if before:
        return piece_before(ends, _load(row[END_OFFSETS], document, I32), boundary, room)[0], at
    return at, piece_after(ends, boundary, _load(row[END_OFFSETS], document + 1, I32), room)[0]


@njit(cache=True)
def boundary_near(row: Any, document: Any, first: Any, last: Any, key: Any) -> Any:
    """A boundary between sentences: a token is drawn evenly of [first, last), and the boundary before or behind its
    sentence.

    The first sentence of a document, often a title, is not used: no piece begins a document.

    Returns (the number of the sentence behind it, the room in tokens on its narrower side); (-1, 0) where none was
    found with room enough.
    """
    ends, low = row[ENDS], _load(row[END_OFFSETS], document, I32)
    high = _load(row[END_OFFSETS], document + 1, I32)
    length = _load(row[TOKEN_OFFSETS], document + 1, I32) - _load(row[TOKEN_OFFSETS], document, I32)
    if high - low >= 3:
        begin = _load(ends, low, U32)
        for attempt in range(TRIES):
            token = first + np.int64(uniform(key, 2 * attempt) * (last - first))
            sentence = first_at_least(ends, low, high, token + 1)
            if uniform(key, 2 * attempt + 1) < 0.5:
                sentence += 1
            boundary = min(max(sentence, low + 2), high - 1)
            at = _load(ends, boundary - 1, U32)
            if min(at - begin, length - at) >= LEAST_PIECE:
                return boundary, min(at - begin, length - at)
    return np.int64(-1), np.int64(0)


@njit(cache=True)
def boundary_far(row: Any, document: Any, low: Any, high: Any, before: Any, key: Any) -> Any:
    """A boundary of the same document, drawn like any, from which a piece reaches back (``before``) or on without
    coming nearer to the sentences [low, high) than one sentence.

    Returns (the number of the sentence behind it, the room of the piece); (-1, 0) where none was found.
    """
    ends = row[ENDS]
    begin = _load(ends, _load(row[END_OFFSETS], document, I32), U32)
    length = _load(row[TOKEN_OFFSETS], document + 1, I32) - _load(row[TOKEN_OFFSETS], document, I32)
    for attempt in range(TRIES):
        far, _ = boundary_near(row, document, 0, length, combined(key, attempt))
        if far < 0:
            break
        at, room = _load(ends, far - 1, U32), np.int64(0)
        if before and far < low:
            room = at - begin
        elif before and far > high + 1:
            room = at - _load(ends, high, U32)
        elif not before and far > high:
            room = length - at
        elif not before and far < low - 1:
            room = _load(ends, low - 2, U32) - at
        if room >= LEAST_PIECE:
            return far, room
    return np.int64(-1), np.int64(0)


@njit(cache=True)
def boundary_elsewhere(row: Any, near: Any, document: Any, key: Any) -> Any:
    """A boundary of another document of the same group, drawn by the tokens of the documents.

    Returns (document, the number of the sentence behind it, the room on its narrower side); the number is -1 where none
    was found.
    """
    own = _load(near[PLACES], document, I32)
    if own >= 0:
        low, high = _load(near[GROUP_LOW], own, U32), _load(near[GROUP_HIGH], own, U32)
        base, mine = _load(near[TOTALS], low, U32), _load(near[TOTALS], own, U32)
        weight = _load(near[TOTALS], own + 1, U32) - mine
        total = _load(near[TOTALS], high, U32) - base - weight
        for attempt in range(TRIES if total > 0 else 0):
            drawn = base + np.int64(uniform(key, attempt) * total)
            if drawn >= mine:
                drawn += weight
            found = first_at_least(near[TOTALS], low + 1, high, drawn + 1) - 1
            other = _load(near[ORDER], found, U32)
            length = _load(row[TOKEN_OFFSETS], other + 1, I32) - _load(row[TOKEN_OFFSETS], other, I32)
            boundary, room = boundary_near(row, other, 0, length, combined(key, TRIES + attempt))
            if boundary >= 0:
                return other, boundary, room
    return np.int64(-1), np.int64(-1), np.int64(0)


@njit(cache=True, inline="always")
def least_share(size: Any, share: Any) -> Any:
    """A share of so many tokens, but enough for a piece."""
    return min(size, LEAST_PIECE + np.int64(share * max(size - LEAST_PIECE, 0)))


@njit(cache=True)
def sentence_pairs(
    table: Any, near: Any, row_W: Any, document_W: Any, start_W: Any, end_W: Any, key_W: Any, form_F3: Any, apart: Any
) -> Any:
    """Two pieces of text for every window, and their class.

    Args:
        near: rows of neighbours, one for each row of ``table``; read only where a form asks for other documents.
        form_F3: what may be drawn, evenly: (ADJACENT, FAR or OTHER; 0, 1 mirrored or EITHER; class).
        apart: has each piece a length of its own, up to half of the window?

    Returns:
        (first_W2 and second_W2, the pieces [start, end); the document of the second piece; class_W, -1 for windows that
        do not offer all forms)
    """
    windows = len(row_W)
    first_W2, second_W2 = np.zeros((windows, 2), np.int64), np.zeros((windows, 2), np.int64)
    other_W, class_W = document_W.copy(), np.full(windows, -1, np.int64)
    wants_far, wants_other = (form_F3[:, 0] == FAR).any(), (form_F3[:, 0] == OTHER).any()
    for window in range(windows):
        row, document, key = table[row_W[window]], document_W[window], key_W[window]
        size = end_W[window] - start_W[window]
        boundary, room = boundary_near(row, document, start_W[window], end_W[window], combined(key, ANCHOR))
        if boundary < 0 or size < 2 * LEAST_PIECE:
            continue
        drawing = combined(key, FORM)
        form = form_F3[np.int64(uniform(drawing, 0) * len(form_F3))]
        mirrored = form[1] == 1 or (form[1] == EITHER and uniform(drawing, 1) < 0.5)
        size -= np.int64(uniform(drawing, 2) * size * LOOSE)  # whole sentences of a window fit it too well
        half, share = size // 2, uniform(drawing, 3) if apart else 1.0
        start, end = piece(row, document, boundary, min(least_share(half, share), room), not mirrored)
        room = min(room, least_share(half, uniform(drawing, 4)) if apart else size - (end - start))
        far: Any = np.int64(-1)
        there: Any = np.int64(-1)
        other: Any = document
        if wants_far:
            ends = row[ENDS]
            low, high = _load(row[END_OFFSETS], document, I32), _load(row[END_OFFSETS], document + 1, I32)
            begins, over = boundary, boundary
            if mirrored:
                over = first_at_least(ends, boundary, high, end) + 1
            else:
                begins = first_at_least(ends, low, boundary, start + 1)
            far, found = boundary_far(row, document, begins, over, mirrored, combined(key, FAR_AWAY))
            if far < 0:
                continue
            room = min(room, found)
        if wants_other:
            other, there, found = boundary_elsewhere(row, near[row_W[window]], document, combined(key, ELSEWHERE))
            if there < 0:
                continue
            room = min(room, found)
        if form[0] == OTHER:
            other_W[window], boundary = other, there
        elif form[0] == FAR:
            boundary = far
        first_W2[window, 0], first_W2[window, 1] = start, end
        second_W2[window] = piece(row, other_W[window], boundary, room, mirrored)
        class_W[window] = form[2]
    return first_W2, second_W2, other_W, class_W


@njit(cache=True)
def spread(values: Any, from_S: Any, length_S: Any, to_S: Any, out: Any) -> None:
    """values[from_S[s]:][:length_S[s]] to out[to_S[s]:], for every s."""
    for sample in range(len(from_S)):
        source, target = (
            np.uint64(from_S[sample]),
            np.uint64(to_S[sample]),
        )  # unsigned: no check for indices from the end
        for index in range(np.uint64(length_S[sample])):
            out[target + index] = values[source + index]


@njit(cache=True, inline="always")
def last_not_above(rising: Any, first: Any, last: Any, wanted: Any) -> Any:
    """The last index from ``first`` on and below ``last`` at which the value is at most ``wanted``; ``first - 1`` where
    there is none."""
    low, high = first, last
    while low < high:
        middle = (low + high) >> 1
        if np.int64(rising[middle]) <= wanted:
            low = middle + 1
        else:
            high = middle
    return low - 1


@njit(cache=True)
def unit_classes(
    from_N: Any,
    length_N: Any,
    to_N: Any,
    document_N: Any,
    place_T: Any,
    offsets_D1: Any,
    start_U: Any,
    length_U: Any,
    label_U: Any,
    class_L2: Any,
    unmarked: Any,
    label_T: Any,
) -> None:
    """Write the class of each token that stands in its document: ``class_L2[label]`` of the unit that holds it, for its
    first token and for the others, else 0. Documents without units only where ``unmarked``."""
    for sample in range(len(from_N)):
        document = document_N[sample]
        first, last = np.int64(offsets_D1[document]), np.int64(offsets_D1[document + 1])
        if first == last and not unmarked:
            continue
        unit, before = first - 1, np.int64(-2)
        for index in range(length_N[sample]):
            place = np.int64(place_T[from_N[sample] + index])
            if place < 0:
                continue
            if place != before + 1:
                unit = last_not_above(start_U, first, last, place)
            while unit + 1 < last and np.int64(start_U[unit + 1]) <= place:
                unit += 1
            before = place
            found: Any = 0
            known = unit >= first and label_U[unit] < len(class_L2)
            if known and place < np.int64(start_U[unit]) + np.int64(length_U[unit]):
                found = class_L2[label_U[unit], 0 if np.int64(start_U[unit]) == place else 1]
            label_T[to_N[sample] + index] = found


@njit(cache=True)
def capital_words(
    from_N: Any,
    length_N: Any,
    to_N: Any,
    document_N: Any,
    place_T: Any,
    tokens_D1: Any,
    ids: Any,
    flags: Any,
    ends_D1: Any,
    ends: Any,
    words_D1: Any,
    start_U: Any,
    length_U: Any,
    cased_V: Any,
    flag: Any,
    every: Any,
    openings: Any,
    label_T: Any,
) -> None:
    """Write the flag of the first token of the word that each token stands in, 0 or 1, where that one is of
    ``cased_V``: for the first token of a word or for ``every`` one, and the first such word of a sentence only with
    ``openings``."""
    for sample in range(len(from_N)):
        document = document_N[sample]
        base = np.int64(tokens_D1[document])
        first, last = np.int64(words_D1[document]), np.int64(words_D1[document + 1])
        first_end, last_end = np.int64(ends_D1[document]), np.int64(ends_D1[document + 1])
        unit, before = first - 1, np.int64(-2)
        reached, stop = np.int64(0), np.int64(-1)
        seen: Any = False
        for index in range(length_N[sample]):
            place = np.int64(place_T[from_N[sample] + index])
            if place < 0:
                continue
            if place != before + 1:
                unit = last_not_above(start_U, first, last, place)
            while unit + 1 < last and np.int64(start_U[unit + 1]) <= place:
                unit += 1
            before = place
            begin = place
            if unit >= first and place < np.int64(start_U[unit]) + np.int64(length_U[unit]):
                begin = np.int64(start_U[unit])
            token = np.int64(ids[base + begin])
            if (begin != place and not every) or token >= len(cased_V) or not cased_V[token]:
                continue
            if not openings:
                if begin < reached or begin >= stop:
                    sentence = last_not_above(ends, first_end, last_end, begin)
                    reached = np.int64(ends[sentence]) if sentence >= first_end else np.int64(0)
                    stop = np.int64(ends[sentence + 1]) if sentence + 1 < last_end else begin + 1
                    seen = False
                while reached < begin:
                    earlier = np.int64(ids[base + reached])
                    seen = seen or (earlier < len(cased_V) and cased_V[earlier])
                    reached += 1
                if not seen:
                    continue
            label_T[to_N[sample] + index] = 1 if flags[base + begin] & flag else 0


@njit(cache=True)
def words_of(ids_T: Any, start_U: Any, length_U: Any) -> Any:
    """Text as words: units, and tokens outside of units (begin_W1, hash_W); begin_W1 ends with the number of tokens."""
    tokens, unit, place, count = len(ids_T), 0, np.int64(0), 0
    begin_W1, hash_W = np.empty(tokens + 1, np.int64), np.empty(tokens, np.uint64)
    while place < tokens:
        while unit < len(start_U) and np.int64(start_U[unit]) < place:
            unit += 1
        length = np.int64(1)
        if unit < len(start_U) and np.int64(start_U[unit]) == place:
            length = min(max(np.int64(length_U[unit]), np.int64(1)), tokens - place)
        begin_W1[count], hash_W[count] = place, hash_of(ids_T, place, length)
        place += length
        count += 1
    begin_W1[count] = tokens
    return begin_W1[: count + 1].copy(), hash_W[:count].copy()


@njit(cache=True, inline="always")
def hash_of(ids_T: Any, start: Any, length: Any) -> Any:
    """The hash of a sequence of ids, as masking/salience.py has it."""
    value = np.uint64(length)
    for index in range(start, start + length):
        value = mixed(value + (np.uint64(ids_T[index]) + ONE) * GOLDEN)
    return value


@njit(cache=True, inline="always")
def same_ids(ids: Any, one: Any, other: Any, length: Any) -> Any:
    """Are the ids from ``one`` on equal to those from ``other`` on?"""
    index: Any = 0
    while index < length and ids[one + index] == ids[other + index]:
        index += 1
    return index == length


@njit(cache=True)
def recurring_words(
    from_N: Any,
    length_N: Any,
    to_N: Any,
    document_N: Any,
    place_T: Any,
    tokens_D1: Any,
    ids: Any,
    words_D1: Any,
    start_U: Any,
    length_U: Any,
    spoken_V: Any,
    skipped_E: Any,
    every: Any,
    reach: Any,
    label_T: Any,
) -> None:
    """Write whether the word also begins at a place of its document where its sample has no token, at most ``reach``
    tokens before the sample's first place or after its last (0: anywhere).

    Not asked: words of which the sample lacks a token, words without a token of ``spoken_V``, those whose hash is among
    the rising ``skipped_E``, without ``every`` a word's later tokens, and samples that hold their whole document.

    The words of a sample wait in chains by their first id (``newest_V``, ``next_K``), and the document is read once
    until none waits.
    """
    waiting_V, newest_V = np.zeros(len(spoken_V), np.uint8), np.full(len(spoken_V), -1, np.int32)
    for sample in range(len(from_N)):
        document, start, length = document_N[sample], from_N[sample], length_N[sample]
        base, tokens = np.int64(tokens_D1[document]), np.int64(tokens_D1[document + 1] - tokens_D1[document])
        first, last = np.int64(words_D1[document]), np.int64(words_D1[document + 1])
        low, high = tokens, np.int64(0)
        for index in range(start, start + length):
            place = np.int64(place_T[index])
            if 0 <= place < tokens:
                low, high = min(low, place), max(high, place + 1)
        if low >= high:
            continue
        inside, held = np.zeros(high - low, np.bool_), np.int64(0)
        for index in range(start, start + length):
            place = np.int64(place_T[index])
            if 0 <= place < tokens and not inside[place - low]:
                inside[place - low] = True
                held += 1
        if held == tokens:
            continue
        word_X = np.full(length, -1, np.int32)
        count: Any = 0
        place_K, size_K, next_K = np.empty(length, np.int64), np.empty(length, np.int64), np.empty(length, np.int32)
        unit, before, index = first - 1, np.int64(-2), 0
        while index < length:
            place = np.int64(place_T[start + index])
            if place < 0 or place >= tokens:
                index += 1
                continue
            if place != before + 1:
                unit = last_not_above(start_U, first, last, place)
            while unit + 1 < last and np.int64(start_U[unit + 1]) <= place:
                unit += 1
            begin, size = place, np.int64(1)
            if unit >= first and place < np.int64(start_U[unit]) + np.int64(length_U[unit]):
                begin, size = np.int64(start_U[unit]), np.int64(length_U[unit])
            whole = begin == place and index + size <= length and place + size <= tokens
            for step in range(1, size if whole else 0):
                whole = whole and place_T[start + index + step] == place + step
            before = place
            if not whole:
                index += 1
                continue
            before = place + size - 1
            spoken: Any = False
            for step in range(size):
                token = np.int64(ids[base + place + step])
                spoken = spoken or (token < len(spoken_V) and spoken_V[token])
            head = np.int64(ids[base + place])
            if spoken and head < len(spoken_V):
                kind = newest_V[head]
                while kind >= 0 and not (
                    size_K[kind] == size and same_ids(ids, base + place_K[kind], base + place, size)
                ):
                    kind = next_K[kind]
                if kind < 0:
                    value = hash_of(ids, base + place, size)
                    found = np.searchsorted(skipped_E, value)
                    if found == len(skipped_E) or skipped_E[found] != value:
                        kind = count
                        place_K[kind], size_K[kind], next_K[kind] = place, size, newest_V[head]
                        newest_V[head], waiting_V[head] = kind, 1
                        count += 1
                if kind >= 0:
                    word_X[index : index + (size if every else 1)] = kind
            index += int(size)
        found_K, missing = np.zeros(count, np.int64), count
        place = max(np.int64(0), low - reach) if reach else np.int64(0)
        end = min(tokens, high + reach) if reach else tokens
        unit = last_not_above(start_U, first, last, place)
        while place < end and missing:
            token = np.int64(ids[base + place])
            if token < len(waiting_V) and waiting_V[token] and not (low <= place < high and inside[place - low]):
                while unit + 1 < last and np.int64(start_U[unit + 1]) <= place:
                    unit += 1
                size = np.int64(1)
                if unit >= first and place < np.int64(start_U[unit]) + np.int64(length_U[unit]):
                    size = np.int64(length_U[unit]) if np.int64(start_U[unit]) == place else np.int64(0)
                kind, others = newest_V[token], False
                while kind >= 0:
                    fits = not found_K[kind] and size_K[kind] == size and place + size <= tokens
                    if fits and same_ids(ids, base + place_K[kind], base + place, size):
                        found_K[kind] = 1
                        missing -= 1
                    others = others or not found_K[kind]
                    kind = next_K[kind]
                waiting_V[token] = 1 if others else 0
            place += 1
        for kind in range(count):
            head = np.int64(ids[base + place_K[kind]])
            waiting_V[head], newest_V[head] = 0, -1
        for index in range(length):
            if word_X[index] >= 0:
                label_T[to_N[sample] + index] = found_K[word_X[index]]


@njit(cache=True)
def places(start_S: Any, length_S: Any, task_S: Any, total: Any) -> Any:
    """Places within samples, and their task ids: (position_T, task_T)."""
    position_T, task_T = np.zeros(total, np.int64), np.zeros(total, np.int64)
    for sample in range(len(start_S)):
        start, task = np.uint64(start_S[sample]), task_S[sample]
        for place in range(np.uint64(length_S[sample])):
            position_T[start + place] = place
            task_T[start + place] = task
    return position_T, task_T


@njit(cache=True)
def grid_shapes(length_S: Any, call_cost: Any) -> Any:
    """(samples, places) of each grid: which neighbours of falling lengths share one, so that the sum of
    ``samples * places**2 + call_cost`` is least. Grids begin only where the length changes: O(D**2) for D lengths."""
    samples = len(length_S)
    first_D = np.empty(samples + 1, np.int64)
    lengths = 0
    for sample in range(samples):
        if sample == 0 or length_S[sample] != length_S[sample - 1]:
            first_D[lengths] = sample
            lengths += 1
    first_D[lengths] = samples
    least_D, begin_D = np.zeros(lengths + 1, np.float64), np.zeros(lengths + 1, np.int64)
    for end in range(1, lengths + 1):
        least_D[end] = np.inf
        for begin in range(end):
            longest, count = length_S[first_D[begin]], first_D[end] - first_D[begin]
            cost = least_D[begin] + call_cost + count * longest * longest
            if cost < least_D[end]:
                least_D[end], begin_D[end] = cost, begin
    shape_G2, grids, end = np.empty((lengths, 2), np.int64), 0, lengths
    while end > 0:
        begin = begin_D[end]
        shape_G2[grids, 0] = first_D[end] - first_D[begin]
        shape_G2[grids, 1] = length_S[first_D[begin]]
        grids += 1
        end = begin
    return shape_G2[:grids][::-1].copy()


@njit(cache=True)
def fill_grids(start_S: Any, length_S: Any, shape_G2: Any, total: Any, places: Any) -> Any:
    """Samples in the order of the grids -> (pack_P, bias_P, unpack_T) of ``pretrain.feed.grids.Grids``."""
    pack_P, bias_P = np.zeros(places, np.int64), np.full(places, -np.inf, np.float32)
    unpack_T = np.full(total, places - 1, np.int64)
    sample = place = 0
    for grid in range(len(shape_G2)):
        for _ in range(shape_G2[grid, 0]):
            start, length = start_S[sample], length_S[sample]
            pack_P[place : place + shape_G2[grid, 1]] = start
            for inside in range(length):
                pack_P[place + inside] = start + inside
                bias_P[place + inside] = 0.0
                unpack_T[start + inside] = place + inside
            place += shape_G2[grid, 1]
            sample += 1
    return pack_P, bias_P, unpack_T


@njit(cache=True)
def turns(share_N: Any, served_N: Any, out_R: Any) -> None:
    """Which stream gets each of the next rows, one by one; ``served_N`` counts along.

    Tijdeman's law for the chairman assignment problem (Discrete Mathematics 32, 1980): of the streams that lag behind
    their share by 1 / (2N - 2) or more, the one that would be a whole row behind first. So no stream is ever further
    than 1 - 1 / (2N - 2) rows from its share; the largest lag first can be off by more than a row.
    """
    count, whole, taken = len(share_N), share_N.sum(), served_N.sum()
    least = 1.0 / (2 * count - 2) if count > 1 else 0.0
    for place in range(len(out_R)):
        taken += 1
        best, soonest = -1, 0.0
        for stream in range(count):
            share = share_N[stream] / whole
            lag = share * taken - served_N[stream]
            if lag < least - 1e-7:
                continue
            room = (1.0 - least - lag) / share
            if best < 0 or room < soonest - 1e-7:
                best, soonest = stream, room
        if best < 0:  # counts that no such order has made: the largest lag
            best = int(np.argmax(share_N / whole * taken - served_N))
        served_N[best] += 1
        out_R[place] = best
