"""The documents of a part: read, cleaned, and without those that an earlier stage has sorted out.

    plan.slices(17) = [(file, start, end, line, size), ...]  ->  (place, Document | Rejected) for each record, in order,
                                                                 singly or in blocks

An exception on one document sets that document aside; what concerns the run itself (a full disk, a missing package,
memory) passes on.
"""

from __future__ import annotations

import dataclasses
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

from data_prep.blocks import BLOCK_CHARACTERS, BLOCK_DOCUMENTS
from data_prep.cleaning.composing import surplus_marks
from data_prep.corpora import Slice
from data_prep.documents import SEGMENT, Document, Place, Record, Rejected
from data_prep.filtering.cleaning import lost_spans
from data_prep.filtering.decontamination import Evaluation
from data_prep.filtering.dropped import Dropped
from data_prep.planned import Plan
from data_prep.portable import Portable
from data_prep.preparing.plan import Preparation
from data_prep.preparing.surveying import UNPACKED
from data_prep.running.notes import Moment, Note
from data_prep.running.supervision import NOWHERE, Watch
from data_prep.vocabularies.sampling import Sample, chosen, passages

REJECTED = "rejected.jsonl"
MARKS = "combining mark after thirty others"
OUR_CONCERN = (OSError, MemoryError, ImportError)
"""Exceptions that are no fault of a document."""


def failed(place: Place, error: Exception) -> Rejected:
    """A document on which the code failed."""
    return Rejected(place, "failed", f"{type(error).__name__}: {error}")


