"""One part of the plan: its documents cleaned, annotated, encoded and published as shards by one rename.

    parts/000003/  train.arrow  heldout.arrow  (discourse.arrow)  rejected.jsonl  tally.json  part.json (counts, shards with sizes and hashes)

A part is a pure function of (plan, part number), so killing, repeating and running twice all end in the same bytes.
"""

from __future__ import annotations

import json
import os
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np

from data_prep.annotation import CUT, Annotation
from data_prep.cleaning.dropped import Dropped
from data_prep.counting.tallies import TALLY, Tally
from data_prep.documents import Annotated, Document, Rejected
from data_prep.encoding import Encoded, Tokenizer, encode
from data_prep.engines import untimed
from data_prep.files import read_json, sha256_file, staged_folder, write_atomic, write_json
from data_prep.knowledge.discourse import SPLITS as DISCOURSE_SPLITS
from data_prep.knowledge.discourse import Balance
from data_prep.plan import Preparation
from data_prep.planned import Plan
from data_prep.portable import Portable
from data_prep.running.reading import OUR_CONCERN, REJECTED, PartReader, failed
from data_prep.running.rounds import take_away
from data_prep.running.supervision import NOWHERE, Moment, Task, Watch
from data_prep.shard_writer import write_shard
from data_prep.shards import SPLITS
from masking.keyed import hash_key, uniform

PART = "part.json"


