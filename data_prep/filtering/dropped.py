"""The result of looking for duplicates, read: why a document is dropped, if it is.

Dropped.open(folder).reason(3, 17)  ->  Reason("near duplicate", "0.91 like zhwiki/17")
"""

from __future__ import annotations

from functools import cached_property
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from data_prep.documents import Place, Rejected
from data_prep.filtering.columns import Texts, mapped

ENTRY = np.dtype([("part", "<i8"), ("number", "<i8"), ("kept", "<i8"), ("similarity", "<f4"), ("near", "?")])
"""One dropped document: its part and its number there, the document that stays (index into `kept`), how alike they
are."""


class Reason(NamedTuple):
    """Why a document was dropped."""

    reason: str
    detail: str

    def at(self, place: Place) -> Rejected:
        """The same for a document at ``place``."""
        return Rejected(place, self.reason, self.detail)


class Dropped:
    """Which documents are dropped as duplicates, by part and number. Files stay on disk; the rows of one part at a time
    are looked up."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._entries: npt.NDArray[np.void] = mapped(folder / "entries", ENTRY)
        self._part_ends = mapped(folder / "part_ends", np.int64)
        self._part, self._rows = -1, dict[int, int]()

    def __reduce__(self) -> Any:
        return Dropped.open, (self.folder,)  # another process opens the files itself

    @classmethod
    def open(cls, folder: Path) -> Dropped:
        """Read the result of the step `duplicates`.

        Raises:
            FileNotFoundError: the folder holds no such result.
        """
        if not (folder / "entries").is_file():
            raise FileNotFoundError(
                f"{folder} holds no list of duplicates (entries is missing). Run `kmask prepare` again."
            )
        return cls(folder)

    @cached_property
    def kept(self) -> Texts:
        """Ids of the documents that stay."""
        return Texts(self.folder, "kept")

    def __len__(self) -> int:
        return len(self._entries)

    def reason(self, part: int, number: int) -> Reason | None:
        """Why document ``number`` of ``part`` is dropped; None when it stays."""
        if part != self._part:
            if not 0 <= part < len(self._part_ends):
                raise ValueError(f"{self.folder} knows {len(self._part_ends)} parts; there is no part {part}")
            start, end = int(self._part_ends[part - 1]) if part else 0, int(self._part_ends[part])
            self._part, self._rows = (
                part,
                dict(zip(self._entries["number"][start:end].tolist(), range(start, end), strict=True)),
            )
        row = self._rows.get(number)
        if row is None:
            return None
        entry = self._entries[row]
        kept = self.kept[int(entry["kept"])]
        return (
            Reason("near duplicate", f"{float(entry['similarity']):.2f} like {kept}")
            if entry["near"]
            else Reason("duplicate", f"same text as {kept}")
        )