@dataclass(frozen=True, kw_only=True)
class PartReader(Portable):
    """Reads parts for one stage."""

    preparation: Preparation
    plan: Plan
    folder: Path
    """The prepared folder."""
    stage: str = "reading"
    """For whom: records quarantined for this stage are left out."""
    watch: Watch = NOWHERE
    duplicates: Dropped | None = None
    """Documents to leave out because an earlier one says the same."""
    sample: Sample | None = None
    """Read these passages only; the texts are for counting then."""

    @cached_property
    def evaluation(self) -> Evaluation | None:
        """The evaluation files that must not occur in the corpus, loaded once per process."""
        decontamination = self.preparation.decontamination
        return decontamination.load(self.preparation.cleaning) if decontamination else None

    def documents(self, part: int) -> Iterator[Document | Rejected]:
        """Cleaned documents of a part, and those set aside: one for each record."""
        return (document for _, document in self.with_places(part))

    def with_places(self, part: int, lost: Counter[str] | None = None) -> Iterator[tuple[Place, Document | Rejected]]:
        """The same with their places. ``lost`` counts what cleaning left nothing of: the user's own spans, by level,
        and runs of combining marks."""
        with self.watch.noting(self.stage, part) as note:
            for _, _, place, document in self._noted(part, lost, note):
                yield place, document

    def blocks(self, part: int, lost: Counter[str] | None = None) -> Iterator[list[tuple[Place, Document | Rejected]]]:
        """The same, several at a time, for work that is done on all of them together."""
        singly = self.watch.is_single(self.stage, part)
        held: list[tuple[Place, Document | Rejected]] = []
        size, first, last = 0, (0, 0), (0, 0)
        with self.watch.noting(self.stage, part) as note:
            for number, file, place, document in self._noted(part, lost, note):
                first, last = (first if held else (number, file)), (number, file)
                held.append((place, document))
                size += len(document.text) if isinstance(document, Document) else 0
                if singly or size >= BLOCK_CHARACTERS or len(held) >= BLOCK_DOCUMENTS:
                    if len(held) > 1:
                        note.among(*first, held[0][0])
                    yield held
                    held, size = [], 0
            if held:
                note.among(*first, held[0][0])
                yield held
                note.after(*last, held[-1][0])

    def _noted(
        self, part: int, lost: Counter[str] | None, note: Note
    ) -> Iterator[tuple[int, int, Place, Document | Rejected]]:
        """Each record's number, file, place and document; the note says that it is worked on until the next one is
        asked for."""
        quarantined = self.watch.quarantined(self.stage, part)
        _ = self.evaluation  # what is wrong with these files is no fault of a document
        shares = self._shares(part, note) if self.sample else {}
        for number, (file, source, record) in enumerate(self._records(part)):
            place = record.place
            note.at(number, file, place)
            document: Document | Rejected
            if isinstance(record, Rejected):
                document = record
            elif number in quarantined:
                document = Rejected(place, *quarantined[number])
            elif self.duplicates and (reason := self.duplicates.reason(part, number)):
                document = reason.at(place)
            elif self.sample:
                document = self._sampled(record, source, shares)
            else:
                document = self._clean(record, source, lost)
            yield number, file, place, document
            note.after(number, file, place)

    def _records(self, part: int) -> Iterator[tuple[int, str, Record | Rejected]]:
        """Number and source of the file of each record, and the record."""
        for number, *place in self.plan.slices(part):
            file = self.plan.file(number)
            corpus = self.preparation.corpora[file.corpus]
            if corpus.source_of(file.path) != file.source:
                corpus = dataclasses.replace(corpus, source=file.source)
            for record in corpus.read(Slice(file.path, *place), self.folder / UNPACKED):
                yield number, file.source, record

    def _shares(self, part: int, note: Any) -> dict[tuple[str, str], float]:
        """How much of each source and language is read: one more walk over the part, to count its characters."""
        assert self.sample is not None
        sizes, characters = Counter[str](), Counter[tuple[str, str]]()
        for piece in self.plan.slices(part):
            sizes[self.plan.file(piece.file).source] += piece.size
        for number, (file, source, record) in enumerate(self._records(part)):
            note.at(number, file, record.place)
            if isinstance(record, Record):
                characters[source, self._language(record)] += len(record.text)
        return self.sample.shares(sizes, characters)

    def _language(self, record: Record) -> str:
        return self.preparation.cleaning.language(record.text, record.language)

    def _sampled(self, record: Record, source: str, shares: dict[tuple[str, str], float]) -> Document | Rejected:
        """The chosen passages of a document; it is cleaned only when there are some."""
        numbers = chosen(
            record.id, record.place.line, len(record.text), shares.get((source, self._language(record)), 1.0)
        )
        if not numbers:
            return Rejected(record.place, "not sampled", "")
        document = self._clean(record, source, None)
        return (
            dataclasses.replace(document, text=passages(document.text, numbers), given={})
            if isinstance(document, Document)
            else document
        )

    def _clean(self, record: Record, source: str, lost: Counter[str] | None) -> Document | Rejected:
        try:
            document = self.preparation.cleaning.clean(record, source)
            if self.preparation.quality and isinstance(document, Document):
                language = self.preparation.cleaning.known.get(document.language)
                document = self.preparation.quality.check(document, record.place, language) or document
            if self.evaluation and isinstance(document, Document):
                document = self.evaluation.check(document, record.place) or document
            if SEGMENT in record.given and isinstance(document, Document) and SEGMENT in lost_spans(record, document):
                return Rejected(
                    record.place, "no text", "a part of the pair is nothing but white space and invisible characters"
                )
            if lost is not None and isinstance(document, Document):
                for level, count in lost_spans(record, document).items() if record.given else ():
                    lost[f"{level} given by the user: cleaning left nothing of it"] += count
                if count := surplus_marks(record.text):
                    lost[MARKS] += count
            return document
        except OUR_CONCERN:
            raise
        except Exception as error:
            return failed(record.place, error)

    def path_of(self, part: int, moment: Moment | None) -> str:
        """The file that was read when a worker on ``part`` died."""
        return self.plan.file(moment.file if moment and moment.number >= 0 else self.plan.slices(part)[0].file).path
