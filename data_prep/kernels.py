"""Compiled loops of preparation: a trie, WordPiece, lexicon matching, and the arithmetic of spans.

The trie is three arrays made by ``build_trie``: an open-addressing hash table from (node, character) to the child node,
and a value per node (-1: no entry ends here). Several tries may share one table, each with a root of its own (WordPiece
keeps the pieces that begin a word under root 0 and the `##` pieces under root 1).

    entries 北京, 北京大学 -> 北京大学 in "在北京大学": walk from 北: node 北, node 北京 (value 0), 北京大, 北京大学
    (value 1)

Everything here is a pure function of arrays, compiled once and cached on disk; first use imports numba. A call that
passes arrays costs two atomic reference counts for each of them, ten times the work of these loops: so the hash table
is probed in place.

Shape legend: N characters of a text, T tokens, U and V units, W words, E edges, G groups of lexicon entries.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt
from numba import njit

Array = npt.NDArray[Any]

SPACE, LETTER, ISOLATED = np.int32(0), np.int32(1), np.int32(2)
"""Classes of normalised characters: separates words, part of a word, a word of its own."""
RARE = np.int64(-2)
"""Node of a first character that must be looked up."""
BLANK, CLOSER, STOP, BANG, WORD, UPPER, BEGINNER, OPENER, DIGIT, IDEOGRAPH = (np.uint16(1 << bit) for bit in range(10))
"""Kinds of characters for sentences: white space, closing quotes, 。！？, !?, letters and digits, capitals, what begins
a sentence ..."""
LINE_BREAK, FULL_STOP, CAPITAL_I = np.uint32(10), np.uint32(46), np.uint32(73)
TITLE, INNER_TITLE = np.uint32(0x300A), np.uint32(0x3008)
LONGEST_TITLE = 64
"""Characters from a title mark 《 or 〈 to the one that closes it, the next code point; what is further away does not
belong to it."""
NUMBER_SIGN = np.uint64(ord("n") << 8 | ord("o"))
NO_WORD = -np.inf
BEGIN_STATE, MIDDLE_STATE, END_STATE, SINGLE_STATE = range(4)
BEFORE_42 = np.array(
    [[END_STATE, SINGLE_STATE], [BEGIN_STATE, MIDDLE_STATE], [BEGIN_STATE, MIDDLE_STATE], [END_STATE, SINGLE_STATE]]
)
"""The two states that may come before each; of equal paths the second is taken, as jieba does."""
PER_CENT = np.uint32(37)
PAIR_SHIFT = np.uint64(42)
"""64 minus the bits of a bit's number: 2**22 bits, half a megabyte."""
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
def pair_bits(characters_C: Array, offsets_E1: Array) -> Array:
    """uint8[B]: a bit for the first two characters of every entry; other pairs may share one."""
    bits_B = np.zeros(1 << (61 - PAIR_SHIFT), np.uint8)
    for entry in range(len(offsets_E1) - 1):
        at = offsets_E1[entry]
        if offsets_E1[entry + 1] - at > 1:
            bit = (
                (np.uint64(characters_C[at]) << np.uint64(21) | np.uint64(characters_C[at + 1])) * HASH
            ) >> PAIR_SHIFT
            bits_B[bit >> np.uint64(3)] |= np.uint8(1) << np.uint8(bit & np.uint64(7))
    return bits_B


@njit(cache=True)
def count_nodes(characters_C: Array, offsets_E1: Array) -> int:
    """An upper bound of the nodes of a trie whose entries are sorted: characters that differ from the entry before."""
    nodes = 0
    for entry in range(len(offsets_E1) - 1):
        start, end = offsets_E1[entry], offsets_E1[entry + 1]
        shared = 0
        if entry > 0:
            before = offsets_E1[entry - 1]
            while (
                shared < end - start
                and before + shared < start
                and characters_C[before + shared] == characters_C[start + shared]
            ):
                shared += 1
        nodes += end - start - shared
    return nodes


