"""Tables over sequences of token ids: found by ids alone, equal to a dictionary, and words that may stand in for a
word."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from masking.sequences import Sequences, SimilarWords

FIXED = settings(derandomize=True, deadline=None, max_examples=150)
WORD = st.lists(st.integers(0, 3), min_size=1, max_size=4)
WORDS = st.lists(WORD, max_size=40)


def flat(words: list[list[int]]) -> tuple[np.ndarray, np.ndarray]:
    return np.array([token for word in words for token in word], np.int64), np.cumsum([0, *map(len, words)])


def found(table: Sequences, words: list[list[int]]) -> list[int]:
    """What ``find`` says about these words, laid one after another."""
    ids_T, offsets = flat(words)
    return table.find(ids_T, offsets[:-1].astype(np.int32), offsets[1:].astype(np.int32)).tolist()


def test_the_worked_example_of_the_module_holds() -> None:
    table = Sequences.build(np.array([1266, 776, 677, 3862]), np.array([0, 2, 4]))
    assert found(table, [[1266, 776]]) == [0]
    assert found(table, [[677, 3862], [776, 677], [1266], [1266, 776, 677]]) == [1, -1, -1, -1]
    assert len(table) == 2


@FIXED
@given(WORDS, WORDS)
def test_a_table_equals_a_dictionary_in_which_the_first_counts(words: list[list[int]], asked: list[list[int]]) -> None:
    entries: dict[tuple[int, ...], int] = {}
    for number, word in enumerate(words):
        entries.setdefault(tuple(word), number)
    table = Sequences.build(*flat(words))
    assert found(table, asked) == [entries.get(tuple(word), -1) for word in asked]
    assert found(table, words) == [entries[tuple(word)] for word in words]
    assert len(table) == len(words)


def test_intervals_may_overlap_and_lie_anywhere() -> None:
    table = Sequences.build(*flat([[1, 2], [2, 1], [1]]))
    ids_T = np.array([9, 1, 2, 1, 9], np.int64)
    starts, ends = np.array([1, 2, 1, 3, 0, 1], np.int32), np.array([3, 4, 2, 4, 2, 4], np.int32)
    assert table.find(ids_T, starts, ends).tolist() == [0, 1, 2, 2, -1, -1]


def test_an_empty_table_finds_nothing() -> None:
    table = Sequences.build(np.zeros(0, np.int64), np.zeros(1, np.int64))
    assert len(table) == 0
    assert found(table, [[1], [2, 3]]) == [-1, -1]
    assert found(table, []) == []


def test_a_large_table_finds_every_entry_and_nothing_else() -> None:
    """20,000 words of 1 to 6 tokens of a vocabulary of 20,000, and 20,000 others."""
    rng = np.random.default_rng(0)
    words = [rng.integers(0, 20_000, rng.integers(1, 7)).tolist() for _ in range(40_000)]
    inside, outside = words[:20_000], words[20_000:]
    entries: dict[tuple[int, ...], int] = {}
    for number, word in enumerate(inside):
        entries.setdefault(tuple(word), number)
    table = Sequences.build(*flat(inside))
    assert found(table, inside) == [entries[tuple(word)] for word in inside]
    assert found(table, outside) == [entries.get(tuple(word), -1) for word in outside]


def listed(table: SimilarWords) -> dict[tuple[int, ...], list[list[int]]]:
    """Every word of the table with the words that may replace it."""
    words = {}
    offsets = table.words.offset_E1
    for entry in range(len(table.words)):
        word = table.words.word_ids[offsets[entry] : offsets[entry + 1]].tolist()
        ids = table.similar_ids[table.similar_E1[entry] : table.similar_E1[entry + 1]].tolist()
        words[tuple(word)] = [ids[first : first + len(word)] for first in range(0, len(ids), len(word))]
    return words


PAIR = st.integers(1, 3).flatmap(
    lambda length: st.tuples(*[st.lists(st.integers(0, 2), min_size=length, max_size=length)] * 2)
)


@FIXED
@given(st.lists(PAIR, max_size=30))
def test_similar_words_are_gathered_from_pairs_in_any_order(pairs: list[tuple[list[int], list[int]]]) -> None:
    expected: dict[tuple[int, ...], list[list[int]]] = {}
    for word, other in pairs:
        expected.setdefault(tuple(word), []).append(other)
    (words, word_P1), (others, other_P1) = flat([word for word, _ in pairs]), flat([other for _, other in pairs])
    table = SimilarWords.build(words, word_P1, others, other_P1)
    assert listed(table) == expected
    assert found(table.words, [list(word) for word in expected]) == list(range(len(expected)))


def test_a_pair_of_different_lengths_is_refused_with_its_number() -> None:
    with pytest.raises(ValueError, match=r"^pair 1 of similar words has 2 and 1 tokens; both must have as many$"):
        SimilarWords.build(np.array([1, 2, 3]), np.array([0, 1, 3]), np.array([4, 5]), np.array([0, 1, 2]))
