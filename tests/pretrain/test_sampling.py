"""Order without state: windows, packing, streams and cursors."""

from __future__ import annotations

import itertools
from pathlib import Path

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from data_prep.shards import Prepared
from masking import kernels
from pretrain.feed.sampling import Cursor, MicroBatchSpec, RowSpec, Sampler, Stream, best_fit, micro_batches
from pretrain.feed.sources import Source
from pretrain.feed.texts import Windows
from pretrain.objectives.knowledge_masking import KnowledgeMasking
from pretrain.objectives.sentence_reordering import SentenceReordering


def make_streams(folder: Path, shares: tuple[float, float] = (3, 1)) -> dict[str, Stream]:
    source = Source(name="demo", prepared=Prepared.open(folder), split="train", max_tokens=58)
    tasks = {"knowledge_masking": KnowledgeMasking(), "sentence_reordering": SentenceReordering()}
    streams = [
        Stream(source=source, task=name, objective=task, row_tokens=256, seed=1, share=share)
        for (name, task), share in zip(tasks.items(), shares, strict=True)
    ]
    return {stream.name: stream for stream in streams}


def places(windows: Windows) -> list[list[int]]:
    return np.stack(windows.columns, 1).tolist()  # type: ignore[no-any-return]


@given(st.lists(st.lists(st.integers(1, 40), min_size=0, max_size=12), min_size=1, max_size=6), st.integers(1, 30))
def test_windows_cover_every_token_once_and_cut_only_sentences_that_are_too_long(
    documents: list[list[int]], limit: int
) -> None:
    ends = np.array([end for lengths in documents for end in itertools.accumulate(lengths)], np.uint32)
    offsets = np.array([0, *itertools.accumulate(len(lengths) for lengths in documents)], np.int32)
    found = list(zip(*(column.tolist() for column in kernels.group_ragged(ends, offsets, limit)), strict=True))
    for number, lengths in enumerate(documents):
        mine = [(start, end) for document, start, end in found if document == number]
        covered = [token for start, end in mine for token in range(start, end)]
        assert covered == list(range(sum(lengths)))
        assert all(0 < end - start <= limit for start, end in mine)
        sentence_ends = set(itertools.accumulate(lengths))
        long = {
            position
            for length, end in zip(lengths, itertools.accumulate(lengths), strict=True)
            if length > limit
            for position in range(end - length, end)
        }
        assert all(end in sentence_ends or end in long for _, end in mine)


def rows_of(lengths: np.ndarray, capacity: int) -> list[list[int]]:
    items, offsets = best_fit(lengths, capacity)
    return [items[first:last].tolist() for first, last in itertools.pairwise(offsets.tolist())]


@given(st.lists(st.integers(1, 64), min_size=1, max_size=200))
def test_best_fit_places_every_item_once_and_never_overfills(lengths: list[int]) -> None:
    bins = rows_of(np.array(lengths), 64)
    assert sorted(item for row in bins for item in row) == list(range(len(lengths)))
    assert all(sum(lengths[item] for item in row) <= 64 for row in bins)


def slow_best_fit(lengths: list[int], capacity: int) -> list[list[int]]:
    """The longest first, each into the fullest bin that still holds it, of equally full ones the first."""
    bins: list[list[int]] = []
    free: list[int] = []
    for item in sorted(range(len(lengths)), key=lambda item: -lengths[item]):
        fitting = [number for number, room in enumerate(free) if room >= lengths[item]]
        if fitting:
            best = min(fitting, key=lambda number: free[number])
            bins[best].append(item)
            free[best] -= lengths[item]
        else:
            bins.append([item])
            free.append(capacity - lengths[item])
    return bins


@given(st.lists(st.integers(1, 64), min_size=1, max_size=200), st.integers(64, 300))
def test_best_fit_makes_the_bins_of_the_plain_algorithm(lengths: list[int], capacity: int) -> None:
    assert rows_of(np.array(lengths), capacity) == slow_best_fit(lengths, capacity)


def test_best_fit_worked_example() -> None:
    assert rows_of(np.array([5, 4, 3, 2]), 7) == [[0, 3], [1, 2]]


def test_an_epoch_shows_every_window_once_in_an_order_that_changes_with_the_epoch(prepared: Path) -> None:
    stream = make_streams(prepared)["demo/knowledge_masking"]
    orders = []
    cursor = Cursor()
    for epoch in range(2):
        windows: list[list[int]] = []
        while cursor.epoch == epoch:
            row, cursor = stream.next(cursor)
            windows += places(row.windows)
        assert sorted(windows) == [place for part in stream.source.all_windows() for place in places(part)]
        orders.append(windows)
    assert orders[0] != orders[1]


def test_rows_follow_the_shares_of_their_tasks(prepared: Path) -> None:
    sampler = Sampler(streams=make_streams(prepared), rows_per_step=4)
    cursors: dict[str, Cursor] = {}
    for _ in range(10):
        _, cursors = sampler.step(cursors)
    assert {name: cursor.served for name, cursor in cursors.items()} == {
        "demo/knowledge_masking": 30,
        "demo/sentence_reordering": 10,
    }


def test_the_rows_of_a_step_do_not_depend_on_the_number_of_ranks(prepared: Path) -> None:
    sampler = Sampler(streams=make_streams(prepared), rows_per_step=4)

    def shown(row: RowSpec) -> str:
        return f"{row.stream} {row.epoch} {places(row.windows)}"

    def rows(world: int, size: int) -> list[list[str]]:
        per_rank = [list(micro_batches(sampler, {}, range(3), 3, size, rank, world, {})) for rank in range(world)]
        return [
            sorted(shown(row) for spec in itertools.chain(*per_rank) if spec.step == step for row in spec.rows)
            for step in range(3)
        ]

    assert rows(1, 1) == rows(1, 4) == rows(2, 2) == rows(4, 1)


def test_continuing_from_a_cursor_gives_the_rows_of_an_uninterrupted_run(prepared: Path) -> None:
    sampler = Sampler(streams=make_streams(prepared), rows_per_step=4)
    states: dict[int, dict[str, Cursor]] = {}
    whole = list(micro_batches(sampler, {}, range(60), 60, 4, 0, 1, states))
    again = Sampler(streams=make_streams(prepared), rows_per_step=4)
    rest = list(micro_batches(again, states[33], range(34, 60), 60, 4, 0, 1, {}))

    def shown(specs: list[MicroBatchSpec]) -> list[object]:
        return [
            (spec.step, spec.progress, spec.first, [(row.stream, row.epoch, places(row.windows)) for row in spec.rows])
            for spec in specs
        ]

    assert shown(rest) == shown(whole[34:])