@njit(cache=True)
def build_trie(
    characters_C: Array, offsets_E1: Array, roots_E: Array, roots: int, capacity_bits: int
) -> tuple[Array, Array, Array]:
    """Hash table (keys int64[H], children int32[H]) and entry number per node int32[nodes] (-1: none; the first of
    equal entries)."""
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
    characters_N: Array, offsets_D1: Array, form_C: Array, rows_F3: Array, keys_H: Array, children_H: Array,
    value_N: Array, ids: Array, shift: int, unknown: int, longest_word: int,
) -> tuple[Array, Array, Array, Array, Array]:  # fmt: skip
    """Ids, start and end characters of the tokens of all documents, int64[D + 1]: where each document's begin, and
    bool[D]: which have none because a character of theirs has no form yet.

    ``form_C`` gives per code point ``16 * first + count``: which rows of ``rows_F3`` (normalised character, its class,
    its token when it is a word of its own) stand for it.
    """
    total, documents = 0, len(offsets_D1) - 1
    unseen_D, tokens_D1 = np.zeros(documents, np.bool_), np.zeros(documents + 1, np.int64)
    for document in range(documents):
        for at in range(offsets_D1[document], offsets_D1[document + 1]):
            form = form_C[characters_N[at]]
            if form < 0:
                unseen_D[document] = True
                break
            total += form & 15
    ids_T, start_T, end_T = np.empty(total, np.int32), np.empty(total, np.int32), np.empty(total, np.int32)
    word, origin = np.empty(total, np.uint32), np.empty(total, np.int32)
    mask = np.uint64(len(keys_H) - 1)
    tokens, length = 0, 0
    for document in range(documents):
        size = offsets_D1[document] - 1 if unseen_D[document] else offsets_D1[document + 1]
        for at in range(offsets_D1[document], size + 1):
            form = form_C[characters_N[at]] if at < size else 1  # a last form that ends the last word
            for step in range(form >> 4, (form >> 4) + (form & 15)):
                kind = rows_F3[step, 1] if at < size else SPACE
                if kind == LETTER:
                    word[length], origin[length] = rows_F3[step, 0], at
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
                    ids_T[tokens], start_T[tokens], end_T[tokens] = rows_F3[step, 2], at, at + 1
                    tokens += 1
        tokens_D1[document + 1] = tokens
    return ids_T[:tokens], start_T[:tokens], end_T[:tokens], tokens_D1, unseen_D


@njit(cache=True)
def join_words(
    characters_N: Array, offsets_D1: Array, ids_T: Array, start_T: Array, end_T: Array, tokens_D1: Array,
    keys_H: Array, children_H: Array, value_N: Array, ids_E: Array, shift: int,
) -> tuple[Array, Array, Array, Array]:  # fmt: skip
    """Ids, start and end characters of the tokens with every leftmost longest entry of the trie as one token, and
    int64[D + 1]: where each document's begin.

    Every character of an entry is a token of its own in ``ids_T``, so entries begin and end where tokens do.
    """
    found_T, first_T, last_T = np.empty_like(ids_T), np.empty_like(start_T), np.empty_like(end_T)
    found_D1 = np.zeros(len(tokens_D1), np.int64)
    count = 0
    for document in range(len(tokens_D1) - 1):
        token, size = tokens_D1[document], offsets_D1[document + 1]
        while token < tokens_D1[document + 1]:
            node, at, end, entry = 0, np.int64(start_T[token]), np.int64(end_T[token]), np.int64(-1)
            while at < size:
                node = child(keys_H, children_H, shift, node, characters_N[at])
                if node < 0:
                    break
                at += 1
                if value_N[node] >= 0:
                    end, entry = at, np.int64(value_N[node])
            found_T[count] = ids_T[token] if entry < 0 else ids_E[entry]
            first_T[count], last_T[count] = start_T[token], end
            count, token = count + 1, token + 1
            while entry >= 0 and token < tokens_D1[document + 1] and start_T[token] < end:
                token += 1
        found_D1[document + 1] = count
    return found_T[:count], first_T[:count], last_T[:count], found_D1


