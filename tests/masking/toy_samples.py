"""Small hand-made and random samples for the masking tests, laid into one flat batch.

Toy(length=6, levels={"word": [(1, 3)]})     [CLS] a b c d [SEP], one word of two tokens
lay_out([toy, toy], before=2)                both in a flat array that begins with two positions of padding
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
from hypothesis import strategies as st

from masking.keyed import combine_array, hash_key
from masking.spans import Spans, Units

LEVELS = ("entity", "phrase", "word")


@dataclass(frozen=True)
class Toy:
    """One sample; position 0 is [CLS], the last is [SEP]."""

    length: int
    blocked: frozenset[int] = frozenset()
    """Positions that must not be hidden besides the two ends: a [SEP] between two segments, for example."""
    levels: dict[str, list[tuple[int, int]]] = field(default_factory=dict)

    def maskable(self) -> list[bool]:
        return [0 < position < self.length - 1 and position not in self.blocked for position in range(self.length)]


def lay_out(toys: Sequence[Toy], *, before: int = 0, between: int = 0, after: int = 0) -> Units:
    """The flat batch of these samples, with padding where asked."""
    maskable: list[bool] = [False] * before
    starts, pairs = [], {level: [] for level in LEVELS}
    for toy in toys:
        starts.append(len(maskable))
        for level, spans in toy.levels.items():
            pairs[level] += [(starts[-1] + start, starts[-1] + end) for start, end in spans]
        maskable += toy.maskable() + [False] * between
    maskable += [False] * after
    start_S = np.array(starts, np.int32)
    return Units(
        sample_start_S=start_S,
        sample_end_S=start_S + np.array([toy.length for toy in toys], np.int32),
        maskable_T=np.array(maskable, np.bool_),
        levels={level: _columns(spans) for level, spans in pairs.items()},
    )


def repeated(toy: Toy, count: int) -> Units:
    """``count`` copies of one sample, one after another."""
    start_S = (np.arange(count) * toy.length).astype(np.int32)
    columns = {level: _columns(toy.levels.get(level, [])) for level in LEVELS}
    return Units(
        sample_start_S=start_S,
        sample_end_S=start_S + np.int32(toy.length),
        maskable_T=np.tile(np.array(toy.maskable(), np.bool_), count),
        levels={level: tuple((start_S[:, None] + side[None, :]).ravel() for side in sides) for level, sides in columns.items()},
    )


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


def slow_partition(toy: Toy, levels: Sequence[str]) -> list[tuple[int, int, str]]:
    """(start, end, level) of every unit: levels in order of precedence, a unit only where nothing stands yet, then single tokens."""
    maskable = toy.maskable()
    owned: set[int] = set()
    units = []
    for level in levels:
        for start, end in toy.levels.get(level, []):
            tokens = set(range(start, end))
            if not tokens & owned and all(maskable[token] for token in tokens):
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
    return random_toy(rng, length, frozenset(blocked))


def _columns(spans: Sequence[tuple[int, int]]) -> tuple[np.ndarray, np.ndarray]:
    pairs = np.array(spans, np.int32).reshape(-1, 2)
    return np.ascontiguousarray(pairs[:, 0]), np.ascontiguousarray(pairs[:, 1])
