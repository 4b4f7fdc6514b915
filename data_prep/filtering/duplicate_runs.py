"""Runs: the columns of many small parts gathered into few large files, so that what is alike can be brought together by
reading slices.

    parts    8 MB of text each: hundreds of thousands of them       ->  runs of RUN_DOCUMENTS documents each, across
             parts
    run      digests and band keys, sorted, with the document each is of; `fences` say where each of 4,096 prefixes
             begins; sketches

A task that is to see all keys with some prefixes reads one slice of every run, one file after the other: no process
holds more than a few files open, however many parts there are. Documents have numbers from 0 over all parts, less than
2^32; a pair of documents is one uint64, the later above the earlier, and a file of pairs is sorted.

Shape legend: D documents of a run, P pairs, B bands, K places of a sketch.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from data_prep.files import read_json, write_json
from data_prep.filtering.columns import Array, append, mapped, rows
from data_prep.running.rounds import StepOutputs

RUN_DOCUMENTS = 1 << 19
"""Documents of a run: with 32 bands, .6 GB of keys and their order while it is sorted."""
TASK_RECORDS = 1 << 23
"""Keys, about, that a task is to bring together."""
PREFIX_BITS = 12
MOST_DOCUMENTS = 1 << 32
_LATER = np.uint64(32)


class RunPiece(NamedTuple):
    """Some rows of one part."""

    part: int
    start: int
    stop: int
    begin: int
    """Number of the first one over all parts."""


@dataclass(frozen=True, kw_only=True)
class Layout:
    """How the documents are divided."""

    starts: npt.NDArray[np.int64]
    """Number of the first document of every part, and how many there are in all."""
    run_documents: int
    equal_tasks: int
    """Tasks that the digests are divided among."""
    key_tasks: int
    """Tasks that the band keys are divided among."""

    @classmethod
    def read(cls, made: StepOutputs) -> Layout:
        """What ``lay_out`` has written."""
        folder = made.task("layout", 0)
        return cls(starts=mapped(folder / "starts", np.int64), **read_json(folder / "layout.json"))

    @property
    def documents(self) -> int:
        """How many there are."""
        return int(self.starts[-1])

    @property
    def runs(self) -> int:
        """How many there are."""
        return -(-self.documents // self.run_documents)

    def bounds(self, run: int) -> tuple[int, int]:
        """Numbers of the first document of a run, and of the one after its last."""
        return run * self.run_documents, min(self.documents, (run + 1) * self.run_documents)

    def pieces(self, start: int, stop: int) -> Iterator[RunPiece]:
        """The parts' rows that documents ``start`` to ``stop`` are."""
        part = int(np.searchsorted(self.starts, start, "right")) - 1
        while start < stop:
            begin, end = self.starts[part : part + 2].tolist()
            last = min(end, stop)
            if last > start:
                yield RunPiece(part, start - begin, last - begin, start)
            start, part = last, part + 1


