"""One part of the plan: its documents cleaned, annotated, encoded and published as shards by one rename.

    parts/000003/  train.arrow  heldout.arrow  (discourse.arrow)  rejected.jsonl  tally.json
                   part.json (counts, shards with sizes and hashes)

A part is a pure function of (plan, part number), so killing, repeating and running twice all end in the same bytes.
"""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from data_prep.annotating.annotation import Annotation
from data_prep.blocks import AnnotatedBlock, Block, in_blocks
from data_prep.discourse.discourse import SPLITS as DISCOURSE_SPLITS
from data_prep.discourse.discourse_step import Balance
from data_prep.documents import Document, Rejected
from data_prep.encoded import EncodedBlock
from data_prep.encoding import Tokenizer, encode_block
from data_prep.engines import untimed
from data_prep.files import staged_folder, write_json
from data_prep.filtering.dropped import Dropped
from data_prep.planned import Plan
from data_prep.portable import Portable
from data_prep.preparing.part_content import PartContent, count
from data_prep.preparing.part_files import PART, complete_report, described, write_lists
from data_prep.preparing.plan import Preparation
from data_prep.preparing.reading import OUR_CONCERN, PartReader
from data_prep.running.notes import Moment
from data_prep.running.rounds import remove_stale
from data_prep.running.supervision import NOWHERE, Task, Watch
from data_prep.shard_writer import write_shard

