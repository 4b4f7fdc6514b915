"""Which documents are alike: pairs of equal digests, pairs with a band key in common, and of these the ones whose
sketches agree.

    equal        a task has all digests with some prefixes     ->  pairs (first document with that text, later one)
    candidates   a task has all band keys with some prefixes   ->  pairs (first document with that key, later one), and
                 each with its NEIGHBOURS
    alike        a task has all pairs whose later is in a run  ->  those that agree in enough places

A key that n documents share gives fewer than (1 + NEIGHBOURS) n pairs, not n^2, and a task that meets too many keys
works in pieces: of every key met so far it then keeps the first document and the last ones only, so that pages which a
whole crawl repeats do no harm. What is found depends neither on tasks nor on pieces.

Shape legend: N keys, P pairs, K places of a sketch.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import numpy.typing as npt

from data_prep.filtering.columns import append, mapped
from data_prep.filtering.duplicate_runs import (
    TASK_RECORDS,
    Layout,
    distinct,
    earlier,
    later,
    pairs_between,
    slice_of,
    write_pairs,
)
from data_prep.running.rounds import StepOutputs

NEIGHBOURS = 3
"""With how many documents before it, besides the first, a document is compared that has a key in common with them."""
PIECE_RECORDS = 2 * TASK_RECORDS
"""Keys that a task holds at a time."""
BLOCK_PAIRS = 1 << 16
"""Pairs whose sketches are in memory at a time."""


def find_equal(made: StepOutputs, task: int, folder: Path) -> None:
    """Pairs of equal digests."""
    layout = Layout.read(made)
    digests, documents = [np.zeros((0, 2), np.uint64)], [np.zeros(0, np.uint32)]
    for run in range(layout.runs):
        found, rows = slice_of(made.task("digests", run), "digests", 2, task, layout.equal_tasks)
        digests.append(found)
        documents.append(rows + np.uint32(layout.bounds(run)[0]))
    digests_N2, documents_N = np.concatenate(digests), np.concatenate(documents).astype(np.int64)
    order = np.lexsort((digests_N2[:, 1], digests_N2[:, 0]))
    digests_N2, documents_N = digests_N2[order], documents_N[order]
    again = np.append(False, (digests_N2[1:] == digests_N2[:-1]).all(axis=1))[: len(order)]
    firsts = np.flatnonzero(~again)[np.cumsum(~again) - 1]
    write_pairs(folder / "pairs", documents_N[firsts[again]], documents_N[again])


def find_candidates(made: StepOutputs, task: int, folder: Path) -> None:
    """Pairs with a key in common, in as many files as the keys needed pieces."""
    layout = Layout.read(made)
    keys_N, documents_N = np.zeros(0, np.uint64), np.zeros(0, np.uint32)
    waiting = [(keys_N, documents_N)]
    count, limit, files = 0, PIECE_RECORDS, 0
    for run in range(layout.runs):
        keys, rows = slice_of(made.task("runs", run), "keys", 0, task, layout.key_tasks)
        waiting.append((keys, rows + np.uint32(layout.bounds(run)[0])))
        count += len(keys)
        if count <= limit and run + 1 < layout.runs:
            continue
        keys_N, documents_N = (np.concatenate(column) for column in zip(*waiting, strict=True))
        order = np.argsort(keys_N, kind="stable")  # documents with one key stay in their order
        keys_N, documents_N = keys_N[order], documents_N[order]
        for pairs_P in neighbours(keys_N, documents_N):
            append(folder / f"{files:06d}", pairs_P)
            files += 1
        kept = bounding(keys_N)
        waiting = [(keys_N[kept], documents_N[kept])]
        count = len(kept)
        limit = max(limit, 2 * count)


def neighbours(keys_N: npt.NDArray[np.uint64], documents_N: npt.NDArray[np.uint32]) -> Iterator[npt.NDArray[np.uint64]]:
    """Pairs of documents under sorted keys: those with the first of the same key, then those with the NEIGHBOURS
    before, one after the other."""
    again = np.flatnonzero(keys_N[1:] == keys_N[:-1]) + 1
    heads = np.flatnonzero(np.append(True, keys_N[1:] != keys_N[:-1]))
    first = heads[np.searchsorted(heads, again, "right") - 1]
    yield distinct(documents_N[again].astype(np.uint64) << np.uint64(32) | documents_N[first])
    for distance in range(1, NEIGHBOURS + 1):
        between = again - distance > first
        again, first = again[between], first[between]
        yield distinct(documents_N[again].astype(np.uint64) << np.uint64(32) | documents_N[again - distance])


def bounding(keys_N: npt.NDArray[np.uint64]) -> npt.NDArray[np.int64]:
    """Under sorted keys, where the first and the last NEIGHBOURS of each key stand: all that later documents are
    compared with."""
    first = np.append(True, keys_N[1:] != keys_N[:-1])[: len(keys_N)]
    last = np.ones(len(keys_N), np.bool_)
    if len(keys_N) > NEIGHBOURS:
        last[:-NEIGHBOURS] = keys_N[NEIGHBOURS:] != keys_N[:-NEIGHBOURS]
    return np.flatnonzero(first | last)


def find_alike(made: StepOutputs, run: int, folder: Path, *, places: int, least: int) -> None:
    """The candidates whose sketches agree in at least so many places."""
    layout = Layout.read(made)
    found, limit = [np.zeros(0, np.uint64)], TASK_RECORDS
    for task in range(layout.key_tasks):
        files = sorted(made.task("candidates", task).glob("[0-9]*"))
        found += [pairs_between(file, *layout.bounds(run)) for file in files]
        if sum(map(len, found)) > limit:
            found = [distinct(np.concatenate(found))]
            limit = max(limit, 2 * len(found[0]))
    pairs_P = distinct(np.concatenate(found))
    append(folder / "pairs", pairs_P[agreement(made, layout, pairs_P, places) >= least])


def agreement(made: StepOutputs, layout: Layout, pairs_P: npt.NDArray[np.uint64], places: int) -> npt.NDArray[np.int64]:
    """In how many places the sketches of each pair agree; the later ones are of one run. Each run's file is opened once
    a block."""
    agree_P = np.zeros(len(pairs_P), np.int64)
    order = np.argsort(earlier(pairs_P), kind="stable")
    for start in range(0, len(order), BLOCK_PAIRS):
        chosen = order[start : start + BLOCK_PAIRS]
        one_P, two_P = earlier(pairs_P[chosen]), later(pairs_P[chosen])
        agree_P[chosen] = (sketches_of(made, layout, one_P, places) == sketches_of(made, layout, two_P, places)).sum(
            axis=1
        )
    return agree_P


def sketches_of(
    made: StepOutputs, layout: Layout, documents_P: npt.NDArray[np.int64], places: int
) -> npt.NDArray[np.uint8]:
    """uint8[P, K]: the sketches of some documents, from disk."""
    found_PK = np.empty((len(documents_P), places), np.uint8)
    runs = documents_P // layout.run_documents
    for run in np.unique(runs).tolist():
        chosen = np.flatnonzero(runs == run)
        column = mapped(made.task("runs", run) / "sketches", np.uint8, places)
        found_PK[chosen] = column[documents_P[chosen] - run * layout.run_documents]
    return found_PK
