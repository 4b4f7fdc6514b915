"""Read every input once: its hash, its size, and where it may be divided.

    files of all corpora  --batches of neighbours, by any engine-->  Surveyed (sha256, size and slices of each)

Files of a large corpus are surveyed in parallel and by every launch that shares the folder, and what was found is kept
under PREPARED/survey: a batch whose files have the sizes, times and inodes they had is not read again when the run is
continued, or when another command looks at the same corpus. The slices of compressed files are kept unpacked under
PREPARED/unpacked until the run has finished.
"""

from __future__ import annotations

import dataclasses
import json
import zlib
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from data_prep.arrow_arrays import numbers, texts, values_of
from data_prep.arrow_files import read_table, write_table
from data_prep.component_settings import settings_of
from data_prep.corpora import Corpus
from data_prep.documents import Place
from data_prep.engines import Engine
from data_prep.files import read_json, sha256_json, staging_name, write_atomic
from data_prep.inputs.file_names import FoundFiles
from data_prep.running.notes import Moment, Note
from data_prep.running.supervision import Task, Watch, run_all

SHARED_BYTES, SHARED_FILES = 1 << 24, 2000
"""Smaller corpora are surveyed faster than a process starts."""
BATCH_BYTES, BATCH_FILES = 1 << 25, 256
"""A batch ends where one of these is reached, or after about so many files by their names: a file that grows moves few
other batches."""
UNPACKED, SURVEYS = "unpacked", "survey"
FORMAT = 2
"""Raised when a survey of an unchanged file may come out differently."""


class Surveyed(NamedTuple):
    """The survey of one batch of files."""

    number: int
    sha256: list[str]
    size: list[int]
    slices: list[list[int]]
    """[file (counted in the batch), start, end, line, size]."""


@dataclass(frozen=True)
class Listing:
    """The files of all corpora, in order. In workers it is mapped from ``file``; None: it is held in memory."""

    file: Path | None
    held: Any = None
    """Arrow table: corpus, path, bytes on disk, batch."""

    @staticmethod
    def of(found: Sequence[FoundFiles]) -> Listing:
        """The files of each of the corpora."""
        import pyarrow as pa

        paths, sizes = [name for one in found for name in one.names], [size for one in found for size in one.sizes]
        corpus_F = np.repeat(np.arange(len(found), dtype=np.int32), [len(one.names) for one in found])
        columns = [numbers(corpus_F), texts(paths, large=True), numbers(np.array(sizes, np.int64))]
        return Listing(
            None,
            pa.Table.from_arrays(
                [*columns, numbers(np.array(batches(paths, sizes), np.int32))], ["corpus", "path", "bytes", "batch"]
            ),
        )

    def kept_in(self, folder: Path) -> Listing:
        """The same, mapped from a file of its own in ``folder``."""
        folder.mkdir(parents=True, exist_ok=True)
        file = folder / staging_name("files")
        write_table(self.table, file)
        return Listing(file)

    @cached_property
    def table(self) -> Any:
        """The Arrow table."""
        assert self.held is not None or self.file is not None
        return self.held if self.file is None else read_table(self.file)

    @cached_property
    def bytes_F(self) -> npt.NDArray[np.int64]:
        """Size of each file on disk."""
        return self._numbers("bytes")

    @cached_property
    def _batch_F(self) -> npt.NDArray[Any]:
        return self._numbers("batch")

    def _numbers(self, name: str) -> npt.NDArray[Any]:
        return values_of(self.table.column(name))

    def lies_elsewhere(self) -> bool:
        """Is something not on the disk, a dataset of the hub?"""
        return any(
            not Path(self.table.column("path")[int(number)].as_py()).exists()
            for number in np.flatnonzero(self.bytes_F == 0)
        )

    @property
    def batches(self) -> int:
        """Number of batches."""
        return int(self._batch_F[-1]) + 1 if len(self._batch_F) else 0

    def files(self, batch: int) -> list[tuple[int, Path]]:
        """Corpus and path of the files of a batch."""
        first, last = (int(place) for place in np.searchsorted(self._batch_F, [batch, batch + 1]))
        piece = self.table.slice(first, last - first)
        return [
            (number, Path(path))
            for number, path in zip(piece.column("corpus").to_pylist(), piece.column("path").to_pylist(), strict=True)
        ]

    def batch_bytes(self) -> list[int]:
        """Size of each batch on disk."""
        found = np.zeros(self.batches, np.int64)
        np.add.at(found, self._batch_F, self.bytes_F)
        return found.tolist()  # type: ignore[no-any-return]

    def __getstate__(self) -> dict[str, Any]:
        return {"file": self.file, "held": None if self.file else self.held}


