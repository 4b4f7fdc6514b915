"""One part of the plan: its documents cleaned, annotated, encoded and published as shards by one rename.

    parts/000003/  train.arrow  heldout.arrow  part.json (counts, documents set aside)

A part is a pure function of (plan, part number), so killing, repeating and running twice all end in the same bytes.
"""

from __future__ import annotations

import contextlib
import os
import shutil
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

from data_prep.annotation import Annotation
from data_prep.corpora import Slice
from data_prep.documents import Document, Record, Rejected
from data_prep.encoding import Encoded, Tokenizer, encode
from data_prep.files import read_json, sha256_file, staged_folder, write_json
from data_prep.plan import Preparation
from data_prep.shards import SPLITS, write_shard
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
        return Annotation(segmenters=self.preparation.segmenters, annotators=self.preparation.annotators, labels=self.preparation.labels)

    @cached_property
    def tokenizer(self) -> Tokenizer:
        """The tokenizer, loaded once per process."""
        return Tokenizer(folder=self.folder / "tokenizer")

    def part_folder(self, part: int) -> Path:
        """Where a finished part lies."""
        return self.folder / "parts" / f"{part:06d}"

    def documents(self, part: int) -> Iterator[Document | Rejected]:
        """Cleaned documents of a part, and those set aside."""
        for index, *place in self.plan["parts"][part]:
            corpus = self.preparation.corpora[self.plan["inputs"][index]["corpus"]]
            source = self.plan["inputs"][index]["source"]
            for record in corpus.read(Slice(self.plan["paths"][index], *place)):
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
        result = encode(annotated, self.tokenizer)
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
                "bytes": sum(piece[-1] for piece in self.plan["parts"][part]),
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
