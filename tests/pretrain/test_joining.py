"""Samples of several pieces of text equal those that a reader would write by hand."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from data_prep.shards import Prepared
from pretrain.feed.hiding import Specials
from pretrain.feed.joining import Pieces, joined_samples
from pretrain.feed.samples import NO_LABEL, NOWHERE
from pretrain.feed.sources import Source
from pretrain.feed.texts import Texts, Windows

SPECIALS = Specials.__new__(Specials)
object.__setattr__(SPECIALS, "cls", 2)
object.__setattr__(SPECIALS, "sep", 3)


def source(prepared: Path) -> Source:
    return Source(name="a", prepared=Prepared.open(prepared), split="train", max_tokens=60)


def drawn(source: Source, rng: np.random.Generator, count: int) -> tuple[Texts, Pieces]:
    """Windows, one or two samples of each, and one to three pieces of each sample: of its document or of any."""
    shards = source.shards
    home = source.texts(next(source.all_windows()).take(rng.integers(0, 20, count)))
    window_S = np.sort(np.concatenate([np.arange(count), rng.integers(0, count, count // 2)]))
    count_S = rng.integers(1, 4, len(window_S))
    columns: list[tuple[int, int, int, int]] = []
    for window, pieces in zip(window_S.tolist(), count_S.tolist(), strict=True):
        for _ in range(pieces):
            shard, document = int(home.windows.shard_W[window]), int(home.windows.document_W[window])
            if rng.random() < 0.5:
                shard = int(rng.integers(len(shards)))
                document = int(rng.integers(len(shards[shard])))
            length = len(shards[shard].token_ids.row(document))
            start = int(rng.integers(0, length))
            columns.append((shard, document, start, int(rng.integers(start + 1, min(length, start + 30) + 1))))
    windows = Windows(*np.array(columns, np.int64).T)
    return home, Pieces(
        texts=home.read(windows),
        count_S=count_S,
        segment_P=rng.integers(0, 2, len(columns)),
        window_S=window_S,
        labels={"x": rng.integers(NO_LABEL, 3, len(window_S))},
        hide_S=rng.random(len(window_S)) < 0.7,
    )


def test_joined_samples_are_pieces_with_a_separator_after_each(prepared: Path) -> None:
    found = source(prepared)
    home, pieces = drawn(found, np.random.default_rng(5), 40)
    keys = np.arange(len(pieces.window_S), dtype=np.uint64)
    built = joined_samples(home, pieces, keys, "x", SPECIALS)
    assert np.array_equal(built.count_W, np.bincount(pieces.window_S))
    piece = 0
    for number, sample in enumerate(built.samples):
        window = int(pieces.window_S[number])
        ids, maskable, segments, places, ends = [2], [False], [int(pieces.segment_P[piece])], [NOWHERE], []
        units: dict[str, list[tuple[int, int]]] = {level: [] for level in sample.units}
        for _ in range(int(pieces.count_S[number])):
            shard, document, start, end = (int(column[piece]) for column in pieces.texts.windows.columns)
            tokens = found.shards[shard].token_ids.row(document)[start:end].tolist()
            stops = [int(stop) for stop in found.shards[shard].sentence_ends.row(document)]
            at_home = shard == home.windows.shard_W[window] and document == home.windows.document_W[window]
            begins = [0, *stops[:-1]]
            inside = [min(stop, end) for begin, stop in zip(begins, stops, strict=True) if stop > start and begin < end]
            ends += [stop - start + len(ids) for stop in inside]
            for level in units:
                column = found.shards[shard].units[level]
                for unit in range(column.offsets_D1[document], column.offsets_D1[document + 1]):
                    first = int(column.start_U[unit])
                    last = first + int(column.length_U[unit])
                    if start <= first and last <= end:
                        units[level].append((first - start + len(ids), last - start + len(ids)))
            ids += [*tokens, 3]
            maskable += [bool(pieces.hide_S[number])] * len(tokens) + [False]  # type: ignore[index]
            segments += [int(pieces.segment_P[piece])] * (len(tokens) + 1)
            places += [*(range(start, end) if at_home else [NOWHERE] * len(tokens)), NOWHERE]
            piece += 1
        assert sample.token_ids_T.tolist() == ids
        assert sample.maskable_T.tolist() == maskable
        assert sample.segment_ids_T.tolist() == segments
        assert sample.place_T is not None and sample.place_T.tolist() == places
        assert sample.sentence_ends_S.tolist() == ends
        for level, (start_U, end_U) in sample.units.items():
            assert list(zip(start_U.tolist(), end_U.tolist(), strict=True)) == units[level]
        assert sample.text is not None and sample.text.document_id == home.document_ids[window]


def test_texts_made_by_hand_have_nothing_else_to_read(prepared: Path) -> None:
    home, pieces = drawn(source(prepared), np.random.default_rng(1), 4)
    one = home[1]
    again = Texts.of([home[0], one]).read(pieces.texts.windows)
    assert np.array_equal(again.tokens.values, pieces.texts.tokens.values)
    with pytest.raises(ValueError, match="not read from a prepared folder"):
        Texts.of([replace(one, reader=None)]).read(pieces.texts.windows)
