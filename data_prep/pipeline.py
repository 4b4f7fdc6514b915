"""Raw files -> a prepared folder, exactly once.

    1. survey   read every file once: hash, size, slices that begin at documents
    2. plan     an immutable plan.json: settings, content hashes, parts; a different plan for the same folder is refused
    3. tokenizer  trained on the cleaned corpus or copied; also made once
    4. parts    each part -> parts/NNNNNN/, staged, fsynced, renamed; finished parts are skipped
    5. finish   manifest.json and rejected.jsonl from the parts' own reports

A part is a pure function of (plan, part number), so killing, repeating and running twice all end in the same bytes.

    kmask prepare configs/data/demo.yaml
"""

from __future__ import annotations

import contextlib
import json
import os
import shutil
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

from data_prep.annotation import Annotation
from data_prep.corpora import Slice
from data_prep.documents import Document, Record, Rejected
from data_prep.encoding import Encoded, Tokenizer, encode
from data_prep.files import read_json, remove_staging, sha256_file, staged_folder, write_atomic, write_json
from data_prep.plan import Listener, Preparation, Progress, adopt_plan, make_plan
from data_prep.shards import MANIFEST, SCHEMA_VERSION, SPLITS, write_shard
from masking.keyed import hash_key, uniform


@dataclass(frozen=True, kw_only=True)
class PartWorker:
    """Does one part of the plan; sent to worker processes."""

    preparation: Preparation
    plan: dict[str, Any]
    folder: Path

    @cached_property
    def annotation(self) -> Annotation:
        """Segmenters and annotators, loaded once per process."""
        return Annotation(segmenters=self.preparation.segmenters, annotators=self.preparation.annotators)

    @cached_property
    def tokenizer(self) -> Tokenizer:
        """The tokenizer, loaded once per process."""
        return Tokenizer(folder=self.folder / "tokenizer")

    def part_folder(self, part: int) -> Path:
        """Where a finished part lies."""
        return self.folder / "parts" / f"{part:06d}"

    def documents(self, part: int) -> Iterator[Document | Rejected]:
        """Cleaned documents of a part, and those set aside."""
        for index, start, end, line in self.plan["parts"][part]:
            corpus = self.preparation.corpora[self.plan["inputs"][index]["corpus"]]
            source = self.plan["inputs"][index]["source"]
            for record in corpus.read(Slice(self.plan["paths"][index], start, end, line)):
                yield self.preparation.cleaning.clean(record, source) if isinstance(record, Record) else record

    def __call__(self, part: int) -> dict[str, Any]:
        """Make a part unless it is there; return its report."""
        os.environ.setdefault("TOKENIZERS_PARALLELISM", "false")
        folder = self.part_folder(part)
        if report := self.finished(part):
            return report
        encoded: dict[str, list[Encoded]] = {split: [] for split in SPLITS}
        rejected: list[Rejected] = []
        counts: Counter[str] = Counter()
        for document in self.documents(part):
            if isinstance(document, Rejected):
                rejected.append(document)
                continue
            result = self.encode(document, counts)
            counts[f"documents.{document.source}.{document.language}"] += 1
            counts[f"characters.{document.source}.{document.language}"] += len(document.text)
            heldout = uniform(hash_key("heldout", document.id), 0) < self.preparation.heldout
            encoded["heldout" if heldout else "train"].append(result)
        unknown = self.tokenizer.special_ids["[UNK]"]
        counts["tokens.unknown"] = sum(int((item.token_ids_T == unknown).sum()) for items in encoded.values() for item in items)
        return self.publish(folder, part, encoded, rejected, counts)

    def encode(self, document: Document, counts: Counter[str]) -> Encoded:
        """Annotate and encode one document, counting its units."""
        annotated = self.annotation.annotate(document)
        result = encode(annotated, self.tokenizer, self.preparation.labels)
        names = list(self.preparation.labels)
        for level, units in result.units.items():
            for index, count in zip(*_unique(units.label_U), strict=True):
                label = names[index]
                counts[f"units.{level}.{label.type or '-'}.{label.origin}"] += count
        for reason, count in [*annotated.dropped.items(), *result.dropped.items()]:
            counts[f"dropped.{reason}"] += count
        return result

    def publish(self, folder: Path, part: int, encoded: dict[str, list[Encoded]], rejected: list[Rejected], counts: Counter[str]) -> dict[str, Any]:
        """Write the shards and the report of a part, all or nothing."""
        vocabulary_size = len(self.tokenizer.tokens)
        with staged_folder(folder) as staging:
            shards = []
            for split, items in encoded.items():
                if not items:
                    continue
                write_shard(staging / f"{split}.arrow", items, self.preparation.levels, vocabulary_size)
                tokens = sum(len(item.token_ids_T) for item in items)
                digest = sha256_file(staging / f"{split}.arrow")
                shards.append({"path": f"parts/{part:06d}/{split}.arrow", "split": split, "documents": len(items), "tokens": tokens, "sha256": digest})
            report = {
                "part": part,
                "fingerprint": self.plan["fingerprint"],
                "bytes": sum(end - start for _, start, end, _ in self.plan["parts"][part]),
                "shards": shards,
                "counts": dict(sorted(counts.items())),
                "rejected": [{**item.place._asdict(), "reason": item.reason, "detail": item.detail} for item in rejected],
            }
            write_json(staging / "part.json", report)
        return report

    def finished(self, part: int) -> dict[str, Any] | None:
        """The report of a part that is complete on disk; a damaged one is removed and made again."""
        file = self.part_folder(part) / "part.json"
        if not file.is_file():
            shutil.rmtree(file.parent, ignore_errors=True)
            return None
        with contextlib.suppress(ValueError):
            report: dict[str, Any] = read_json(file)
            whole = all((self.folder / s["path"]).is_file() and sha256_file(self.folder / s["path"]) == s["sha256"] for s in report["shards"])
            if whole and report["fingerprint"] == self.plan["fingerprint"]:
                return report
        shutil.rmtree(file.parent)
        return None