def lay_out(made: StepOutputs, task: int, folder: Path, *, bands: int) -> None:
    """Count the documents and divide the work."""
    counts = [(part / "numbers").stat().st_size // 8 for part in made.parts]
    documents = sum(counts)
    if documents >= MOST_DOCUMENTS:
        raise ValueError(f"duplicates: {documents:,} documents are more than {MOST_DOCUMENTS - 1:,}; divide the corpus")
    append(folder / "starts", np.cumsum([0, *counts], dtype=np.int64))
    tasks = {
        name: min(1 << PREFIX_BITS, -(-documents * keys // TASK_RECORDS))
        for name, keys in (("equal_tasks", 1), ("key_tasks", bands))
    }
    write_json(folder / "layout.json", {"run_documents": RUN_DOCUMENTS, **tasks})


def gather_digests(made: StepOutputs, run: int, folder: Path) -> None:
    """Sort the digests of a run. Of equal ones only the first goes on; the others are `pairs` already."""
    layout = Layout.read(made)
    start, stop = layout.bounds(run)
    digests_D2 = np.concatenate(
        [
            rows(made.parts[item.part] / "digests", np.uint64, item.start, item.stop, 2)
            for item in layout.pieces(start, stop)
        ]
    )
    order = np.lexsort((digests_D2[:, 1], digests_D2[:, 0]))  # stable: equal digests stay in their order
    sorted_D2 = digests_D2[order]
    new = np.append(True, (sorted_D2[1:] != sorted_D2[:-1]).any(axis=1))
    firsts = order[np.flatnonzero(new)[np.cumsum(new) - 1]]
    write_pairs(folder / "pairs", start + firsts[~new], start + order[~new])
    append(folder / "digests", sorted_D2[new])
    append(folder / "rows", order[new].astype(np.uint32))
    append(folder / "fences", fences(sorted_D2[new, 0]))


def gather_keys(made: StepOutputs, run: int, folder: Path, *, bands: int, places: int) -> None:
    """Sort the band keys of a run; copy its sketches. Documents that are equal to an earlier one have no keys."""
    layout = Layout.read(made)
    start, stop = layout.bounds(run)
    wanted_D = np.concatenate(
        [rows(made.parts[item.part] / "usable", np.bool_, item.start, item.stop) for item in layout.pieces(start, stop)]
    )
    for pairs in equal_pairs(made, layout, run):
        wanted_D[later(pairs) - start] = False
    keys = np.empty(np.count_nonzero(wanted_D) * bands, np.uint64)
    at = 0
    for item in layout.pieces(start, stop):
        found = rows(made.parts[item.part] / "bands", np.uint64, item.start, item.stop, bands)
        found = found[wanted_D[item.begin - start :][: len(found)]]
        keys[at : at + found.size] = found.ravel()
        at += found.size
        append(folder / "sketches", rows(made.parts[item.part] / "sketches", np.uint8, item.start, item.stop, places))
    order = np.argsort(keys, kind="stable")
    keys = keys[order]
    append(folder / "keys", keys)
    append(folder / "fences", fences(keys))
    order //= bands
    append(folder / "rows", np.flatnonzero(wanted_D).astype(np.uint32)[order])


def fences(keys: npt.NDArray[np.uint64]) -> npt.NDArray[np.int64]:
    """int64[4097]: where in sorted keys each prefix begins, and their number."""
    firsts = np.arange(1 << PREFIX_BITS, dtype=np.uint64) << np.uint64(64 - PREFIX_BITS)
    return np.append(np.searchsorted(keys, firsts), len(keys)).astype(np.int64)


def slice_of(folder: Path, name: str, width: int, task: int, tasks: int) -> tuple[Array, npt.NDArray[np.uint32]]:
    """The keys of a run that belong to one of ``tasks`` tasks, with the rows of their documents."""
    first, last = ((index << PREFIX_BITS) // tasks for index in (task, task + 1))
    start = int(rows(folder / "fences", np.int64, first, first + 1)[0])
    stop = int(rows(folder / "fences", np.int64, last, last + 1)[0])
    return rows(folder / name, np.uint64, start, stop, width), rows(folder / "rows", np.uint32, start, stop)


def equal_pairs(made: StepOutputs, layout: Layout, run: int) -> Iterator[npt.NDArray[np.uint64]]:
    """Pairs of equal documents of which the later is in a run: with the first of all, then with the first of the
    run."""
    for task in range(layout.equal_tasks):
        yield pairs_between(made.task("equal", task) / "pairs", *layout.bounds(run))
    yield pairs_between(made.task("digests", run) / "pairs", *layout.bounds(run))


def write_pairs(file: Path, earlier_P: npt.NDArray[np.int64], later_P: npt.NDArray[np.int64]) -> None:
    """Write a file of pairs."""
    append(file, np.sort(later_P.astype(np.uint64) << _LATER | earlier_P.astype(np.uint64)))


def distinct(values: npt.NDArray[np.uint64]) -> npt.NDArray[np.uint64]:
    """What is in ``values``, once and sorted (by sorting: numpy's own `unique` hashes, at twenty times the cost)."""
    values = np.sort(values)
    found: npt.NDArray[np.uint64] = values[np.append(True, values[1:] != values[:-1])[: len(values)]]
    return found


def pairs_between(file: Path, start: int, stop: int) -> npt.NDArray[np.uint64]:
    """Those pairs of a file of which the later is one of the documents ``start`` to ``stop``."""
    values = (
        mapped(file, np.uint64) if file.stat().st_size else np.zeros(0, np.uint64)
    )  # none is not the same as no file
    first, last = np.searchsorted(values, np.array([start, stop], np.uint64) << _LATER)
    return np.array(values[first:last])


def earlier(pairs_P: npt.NDArray[np.uint64]) -> npt.NDArray[np.int64]:
    """The earlier document of each pair."""
    return (pairs_P & np.uint64(MOST_DOCUMENTS - 1)).astype(np.int64)


def later(pairs_P: npt.NDArray[np.uint64]) -> npt.NDArray[np.int64]:
    """The later document of each pair."""
    return (pairs_P >> _LATER).astype(np.int64)
