"""How a corpus is divided: the size of its parts, the slices in each, and the names under which its documents are
counted."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import numpy.typing as npt

from data_prep.corpora import Corpus
from data_prep.preparing.surveying import Listing, Surveyed

MIN_PART_BYTES, MAX_PART_BYTES, MOST_PART_BYTES = 1 << 20, 1 << 23, 1 << 26
WANTED_PARTS, MOST_PARTS = 64, 1 << 13
MANY_FILES = 100
"""An entry of `corpora` with more files than this, and no `source`, is one source: counted by files, nobody could read
the result."""


def wanted_bytes(total: int) -> int:
    """Text per part of a corpus of ``total`` bytes: about 64 parts, of 1 to 8 MiB; of a very large one about 8,192, of
    up to 64 MiB."""
    return min(MOST_PART_BYTES, max(MIN_PART_BYTES, min(MAX_PART_BYTES, total // WANTED_PARTS), total // MOST_PARTS))


def joined_slices(listing: Listing, surveys: Sequence[Surveyed]) -> npt.NDArray[np.int64]:
    """int64[S, 5]: file, start, end, line and size of all slices, in the order of the files."""
    first, found = 0, [np.zeros((0, 5), np.int64)]
    for survey in surveys:
        slices_S5 = np.array(survey.slices, np.int64).reshape(-1, 5)
        slices_S5[:, 0] += first
        found.append(slices_S5)
        first += len(survey.size)
    return np.concatenate(found)


def parts_of(sizes: Sequence[int], part_bytes: int) -> list[int]:
    """The part of each slice: slices are joined in order into parts of about ``part_bytes``."""
    found: list[int] = []
    part, filled = -1, part_bytes
    for size in sizes:
        if filled + size // 2 >= part_bytes:
            part, filled = part + 1, 0
        found.append(part)
        filled += size
    return found


def sources_of(corpora: Sequence[Corpus], numbers: Sequence[int], listing: Listing) -> list[str]:
    """The name under which the documents of each file are counted: where one entry has very many files, that of their
    common folder."""
    paths: list[str] = listing.table.column("path").to_pylist()
    common: dict[int, str] = {}
    for number, count in Counter(numbers).items():
        if count > MANY_FILES and not corpora[number].source:
            folder = os.path.commonpath(
                [str(Path(path).parent) for path, owner in zip(paths, numbers, strict=True) if owner == number]
            )
            common[number] = Path(folder).name or f"corpus-{number + 1}"
    return [common.get(number) or corpora[number].source_of(path) for number, path in zip(numbers, paths, strict=True)]
