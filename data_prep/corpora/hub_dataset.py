"""Datasets of the Hugging Face library: a folder on this machine, or an id of the hub, one document a row.

    paths: [data/wiki]                  a folder of `save_to_disk`, or a folder of data files (parquet, csv, json, text)
    paths: [org/name], revision: 4f..   the hub, streamed; the full commit hash keeps a plan true for ever

Slices are row ranges. A folder of `save_to_disk` is read from any row. Everything else comes as a stream from its first
row, so the survey keeps the rows it passes in the cache, as one Arrow file, and whoever finds none there makes it.

What it costs, for n rows in p parts and s steps that read them: n rows of the stream, once (by the survey), and s x n
rows of the cache. Each process that finds the cache gone (it is removed when a run has finished) streams n rows once
more. Without a cache (`prepare plan`, which looks at three places) a part that begins at row r costs r rows, and its
own.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from data_prep.corpora import Corpus, Slice, Survey
from data_prep.documents import Record, Rejected
from data_prep.files import read_json
from data_prep.inputs.file_names import FoundFiles
from data_prep.inputs.row_cache import RowWriter, kept_rows, rows_file
from data_prep.inputs.streams import LONGEST_DOCUMENT, lines_within, open_bytes
from data_prep.inputs.tables import ROLES, TableColumns, Values, naming

HUB_ID = re.compile(r"[\w.-]+(/[\w.-]+)?")
ROWS_AT_ONCE = 256
UNREADABLE = "cannot be read with `datasets`"
END_OF_STREAM = bytes(4)
"""How every Arrow stream ends; a file that was cut between two record batches lacks it."""


@dataclass(frozen=True, kw_only=True)
class HubDataset(TableColumns, Corpus):
    """Dataset folders and datasets of the hub; `paths` lists folders and ids."""

    split: str = "train"
    """Which split to read."""
    name: str = ""
    """The dataset's configuration (`20231101.zh` of a Wikipedia dataset), when it has several."""
    revision: str = ""
    """Commit of a hub dataset, 40 hexadecimal digits; needed for an id, refused for folders."""

    def __post_init__(self) -> None:
        super().__post_init__()
        if not self.split:
            raise ValueError("split: give the name of a split, for example train")
        if self.revision and not re.fullmatch("[0-9a-f]{40}", self.revision):
            raise ValueError(
                f"revision: {self.revision!r} is not a full commit hash (40 hexadecimal digits, on the dataset's page "
                "under History)"
            )

    def files(self) -> list[Path]:
        """The folders and ids.

        Raises:
            ValueError, FileNotFoundError: a path is neither, or an id comes without a revision.
        """
        for entry in self.paths:
            if Path(entry).is_file():
                raise ValueError(
                    f"corpus path {entry}: it is a file; read it with the kind of its format (jsonl, parquet, "
                    "plain_text), or give its folder"
                )
            if Path(entry).is_dir():
                if self.revision:
                    raise ValueError(
                        f"revision: {entry} is a folder on this machine, which has no revisions; give hub ids an "
                        "entry of their own"
                    )
            elif not HUB_ID.fullmatch(entry):
                raise FileNotFoundError(f"corpus path {entry}: no such folder (looked from {Path.cwd()})")
            elif not self.revision:
                remedy = "if it is a dataset of the hub, give its `revision`"
                raise FileNotFoundError(
                    f"corpus path {entry}: no such folder (looked from {Path.cwd()}); {remedy}, a commit hash of 40 "
                    "digits"
                )
        return self.found().files

    def found(self) -> FoundFiles:
        first: dict[Path, Path] = {}
        again = []
        for path in map(Path, self.paths):
            earlier = first.setdefault(path.resolve() if path.is_dir() else path, path)
            if earlier != path:
                again.append((str(path), str(earlier)))
        files = list(first.values())
        return FoundFiles([str(path) for path in files], [self.disk_bytes(path) for path in files], [], again)

    def source_of(self, path: str) -> str:
        return self.source or Path(path).name

    def disk_bytes(self, path: Path) -> int:
        return sum(file.stat().st_size for file in path.rglob("*") if file.is_file()) if path.is_dir() else 0

    def survey(self, path: Path, slice_bytes: int, cache: Path | None = None) -> Survey:
        for file in sorted(path.rglob("*.json*")) if path.is_dir() and not _is_saved(path) else []:
            check_json_lines(file)
        digest = hashlib.sha256()
        slices: list[Slice] = []
        start = row = size = total = 0
        for values in self._keeping(path, cache):
            for fields in zip(*values.values(), strict=True):
                digest.update(b"".join(b"-" if value is None else b"%d:" % len(value) + value for value in fields))
            row += len(values["text"])
            size += sum(len(value or b"") for value in values["text"])
            if size >= slice_bytes:
                slices.append(Slice(str(path), start, row, start + 1, size))
                start, size, total = row, 0, total + size
        if row > start:
            slices.append(Slice(str(path), start, row, start + 1, size))
        return Survey(digest.hexdigest(), total + size, slices)

    def _keeping(self, path: Path, cache: Path | None) -> Iterator[Values]:
        """All rows, kept in the cache on the way where they cannot be read from the middle."""
        file = None if cache is None or _is_saved(path) else rows_file(cache, self.identity(path))
        with RowWriter(file, ROLES, path) as writer:
            for values in self.rows(path, 0):
                writer.write(values)
                yield values
            writer.finish()

    def _from(self, path: Path, start: int, cache: Path | None) -> Iterator[Values]:
        """The rows from ``start`` on, from the cache where that is the faster way."""
        if cache is None or _is_saved(path):
            return self.rows(path, start)
        file = rows_file(cache, self.identity(path))
        kept = kept_rows(file, start)
        if kept is None and start:
            with RowWriter(file, ROLES, path) as writer:
                for values in self.rows(path, 0):
                    writer.write(values)
                    if not writer.works:
                        break
                writer.finish()
            kept = kept_rows(file, start)
        return kept or self.rows(path, start)

    def read(self, piece: Slice, cache: Path | None = None) -> Iterator[Record | Rejected]:
        path, row = Path(piece.path), piece.start
        for values in self._from(path, piece.start, cache):
            part = {role: column[: piece.end - row] for role, column in values.items()}
            yield from self.records(part, row, piece.path, self.source_of(piece.path), self.language)
            row += len(part["text"])
            if row >= piece.end:
                return
        raise ValueError(f"{piece.path} became shorter while it was read. Run `kmask prepare` again on unchanged data.")

    def identity(self, path: Path) -> str:
        """The settings too: they decide the rows, which are kept under this name."""
        files = sorted(file for file in path.rglob("*") if file.is_file()) if path.is_dir() else []
        states = [f"{file.resolve()}:{file.stat().st_size}:{file.stat().st_mtime_ns}" for file in files]
        keys = (self.text_key, self.id_key, self.title_key, self.language_key)
        return "\0".join([str(path), self.name, self.split, self.revision, *keys, *states])

    def rows(self, path: Path, start: int) -> Iterator[Values]:
        """What a few hundred rows at a time hold, from row ``start`` on.

        Raises:
            ValueError: `datasets` cannot read it, or a column is missing; names the dataset.
        """
        with naming(path, UNREADABLE):
            for table in self._saved(path, start) if _is_saved(path) else self._streamed(path, start):
                yield self.values(table, path)

    def _saved(self, path: Path, start: int) -> Iterator[Any]:
        """A folder of `save_to_disk`, whose Arrow files need no library: `datasets` uses their memory before anybody
        can check it."""
        folder = path
        if (path / "dataset_dict.json").is_file():
            splits = read_json(path / "dataset_dict.json")["splits"]
            if self.split not in splits:
                raise ValueError(f"split: {path} has no split {self.split!r}; it has {', '.join(splits)}")
            folder = path / self.split
        state = read_json(folder / "state.json")
        if state.get("_indices_data_files"):
            raise ValueError(
                f"{folder} was saved by an old version of `datasets`, with its rows in another order. Load it there "
                "and save it again"
            )
        row = 0
        for entry in state["_data_files"]:
            for batch in _arrow_batches(folder / entry["filename"]):
                for at in range(max(start - row, 0), batch.num_rows, ROWS_AT_ONCE):
                    yield batch.slice(at, ROWS_AT_ONCE)
                row += batch.num_rows

    def _streamed(self, path: Path, start: int) -> Iterator[Any]:
        import datasets

        found = datasets.load_dataset(
            str(path), self.name or None, split=self.split, revision=self.revision or None, streaming=True
        )
        rows: Iterator[Any] = found.with_format("arrow").skip(start).iter(ROWS_AT_ONCE)
        return rows