def batches(paths: Sequence[str], sizes: Sequence[int]) -> list[int]:
    """The number of the batch of each file."""
    found: list[int] = []
    number, filled = -1, BATCH_BYTES
    for path, size in zip(paths, sizes, strict=True):
        if filled + size // 2 >= BATCH_BYTES or zlib.crc32(path.encode("utf-8", "surrogateescape")) % BATCH_FILES == 0:
            number, filled = number + 1, 0
        found.append(number)
        filled += size
    return found


@dataclass(frozen=True, kw_only=True)
class Surveyor(Task):
    """Surveys one batch of files; sent to worker processes."""

    corpora: Sequence[Corpus]
    listing: Listing
    part_bytes: int
    """Size of slices."""
    watch: Watch
    stage: str = "survey"

    def kept(self, part: int) -> Path | None:
        """Where the survey of a batch as it is now is kept; None when there is a file in it that cannot be looked
        at."""
        states: list[list[Any]] = []
        for number, path in self.listing.files(part):
            try:
                states.append([number, str(path), self.corpora[number].identity(path)])
            except OSError:
                return None
        settings = {
            str(number): settings_of(self.corpora[number], drop=("paths",))
            for number in dict.fromkeys(state[0] for state in states)
        }
        key = sha256_json([FORMAT, settings, states, self.part_bytes])
        return self.watch.folder / SURVEYS / f"{key[:24]}.json"

    def finished(self, part: int) -> Surveyed | None:
        kept = self.kept(part)
        if kept is None or not kept.is_file():
            return None
        try:
            found = read_json(kept)
            return Surveyed(part, found["sha256"], found["size"], found["slices"])
        except (ValueError, KeyError, TypeError):
            return None

    def make(self, part: int) -> Surveyed:
        kept = self.kept(part)  # before it is read: a file that changes meanwhile is not taken for the new one
        with self.watch.noting(self.stage, part) as note:
            found = self.survey(part, self.watch.folder / UNPACKED, note)
        if kept is not None:
            write_atomic(kept, json.dumps({"sha256": found.sha256, "size": found.size, "slices": found.slices}))
        return found

    def survey(self, part: int, unpacked: Path | None = None, note: Note | None = None) -> Surveyed:
        """Read the files of a batch. The note tells which, and blames none: a file is no document that could be left
        out."""
        found = Surveyed(part, [], [], [])
        for at, (number, path) in enumerate(self.listing.files(part)):
            if note:
                note.after(at, at, Place(str(path), 1, 0))
            survey = self.corpora[number].survey(path, self.part_bytes, unpacked)
            found.sha256.append(survey.sha256)
            found.size.append(survey.size)
            found.slices.extend([at, *piece[1:]] for piece in survey.slices)
        return found

    def path_of(self, part: int, moment: Moment | None) -> str:
        return str(self.listing.files(part)[max(0, moment.number) if moment else 0][1])


def survey_all(
    surveyor: Surveyor, engine: Engine | None, unpacked: Path | None, listen: Callable[[int], None]
) -> list[Surveyed]:
    """The surveys of all batches, in their order; ``listen`` hears how many bytes are read.

    Without an engine they are made here and not kept, apart from what ``unpacked`` is for.
    """
    listing = surveyor.listing
    sizes = listing.batch_bytes()
    seen = 0
    results: Iterator[Surveyed]
    if engine is None:
        results = (surveyor.survey(part, unpacked) for part in range(len(sizes)))
    else:
        kept = listing.kept_in(surveyor.watch.folder / surveyor.watch.launch)
        results = run_all(engine, dataclasses.replace(surveyor, listing=kept), range(len(sizes)))
    found: dict[int, Surveyed] = {}
    for result in results:
        found[result.number] = result
        seen += sizes[result.number]
        listen(seen)
    return [found[part] for part in range(len(sizes))]
