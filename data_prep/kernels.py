"""Compiled loops of preparation: a trie, WordPiece, lexicon matching, and the arithmetic of spans.

The trie is three arrays made by ``build_trie``: an open-addressing hash table from (node, character) to the child node, and a value
per node (-1: no entry ends here). Several tries may share one table, each with a root of its own (WordPiece keeps the pieces that
begin a word under root 0 and the `##` pieces under root 1).

    entries 北京, 北京大学 -> 北京大学 in "在北京大学": walk from 北: node 北, node 北京 (value 0), 北京大, 北京大学 (value 1)

Everything here is a pure function of arrays, compiled once and cached on disk; first use imports numba. A call that
passes arrays costs two atomic reference counts for each of them, ten times the work of these loops: so the hash table is probed in
place.

Shape legend: N characters of a text, T tokens, U and V units, W words, E edges, G groups of lexicon entries.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt
from numba import njit

Array = npt.NDArray[Any]

SPACE, LETTER, ISOLATED = np.uint8(0), np.uint8(1), np.uint8(2)
"""Classes of normalised characters: separates words, part of a word, a word of its own."""
RARE = np.int64(-2)
"""Node of a first character that must be looked up."""
BLANK, CLOSER, STOP, BANG, WORD, UPPER, BEGINNER, OPENER, DIGIT, IDEOGRAPH = (np.uint16(1 << bit) for bit in range(10))
"""Kinds of characters for sentences: white space, closing quotes, 。！？, !?, letters and digits, capitals, what begins a sentence ..."""
LINE_BREAK, FULL_STOP, CAPITAL_I = np.uint32(10), np.uint32(46), np.uint32(73)
NUMBER_SIGN = np.uint64(ord("n") << 8 | ord("o"))
HASH = np.uint64(0x9E3779B97F4A7C15)


@njit(cache=True)
def child(keys_H: Array, children_H: Array, shift: int, node: int, character: int) -> int:
    """The child of ``node`` by ``character``, or -1."""
    key = np.int64(node) << 21 | np.int64(character)
    slot = (np.uint64(key) * HASH) >> np.uint64(shift)
    while keys_H[slot] != key and keys_H[slot] >= 0:
        slot = (slot + np.uint64(1)) & np.uint64(len(keys_H) - 1)
    return int(children_H[slot]) if keys_H[slot] == key else -1


@njit(cache=True)
def count_nodes(characters_C: Array, offsets_E1: Array) -> int:
    """An upper bound of the nodes of a trie whose entries are sorted: characters that differ from the entry before."""
    nodes = 0
    for entry in range(len(offsets_E1) - 1):
        start, end = offsets_E1[entry], offsets_E1[entry + 1]
        shared = 0
        if entry > 0:
            before = offsets_E1[entry - 1]
            while shared < end - start and before + shared < start and characters_C[before + shared] == characters_C[start + shared]:
                shared += 1
        nodes += end - start - shared
    return nodes


@njit(cache=True)
def build_trie(characters_C: Array, offsets_E1: Array, roots_E: Array, roots: int, capacity_bits: int) -> tuple[Array, Array, Array]:
    """Hash table (keys int64[H], children int32[H]) and entry number per node int32[nodes] (-1: none; the first of equal entries)."""
    keys_H = np.full(1 << capacity_bits, np.int64(-1))
    children_H = np.zeros(1 << capacity_bits, np.int32)
    value_N = np.full((1 << capacity_bits) + roots, np.int32(-1))
    shift, mask = 64 - capacity_bits, np.uint64((1 << capacity_bits) - 1)
    nodes = roots
    for entry in range(len(offsets_E1) - 1):
        node = np.int64(roots_E[entry])
        for at in range(offsets_E1[entry], offsets_E1[entry + 1]):
            key = node << 21 | np.int64(characters_C[at])
            slot = (np.uint64(key) * HASH) >> np.uint64(shift)
            while keys_H[slot] >= 0 and keys_H[slot] != key:
                slot = (slot + np.uint64(1)) & mask
            if keys_H[slot] < 0:
                keys_H[slot], children_H[slot] = key, nodes
                nodes += 1
            node = np.int64(children_H[slot])
        if value_N[node] < 0:
            value_N[node] = entry
    return keys_H, children_H, value_N[:nodes].copy()


@njit(cache=True)
def wordpiece(
    characters_N: Array, form_C: Array, forms: Array, classes: Array, singles: Array, keys_H: Array, children_H: Array, value_N: Array, ids: Array,
    shift: int, unknown: int, longest_word: int,
) -> tuple[int, Array, Array, Array]:  # fmt: skip
    """First -1, or the position of a character without a form yet; then ids, start and end characters of the tokens of one text.

    ``form_C`` gives per code point ``16 * first + count``: which of the normalised characters ``forms``, with their ``classes``,
    stand for it; ``singles`` is the token of a form that is a word of its own.
    """
    total = 0
    for at in range(len(characters_N)):
        form = form_C[characters_N[at]]
        if form < 0:
            return at, np.zeros(0, np.int32), np.zeros(0, np.int32), np.zeros(0, np.int32)
        total += form & 15
    ids_T, start_T, end_T = np.empty(total, np.int32), np.empty(total, np.int32), np.empty(total, np.int32)
    word, origin = np.empty(total, np.uint32), np.empty(total, np.int32)
    mask = np.uint64(len(keys_H) - 1)
    tokens, length = 0, 0
    for at in range(len(characters_N) + 1):
        form = form_C[characters_N[at]] if at < len(characters_N) else 1  # a last form that ends the last word
        for step in range(form >> 4, (form >> 4) + (form & 15)):
            kind = classes[step] if at < len(characters_N) else SPACE
            if kind == LETTER:
                word[length], origin[length] = forms[step], at
                length += 1
                continue
            begun, done = tokens, 0
            while done < length and length <= longest_word:
                node, end, entry = np.int64(0 if done == 0 else 1), done, -1
                for probe in range(done, length):
                    key = node << 21 | np.int64(word[probe])
                    slot = (np.uint64(key) * HASH) >> np.uint64(shift)
                    while keys_H[slot] != key and keys_H[slot] >= 0:
                        slot = (slot + np.uint64(1)) & mask
                    if keys_H[slot] < 0:
                        break
                    node = np.int64(children_H[slot])
                    if value_N[node] >= 0:
                        end, entry = probe + 1, value_N[node]
                if entry < 0:
                    break
                ids_T[tokens], start_T[tokens], end_T[tokens] = ids[entry], origin[done], origin[end - 1] + 1
                tokens += 1
                done = end
            if done < length:  # a word that cannot be spelled is one unknown token
                ids_T[begun], start_T[begun], end_T[begun] = unknown, origin[0], origin[length - 1] + 1
                tokens = begun + 1
            length = 0
            if kind == ISOLATED:
                ids_T[tokens], start_T[tokens], end_T[tokens] = singles[step], at, at + 1
                tokens += 1
    return -1, ids_T[:tokens], start_T[:tokens], end_T[:tokens]


@njit(cache=True)
def match(
    characters_N: Array, latin_C: Array, first_C: Array, keys_H: Array, children_H: Array, value_N: Array, label_EG: Array, shift: int
) -> tuple[Array, Array, Array, Array]:
    """Leftmost-longest occurrences of the entries of every group that stand alone: group, start, end, label (int32 each).

    ``label_EG`` is the label of an entry in a group, -1 where the group does not list it. ``first_C`` is the node of a first
    character below 65536. An entry may not begin or end inside a Latin word.
    """
    groups = label_EG.shape[1]
    capacity = 1024
    found_M4 = np.empty((capacity, 4), np.int32)
    free_G, end_G, entry_G = np.zeros(groups, np.int64), np.zeros(groups, np.int64), np.zeros(groups, np.int64)
    count, size, last_latin = 0, len(characters_N), False
    mask = np.uint64(len(keys_H) - 1)
    for start in range(size):
        character = characters_N[start]
        latin = character < 0x370 and latin_C[character]
        inside, last_latin = latin and last_latin, latin
        if inside:
            continue
        node = np.int64(first_C[character] if character < 65536 else RARE)
        if node < 0 and node != RARE:
            continue
        hit, at = False, start
        while True:
            if at > start or node == RARE:  # the child of node by this character
                key = (np.int64(0) if at == start else node) << 21 | np.int64(characters_N[at])
                slot = (np.uint64(key) * HASH) >> np.uint64(shift)
                while keys_H[slot] != key and keys_H[slot] >= 0:
                    slot = (slot + np.uint64(1)) & mask
                if keys_H[slot] < 0:
                    break
                node = np.int64(children_H[slot])
            entry = value_N[node]
            at += 1
            if entry >= 0:
                last = characters_N[at - 1]
                if at >= size or not (last < 0x370 and latin_C[last] and characters_N[at] < 0x370 and latin_C[characters_N[at]]):
                    for group in range(groups):
                        if label_EG[entry, group] >= 0 and free_G[group] <= start:
                            end_G[group], entry_G[group] = at, entry
                            hit = True
            if at >= size:
                break
        if hit:
            if count + groups > capacity:
                grown_M4 = np.empty((capacity * 2 + groups, 4), np.int32)
                grown_M4[:count] = found_M4[:count]
                found_M4, capacity = grown_M4, capacity * 2 + groups
            for group in range(groups):
                if end_G[group] > start:
                    found_M4[count, 0], found_M4[count, 1], found_M4[count, 2] = group, start, end_G[group]
                    found_M4[count, 3] = label_EG[entry_G[group], group]
                    free_G[group], end_G[group] = end_G[group], 0
                    count += 1
    return found_M4[:count, 0].copy(), found_M4[:count, 1].copy(), found_M4[:count, 2].copy(), found_M4[:count, 3].copy()


@njit(cache=True)
def inside_ranges(start_U: Array, end_U: Array, ranges_S2: Array) -> Array:
    """bool[U]: does the unit lie inside one range? Both sorted."""
    inside_U = np.zeros(len(start_U), np.bool_)
    at = 0
    for unit in range(len(start_U)):
        while at < len(ranges_S2) and ranges_S2[at, 1] <= start_U[unit]:
            at += 1
        inside_U[unit] = at < len(ranges_S2) and ranges_S2[at, 0] <= start_U[unit] and end_U[unit] <= ranges_S2[at, 1]
    return inside_U


@njit(cache=True)
def free_of(start_U: Array, end_U: Array, start_V: Array, end_V: Array) -> Array:
    """bool[V]: does the unit of V overlap no unit of U? Both sorted and disjoint."""
    free_V = np.ones(len(start_V), np.bool_)
    at = 0
    for unit in range(len(start_V)):
        while at < len(start_U) and end_U[at] <= start_V[unit]:
            at += 1
        free_V[unit] = at >= len(start_U) or start_U[at] >= end_V[unit]
    return free_V


@njit(cache=True)
def cut(words_W2: Array, edges_E: Array) -> tuple[Array, int]:
    """Words cut at every sorted edge strictly inside them, pieces of one character left out; and how many words were cut."""
    out = np.empty((len(words_W2) + len(edges_E), 2), np.int32)
    count, at, crossed = 0, 0, 0
    for word in range(len(words_W2)):
        start, end = words_W2[word, 0], words_W2[word, 1]
        while at < len(edges_E) and edges_E[at] <= start:
            at += 1
        crossed += at < len(edges_E) and edges_E[at] < end
        while at < len(edges_E) and edges_E[at] < end:
            if edges_E[at] - start > 1:
                out[count, 0], out[count, 1] = start, edges_E[at]
                count += 1
            start = edges_E[at]
            at += 1
        if end - start > 1:
            out[count, 0], out[count, 1] = start, end
            count += 1
    return out[:count], crossed


@njit(cache=True)
def align(start_U: Array, end_U: Array, start_T: Array, end_T: Array, least: int, most: int) -> tuple[Array, Array, Array, int]:
    """Token ranges of character units, sorted: first token, length, which units are kept (int64), and how many fit no boundary.

    A unit fits when a token begins at or after its start with none reaching over it, and likewise at its end. Units of fewer than
    ``least`` tokens are left out silently, longer than ``most`` count as misfits.
    """
    units, tokens = len(start_U), len(start_T)
    first_K, length_K, kept_K = np.empty(units, np.uint32), np.empty(units, np.uint16), np.empty(units, np.int64)
    count, misfits, at = 0, 0, 0
    for unit in range(units):
        while at < tokens and start_T[at] < start_U[unit]:
            at += 1
        last = at
        while last < tokens and end_T[last] <= end_U[unit]:
            last += 1
        length = last - at
        left = at == 0 or end_T[at - 1] <= start_U[unit]
        right = last == tokens or start_T[last] >= end_U[unit]
        if not left or not right or length < 1 or length > most:
            misfits += 1
        elif length >= least:
            first_K[count], length_K[count], kept_K[count] = at, length, unit
            count += 1
    return first_K[:count], length_K[:count], kept_K[:count], misfits


@njit(cache=True)
def sentence_ends(characters_N: Array, kind_C: Array) -> Array:
    """int64[M, 2]: where a sentence may end, from the first stop or line break to the end of the stops and closers that follow.

    ``kind_C`` holds the bits that sentences.py names, for every code point below its length (none above it).
    """
    size, limit = len(characters_N), len(kind_C)
    out_M2 = np.empty((size, 2), np.int64)
    count, at = 0, 0
    while at < size:
        character = characters_N[at]
        end = at
        if character == LINE_BREAK:
            while end < size and characters_N[end] == LINE_BREAK:
                end += 1
        elif character == FULL_STOP or (character < limit and kind_C[character] & (STOP | BANG)):
            end += 1
            if character == FULL_STOP:
                probe = end
                while probe < size and characters_N[probe] < limit and kind_C[characters_N[probe]] & CLOSER:
                    probe += 1
                ends = probe == size or (characters_N[probe] < limit and kind_C[characters_N[probe]] & BLANK)
            elif kind_C[character] & BANG:
                while end < size and characters_N[end] < limit and kind_C[characters_N[end]] & BANG:
                    end += 1
                ends = end == size or (characters_N[end] < limit and kind_C[characters_N[end]] & (CLOSER | BLANK | IDEOGRAPH))
            else:
                ends = True
            if not ends:
                at = end
                continue
            while end < size and (characters_N[end] == FULL_STOP or (characters_N[end] < limit and kind_C[characters_N[end]] & (STOP | BANG))):
                end += 1
            while end < size and characters_N[end] < limit and kind_C[characters_N[end]] & CLOSER:
                end += 1
        if end == at:
            at += 1
            continue
        out_M2[count, 0], out_M2[count, 1] = at, end
        count += 1
        at = end
    return out_M2[:count]


@njit(cache=True)
def sentences(characters_N: Array, kind_C: Array, ends_M2: Array, abbreviations_A: Array) -> tuple[Array, Array]:
    """Sentence spans int32[S, 2] without white space at their edges, and paragraph ends int64[P], from the places that may end one.

    ``abbreviations_A`` are sorted; each is its lower-case ASCII letters packed into eight bits apiece.
    """
    size, limit = len(characters_N), len(kind_C)
    out_S2, paragraphs_P = np.empty((len(ends_M2) + 1, 2), np.int32), np.empty(len(ends_M2) + 1, np.int64)
    count, paragraphs, start = 0, 0, 0
    for number in range(len(ends_M2) + 1):
        stop, after = (ends_M2[number, 0], ends_M2[number, 1]) if number < len(ends_M2) else (size, size)
        breaks = number < len(ends_M2) and characters_N[stop] == LINE_BREAK
        if number < len(ends_M2) and characters_N[stop] == FULL_STOP:
            ends, probe = True, after
            while probe < size and characters_N[probe] < limit and kind_C[characters_N[probe]] & BLANK:
                probe += 1
            digit = probe > after and probe < size and characters_N[probe] < limit and kind_C[characters_N[probe]] & DIGIT
            if after < size:
                if probe < size and characters_N[probe] < limit and kind_C[characters_N[probe]] & OPENER:
                    probe += 1
                ends = probe > after and (
                    probe >= size
                    or (probe == size - 1 and characters_N[probe] == LINE_BREAK)
                    or (characters_N[probe] < limit and kind_C[characters_N[probe]] & BEGINNER)
                )
                ends = ends and kind_C[characters_N[after]] & BLANK if characters_N[after] < limit else False
            if ends and after - stop == 1:
                last = stop - 1 if stop > 0 and characters_N[stop - 1] == LINE_BREAK else stop
                first, packed = last, np.uint64(0)
                while first > max(0, stop - 20) and (
                    characters_N[first - 1] == FULL_STOP or (characters_N[first - 1] < limit and kind_C[characters_N[first - 1]] & WORD)
                ):
                    first -= 1
                for position in range(first, last if last - first < 8 else first):
                    letter = characters_N[position]
                    if letter >= 128:
                        packed = np.uint64(0)
                        break
                    packed = packed << np.uint64(8) | np.uint64(letter + 32 if letter >= 65 and letter <= 90 else letter)
                found = np.searchsorted(abbreviations_A, packed)
                if packed == NUMBER_SIGN:
                    ends = not digit
                elif (found < len(abbreviations_A) and abbreviations_A[found] == packed) or (last - first == 1 and characters_N[first] != CAPITAL_I and characters_N[first] < limit and kind_C[characters_N[first]] & UPPER):
                    ends = False
            if not ends:
                continue
        left, right = start, stop if breaks else after
        while left < right and characters_N[left] < limit and kind_C[characters_N[left]] & BLANK:
            left += 1
        while right > left and characters_N[right - 1] < limit and kind_C[characters_N[right - 1]] & BLANK:
            right -= 1
        if left < right:
            out_S2[count, 0], out_S2[count, 1] = left, right
            count += 1
        start = after
        if (breaks or number == len(ends_M2)) and count and (paragraphs == 0 or paragraphs_P[paragraphs - 1] != count):
            paragraphs_P[paragraphs] = count
            paragraphs += 1
    return out_S2[:count], paragraphs_P[:paragraphs]