@njit(cache=True)
def match(
    characters_N: Array, offsets_D1: Array, latin_C: Array, first_C: Array, pairs_B: Array, keys_H: Array,
    children_H: Array, value_N: Array, label_EG: Array, shift: int, words_W2: Array, most_G: Array,
) -> tuple[Array, Array, Array, Array]:  # fmt: skip
    """Leftmost-longest occurrences in each document of the entries of every group that stand alone: start, end (int32),
    label (uint8).

    They lie group by group, with their places in the characters of all documents.

    The last array, int64[2 G + 1], says where each group's occurrences begin, and after those of the last group, where
    the occurrences begin that each group refused (the longest at their place, and longer than what was taken there;
    they may overlap).

    ``most_G`` is what a group takes: 0 occurrences whose edges are edges of words, 1 also those inside one word, 2 also
    those that hold a part of a word and more. Where the longest is refused, the longest that is not is taken. A
    character in no word of ``words_W2`` (sorted, disjoint) is a word of its own.

    ``label_EG`` is the label of an entry in a group, -1 where the group does not list it. ``first_C`` is the node of a
    first character below 65536, ``pairs_B`` the bits of ``pair_bit`` for the first two characters of the entries: most
    places end there, without a look into the large table. An entry may not begin or end inside a Latin word.
    """
    groups = label_EG.shape[1]
    capacity = 1024
    found_M4 = np.empty((capacity, 4), np.int32)
    free_G, end_G, entry_G = np.zeros(groups, np.int64), np.zeros(groups, np.int64), np.zeros(groups, np.int64)
    lost_G, lost_entry_G = np.zeros(groups, np.int64), np.zeros(groups, np.int64)
    count, words, word = 0, len(words_W2), 0
    mask = np.uint64(len(keys_H) - 1)
    for document in range(len(offsets_D1) - 1):
        size, last_latin = offsets_D1[document + 1], False
        for start in range(offsets_D1[document], size):
            character = characters_N[start]
            latin = character < 0x370 and latin_C[character]
            inside, last_latin = latin and last_latin, latin
            if inside:
                continue
            node = np.int64(first_C[character] if character < 65536 else RARE)
            if node < 0 and node != RARE:
                continue
            hit, at, final = False, start, 0
            while True:
                if at == start + 1:
                    bit = ((np.uint64(character) << np.uint64(21) | np.uint64(characters_N[at])) * HASH) >> PAIR_SHIFT
                    if not pairs_B[bit >> np.uint64(3)] >> (bit & np.uint64(7)) & np.uint8(1):
                        break
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
                    if at >= size or not (
                        last < 0x370 and latin_C[last] and characters_N[at] < 0x370 and latin_C[characters_N[at]]
                    ):
                        while word < words and words_W2[word, 1] <= start:
                            word += 1
                        cuts, final = 0, max(final, word)
                        while final < words and words_W2[final, 1] < at:
                            final += 1
                        if word < words and words_W2[word, 0] < start:
                            cuts = 1 if at <= words_W2[word, 1] else 2
                        elif final < words and words_W2[final, 0] < at < words_W2[final, 1]:
                            cuts = 1 if words_W2[final, 0] <= start else 2
                        for group in range(groups):
                            if label_EG[entry, group] >= 0 and free_G[group] <= start:
                                if cuts <= most_G[group]:
                                    end_G[group], entry_G[group] = at, entry
                                else:
                                    lost_G[group], lost_entry_G[group] = at, entry
                                hit = True
                if at >= size:
                    break
            if hit:
                if count + 2 * groups > capacity:
                    grown_M4 = np.empty((capacity * 2 + 2 * groups, 4), np.int32)
                    grown_M4[:count] = found_M4[:count]
                    found_M4, capacity = grown_M4, capacity * 2 + 2 * groups
                for group in range(groups):
                    if lost_G[group] > max(start, end_G[group]):
                        found_M4[count, 0], found_M4[count, 1], found_M4[count, 2] = (
                            groups + group,
                            start,
                            lost_G[group],
                        )
                        found_M4[count, 3] = label_EG[lost_entry_G[group], group]
                        count += 1
                    lost_G[group] = 0
                    if end_G[group] > start:
                        found_M4[count, 0], found_M4[count, 1], found_M4[count, 2] = group, start, end_G[group]
                        found_M4[count, 3] = label_EG[entry_G[group], group]
                        free_G[group], end_G[group] = end_G[group], 0
                        count += 1
    offsets_F1 = np.zeros(2 * groups + 1, np.int64)
    for occurrence in range(count):
        offsets_F1[found_M4[occurrence, 0] + 1] += 1
    for kind in range(2 * groups):
        offsets_F1[kind + 1] += offsets_F1[kind]
    free_F = offsets_F1[:-1].copy()
    start_M, end_M, label_M = np.empty(count, np.int32), np.empty(count, np.int32), np.empty(count, np.uint8)
    for occurrence in range(count):
        place = free_F[found_M4[occurrence, 0]]
        start_M[place], end_M[place], label_M[place] = (
            found_M4[occurrence, 1],
            found_M4[occurrence, 2],
            found_M4[occurrence, 3],
        )
        free_F[found_M4[occurrence, 0]] += 1
    return start_M, end_M, label_M, offsets_F1


