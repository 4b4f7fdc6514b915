"""The compiled loops against slow and obvious ones: trie, lexicon matching, alignment."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from data_prep import kernels
from data_prep.annotators.lexicon import BOUNDARIES, Matcher
from data_prep.documents import Document
from data_prep.trie import Trie

letters = st.text(st.sampled_from("ab北京\U00020000é "), min_size=1, max_size=4)


def walk(trie: Trie, text: str, root: int = 0) -> int:
    node = root
    for character in text:
        node = kernels.child(trie.keys_H, trie.children_H, trie.shift, node, ord(character))
        if node < 0:
            return -1
    return int(trie.value_N[node])


@settings(max_examples=100)
@given(st.lists(letters, unique=True, min_size=1, max_size=30), st.lists(letters, max_size=20))
def test_a_trie_finds_its_entries_and_nothing_else(entries: list[str], others: list[str]) -> None:
    trie = Trie.build(entries)
    for text in [*entries, *others]:
        assert walk(trie, text) == (entries.index(text) if text in entries else -1)


def test_several_roots_share_a_trie_without_mixing() -> None:
    trie = Trie.build(["ab", "ab", "a"], [0, 1, 1])
    assert [walk(trie, "ab", 0), walk(trie, "ab", 1), walk(trie, "a", 0), walk(trie, "a", 1)] == [0, 1, -1, 2]


def test_a_large_trie_holds_every_entry() -> None:
    entries = [f"{number:x}北{number % 7}" for number in range(20000)]
    trie = Trie.build(entries)
    assert all(walk(trie, entry) == number for number, entry in enumerate(entries))


def slow_match(text: str, entries: dict[str, int]) -> list[tuple[int, int, int]]:
    """Leftmost-longest among the occurrences that stand alone."""

    def latin(at: int) -> bool:
        return 0 <= at < len(text) and ord(text[at]) < 0x370 and text[at].isalnum()

    found, position = [], 0
    while position < len(text):
        ends = [
            position + len(entry)
            for entry in entries
            if text.startswith(entry, position)
            and not (latin(position) and latin(position - 1))
            and not (latin(position + len(entry) - 1) and latin(position + len(entry)))
        ]
        if ends:
            found.append((position, max(ends), entries[text[position : max(ends)]]))
        position = max(ends, default=position + 1)
    return found


@settings(max_examples=300)
@given(
    st.lists(st.dictionaries(letters, st.integers(0, 3), min_size=1, max_size=8), min_size=1, max_size=3),
    st.text(st.sampled_from("ab北京\U00020000é "), max_size=30),
)
def test_every_lexicon_finds_its_longest_entries_from_the_left(lexicons: list[dict[str, int]], text: str) -> None:
    surfaces = list(dict.fromkeys(surface for lexicon in lexicons for surface in lexicon))
    label_EG = np.array([[lexicon.get(surface, -1) for lexicon in lexicons] for surface in surfaces], np.int16)
    matcher = Matcher.over(surfaces, label_EG)
    document = Document(id="1", language="zh", text=text, title="", source="s")
    for lexicon, found in zip(
        lexicons,
        [found.units for found in matcher.find(document, np.zeros((0, 2), np.int32), np.zeros((0, 2), np.int32))],
        strict=True,
    ):
        assert list(
            zip(found.start_U.tolist(), found.end_U.tolist(), found.label_U.tolist(), strict=True)
        ) == slow_match(text, lexicon)


def cuts(start: int, end: int, words: list[tuple[int, int]]) -> int:
    """0: both edges are edges of words; 1: inside one word; 2: it holds a part of a word and more."""
    broken = [word for word in words if any(word[0] < edge < word[1] for edge in (start, end))]
    return 0 if not broken else 1 if all(first <= start and end <= last for first, last in broken) else 2


def slow_bounded(
    text: str, entries: set[str], words: list[tuple[int, int]], most: int
) -> tuple[list[tuple[int, int]], list[tuple[int, int]]]:
    """The definition, one position after the other: what is found, and what is refused."""
    found, refused, position = [], [], 0
    while position < len(text):
        ends = sorted(position + len(entry) for entry in entries if text.startswith(entry, position))
        taken = max((end for end in ends if cuts(position, end, words) <= most), default=0)
        if ends and ends[-1] > taken:
            refused.append((position, ends[-1]))
        if taken:
            found.append((position, taken))
        position = taken or position + 1
    return found, refused


@settings(max_examples=400)
@given(
    st.lists(st.sets(st.text("北京大", min_size=1, max_size=4), min_size=1, max_size=6), min_size=1, max_size=3),
    st.text("北京大", max_size=24),
    st.lists(st.integers(0, 24), unique=True, max_size=14).map(sorted),
    st.lists(st.integers(0, 2), min_size=3, max_size=3),
)
def test_matches_keep_to_the_words_as_far_as_each_lexicon_asks(
    lexicons: list[set[str]], text: str, ends: list[int], most: list[int]
) -> None:
    words = [(start, end) for start, end in itertools.pairwise(ends) if end <= len(text) and end - start > 1]
    surfaces = sorted(set().union(*lexicons))
    label_EG = np.array([[0 if surface in lexicon else -1 for lexicon in lexicons] for surface in surfaces], np.int16)
    matcher = Matcher.over(surfaces, label_EG, [BOUNDARIES[number] for number in most[: len(lexicons)]])
    document = Document(id="1", language="zh", text=text, title="", source="s")
    results = matcher.find(document, np.zeros((0, 2), np.int32), np.array(words, np.int32).reshape(-1, 2))
    for lexicon, result, number in zip(lexicons, results, most, strict=False):
        found = [list(zip(units.start_U.tolist(), units.end_U.tolist(), strict=True)) for units in result]
        assert tuple(found) == slow_bounded(text, lexicon, words, number)


edges = st.lists(st.integers(0, 24), unique=True, max_size=12).map(sorted)


@settings(max_examples=300)
@given(edges, edges, st.integers(1, 2), st.booleans())
def test_units_become_the_tokens_between_their_edges_or_count_as_misfits(
    cuts: list[int], unit_edges: list[int], least: int, gaps: bool
) -> None:
    tokens = [(start, end - (gaps and end - start > 1)) for start, end in itertools.pairwise(cuts)]
    units = list(zip(unit_edges[::2], unit_edges[1::2], strict=False))
    expected, misfits = [], 0
    for number, (start, end) in enumerate(units):
        inside = [index for index, token in enumerate(tokens) if start <= token[0] and token[1] <= end]
        crossed = any(first < start < last or first < end < last for first, last in tokens)
        if crossed or not inside:
            misfits += 1
        elif len(inside) >= least:
            expected.append((inside[0], len(inside), number))
    table, token_table = (np.array(places, np.int32).reshape(-1, 2) for places in (units, tokens))
    first_K, length_K, kept_K, count = kernels.align(
        table[:, 0], table[:, 1], token_table[:, 0], token_table[:, 1], least, 65535
    )
    assert (list(zip(first_K.tolist(), length_K.tolist(), kept_K.tolist(), strict=True)), count) == (expected, misfits)


def test_a_unit_of_too_many_tokens_is_a_misfit() -> None:
    places = np.arange(10, dtype=np.int32)
    first_K, _, _, misfits = kernels.align(np.array([0], np.int32), np.array([10], np.int32), places, places + 1, 1, 9)
    assert (len(first_K), misfits) == (0, 1)


@pytest.mark.parametrize("dtype", [np.uint32])
def test_the_loops_accept_read_only_arrays(dtype: type) -> None:
    characters = np.frombuffer("一。二".encode("utf-32-le"), dtype)
    assert not characters.flags.writeable
    assert kernels.sentence_ends(characters, np.zeros(10, np.uint16)).tolist() == []
