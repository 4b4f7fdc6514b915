"""The documents of a part: read, cleaned, and without those that an earlier stage has sorted out.

    plan["parts"][17] = [[input, start, end, line, size], ...]  ->  (place, Document | Rejected) for each record, in order

An exception on one document sets that document aside; what concerns the run itself (a full disk, a missing package, memory) passes on.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from data_prep.cleaning import lost_spans
from data_prep.corpora import Slice
from data_prep.documents import SEGMENT, Document, Place, Record, Rejected
from data_prep.plan import Preparation
from data_prep.steps import Filter
from data_prep.supervision import KILLED, NOWHERE, Moment, Watch
from data_prep.surveying import UNPACKED

OUR_CONCERN = (OSError, MemoryError, ImportError)
"""Exceptions that are no fault of a document."""


def failed(place: Place, error: Exception) -> Rejected:
    """A document on which the code failed."""
    return Rejected(place, "failed", f"{type(error).__name__}: {error}")


@dataclass(frozen=True, kw_only=True)
class PartReader:
    """Reads parts for one stage."""

    preparation: Preparation
    plan: dict[str, Any]
    folder: Path
    """The prepared folder."""
    stage: str = "reading"
    """For whom: records quarantined for this stage are left out."""
    watch: Watch = NOWHERE
    filters: tuple[tuple[Filter, Path], ...] = ()
    """Steps that sort documents out, with their results."""

    def documents(self, part: int) -> Iterator[Document | Rejected]:
        """Cleaned documents of a part, and those set aside: one for each record."""
        return (document for _, document in self.placed(part))

    def placed(self, part: int, lost: Counter[str] | None = None) -> Iterator[tuple[Place, Document | Rejected]]:
        """The same with their places. ``lost`` counts, by level, the user's own spans of which cleaning left nothing."""
        left_out = {number: reason for step, result in self.filters for number, reason in step.dropped(result, part).items()}
        left_out.update({number: (KILLED, detail) for number, detail in self.watch.quarantined(self.stage, part).items()})
        with self.watch.noting(self.stage, part) as note:
            for number, (file, record) in enumerate(self._records(part)):
                place = record.place
                note.at(number, file, place)
                if isinstance(record, Rejected):
                    yield place, record
                elif number in left_out:
                    yield place, Rejected(place, *left_out[number])
                else:
                    yield place, self._clean(record, self.plan["inputs"][file]["source"], lost)
                note.after(number, file, place)

    def _records(self, part: int) -> Iterator[tuple[int, Record | Rejected]]:
        for file, *place in self.plan["parts"][part]:
            corpus = self.preparation.corpora[self.plan["inputs"][file]["corpus"]]
            for record in corpus.read(Slice(self.plan["paths"][file], *place), self.folder / UNPACKED):
                yield file, record

    def _clean(self, record: Record, source: str, lost: Counter[str] | None) -> Document | Rejected:
        try:
            document = self.preparation.cleaning.clean(record, source)
            if isinstance(document, Document) and (quality := self.preparation.quality):
                document = quality.check(document, record.place) or document
            if SEGMENT in record.given and isinstance(document, Document) and SEGMENT in lost_spans(record, document):
                return Rejected(record.place, "no text", "a part of the pair is nothing but white space and invisible characters")
            if lost is not None and record.given and isinstance(document, Document):
                lost.update(lost_spans(record, document))
            return document
        except OUR_CONCERN:
            raise
        except Exception as error:
            return failed(record.place, error)

    def path_of(self, part: int, moment: Moment | None) -> str:
        """The file that was read when a worker on ``part`` died."""
        file = moment.file if moment and moment.number >= 0 else self.plan["parts"][part][0][0]
        return str(self.plan["paths"][file])
