"""What a preparation will cost, measured before it begins: a sample of every source goes through the real worker on
this machine.

    Preparation, plan  ->  sample documents, spread over each source  ->  cleaned, annotated, encoded, written
        ->  Estimate

Nothing is written outside a temporary folder. A vocabulary that has yet to be trained is trained on the sample, so that
sizes and speed are near the truth and the documents can be looked at.
"""

from __future__ import annotations

import os
import time
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from data_prep.corpora import Corpus, Slice
from data_prep.documents import Document, Record, Rejected
from data_prep.plan_columns import PlannedFile
from data_prep.planned import Plan
from data_prep.preparing.parts import PartWorker
from data_prep.preparing.plan import Preparation
from data_prep.shard_writer import write_shard

SAMPLE_BYTES, MOST_SOURCES, PLACES = 300_000, 24, 3
"""Text read from each source, from how many sources at most, and from how many places of each."""
FARTHEST = 1 << 28
"""Places farther than this into a file that is compressed or not UTF-8 are left out: one must read through to them."""


@dataclass(frozen=True, kw_only=True)
class Estimate:
    """What the sample cost, and from it the whole."""

    text_bytes: int
    """Text of the whole corpus."""
    sample_bytes: int
    """Text of the sample."""
    documents: int
    """Documents of the sample that were kept."""
    set_aside: Counter[str]
    """Documents of the sample that were not, by reason."""
    loading_seconds: float
    """Until one document of each language was done: lexicons, segmenters and tokenizer are loaded in each worker."""
    seconds: float
    """One worker's time for the rest of the sample."""
    cleaning_seconds: float
    """Of these, reading and cleaning, which counting words for a vocabulary does once more, in all workers."""
    training_seconds: float
    """Training a vocabulary on the sample; 0 when it is taken from a folder."""
    shard_bytes: int
    """Size of the sample's shard."""
    workers: int
    """Processes that share the work."""
    parts: int
    """Parts of the plan."""
    train_bytes: int
    """Text that the vocabulary is trained on."""
    counts: Mapping[str, int] = field(default_factory=dict)
    """What was counted in the sample, under the names of part.json."""

    @property
    def bytes_per_second(self) -> float:
        """Speed of one worker."""
        return self.sample_bytes / max(self.seconds, 1e-9)

    @property
    def hours(self) -> float:
        """Wall time of the whole, the survey (already done) left out."""
        sharing = min(self.workers, self.parts)
        once = (
            (self.cleaning_seconds + self.training_seconds) * self.train_bytes / max(self.sample_bytes, 1)
            if self.training_seconds
            else 0.0
        )
        return (self.loading_seconds + (once + self.text_bytes / self.bytes_per_second) / sharing) / 3600

    @property
    def disk_bytes(self) -> int:
        """Most disk space in use at one time: all shards, and one part of each worker that is published at the end."""
        share = self.shard_bytes / max(self.sample_bytes, 1)
        return int(share * self.text_bytes * (1 + min(self.workers, self.parts) / self.parts))


def spread(preparation: Preparation, plan: Plan) -> dict[str, list[tuple[int, Slice]]]:
    """For each source, up to three places from its beginning to its end: (input, slice)."""
    found: dict[str, list[tuple[int, Slice]]] = {}
    last, file = -1, plan.file(0)
    for index, *place in plan.all_slices():
        if index != last:
            last, file = index, plan.file(index)
        if place[0] <= FARTHEST or not is_read_through(preparation.corpora[file.corpus], file):
            found.setdefault(file.source, []).append((index, Slice(file.path, *place)))
    step = max(1, len(found) // MOST_SOURCES)
    sources = sorted(found)[::step][:MOST_SOURCES]
    return {
        name: [
            found[name][i]
            for i in sorted({round(k * (len(found[name]) - 1) / max(PLACES - 1, 1)) for k in range(PLACES)})
        ]
        for name in sources
    }


def is_read_through(corpus: Corpus, file: PlannedFile) -> bool:
    """Must one read through the file to reach a place in it?"""
    return corpus.disk_bytes(Path(file.path)) < file.size or getattr(corpus, "encoding", "utf-8") != "utf-8"


def sample_records(preparation: Preparation, plan: Plan) -> Iterator[tuple[str, Record | Rejected, int]]:
    """Documents of every source with the number of bytes of text they stand for."""
    for source, places in spread(preparation, plan).items():
        for index, piece in places:
            corpus = preparation.corpora[plan.file(index).corpus]
            read = 0
            for record in corpus.read(piece):
                size = len(record.text.encode("utf-8", "surrogatepass")) if isinstance(record, Record) else 0
                yield source, record, size
                read += size
                if read >= SAMPLE_BYTES // len(places):
                    break


def sample_documents(preparation: Preparation, plan: Plan) -> tuple[list[Document], Counter[str], int]:
    """Cleaned documents of every source, those set aside by reason, and the bytes of text they all stand for.

    Raises:
        ValueError: not one of them is usable.
    """
    set_aside: Counter[str] = Counter()
    documents: list[Document] = []
    size = 0
    for source, record, read in sample_records(preparation, plan):
        cleaned = preparation.cleaning.clean(record, source) if isinstance(record, Record) else record
        if isinstance(cleaned, Rejected):
            set_aside[cleaned.reason] += 1
        else:
            documents.append(cleaned)
        size += read
    if not documents:
        first = ", ".join(f"{reason} ({count})" for reason, count in set_aside.most_common(3))
        raise ValueError(f"no usable document in a sample of every source: {first or 'no text'}")
    return documents, set_aside, size


def measure(preparation: Preparation, plan: Plan, folder: Path) -> Estimate:
    """Prepare a sample into ``folder`` (a temporary one): `tokenizer/` and `sample.arrow`."""
    begun = time.perf_counter()
    documents, set_aside, size = sample_documents(preparation, plan)
    cleaned_at = time.perf_counter()
    preparation.vocabulary.make(folder / "tokenizer", iter([document.text for document in documents]))
    trained_at = time.perf_counter()
    worker = PartWorker(preparation=preparation, plan=plan, folder=folder)
    examples = {document.language: document for document in reversed(documents)}
    write_shard(
        folder / "sample.arrow",
        list(worker.encode(examples.values(), Counter())),
        preparation.levels,
        len(worker.tokenizer.tokens),
    )
    loaded_at = time.perf_counter()
    counts: Counter[str] = Counter()
    write_shard(
        folder / "sample.arrow",
        list(worker.encode(documents, counts)),
        preparation.levels,
        len(worker.tokenizer.tokens),
    )
    done_at = time.perf_counter()
    text_bytes = plan.bytes
    return Estimate(
        text_bytes=text_bytes,
        sample_bytes=max(size, 1),
        documents=len(documents),
        set_aside=set_aside,
        loading_seconds=loaded_at - trained_at,
        seconds=done_at - loaded_at + cleaned_at - begun,
        cleaning_seconds=cleaned_at - begun,
        training_seconds=0.0 if preparation.vocabulary.path else trained_at - cleaned_at,
        shard_bytes=(folder / "sample.arrow").stat().st_size,
        workers=getattr(preparation.engine, "workers", 0) or len(os.sched_getaffinity(0)),
        parts=plan.parts,
        train_bytes=min(text_bytes, 2 * preparation.vocabulary.train_characters),
        counts=counts,
    )