def check_json_lines(file: Path) -> None:
    """Refuse JSON Lines with a damaged line: pyarrow, which `datasets` reads JSON with, can end the whole process at
    one.

    Raises:
        ValueError: a line is damaged; names file and line.
    """
    import orjson

    if not file.is_file() or not {".json", ".jsonl"} & set(file.suffixes):
        return
    with open_bytes(file) as stream:
        if ".json" in file.suffixes and not stream.readline(LONGEST_DOCUMENT).endswith(b"\n"):
            return  # one JSON value in one line, however long
    with open_bytes(file) as stream:
        for number, line in enumerate(lines_within(stream, file), 1):
            try:
                orjson.loads(line if line.strip() else b"0")
            except orjson.JSONDecodeError as error:
                if number == 1 and ".json" in file.suffixes:
                    return  # one JSON value over many lines
                remedy = "Read JSON Lines with `kind: jsonl`, which sets damaged lines aside and goes on"
                raise ValueError(f"{file}:{number}: not JSON ({error}). {remedy}") from None


def _is_saved(path: Path) -> bool:
    return (path / "state.json").is_file() or (path / "dataset_dict.json").is_file()


def _arrow_batches(file: Path) -> Iterator[Any]:
    """The record batches of an Arrow stream, memory-mapped."""
    import pyarrow as pa

    with pa.memory_map(str(file)) as source:
        if (
            source.size() < len(END_OF_STREAM)
            or source.read_at(len(END_OF_STREAM), source.size() - len(END_OF_STREAM)) != END_OF_STREAM
        ):
            raise ValueError(f"{file} is cut short: an Arrow stream has an end mark. Fetch or save it again.")
        yield from pa.ipc.open_stream(source)
