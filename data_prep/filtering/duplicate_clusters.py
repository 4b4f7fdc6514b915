"""Clusters: which document stands for each, and what is written about the others.

    clusters   all pairs, one process     ->  roots uint32: the first document of each one's cluster; kept: the roots of
               clusters
    entries    the documents of a run     ->  an entry for each that is not its own root (see dropped.py), and the ids
               of those that stay
    result     one after the other

Joining takes 5 bytes a document (5 GB for 10^9), whatever the pairs; they are read in blocks.

Shape legend: D documents, P pairs.
"""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import numpy.typing as npt

from data_prep.files import write_json
from data_prep.filtering.columns import Texts, append, mapped, rows, write_texts
from data_prep.filtering.dropped import ENTRY
from data_prep.filtering.duplicate_pairs import agreement
from data_prep.filtering.duplicate_runs import Layout, earlier, equal_pairs, later
from data_prep.filtering.minhash import similarity
from data_prep.running.rounds import StepOutputs

BLOCK = 1 << 20


def join(made: StepOutputs, task: int, folder: Path, *, near: bool) -> None:
    """Find the root of every document."""
    from data_prep.kernels import find_roots, unite

    layout = Layout.read(made)
    parents_D = np.arange(layout.documents, dtype=np.uint32)
    for file in pair_files(made, layout, near):
        count = file.stat().st_size // 8
        for start in range(0, count, BLOCK):
            pairs_P = rows(file, np.uint64, start, min(start + BLOCK, count))
            unite(parents_D, earlier(pairs_P), later(pairs_P))
    kept_D = np.zeros(layout.documents, np.bool_)
    find_roots(parents_D, kept_D)
    append(folder / "roots", parents_D)
    append(folder / "kept", np.zeros(0, np.int64))
    for start in range(0, len(kept_D), BLOCK):
        append(folder / "kept", start + np.flatnonzero(kept_D[start : start + BLOCK]))


def pair_files(made: StepOutputs, layout: Layout, near: bool) -> Iterator[Path]:
    """All files of pairs of one cluster."""
    for name, tasks in (("equal", layout.equal_tasks), ("digests", layout.runs), ("alike", layout.runs if near else 0)):
        yield from (made.task(name, task) / "pairs" for task in range(tasks))


def describe(made: StepOutputs, run: int, folder: Path, *, near: bool, places: int) -> None:
    """Write the entries of the documents of a run that are dropped, and the ids of those in it that stand for
    others."""
    layout = Layout.read(made)
    start, stop = layout.bounds(run)
    roots_D = rows(made.task("clusters", 0) / "roots", np.uint32, start, stop).astype(np.int64)
    dropped = np.flatnonzero(roots_D != np.arange(start, stop))
    kept = mapped(made.task("clusters", 0) / "kept", np.int64)
    entries = np.zeros(len(dropped), ENTRY)
    numbers_D = np.concatenate(
        [
            rows(made.parts[item.part] / "numbers", np.int64, item.start, item.stop)
            for item in layout.pieces(start, stop)
        ]
    )
    entries["part"] = np.searchsorted(layout.starts, start + dropped, "right") - 1
    entries["number"] = numbers_D[dropped]
    entries["kept"] = np.searchsorted(kept, roots_D[dropped])
    entries["similarity"] = 1
    inexact = np.flatnonzero(first_equal(made, layout, run)[dropped] != roots_D[dropped])
    if near:
        pairs_P = (start + dropped[inexact]).astype(np.uint64) << np.uint64(32) | roots_D[dropped[inexact]].astype(
            np.uint64
        )
        entries["similarity"][inexact] = similarity(agreement(made, layout, pairs_P, places) / places)
    entries["near"][inexact] = True
    append(folder / "entries", entries)
    first, last = np.searchsorted(kept, [start, stop])
    write_texts(folder, "kept", list(ids_of(made, layout, np.array(kept[first:last]))))


def first_equal(made: StepOutputs, layout: Layout, run: int) -> npt.NDArray[np.int64]:
    """int64[D]: for every document of a run the first of all that equal it."""
    start, stop = layout.bounds(run)
    first_D = np.arange(start, stop)
    for pairs_P in equal_pairs(made, layout, run):
        firsts = earlier(pairs_P)
        here = firsts >= start
        firsts[here] = first_D[firsts[here] - start]  # the first of the run may equal an earlier one
        first_D[later(pairs_P) - start] = firsts
    return first_D


def ids_of(made: StepOutputs, layout: Layout, documents: npt.NDArray[np.int64]) -> Iterator[str]:
    """The ids of documents in ascending order."""
    parts = np.searchsorted(layout.starts, documents, "right") - 1
    for part in np.unique(parts).tolist():
        column = Texts(made.parts[part], "ids")
        yield from (column[row] for row in (documents[parts == part] - layout.starts[part]).tolist())


def publish_clusters(made: StepOutputs, folder: Path) -> None:
    """One file per column, for `Dropped`, and how many there are of each kind."""
    layout = Layout.read(made)
    exact = near = kept = 0
    in_part = np.zeros(len(made.parts), np.int64)
    text_end = 0
    for name in ("entries", "kept.bytes", "kept.ends", "part_ends"):
        (folder / name).touch()
    for run in range(layout.runs):
        source = made.task("entries", run)
        for name in ("entries", "kept.bytes"):
            with (source / name).open("rb") as piece, (folder / name).open("ab") as whole:
                shutil.copyfileobj(piece, whole, 1 << 20)
        entries, ends = mapped(source / "entries", ENTRY), mapped(source / "kept.ends", np.int64)
        append(folder / "kept.ends", text_end + ends)
        text_end += int(ends[-1]) if len(ends) else 0
        in_part += np.bincount(entries["part"], minlength=len(in_part))
        near += int(np.count_nonzero(entries["near"]))
        exact += len(entries)
        kept += len(ends)
    append(folder / "part_ends", np.cumsum(in_part))
    write_json(
        folder / "counts.json",
        {"documents": layout.documents, "duplicates": exact - near, "near_duplicates": near, "clusters": kept},
    )