def _unique(values: Any) -> tuple[list[int], list[int]]:
    import numpy as np

    found, counts = np.unique(values, return_counts=True)
    return found.tolist(), counts.tolist()


def sample_texts(worker: PartWorker, limit: int, listen: Listener) -> Iterator[str]:
    """Cleaned texts for vocabulary training: all of them, or every n-th part when the corpus is larger than ``limit`` characters."""
    total = sum(item["size"] for item in worker.plan["inputs"])
    parts = len(worker.plan["parts"])
    step = max(1, total // (2 * limit))  # at about two bytes a character
    read = 0
    for part in range(0, parts, step):
        for document in worker.documents(part):
            if isinstance(document, Document):
                read += len(document.text)
                yield document.text
        listen(Progress("vocabulary", part + 1, parts, 0, 0))
        if read > limit:
            return


def prepare(preparation: Preparation, listen: Listener) -> dict[str, Any]:
    """Do everything that is not done yet and return the manifest.

    Raises:
        ValueError, OSError: something the user can put right; finished parts stay.
    """
    folder = Path(preparation.output)
    plan = make_plan(preparation, listen)
    if not plan["parts"]:
        raise ValueError(f"the corpus is empty: {len(plan['paths'])} file(s), no text in any of them ({', '.join(plan['paths'][:3])})")
    adopt_plan(folder, plan)
    remove_staging(folder)
    worker = PartWorker(preparation=preparation, plan=plan, folder=folder)
    if not (folder / "tokenizer").is_dir():
        with staged_folder(folder / "tokenizer") as staging:
            preparation.vocabulary.make(staging, sample_texts(worker, preparation.vocabulary.train_characters, listen))
    _ = worker.tokenizer.special_ids
    total = sum(item["size"] for item in plan["inputs"])
    reports: dict[int, dict[str, Any]] = {}
    done = documents = rejected = 0
    (folder / "parts").mkdir(exist_ok=True)
    remove_staging(folder / "parts")
    for report in preparation.engine.run(worker, range(len(plan["parts"]))):
        reports[report["part"]] = report
        done += report["bytes"]
        documents += sum(shard["documents"] for shard in report["shards"])
        rejected += len(report["rejected"])
        listen(Progress("parts", done, total, documents, rejected))
    return finish(worker, [reports[part] for part in sorted(reports)])


def empty_files(plan: dict[str, Any]) -> list[dict[str, Any]]:
    """Inputs without a single byte, listed like documents that were set aside."""
    empty = [path for path, item in zip(plan["paths"], plan["inputs"], strict=True) if not item["size"]]
    return [{"path": path, "line": 1, "offset": 0, "reason": "empty file", "detail": "no bytes in it"} for path in empty]


def finish(worker: PartWorker, reports: Sequence[dict[str, Any]]) -> dict[str, Any]:
    """Write manifest.json and rejected.jsonl."""
    counts: Counter[str] = Counter()
    rejected = [item for report in reports for item in report["rejected"]] + empty_files(worker.plan)
    for report in reports:
        counts.update(report["counts"])
    counts.update({f"rejected.{reason}": count for reason, count in Counter(item["reason"] for item in rejected).items()})
    shards = [shard for report in reports for shard in report["shards"]]
    if not shards:
        first = f" First reason: {rejected[0]['path']}:{rejected[0]['line']}: {rejected[0]['reason']} ({rejected[0]['detail']})." if rejected else ""
        raise ValueError(f"no usable document in the whole corpus ({len(rejected)} set aside).{first}")
    tokenizer = worker.tokenizer
    manifest = {
        "schema": SCHEMA_VERSION,
        "fingerprint": worker.plan["fingerprint"],
        "tokenizer": {"vocabulary_sha256": tokenizer.vocabulary_sha256, "rules_sha256": tokenizer.rules_sha256, "size": len(tokenizer.tokens)},
        "settings": worker.plan["settings"],
        "levels": worker.preparation.levels,
        "labels": worker.plan["labels"],
        "shards": shards,
        "counts": dict(sorted(counts.items())),
    }
    write_atomic(worker.folder / "rejected.jsonl", "".join(json.dumps(item, ensure_ascii=False) + "\n" for item in rejected))
    write_json(worker.folder / MANIFEST, manifest)
    return manifest
