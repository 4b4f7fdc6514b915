"""What is read by whom: the files of a preparation and its parts, as columns on disk of which a worker maps what it
needs.

    PREPARED/plan.json                     settings, labels, levels, fingerprint; how many files, parts and bytes;
                                           where the columns are
    PREPARED/plan-08c1f0.../files.arrow    path, corpus, source, sha256, size     one row a file
    PREPARED/plan-08c1f0.../slices.arrow   part, file, start, end, line, size     one row a slice,
                                           in the order of the parts

A plan in memory travels to workers with its columns; one that was written (or read back) travels as the name of its
folder, so that a corpus of a million files costs each worker no more than one of a few. The same content read from
another place is the same plan with other paths, and other columns.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from data_prep.arrow_arrays import numbers, texts, values_of
from data_prep.arrow_files import write_table
from data_prep.files import read_json, staged_folder
from data_prep.plan_columns import FILES, SLICES, Columns, PlannedFile, PlannedSlice

PLAN = "plan.json"


@dataclass(frozen=True, kw_only=True)
class Plan:
    """A preparation's plan. Two with equal fingerprints make equal shards."""

    settings: Mapping[str, Any]
    labels: Sequence[Mapping[str, Any]]
    levels: Sequence[str]
    fingerprint: str
    columns: Columns
    left_out: Sequence[Mapping[str, Any]] = ()
    """Files under the patterns that are not read: path, reason, detail. They are no part of the fingerprint."""

    @staticmethod
    def of(
        settings: Mapping[str, Any],
        labels: Sequence[Mapping[str, Any]],
        levels: Sequence[str],
        files: Mapping[str, Any],
        parts: Sequence[int] | npt.NDArray[np.int64],
        slices_S5: npt.NDArray[np.int64],
    ) -> Plan:
        """A plan in memory. ``files`` has a list for each field of PlannedFile; ``parts`` the part of each slice,
        ascending."""
        import pyarrow as pa

        sources = (
            texts(files["source"]).dictionary_encode()
            if files["source"]
            else pa.array([], pa.dictionary(pa.int32(), pa.string()))
        )
        columns = [texts(files["path"], large=True), numbers(np.asarray(files["corpus"], np.int32)), sources]
        columns += [texts(files["sha256"]), numbers(np.asarray(files["size"], np.int64))]
        of_files = pa.Table.from_arrays(columns, list(PlannedFile._fields)).combine_chunks()
        of_slice: list[npt.NDArray[Any]] = [
            np.asarray(parts, np.int32),
            slices_S5[:, 0].astype(np.int32),
            *(np.ascontiguousarray(slices_S5[:, at]) for at in range(1, 5)),
        ]
        of_slices = pa.Table.from_arrays([numbers(column) for column in of_slice], ["part", *PlannedSlice._fields])
        name = fingerprint(settings, (_identity(row) for row in _rows(of_files)), labels, levels)
        return Plan(
            settings=settings,
            labels=labels,
            levels=levels,
            fingerprint=name,
            columns=Columns(None, (of_files, of_slices)),
        )

    @staticmethod
    def read(folder: Path) -> Plan:
        """The plan of a prepared folder.

        Raises:
            FileNotFoundError: none was ever written.
            ValueError: it is damaged.
        """
        plan = read_json(folder / PLAN)
        try:
            if isinstance(plan["parts"], list):  # as earlier versions wrote it
                return _of_one_file(plan)
            kept = {name: plan[name] for name in ("settings", "labels", "levels", "fingerprint")}
            return Plan(**kept, columns=Columns(folder / plan["columns"]), left_out=plan["left_out"])
        except (KeyError, TypeError, IndexError) as error:
            raise ValueError(f"{folder / PLAN} is no plan ({error}). Delete {folder} and prepare again.") from None

    def plain(self) -> dict[str, Any]:
        """What plan.json holds."""
        counts = {
            "files": self.files,
            "parts": self.parts,
            "bytes": self.bytes,
            "columns": self.columns_name,
            "left_out": list(self.left_out),
        }
        return {
            "settings": self.settings,
            "labels": self.labels,
            "levels": self.levels,
            "fingerprint": self.fingerprint,
            **counts,
        }

    def write_columns(self, folder: Path) -> Plan:
        """The same plan with its columns in a folder of their own inside ``folder``, from where workers map them."""
        target = folder / self.columns_name
        if not all((target / name).is_file() for name in (FILES, SLICES)):
            with staged_folder(target) as staging:
                for name, table in zip((FILES, SLICES), self.columns.tables, strict=True):
                    write_table(table, staging / name)
        return replace(self, columns=Columns(target))

    @cached_property
    def columns_name(self) -> str:
        """The folder of the columns: another one where the same content lies under other paths."""
        found = hashlib.sha256(self.fingerprint.encode())
        for file in self.all_files():
            found.update(b"\0" + file.path.encode("utf-8", "surrogateescape"))
        return f"plan-{found.hexdigest()[:16]}"

    @cached_property
    def files(self) -> int:
        """Number of files."""
        return int(self.columns.tables[0].num_rows)

    @cached_property
    def parts(self) -> int:
        """Number of parts."""
        return int(self._part_S[-1]) + 1 if len(self._part_S) else 0

    @cached_property
    def bytes(self) -> int:
        """Text of all files."""
        return int(self.columns.column(0, "size").sum())

    @cached_property
    def slice_bytes(self) -> int:
        """Text of all parts."""
        return int(self.columns.column(1, "size").sum())

    @cached_property
    def _part_S(self) -> npt.NDArray[np.int32]:
        return self.columns.column(1, "part")

    @cached_property
    def _slices(self) -> list[npt.NDArray[Any]]:
        return [self.columns.column(1, name) for name in PlannedSlice._fields]

    def slices(self, part: int) -> list[PlannedSlice]:
        """What a part reads, in order."""
        first, last = (int(place) for place in np.searchsorted(self._part_S, np.array([part, part + 1], np.int32)))
        return [
            PlannedSlice(*row) for row in zip(*(column[first:last].tolist() for column in self._slices), strict=True)
        ]

    def part_bytes(self, part: int) -> int:
        """Text of a part."""
        return sum(piece.size for piece in self.slices(part))

    def file(self, number: int) -> PlannedFile:
        """A file by its number."""
        table = self.columns.tables[0]
        return PlannedFile(*(table.column(name)[number].as_py() for name in PlannedFile._fields))

    def all_files(self) -> Iterator[PlannedFile]:
        """All files in order."""
        return _rows(self.columns.tables[0])

    def all_slices(self) -> Iterator[PlannedSlice]:
        """All slices in the order of the parts."""
        return (PlannedSlice(*row) for row in zip(*(column.tolist() for column in self._slices), strict=True))

    def empty_files(self) -> list[str]:
        """Paths of the files without a single byte of text."""
        return [self.file(int(number)).path for number in np.flatnonzero(self.columns.column(0, "size") == 0)]

    def source_bytes(self) -> dict[str, int]:
        """Text of each source."""
        return {name: size for name, (size, _) in self.sources().items()}

    def sources(self) -> dict[str, tuple[int, int]]:
        """For each source, the bytes of its text and the number of its files."""
        if not self.files:
            return {}
        source = self.columns.tables[0].column("source").combine_chunks()
        source = source.chunk(0) if hasattr(source, "chunk") else source
        number_F = values_of(source.indices)
        names: list[str] = source.dictionary.to_pylist()
        sizes, counts = np.zeros(len(names), np.int64), np.bincount(number_F, minlength=len(names))
        np.add.at(sizes, number_F, self.columns.column(0, "size"))
        return {name: (int(size), int(count)) for name, size, count in zip(names, sizes, counts, strict=True)}