@dataclass(frozen=True, kw_only=True)
class PartWorker(Portable, Task):
    """Does one part of the plan; sent to worker processes."""

    preparation: Preparation
    plan: Plan
    folder: Path
    """The prepared folder."""
    watch: Watch = NOWHERE
    duplicates: Dropped | None = None
    """Documents to leave out because an earlier one says the same."""
    stage: str = "parts"
    threshold: float | None = None
    """Documents whose draw lies below it are held out; None: below the share of the settings."""

    @cached_property
    def annotation(self) -> Annotation:
        """Segmenters and annotators, loaded once per process."""
        preparation = self.preparation
        return Annotation(
            segmenters=preparation.all_segmenters, annotators=preparation.annotators, labels=preparation.labels, languages=preparation.cleaning.known
        )

    @cached_property
    def tokenizer(self) -> Tokenizer:
        """The tokenizer, loaded once per process."""
        return Tokenizer(folder=self.folder / "tokenizer")

    @cached_property
    def reader(self) -> PartReader:
        """Reads the documents."""
        return PartReader(preparation=self.preparation, plan=self.plan, folder=self.folder, stage=self.stage, watch=self.watch, duplicates=self.duplicates)

    @cached_property
    def _tried(self) -> set[str]:
        """Languages whose segmenters and annotators are known to work here."""
        return set()

    def part_folder(self, part: int) -> Path:
        """Where a finished part lies."""
        return self.folder / "parts" / f"{part:06d}"

    def documents(self, part: int) -> Iterator[Document | Rejected]:
        """Cleaned documents of a part, and those set aside."""
        return self.reader.documents(part)

    def make(self, part: int) -> dict[str, Any]:
        """Make a part and return its report."""
        os.environ.setdefault("TOKENIZERS_PARALLELISM", "false")
        encoded: dict[str, list[Encoded]] = {split: [] for split in (*SPLITS, *DISCOURSE_SPLITS.values())}
        rejected: list[Rejected] = []
        counts, lost = Counter[str](), Counter[str]()
        tally = Tally(list(self.preparation.labels), self.tokenizer)
        draws: list[float] = []
        for place, document in self.reader.placed(part, lost):
            result = document if isinstance(document, Rejected) else self.attempt(document)
            if isinstance(result, Exception):
                result = failed(place, result)
            if isinstance(result, Rejected):
                rejected.append(result)
                continue
            self.count(*result, counts)
            tally.add(*result)
            draws.append(uniform(hash_key("heldout", result[1].id), 0))
            split = "heldout" if draws[-1] < (self.preparation.heldout if self.threshold is None else self.threshold) else "train"
            encoded[split].append(result[1])
            encoded[DISCOURSE_SPLITS[split]] += self.joined(result[0], counts)
        counts.update({f"dropped.{reason}": count for reason, count in lost.items()})
        unknown = self.tokenizer.special_ids["[UNK]"]
        counts["tokens.unknown"] = sum(int((item.token_ids_T == unknown).sum()) for split in SPLITS for item in encoded[split])
        counts.update({f"rejected.{reason}": count for reason, count in Counter(item.reason for item in rejected).items()})
        if self.threshold is not None:
            counts["heldout.kept apart although the share selects none"] = len(encoded["heldout"])
        return self.publish(part, encoded, rejected, counts, tally, draws)

    def joined(self, annotated: Annotated, counts: Counter[str]) -> Iterator[Encoded]:
        """The discourse pairs of a document that balance keeps."""
        if self.preparation.discourse is None:
            return
        try:
            pairs = list(self.preparation.discourse.pairs(annotated.document, annotated.sentences_S2, annotated.paragraph_ends_P))
        except OUR_CONCERN:
            raise
        except Exception as error:
            counts[f"discourse.failed.{type(error).__name__}"] += 1
            return
        for pair in pairs:
            kept = self.balance.keeps(pair)
            counts[f"discourse.{'kept' if kept else 'left out'}.{pair.name}"] += 1
            result = self.attempt(pair.document, "discourse") if kept else None
            if isinstance(result, Exception):
                counts[f"discourse.failed.{type(result).__name__}"] += 1
            elif result:
                counts.update({f"discourse.dropped.{reason}": count for found in result for reason, count in found.dropped.items()})
                yield result[1]

    @cached_property
    def balance(self) -> Balance:
        """Which discourse pairs are kept."""
        discourse = self.preparation.discourse
        return Balance.read(discourse, self.folder / "steps" / "discourse" / "result") if discourse and discourse.cap else Balance({})

    def attempt(self, document: Document, split: str = "train") -> tuple[Annotated, Encoded] | Exception:
        """Annotate and encode a document, or what went wrong with it. What would go wrong with any document is raised."""
        if document.language not in self._tried:
            trial = Document(id="", language=document.language, text=self.annotation.languages[document.language].trial, title="", source="")
            with untimed():  # loads all that is needed
                encode(self.annotation.annotate(trial), self.tokenizer)
            self._tried.add(document.language)
        try:
            _ = f"{document.id}{document.title}".encode()  # half a surrogate pair cannot be written
            annotated = self.annotation.annotate(document)
            return annotated, encode(annotated, self.tokenizer, self.preparation.classes.get(split, ()))
        except OUR_CONCERN:
            raise
        except Exception as error:
            return error

    def encode(self, document: Document, counts: Counter[str]) -> Encoded:
        """Annotate and encode one document, counting its units."""
        annotated = self.annotation.annotate(document)
        result = encode(annotated, self.tokenizer, self.preparation.classes.get("train", ()))
        self.count(annotated, result, counts)
        return result

    @cached_property
    def _label_names(self) -> list[str]:
        return [f"{label.type or '-'}.{label.origin}" for label in self.preparation.labels]

    def count(self, annotated: Annotated, encoded: Encoded, counts: Counter[str]) -> None:
        """Count a document with its characters and units."""
        counts[f"documents.{encoded.source}.{encoded.language}"] += 1
        counts[f"characters.{encoded.source}.{encoded.language}"] += len(annotated.document.text)
        counts[f"words.{encoded.language}"] += annotated.words
        counts[f"words cut.{encoded.language}"] += annotated.dropped.get(CUT, 0)
        for level, units in encoded.units.items():
            for label, count in enumerate(np.bincount(units.label_U).tolist()):
                if count:
                    counts[f"units.{level}.{self._label_names[label]}"] += count
        for reason, count in [*annotated.dropped.items(), *encoded.dropped.items()]:
            counts[f"dropped.{reason}"] += count

    def publish(
        self, part: int, encoded: dict[str, list[Encoded]], rejected: list[Rejected], counts: Counter[str], tally: Tally, draws: list[float]
    ) -> dict[str, Any]:
        """Write the shards and the report of a part, all or nothing."""
        vocabulary_size = len(self.tokenizer.tokens)
        folder = self.part_folder(part)
        take_away(folder, lambda: self.finished(part) is not None)
        with staged_folder(folder) as staging:
            shards = []
            for split, items in encoded.items():
                if not items:
                    continue
                file = staging / f"{split}.arrow"
                write_shard(file, items, self.preparation.levels, vocabulary_size, pairs=split in self.preparation.classes)
                tokens = sum(len(item.token_ids_T) for item in items)
                described = {"path": f"parts/{part:06d}/{file.name}", "split": split, "documents": len(items), "tokens": tokens}
                shards.append({**described, "sha256": sha256_file(file), "size": file.stat().st_size})
            lines = ({**item.place._asdict(), "reason": item.reason, "detail": item.detail} for item in rejected)
            write_atomic(staging / REJECTED, "".join(json.dumps(line, ensure_ascii=False) + "\n" for line in lines))
            write_atomic(staging / TALLY, json.dumps(tally.plain(), ensure_ascii=False))
            report = {
                "part": part,
                "fingerprint": self.plan.fingerprint,
                "bytes": self.plan.part_bytes(part),
                "shards": shards,
                "rejected": len(rejected),
                "least_draw": [min(draws), draws.count(min(draws))] if draws else [],
                "threshold": self.threshold,
                "counts": dict(sorted(counts.items())),
            }
            write_json(staging / PART, report)
        return report

    def finished(self, part: int, thorough: bool = False) -> dict[str, Any] | None:
        """The report of a part that is complete on disk, None otherwise. Shards are known by their sizes; ``thorough``: by their hashes."""
        folder = self.part_folder(part)
        try:
            report: dict[str, Any] = read_json(folder / PART)
            if report["fingerprint"] != self.plan.fingerprint or not all((folder / name).is_file() for name in (REJECTED, TALLY)):
                return None
            if self.threshold is not None and report["threshold"] != self.threshold:
                return None
            for shard in report["shards"]:
                file = self.folder / shard["path"]
                if file.stat().st_size != shard["size"] or (thorough and sha256_file(file) != shard["sha256"]):
                    return None
        except (FileNotFoundError, NotADirectoryError, ValueError, KeyError, TypeError):
            return None
        return report

    def path_of(self, part: int, moment: Moment | None) -> str:
        return self.reader.path_of(part, moment)
