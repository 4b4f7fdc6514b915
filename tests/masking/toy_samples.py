"""Small hand-made and random samples for the masking tests, laid into one flat batch.

Toy(length=6, levels={"word": [(1, 3)]})     [CLS] a b c d [SEP], one word of two tokens
lay_out([toy, toy], before=2)                both in a flat array that begins with two positions of padding
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace

import numpy as np
from hypothesis import strategies as st

from masking.keyed import combine_array, hash_key, uniform_array
from masking.spans import Spans, Units

LEVELS = ("entity", "phrase", "word")


@dataclass(frozen=True)
class Toy:
    """One sample; position 0 is [CLS], the last is [SEP]."""

    length: int
    blocked: frozenset[int] = frozenset()
    """Positions that must not be hidden besides the two ends: a [SEP] between two segments, for example."""
    levels: dict[str, list[tuple[int, int]]] = field(default_factory=dict)
    sentences: frozenset[int] = frozenset()
    """Positions where a sentence begins."""

    def maskable(self) -> list[bool]:
        return [0 < position < self.length - 1 and position not in self.blocked for position in range(self.length)]


def lay_out(toys: Sequence[Toy], *, before: int = 0, between: int = 0, after: int = 0) -> Units:
    """The flat batch of these samples, with padding where asked."""
    maskable: list[bool] = [False] * before
    starts, pairs, sentences = [], {level: [] for level in LEVELS}, []
    for toy in toys:
        starts.append(len(maskable))
        sentences += [starts[-1] + position for position in toy.sentences]
        for level, spans in toy.levels.items():
            pairs[level] += [(starts[-1] + start, starts[-1] + end) for start, end in spans]
        maskable += toy.maskable() + [False] * between
    maskable += [False] * after
    sentence_T = np.zeros(len(maskable), np.bool_)
    sentence_T[sentences] = True
    start_S = np.array(starts, np.int32)
    return Units(
        sample_start_S=start_S,
        sample_end_S=start_S + np.array([toy.length for toy in toys], np.int32),
        maskable_T=np.array(maskable, np.bool_),
        levels={level: _columns(spans) for level, spans in pairs.items()},
        sentence_start_T=sentence_T,
    )


def repeated(toy: Toy, count: int) -> Units:
    """``count`` copies of one sample, one after another."""
    start_S = (np.arange(count) * toy.length).astype(np.int32)
    columns = {level: _columns(toy.levels.get(level, [])) for level in LEVELS}
    return Units(
        sample_start_S=start_S,
        sample_end_S=start_S + np.int32(toy.length),
        maskable_T=np.tile(np.array(toy.maskable(), np.bool_), count),
        levels={
            level: tuple((start_S[:, None] + side[None, :]).ravel() for side in sides)
            for level, sides in columns.items()
        },
        sentence_start_T=np.tile(
            np.array([position in toy.sentences for position in range(toy.length)], np.bool_), count
        ),
    )


def weighed(units: Units, seed: int = 0) -> Units:
    """The same batch with a weight for every unit of every level, the same wherever its sample lies."""
    weights = {}
    for level, (start_U, _) in units.levels.items():
        sample_U = np.searchsorted(units.sample_start_S, start_U, "right") - 1
        place_U = (
            (start_U - units.sample_start_S[sample_U]).astype(np.uint64) if len(start_U) else np.zeros(0, np.uint64)
        )
        weights[level] = (0.2 + 3 * uniform_array(combine_array(place_U, hash_key(level, seed) % 2**32), 0)).astype(
            np.float32
        )
    return replace(units, weights=weights)


def keys(count: int, seed: int = 0) -> np.ndarray:
    """One fixed key per sample."""
    return combine_array(np.arange(count, dtype=np.uint64), hash_key("test", seed) % 2**32)


def by_sample(spans: Spans, units: Units) -> list[list[tuple[int, int]]]:
    """The spans of every sample, in positions of the sample."""
    found: list[list[tuple[int, int]]] = [[] for _ in units.sample_start_S]
    for sample, start, end in zip(spans.sample_N.tolist(), spans.start_N.tolist(), spans.end_N.tolist(), strict=True):
        origin = int(units.sample_start_S[sample])
        found[sample].append((start - origin, end - origin))
    return found


def merged(spans: Sequence[tuple[int, int]]) -> list[tuple[int, int]]:
    """Units of one sample with those that touch joined."""
    runs: list[tuple[int, int]] = []
    for start, end in sorted(spans):
        if runs and runs[-1][1] == start:
            runs[-1] = (runs[-1][0], end)
        else:
            runs.append((start, end))
    return runs


def merged_spans(spans: Spans) -> Spans:
    """The same for a whole batch: runs of touching units of one sample as one."""
    touches_N = np.zeros(len(spans), np.bool_)
    touches_N[1:] = (spans.start_N[1:] == spans.end_N[:-1]) & (spans.sample_N[1:] == spans.sample_N[:-1])
    first, last = np.flatnonzero(~touches_N), np.flatnonzero(~np.append(touches_N[1:], False))
    return Spans(spans.sample_N[first], spans.start_N[first], spans.end_N[last])


def words_of_lengths(lengths: Sequence[int]) -> Toy:
    """[CLS], words of these lengths one after another, [SEP]."""
    ends = (1 + np.cumsum(lengths)).tolist()
    return Toy(
        length=ends[-1] + 1, levels={"word": [(end - length, end) for end, length in zip(ends, lengths, strict=True)]}
    )


def slow_partition(toy: Toy, levels: Sequence[str], pieces: bool = False) -> list[tuple[int, int, str]]:
    """(start, end, level) of every unit: levels in order of precedence, a unit only where nothing stands yet, then
    single tokens.

    With ``pieces``, of every other unit the longest run of free tokens, of equally long ones the first."""
    maskable = toy.maskable()
    owned: set[int] = set()
    units = []
    for level in levels:
        for start, end in toy.levels.get(level, []):
            if pieces:
                runs = merged(
                    [(token, token + 1) for token in range(start, end) if maskable[token] and token not in owned]
                )
                start, end = max(runs, key=lambda run: run[1] - run[0], default=(start, start))
            tokens = set(range(start, end))
            if tokens and not tokens & owned and all(maskable[token] for token in tokens):
                owned |= tokens
                units.append((start, end, level))
    units += [(token, token + 1, "character") for token in range(toy.length) if maskable[token] and token not in owned]
    return sorted(units)


def random_toy(rng: np.random.Generator, length: int, blocked: frozenset[int] = frozenset()) -> Toy:
    """A sample whose words, phrases and entities have mixed lengths and cross one another."""
    toy = Toy(length, blocked)
    maskable = toy.maskable()
    for level, longest, share in (("entity", 9, 0.1), ("phrase", 7, 0.15), ("word", 4, 0.6)):
        spans, position = [], 1
        while position < length - 1:
            end = position + int(rng.integers(1, longest + 1))
            if rng.random() < share and end < length and all(maskable[position:end]):
                spans.append((position, end))
                position = end
            else:
                position += 1
        toy.levels[level] = spans
    return toy


def toys(longest: int = 40) -> st.SearchStrategy[Toy]:
    """Any sample of up to ``longest`` tokens, crossing units and inner separators included."""
    return st.builds(seeded_toy, st.integers(2, longest), st.integers(0, 2**20))


def seeded_toy(length: int, seed: int) -> Toy:
    """A random sample, from few numbers: drawing every unit through hypothesis is ten times as slow."""
    rng = np.random.default_rng(seed)
    blocked = rng.integers(1, length, int(rng.integers(0, 4))).tolist()
    toy = random_toy(rng, length, frozenset(blocked))
    # A sentence begins where a word does: no word holds the end of one and the beginning of the next.
    words = [start for start, _, _ in slow_partition(toy, ["word"])]
    sentences = rng.choice(words, min(len(words), int(rng.integers(0, 4)))).tolist() if words else []
    return replace(toy, sentences=frozenset(sentences))


def _columns(spans: Sequence[tuple[int, int]]) -> tuple[np.ndarray, np.ndarray]:
    pairs = np.array(spans, np.int32).reshape(-1, 2)
    return np.ascontiguousarray(pairs[:, 0]), np.ascontiguousarray(pairs[:, 1])