@njit(cache=True)
def merge_units(
    start_U: Array,
    end_U: Array,
    label_U: Array,
    start_V: Array,
    end_V: Array,
    label_V: Array,
    number_L: Array,
    sentences_S2: Array,
) -> tuple[Array, Array, Array, Array, Array]:
    """Units U of one level and the later V as one: start, end, label; then the labels of the V that cross a sentence
    end or overlap a U.

    ``number_L`` renumbers the labels of V. All units are sorted and disjoint within U and within V.
    """
    size = len(start_U) + len(start_V)
    start_J, end_J, label_J = np.empty(size, np.int32), np.empty(size, np.int32), np.empty(size, np.uint8)
    crossing_V, clashing_V = np.empty(len(start_V), np.uint8), np.empty(len(start_V), np.uint8)
    count, crossing, clashing, earlier, sentence = 0, 0, 0, 0, 0
    for unit in range(len(start_V)):
        start, end, label = start_V[unit], end_V[unit], number_L[label_V[unit]]
        while sentence < len(sentences_S2) and sentences_S2[sentence, 1] <= start:
            sentence += 1
        while earlier < len(start_U) and end_U[earlier] <= start:
            start_J[count], end_J[count], label_J[count] = start_U[earlier], end_U[earlier], label_U[earlier]
            count += 1
            earlier += 1
        if sentence >= len(sentences_S2) or sentences_S2[sentence, 0] > start or end > sentences_S2[sentence, 1]:
            crossing_V[crossing] = label
            crossing += 1
        elif earlier < len(start_U) and start_U[earlier] < end:
            clashing_V[clashing] = label
            clashing += 1
        else:
            start_J[count], end_J[count], label_J[count] = start, end, label
            count += 1
    while earlier < len(start_U):
        start_J[count], end_J[count], label_J[count] = start_U[earlier], end_U[earlier], label_U[earlier]
        count += 1
        earlier += 1
    return start_J[:count], end_J[:count], label_J[:count], crossing_V[:crossing], clashing_V[:clashing]


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
    """Words cut at every sorted edge strictly inside them, pieces of one character left out; and how many words were
    cut."""
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
def crossed(words_W2: Array, edges_E: Array, offsets_D1: Array) -> tuple[Array, Array]:
    """int64[D] twice: how many words each document has, and in how many of them an edge lies. Everything is sorted."""
    words_D, crossed_D = np.zeros(len(offsets_D1) - 1, np.int64), np.zeros(len(offsets_D1) - 1, np.int64)
    document, at = 0, 0
    for word in range(len(words_W2)):
        while document < len(words_D) - 1 and offsets_D1[document + 1] <= words_W2[word, 0]:
            document += 1
        while at < len(edges_E) and edges_E[at] <= words_W2[word, 0]:
            at += 1
        words_D[document] += 1
        crossed_D[document] += at < len(edges_E) and edges_E[at] < words_W2[word, 1]
    return words_D, crossed_D