BlockResult = tuple[AnnotatedBlock, EncodedBlock]


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
            segmenters=preparation.all_segmenters,
            annotators=preparation.annotators,
            labels=preparation.labels,
            languages=preparation.cleaning.known,
        )

    @cached_property
    def tokenizer(self) -> Tokenizer:
        """The tokenizer, loaded once per process."""
        return Tokenizer(folder=self.folder / "tokenizer")

    @cached_property
    def reader(self) -> PartReader:
        """Reads the documents."""
        return PartReader(
            preparation=self.preparation,
            plan=self.plan,
            folder=self.folder,
            stage=self.stage,
            watch=self.watch,
            duplicates=self.duplicates,
        )

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
        content, lost = PartContent(list(self.preparation.labels), self.tokenizer), Counter[str]()
        threshold = self.preparation.heldout if self.threshold is None else self.threshold
        for block in self.reader.blocks(part, lost):
            errors, done = {}, 0
            for result in self.attempt([document for _, document in block if isinstance(document, Document)]):
                if isinstance(result, Exception):
                    errors[done] = result
                    done += 1
                    continue
                heldout_D = content.add(*result, threshold)
                self.join(result[0], heldout_D, content)
                done += len(result[0])
            content.set_aside(block, errors)
        counts = content.counts
        counts.update({f"dropped.{reason}": count for reason, count in lost.items()})
        counts["tokens.unknown"] += 0
        counts.update(
            {f"rejected.{reason}": count for reason, count in Counter(item.reason for item in content.rejected).items()}
        )
        if self.threshold is not None:
            counts["heldout.kept apart although the share selects none"] = sum(map(len, content.encoded["heldout"]))
        return self.publish(part, content)

    def join(self, annotated: AnnotatedBlock, heldout_D: npt.NDArray[np.bool_], content: PartContent) -> None:
        """Add the discourse pairs of documents that balance keeps, held out where their document is."""
        if self.preparation.discourse is None:
            return
        counts, kept, heldout = content.counts, [], []
        for number in range(len(annotated)):
            alone = annotated.document(number)
            try:
                pairs = list(
                    self.preparation.discourse.pairs(alone.document, alone.sentences_S2, alone.paragraph_ends_P)
                )
            except OUR_CONCERN:
                raise
            except Exception as error:
                counts[f"discourse.failed.{type(error).__name__}"] += 1
                continue
            keeps = [self.balance.keeps(pair) for pair in pairs]
            counts.update(
                f"discourse.{'kept' if keep else 'left out'}.{pair.name}"
                for pair, keep in zip(pairs, keeps, strict=True)
            )
            kept += [pair.document for pair, keep in zip(pairs, keeps, strict=True) if keep]
            heldout += [bool(heldout_D[number])] * sum(keeps)
        done = 0
        for result in self.attempt(kept, "discourse"):
            if isinstance(result, Exception):
                counts[f"discourse.failed.{type(result).__name__}"] += 1
                done += 1
                continue
            counts.update(
                {f"discourse.dropped.{reason}": count for found in result for reason, count in found.dropped.items()}
            )
            content.divide(result[1], np.array(heldout[done : done + len(result[1])]), DISCOURSE_SPLITS)
            done += len(result[1])

    @cached_property
    def balance(self) -> Balance:
        """Which discourse pairs are kept."""
        discourse = self.preparation.discourse
        return (
            Balance.read(discourse, self.folder / "steps" / "discourse" / "result")
            if discourse and discourse.cap
            else Balance({})
        )

    def attempt(self, documents: Sequence[Document], split: str = "train") -> Iterator[BlockResult | Exception]:
        """Annotate and encode documents, in order: blocks of them, and what went wrong with single ones.

        What would go wrong with any document is raised.
        """
        for document in documents:
            if document.language not in self._tried:
                text = self.annotation.languages[document.language].trial
                trial = Document(id="", language=document.language, text=text, title="", source="")
                with untimed():  # loads all that is needed
                    self.made([trial])
                self._tried.add(document.language)
        if not documents:
            return
        try:
            made: BlockResult | Exception = self.made(documents, self.preparation.segment_types(split))
        except OUR_CONCERN:
            raise
        except Exception as error:
            made = error
        if isinstance(made, Exception) and len(documents) > 1:
            middle = len(documents) // 2
            for half in (documents[:middle], documents[middle:]):
                yield from self.attempt(half, split)
        else:
            yield made

    def made(self, documents: Sequence[Document], classes: Sequence[str] = ()) -> BlockResult:
        """Annotate and encode documents, all or none."""
        names = "".join([f"{document.id}{document.title}" for document in documents])
        _ = names.encode()  # half a surrogate pair cannot be written
        annotated = self.annotation.annotate_block(Block(documents))
        return annotated, encode_block(annotated, self.tokenizer, classes)

    def encode(self, documents: Iterable[Document], counts: Counter[str]) -> Iterator[EncodedBlock]:
        """Annotate and encode documents block by block, counting their units."""
        for block in in_blocks(documents):
            made = self.made(block, self.preparation.segment_types("train"))
            count(*made, list(self.preparation.labels), counts)
            yield made[1]

    def publish(self, part: int, content: PartContent) -> dict[str, Any]:
        """Write the shards and the report of a part, all or nothing."""
        vocabulary_size = len(self.tokenizer.tokens)
        folder = self.part_folder(part)
        remove_stale(folder, lambda: self.finished(part) is not None)
        with staged_folder(folder) as staging:
            shards = []
            for split, items in content.encoded.items():
                if items:
                    file = staging / f"{split}.arrow"
                    pairs, roles = (split in found for found in (self.preparation.classes, self.preparation.roles))
                    write_shard(file, items, self.preparation.levels, vocabulary_size, pairs=pairs, roles=roles)
                    shards.append(described(file, f"parts/{part:06d}/{file.name}", split, items))
            write_lists(staging, content)
            report = {
                "part": part,
                "fingerprint": self.plan.fingerprint,
                "bytes": self.plan.part_bytes(part),
                "shards": shards,
                "rejected": len(content.rejected),
                "least_draw": content.least_draw(),
                "threshold": self.threshold,
                "counts": dict(sorted(content.counts.items())),
            }
            write_json(staging / PART, report)
        return report

    def finished(self, part: int, thorough: bool = False) -> dict[str, Any] | None:
        """The report of a part that is complete on disk, None otherwise. Shards are known by their sizes; ``thorough``:
        by their hashes."""
        report = complete_report(self.folder, self.part_folder(part), self.plan.fingerprint, thorough)
        fits = report is not None and self.threshold in (None, report.get("threshold"))
        return report if fits else None

    def path_of(self, part: int, moment: Moment | None) -> str:
        return self.reader.path_of(part, moment)
