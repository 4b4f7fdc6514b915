"""Raw files -> a prepared folder, exactly once.

    1. survey   read every file once: hash, size, slices that begin at documents
    2. plan     an immutable plan.json: settings, content hashes, parts; a different plan for the same folder is refused
    3. steps    what needs the whole corpus: duplicates, the vocabulary
    4. parts    each part -> parts/NNNNNN/, staged, fsynced, renamed; finished parts are skipped; where the share held
                out is so small that it selects no document, the part with the nearest one is made again with it
    5. finish   manifest.json, rejected.jsonl and tally.json from the parts' own reports

A part is a pure function of (plan, part number), so killing, repeating and running twice all end in the same bytes.
Launches at the same time, on any machines that share the folder, divide the files, steps and parts among themselves.

    kmask prepare configs/data/demo.yaml
"""

from __future__ import annotations

import dataclasses
import errno
import math
import shutil
from collections import Counter
from collections.abc import Iterator, Sequence
from functools import partial
from pathlib import Path
from typing import Any

from data_prep.discourse.discourse_step import DiscourseStep
from data_prep.documents import Document
from data_prep.files import staging_name
from data_prep.filtering.dropped import Dropped
from data_prep.inputs.file_names import FoundFiles
from data_prep.preparing.adoption import adopt_plan
from data_prep.preparing.finishing import finish_once, finished, remove_unpacked
from data_prep.preparing.parts import PartWorker
from data_prep.preparing.plan import Listener, Preparation, StageProgress, check_not_empty, make_plan
from data_prep.preparing.reading import PartReader
from data_prep.running.steps import Step, open_parts, run_step
from data_prep.running.supervision import NOTES, Watch, run_all
from data_prep.shards import SPLITS
from data_prep.vocabularies.sampling import Sample
from data_prep.vocabularies.tokenizer_step import TokenizerStep, place_tokenizer

FULL = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)


def prepare(preparation: Preparation, listen: Listener, found: Sequence[FoundFiles] | None = None) -> dict[str, Any]:
    """Do everything that is not done yet and return the manifest.

    Args:
        found: the files of each corpus, where they are listed already (plan.py: ``find_all``).

    Raises:
        ValueError, OSError: something the user can put right; finished parts stay.
        RuntimeError: worker processes die without a document that could be blamed.
    """
    folder = Path(preparation.output)
    watch = Watch(folder=folder, launch=staging_name(NOTES), record_seconds=60 * preparation.engine.record_minutes)
    try:
        return _prepare(preparation, folder, watch, listen, found)
    except OSError as error:
        if error.errno not in FULL:
            raise
        raise OSError(
            f"{folder}: the disk is full (or a quota or the limit on file sizes is reached). "
            "Make space and run the same command again: what is finished is kept, and nothing is half written."
        ) from None
    finally:
        shutil.rmtree(folder / watch.launch, ignore_errors=True)


def _prepare(
    preparation: Preparation, folder: Path, watch: Watch, listen: Listener, found: Sequence[FoundFiles] | None
) -> dict[str, Any]:
    plan = make_plan(preparation, listen, watch, found)
    check_not_empty(plan)
    plan = adopt_plan(folder, plan, folder / watch.launch)
    if (manifest := finished(folder, plan)) is not None:
        remove_unpacked(folder)
        listen(StageProgress("parts", plan.slice_bytes, plan.slice_bytes, _documents(manifest["shards"]), 0))
        return manifest
    open_parts(folder)
    everything = range(plan.parts)
    duplicates: Dropped | None = None
    opened = PartReader(preparation=preparation, plan=plan, folder=folder, watch=watch)

    def run(step: Step, parts: range, sample: Sample | None = None) -> Path:
        reader = dataclasses.replace(opened, stage=step.name, duplicates=duplicates, sample=sample)

        def listen_round(name: str, done: int, tasks: int) -> None:
            listen(StageProgress(f"{step.name}, {name}" if name else step.name, done, tasks, 0, 0))

        mapped = partial(listen_round, "", tasks=len(parts))
        where, engine = reader.path_of, preparation.engine
        return run_step(
            step, reader.documents, parts, engine, folder, plan.fingerprint, mapped, watch, where, listen_round
        )

    if preparation.duplicates:
        duplicates = Dropped.open(run(preparation.duplicates, everything))
    vocabulary = preparation.vocabulary
    read = range(0) if vocabulary.path else everything
    trained = run(TokenizerStep(vocabulary=vocabulary), read, sample=Sample.of(plan, vocabulary.train_characters))
    place_tokenizer(trained, folder / "tokenizer")
    worker = PartWorker(preparation=preparation, plan=plan, folder=folder, watch=watch, duplicates=duplicates)
    _ = worker.tokenizer.special_ids
    if preparation.discourse and preparation.discourse.cap:
        run(DiscourseStep(discourse=preparation.discourse, languages=preparation.cleaning.known), everything)
    keep_one_apart(worker, make_parts(worker, listen))
    return finish_once(worker)


@dataclasses.dataclass
class PartTotals:
    """What the parts hold, as far as they are made."""

    bytes: int = 0
    rejected: int = 0
    documents: Counter[str] = dataclasses.field(default_factory=Counter)
    """By split."""
    least: tuple[float, int, int] | None = None
    """The smallest draw of a document, how many have it in its part, and the part."""

    def count(self, report: dict[str, Any]) -> None:
        """Add a part."""
        self.bytes += report["bytes"]
        self.rejected += report["rejected"]
        for shard in report["shards"]:
            self.documents[shard["split"]] += shard["documents"]
        if report.get("least_draw"):
            drawn = (*report["least_draw"], report["part"])
            self.least = min(self.least or drawn, drawn)

    @property
    def progress(self) -> tuple[int, int]:
        """Documents in the shards of text, and those set aside."""
        return sum(self.documents[split] for split in SPLITS), self.rejected


def _documents(shards: list[dict[str, Any]]) -> int:
    return sum(shard["documents"] for shard in shards if shard["split"] in SPLITS)


def make_parts(worker: PartWorker, listen: Listener) -> PartTotals:
    """Make the parts that are not there, and tell how far it is in bytes."""
    total = worker.plan.bytes
    made = PartTotals()
    missing = []
    for part in range(worker.plan.parts):
        report = worker.finished(part)
        if report is None:
            missing.append(part)
        else:
            made.count(report)
    listen(StageProgress("parts", made.bytes, total, *made.progress))
    for report in run_all(worker.preparation.engine, worker, missing):
        made.count(report)
        listen(StageProgress("parts", made.bytes, total, *made.progress))
    return made


def keep_one_apart(worker: PartWorker, made: PartTotals) -> None:
    """Hold out the document with the smallest draw when the share selects none, by making its part again."""
    if made.documents["heldout"] or not worker.preparation.heldout or made.least is None:
        return
    least, count, part = made.least
    if count < made.documents["train"]:  # not where all documents have one id, or there is one document
        again = dataclasses.replace(worker, threshold=math.nextafter(least, 1))
        for _ in run_all(worker.preparation.engine, again, [part]):
            pass


def sample_texts(worker: PartWorker, limit: int, listen: Listener) -> Iterator[str]:
    """Cleaned texts in this process: all of them, or passages of every part when the corpus is larger than ``limit``
    characters."""
    reader = dataclasses.replace(worker.reader, sample=Sample.of(worker.plan, limit))
    parts = range(worker.plan.parts)
    for part in parts:
        for document in reader.documents(part):
            if isinstance(document, Document):
                yield document.text
        listen(StageProgress("vocabulary", part + 1, len(parts), 0, 0))