@njit(cache=True)
def align(
    start_U: Array, end_U: Array, start_T: Array, end_T: Array, least: int, most: int
) -> tuple[Array, Array, Array, int]:
    """Token ranges of character units, sorted: first token, length, which units are kept (int64), and how many fit no
    boundary.

    A unit fits when a token begins at or after its start with none reaching over it, and likewise at its end. Units of
    fewer than ``least`` tokens are left out silently, longer than ``most`` count as misfits.
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
def _is_digit(character: int) -> bool:
    return bool(48 <= character <= 57)


@njit(cache=True)
def _is_ascii_alnum(character: int) -> bool:
    return bool(48 <= character <= 57 or 65 <= character <= 90 or 97 <= character <= 122)


@njit(cache=True)
def unigram_words(
    characters_N: Array, block_C: Array, first_C: Array, keys_H: Array, children_H: Array, weight_N: Array, shift: int,
    alone: float, emission_O4: Array, begin_4: Array, move_44: Array, hmm: bool,
) -> Array:  # fmt: skip
    """int32[W, 2]: jieba's words of two characters or more.

    In each run of characters of ``block_C`` the most probable path of dictionary words is taken: ``weight_N`` is the
    log probability of the word that ends at a node (-inf: none), ``alone`` that of an unknown character. With ``hmm``
    what is left as single characters is joined by a hidden Markov model over Begin, Middle, End, Single:
    ``emission_O4`` from U+4E00 on.
    """
    size = len(characters_N)
    out_W2 = np.empty((size // 2 + 1, 2), np.int32)
    best, step = np.empty(size + 1, np.float64), np.empty(size + 1, np.int64)
    score_4, moved_4 = np.empty(4, np.float64), np.empty(4, np.float64)
    back_N = np.empty((size + 1, 4), np.int8)
    mask = np.uint64(len(keys_H) - 1)
    count, start = 0, 0
    while start < size:
        if not (characters_N[start] < len(block_C) and block_C[characters_N[start]]):
            if characters_N[start] == 13 and start + 1 < size and characters_N[start + 1] == 10:
                out_W2[count, 0], out_W2[count, 1] = start, start + 2
                count += 1
                start += 1
            start += 1
            continue
        end = start + 1
        while end < size and characters_N[end] < len(block_C) and block_C[characters_N[end]]:
            end += 1
        best[end] = 0.0
        for at in range(end - 1, start - 1, -1):
            chosen, score = -1, 0.0
            node = np.int64(first_C[characters_N[at]])
            probe = at
            while node >= 0:
                weight = weight_N[node]
                if weight > NO_WORD:
                    path = weight + best[probe + 1]
                    if chosen < 0 or path >= score:
                        chosen, score = probe + 1, path
                probe += 1
                if probe >= end:
                    break
                key = node << 21 | np.int64(characters_N[probe])
                slot = (np.uint64(key) * HASH) >> np.uint64(shift)
                while keys_H[slot] != key and keys_H[slot] >= 0:
                    slot = (slot + np.uint64(1)) & mask
                node = np.int64(children_H[slot]) if keys_H[slot] == key else np.int64(-1)
            if chosen < 0:
                chosen, score = at + 1, alone + best[at + 1]
            best[at], step[at] = score, chosen
        left = at = start  # [left, at) are single characters that nothing has joined yet
        while left < end:
            if at < end and step[at] == at + 1 and (hmm or _is_ascii_alnum(characters_N[at])):
                at += 1
                continue
            if at - left > 1 and not hmm:
                out_W2[count, 0], out_W2[count, 1] = left, at
                count += 1
            elif at - left > 1:
                node, probe = np.int64(first_C[characters_N[left]]), left + 1
                while node >= 0 and probe < at:
                    key = node << 21 | np.int64(characters_N[probe])
                    slot = (np.uint64(key) * HASH) >> np.uint64(shift)
                    while keys_H[slot] != key and keys_H[slot] >= 0:
                        slot = (slot + np.uint64(1)) & mask
                    node = np.int64(children_H[slot]) if keys_H[slot] == key else np.int64(-1)
                    probe += 1
                known = node >= 0 and weight_N[node] > NO_WORD
                while not known and left < at:
                    right = left + 1
                    if characters_N[left] < 0x4E00:
                        # letters and digits with a decimal fraction and a per cent sign, or the signs before them
                        if _is_ascii_alnum(characters_N[left]):
                            while right < at and _is_ascii_alnum(characters_N[right]):
                                right += 1
                            if (
                                right + 1 < at
                                and characters_N[right] == FULL_STOP
                                and _is_digit(characters_N[right + 1])
                            ):
                                right += 1
                                while right < at and _is_digit(characters_N[right]):
                                    right += 1
                            if right < at and characters_N[right] == PER_CENT:
                                right += 1
                        else:
                            while (
                                right < at and characters_N[right] < 0x4E00 and not _is_ascii_alnum(characters_N[right])
                            ):
                                right += 1
                        if right - left > 1:
                            out_W2[count, 0], out_W2[count, 1] = left, right
                            count += 1
                        left = right
                        continue
                    while right < at and characters_N[right] >= 0x4E00:
                        right += 1
                    for state in range(4):
                        score_4[state] = begin_4[state] + emission_O4[characters_N[left] - 0x4E00, state]
                    for position in range(left + 1, right):
                        for state in range(4):
                            one, two = BEFORE_42[state, 0], BEFORE_42[state, 1]
                            emission = emission_O4[characters_N[position] - 0x4E00, state]
                            first = score_4[one] + move_44[one, state] + emission
                            second = score_4[two] + move_44[two, state] + emission
                            # of equal scores the state whose letter comes later: two
                            moved_4[state] = second if second >= first else first
                            back_N[position, state] = two if second >= first else one
                        for state in range(4):
                            score_4[state] = moved_4[state]
                    state = END_STATE if score_4[END_STATE] > score_4[SINGLE_STATE] else SINGLE_STATE
                    for position in range(right - 1, left - 1, -1):
                        step[position] = state
                        state = back_N[position, state] if position > left else state
                    begun = left
                    for position in range(left, right):
                        if step[position] == BEGIN_STATE:
                            begun = position
                        elif step[position] == END_STATE and position > begun:
                            out_W2[count, 0], out_W2[count, 1] = begun, position + 1
                            count += 1
                    left = right
            left = at
            if at < end:
                if step[at] > at + 1:
                    out_W2[count, 0], out_W2[count, 1] = at, step[at]
                    count += 1
                left = at = step[at]
        start = end
    return out_W2[:count]


@njit(cache=True)
def sentence_ends(characters_N: Array, kind_C: Array) -> Array:
    """int64[M, 2]: where a sentence may end, from the first stop or line break to the end of the stops and closers that
    follow.

    Nothing ends between a title mark (《 or 〈) and the one that closes it, nested ones counted, when that stands in
    the same line and within LONGEST_TITLE characters: 《你好？》很好看。 A mark without its closing one shelters
    nothing.

    ``kind_C`` holds the bits that sentences.py names, for every code point below its length (none above it).
    """
    size, limit = len(characters_N), len(kind_C)
    out_M2 = np.empty((size, 2), np.int64)
    count, at = 0, 0
    while at < size:
        character = characters_N[at]
        if character | np.uint32(2) == TITLE:  # 《 or 〈
            closing, depth, probe = character + np.uint32(1), 1, at + 1
            while probe < min(size, at + LONGEST_TITLE) and characters_N[probe] != LINE_BREAK and depth > 0:
                if characters_N[probe] == character:
                    depth += 1
                elif characters_N[probe] == closing:
                    depth -= 1
                probe += 1
            at = probe if depth == 0 else at + 1
            continue
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
                ends = end == size or (
                    characters_N[end] < limit and kind_C[characters_N[end]] & (CLOSER | BLANK | IDEOGRAPH)
                )
            else:
                ends = True
            if not ends:
                at = end
                continue
            while end < size and (
                characters_N[end] == FULL_STOP
                or (characters_N[end] < limit and kind_C[characters_N[end]] & (STOP | BANG))
            ):
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
    """Sentence spans int32[S, 2] without white space at their edges, and paragraph ends int64[P], from the places that
    may end one.

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
            digit = (
                probe > after and probe < size and characters_N[probe] < limit and kind_C[characters_N[probe]] & DIGIT
            )
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
                    characters_N[first - 1] == FULL_STOP
                    or (characters_N[first - 1] < limit and kind_C[characters_N[first - 1]] & WORD)
                ):
                    first -= 1
                for position in range(first, last if last - first < 8 else first):
                    letter = characters_N[position]
                    if letter >= 128:
                        packed = np.uint64(0)
                        break
                    packed = packed << np.uint64(8) | np.uint64(
                        letter + 32 if letter >= 65 and letter <= 90 else letter
                    )
                found = np.searchsorted(abbreviations_A, packed)
                if packed == NUMBER_SIGN:
                    ends = not digit
                elif (found < len(abbreviations_A) and abbreviations_A[found] == packed) or (
                    last - first == 1
                    and characters_N[first] != CAPITAL_I
                    and characters_N[first] < limit
                    and kind_C[characters_N[first]] & UPPER
                ):
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