def fingerprint(settings: Mapping[str, Any], inputs: Iterator[dict[str, Any]], labels: Any, levels: Any) -> str:
    """Hex sha256 of the canonical JSON of {inputs, labels, levels, settings}, a file at a time."""
    found = hashlib.sha256(b'{"inputs": [')
    for number, item in enumerate(inputs):
        found.update((", " if number else "").encode() + json.dumps(item, sort_keys=True, ensure_ascii=False).encode())
    rest = json.dumps({"labels": labels, "levels": levels, "settings": settings}, sort_keys=True, ensure_ascii=False)
    found.update(b"], " + rest[1:].encode())
    return found.hexdigest()


def _identity(file: PlannedFile) -> dict[str, Any]:
    return {"corpus": file.corpus, "source": file.source, "sha256": file.sha256, "size": file.size}


def _rows(table: Any) -> Iterator[PlannedFile]:
    for batch in table.to_batches(max_chunksize=10_000):
        yield from (
            PlannedFile(*row)
            for row in zip(*(batch.column(name).to_pylist() for name in PlannedFile._fields), strict=True)
        )


def _of_one_file(plan: dict[str, Any]) -> Plan:
    """A plan as earlier versions wrote it, everything in plan.json."""
    rows = [[part, *piece] for part, pieces in enumerate(plan["parts"]) for piece in pieces]
    table = np.array(rows, np.int64).reshape(-1, 6)
    files = {name: [item[name] for item in plan["inputs"]] for name in ("corpus", "source", "sha256", "size")}
    found = Plan.of(
        plan["settings"], plan["labels"], plan["levels"], {**files, "path": plan["paths"]}, table[:, 0], table[:, 1:]
    )
    return replace(found, fingerprint=plan["fingerprint"])