@njit(cache=True)
def document_sentences(
    characters_N: Array, offsets_D1: Array, kind_D: Array, kinds_KC: Array, abbreviations_A: Array
) -> tuple[Array, Array, Array, Array]:  # fmt: skip
    """``sentences`` of all documents: spans in the characters of all, paragraph ends in the sentences of each; where
    each document's begin.

    ``kind_D`` says which row of ``kinds_KC`` tells the kinds of characters in a document.
    """
    documents = len(offsets_D1) - 1
    sentences_D1, paragraphs_D1 = np.zeros(documents + 1, np.int64), np.zeros(documents + 1, np.int64)
    out_S2, paragraphs_P = np.empty((documents + 64, 2), np.int32), np.empty(documents + 64, np.int64)
    for document in range(documents):
        begin = offsets_D1[document]
        own_N, kind_C = characters_N[begin : offsets_D1[document + 1]], kinds_KC[kind_D[document]]
        own_S2, own_P = sentences(own_N, kind_C, sentence_ends(own_N, kind_C), abbreviations_A)
        at, paragraph = sentences_D1[document], paragraphs_D1[document]
        if at + len(own_S2) > len(out_S2):
            grown_S2 = np.empty((2 * (at + len(own_S2)), 2), np.int32)
            grown_S2[:at] = out_S2[:at]
            grown_P = np.empty(2 * (at + len(own_S2)), np.int64)
            grown_P[:paragraph] = paragraphs_P[:paragraph]
            out_S2, paragraphs_P = grown_S2, grown_P
        for sentence in range(len(own_S2)):
            out_S2[at + sentence, 0], out_S2[at + sentence, 1] = (
                begin + own_S2[sentence, 0],
                begin + own_S2[sentence, 1],
            )
        for number in range(len(own_P)):
            paragraphs_P[paragraph + number] = own_P[number]
        sentences_D1[document + 1], paragraphs_D1[document + 1] = at + len(own_S2), paragraph + len(own_P)
    return out_S2[: sentences_D1[documents]], sentences_D1, paragraphs_P[: paragraphs_D1[documents]], paragraphs_D1


@njit(cache=True)
def token_ends(start_T: Array, end_S: Array, paragraphs_P: Array) -> tuple[Array, Array]:
    """Sentence and paragraph ends in tokens (uint32), without empty ones: character ends ``end_S``, paragraphs as
    counts of sentences."""
    sentence_ends_S, paragraph_ends_P = np.empty(len(end_S), np.uint32), np.empty(len(paragraphs_P), np.uint32)
    count, paragraphs, token, paragraph = 0, 0, 0, 0
    for sentence in range(len(end_S)):
        while token < len(start_T) and start_T[token] < end_S[sentence]:
            token += 1
        if token > (sentence_ends_S[count - 1] if count else 0):
            sentence_ends_S[count] = token
            count += 1
        if paragraph < len(paragraphs_P) and paragraphs_P[paragraph] == sentence + 1:
            paragraph += 1
            if token > (paragraph_ends_P[paragraphs - 1] if paragraphs else 0):
                paragraph_ends_P[paragraphs] = token
                paragraphs += 1
    return sentence_ends_S[:count], paragraph_ends_P[:paragraphs]


@njit(cache=True)
def document_ends(
    start_T: Array, tokens_D1: Array, end_S: Array, sentences_D1: Array, paragraphs_P: Array, paragraphs_D1: Array
) -> tuple[Array, Array, Array, Array]:
    """``token_ends`` of all documents, each counting in its own tokens: sentence ends, paragraph ends, and where each
    document's begin."""
    documents = len(tokens_D1) - 1
    ends_S, ends_P = np.empty(len(end_S), np.uint32), np.empty(len(paragraphs_P), np.uint32)
    ends_D1, paragraph_ends_D1 = np.zeros(documents + 1, np.int64), np.zeros(documents + 1, np.int64)
    for document in range(documents):
        own_S, own_P = token_ends(
            start_T[tokens_D1[document] : tokens_D1[document + 1]],
            end_S[sentences_D1[document] : sentences_D1[document + 1]],
            paragraphs_P[paragraphs_D1[document] : paragraphs_D1[document + 1]],
        )
        at, paragraph = ends_D1[document], paragraph_ends_D1[document]
        for number in range(len(own_S)):
            ends_S[at + number] = own_S[number]
        for number in range(len(own_P)):
            ends_P[paragraph + number] = own_P[number]
        ends_D1[document + 1], paragraph_ends_D1[document + 1] = at + len(own_S), paragraph + len(own_P)
    return ends_S[: ends_D1[documents]], ends_D1, ends_P[: paragraph_ends_D1[documents]], paragraph_ends_D1


@njit(cache=True)
def flags(characters_N: Array, start_T: Array, kind_C: Array, kind: int, flag: int) -> Array:
    """uint8[T]: ``flag`` where the first character of the token is of ``kind``, else 0."""
    flag_T = np.zeros(len(start_T), np.uint8)
    for token in range(len(start_T)):
        character = characters_N[start_T[token]]
        if character < len(kind_C) and kind_C[character] & kind:
            flag_T[token] = flag
    return flag_T


@njit(cache=True)
def mixed(value: Any) -> Any:
    """The upper half of splitmix64's output function (masking.keyed.mix), uint32."""
    value = (value ^ (value >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    value = (value ^ (value >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return np.uint32((value ^ (value >> np.uint64(31))) >> np.uint64(32))


@njit(cache=True)
def least_values(hashes_N: Array, owner_N: Array, factors_K: Array, offsets_K: Array, least_DK: Array) -> None:
    """``least_DK[d, k]`` becomes the least ``mixed(hash) * factor + offset`` (modulo 2^32) over the hashes that ``d``
    owns.

    Owners ascend, and four hashes of one owner are done at a time: a row is read and written once for them, in
    registers as wide as there are.
    """
    at, count = 0, len(hashes_N)
    while at < count:
        least_K = least_DK[owner_N[at]]
        if at + 3 < count and owner_N[at + 3] == owner_N[at]:
            one, two, three, four = (
                mixed(hashes_N[at]),
                mixed(hashes_N[at + 1]),
                mixed(hashes_N[at + 2]),
                mixed(hashes_N[at + 3]),
            )
            for place in range(len(factors_K)):
                factor, offset = factors_K[place], offsets_K[place]
                left = min(np.uint32(one * factor + offset), np.uint32(two * factor + offset))
                right = min(np.uint32(three * factor + offset), np.uint32(four * factor + offset))
                least_K[place] = min(least_K[place], min(left, right))
            at += 4
        else:
            one = mixed(hashes_N[at])
            for place in range(len(factors_K)):
                least_K[place] = min(least_K[place], np.uint32(one * factors_K[place] + offsets_K[place]))
            at += 1


@njit(cache=True)
def unite(parents_D: Array, left_P: Array, right_P: Array) -> None:
    """Join the clusters of each pair; the least member of a cluster is its root, and no parent is greater than its
    child."""
    for pair in range(len(left_P)):
        one, two = left_P[pair], right_P[pair]
        while parents_D[one] != one:
            parents_D[one] = parents_D[parents_D[one]]
            one = parents_D[one]
        while parents_D[two] != two:
            parents_D[two] = parents_D[parents_D[two]]
            two = parents_D[two]
        if one < two:
            parents_D[two] = one
        else:
            parents_D[one] = two


@njit(cache=True)
def find_roots(parents_D: Array, kept_D: Array) -> None:
    """Replace each parent by its root, and mark the roots that have other members."""
    for document in range(len(parents_D)):
        root = parents_D[parents_D[document]]
        parents_D[document] = root
        if root != document:
            kept_D[root] = True


@njit(cache=True)
def _word_hash(letters: Array, start: int, end: int) -> np.uint64:
    found = np.uint64(end - start)
    for at in range(start, end):
        found = (found ^ np.uint64(letters[at])) * HASH
        found ^= found >> np.uint64(29)
    return found * HASH  # type: ignore[no-any-return]


@njit(cache=True)
def word_slots(letters: Array, word_W3: Array, bits: int) -> Array:
    """int32[H]: a hash table of 2**bits slots over words that are all different, see ``count_words``."""
    slot_H = np.full(1 << bits, -1, np.int32)
    mask, shift = np.uint64((1 << bits) - 1), np.uint64(64 - bits)
    for word in range(len(word_W3)):
        slot = _word_hash(letters, word_W3[word, 0], word_W3[word, 0] + word_W3[word, 1]) >> shift
        while slot_H[slot] >= 0:
            slot = (slot + np.uint64(1)) & mask
        slot_H[slot] = word
    return slot_H


@njit(cache=True)
def count_words(
    characters_N: Array, offsets_D1: Array, plain: bool, form_C: Array, rows_F3: Array, inner_C: Array, count_C: Array,
    letters: Array, word_W3: Array, slot_H: Array, used_2: Array, longest: int, most_words: int,
) -> int:  # fmt: skip
    """Count the characters and words of texts, until there are more than ``most_words`` words; how many texts were
    counted.

    ``plain``: characters stand for themselves; else ``form_C`` and ``rows_F3`` say what each becomes (see
    ``wordpiece``). A word is a run of 2 to ``longest`` characters of ``inner_C``; word ``w`` is ``letters[word_W3[w,
    0]:][:word_W3[w, 1]]``, seen ``word_W3[w, 2]`` times. ``used_2`` says how many words and letters there are. There
    must be room for all that the texts can add, and a free slot.
    """
    bits = 0
    while 1 << bits < len(slot_H):
        bits += 1
    mask, shift = np.uint64(len(slot_H) - 1), np.uint64(64 - bits)
    words, begin = used_2[0], used_2[1]
    done = 0
    for document in range(len(offsets_D1) - 1):
        end, length = offsets_D1[document + 1], 0
        for at in range(offsets_D1[document], end + 1):
            form = 1 if plain or at == end else form_C[characters_N[at]]
            for step in range(form >> 4, (form >> 4) + (form & 15)):
                character = np.uint32(0)
                inner = False
                if at < end:
                    character = np.uint32(characters_N[at]) if plain else np.uint32(rows_F3[step, 0])
                    count_C[character] += 1
                    inner = inner_C[character]
                if inner:
                    if length < longest:
                        letters[begin + length] = character
                    length += 1
                    continue
                if length > 1 and length <= longest:
                    slot = _word_hash(letters, begin, begin + length) >> shift
                    while slot_H[slot] >= 0:
                        word = slot_H[slot]
                        same = word_W3[word, 1] == length
                        probe = 0
                        while same and probe < length:
                            same = letters[word_W3[word, 0] + probe] == letters[begin + probe]
                            probe += 1
                        if same:
                            break
                        slot = (slot + np.uint64(1)) & mask
                    if slot_H[slot] >= 0:
                        word_W3[slot_H[slot], 2] += 1
                    else:
                        slot_H[slot] = words
                        word_W3[words, 0], word_W3[words, 1], word_W3[words, 2] = begin, length, 1
                        words += 1
                        begin += length
                length = 0
        done = document + 1
        if words > most_words:
            break
    used_2[0], used_2[1] = words, begin
    return done
